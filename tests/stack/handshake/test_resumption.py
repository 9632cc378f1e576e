"""Later connections of the same hosts resume earlier ones (profile.md §7, Resumption)."""

from __future__ import annotations

import random

import pytest

from ao.messages import Hello, MessageKind, decode
from ao.sessions import Session
from stack.attempt import Attempt
from stack.listener import Listener
from stack.run import SYN
from stack.security import Security
from stack.tickets import TICKET_MEMORY
from tests.stack.handshake.test_agreed import flags_of, out_of_band
from tests.stack.wire import Tap, Wire, transfer

PLAIN = Security("ao-enc-dh")
FRESH = Security("ao-enc-dh", resume="fresh")
OFF = Security("ao-enc-dh", resume="off")
LATE = Security("ao-enc-dh", placements=("late",))


class Hosts:
    """A client and a server that have connections one after the other."""

    def __init__(self, client: Security = PLAIN, server: Security = PLAIN, *, tap: Tap | None = None) -> None:
        self.wire = Wire()
        self.client = client
        self.listener: Listener = self.wire.server.listen(80, security=server)
        self.connect()
        self.wire.sent.clear()
        if tap is not None:
            self.wire.tap = tap

    def connect(self, security: Security | None = None) -> tuple[Attempt, Attempt]:
        """One whole connection; both ends of it, over."""
        source = random.Random(3)
        up, down = source.randbytes(5000), source.randbytes(3000)
        attempt = self.wire.client.connect(("10.0.0.2", 80), security=security or self.client, now=self.wire.now)
        ends = transfer(self.wire, attempt, self.listener, up, down)
        assert (bytes(ends[1].received), bytes(ends[0].received)) == (up, down)
        return ends[0].attempt, ends[1].attempt

    @property
    def tickets(self) -> tuple[int, int, int, int]:
        """How many are kept: the client's to offer and to take, the server's to offer and to take."""
        return tuple(  # type: ignore[return-value]
            len(kind) for host in (self.wire.client, self.wire.server) for kind in host_kinds(host)
        )

    def hello(self) -> Hello:
        """The hello of the latest connection."""
        for _, from_client, packet in self.wire.sent:
            start = packet.find(b"\xa0\xe1\x01")
            if from_client and start > 0:
                message = decode(MessageKind.HELLO, packet[start + 7 : start - 2 + packet[start - 1]])
                assert isinstance(message, Hello)
                return message
        raise AssertionError("no hello was sent")


def host_kinds(host: object) -> tuple[object, object]:
    tickets = host.peers.tickets  # type: ignore[attr-defined]
    return tickets.offers, tickets.takes


@pytest.mark.parametrize("security", [PLAIN, LATE], ids=["syn", "late"])
def test_a_second_connection_needs_no_share(security: Security) -> None:
    hosts = Hosts(security)
    assert hosts.tickets == (1, 0, 0, 1)
    for ends in (hosts.connect(), hosts.connect()):
        first, second = (attempt.report() for attempt in ends)
        assert (first["resumed"], second["resumed"]) == (True, True)
        assert first["session_id"] == second["session_id"]
        assert (first["group"], first["mode"], first["drops"]) == ("x25519", "ao-enc-dh", {})
        # Each is used up by the connection that resumes it, which leaves one in its place.
        assert hosts.tickets == (1, 0, 0, 1)
    hello = hosts.hello()
    assert (hello.group, hello.share, len(hello.tickets)) == (0, b"", 1)


def test_a_chain_of_connections_never_has_a_ticket_or_a_session_id_twice() -> None:
    hosts = Hosts()
    tickets, sessions = set(), set()
    for _ in range(8):
        hosts.wire.sent.clear()
        attempt, _ = hosts.connect()
        tickets.add(hosts.hello().tickets)
        sessions.add(attempt.report()["session_id"])
    assert len(tickets) == len(sessions) == 8


def test_fresh_adds_a_share() -> None:
    hosts = Hosts(FRESH)
    first, second = hosts.connect()
    assert (first.report()["resumed"], second.report()["resumed"]) == (True, True)
    assert (hosts.hello().group, len(hosts.hello().tickets)) == (29, 1)


def test_off_neither_keeps_nor_offers_nor_takes() -> None:
    hosts = Hosts(OFF)
    assert hosts.tickets == (0, 0, 0, 1)
    first, _ = hosts.connect()
    assert (first.report()["resumed"], hosts.hello().tickets) == (False, ())
    hosts = Hosts(PLAIN, OFF)
    assert hosts.tickets == (1, 0, 0, 0)
    # A server that knows no ticket asks for a share: a round trip, and a fresh exchange.
    first, _ = hosts.connect()
    assert (first.report()["resumed"], first.report()["error"]) == (False, None)


def test_a_ticket_serves_for_an_hour() -> None:
    for wait, resumed in ((TICKET_MEMORY - 60.0, True), (TICKET_MEMORY, False)):
        hosts = Hosts()
        hosts.wire.run(wait)
        assert hosts.connect()[0].report()["resumed"] is resumed


@pytest.mark.parametrize("security", [PLAIN, LATE, FRESH], ids=["syn", "late", "fresh"])
def test_a_server_that_has_forgotten_ends_in_a_fresh_exchange(security: Security) -> None:
    hosts = Hosts(security)
    hosts.wire.server.peers.forget()
    first, second = hosts.connect()
    assert (first.report()["resumed"], second.report()["resumed"]) == (False, False)
    assert (first.report()["error"], first.report()["drops"]) == (None, {})
    # What was not taken is dropped; the fresh exchange has left another.
    assert hosts.tickets == (1, 0, 0, 1)
    assert hosts.connect()[0].report()["resumed"]


def test_tickets_are_seen_and_erased_with_the_rest() -> None:
    hosts = Hosts()
    (row,) = [row for row in hosts.wire.client.peers.rows(hosts.wire.now) if str(row["kind"]).startswith("ticket")]
    assert (row["kind"], row["peer"], row["group"]) == ("ticket-to-offer", "10.0.0.2", "x25519")
    assert hosts.wire.client.peers.forget(b"\x0a\x00\x00\x02", "ticket-to-offer") == 1
    assert hosts.connect()[0].report()["resumed"] is False


def test_who_was_a_takes_none_and_who_was_b_offers_none() -> None:
    """No reflection: the other way round the first connection of two hosts resumes nothing."""
    hosts = Hosts()
    back = hosts.wire.client.listen(81, security=PLAIN)
    attempt = hosts.wire.server.connect(("10.0.0.1", 81), security=PLAIN, now=hosts.wire.now)
    ends = transfer(hosts.wire, attempt, back, b"x", b"y")
    assert ends[0].attempt.report()["resumed"] is False
    assert hosts.tickets == (1, 1, 1, 1)


def test_one_attempt_per_ticket_at_a_time() -> None:
    """Someone who saw the ticket sends a hello with it: B lends it once, and it is back when that attempt ends."""
    copies: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and (flags_of(packet) & SYN or out_of_band(packet)):
            copies.append(packet)
            return []
        return [(0.0, packet)]

    hosts = Hosts(tap=tap)
    attempt = hosts.wire.client.connect(("10.0.0.2", 80), security=PLAIN, now=hosts.wire.now)
    hosts.wire.run(0.1)
    # SYN and OOB with the ticket arrive, and nothing that follows of their sender does.
    for packet in copies[:2]:
        hosts.wire.put(packet, True)
    hosts.wire.tap = lambda packet, from_client, _now: [] if from_client else [(0.0, packet)]
    hosts.wire.run(0.5)
    tickets = hosts.wire.server.peers.tickets
    (ticket,) = tickets.takes._entries
    assert tickets.take(ticket, [29], hosts.wire.now) is None
    attempt.abort()
    hosts.wire.run(200.0)
    assert not hosts.wire.server.flows
    assert len(tickets.takes) == 1
    assert tickets.take(ticket, [29], hosts.wire.now) is not None


def test_a_ticket_whose_attempt_failed_is_not_offered_again() -> None:
    hosts = Hosts(tap=lambda _packet, _from_client, _now: [])
    attempt = hosts.wire.client.connect(("10.0.0.2", 80), security=PLAIN, now=hosts.wire.now)
    hosts.wire.run(5.0)
    assert hosts.hello().tickets
    attempt.abort()
    hosts.wire.tap = lambda packet, _from_client, _now: [(0.0, packet)]
    hosts.wire.sent.clear()
    first, _ = hosts.connect()
    assert (first.report()["resumed"], hosts.hello().tickets) == (False, ())


def test_parallel_connections_have_a_ticket_each() -> None:
    hosts = Hosts()
    attempts = [hosts.wire.client.connect(("10.0.0.2", 80), security=PLAIN, now=hosts.wire.now) for _ in range(3)]
    hosts.wire.run(5.0)
    assert [attempt.report()["resumed"] for attempt in attempts] == [True, False, False]
    assert hosts.tickets == (3, 0, 0, 3)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("security", [PLAIN, LATE], ids=["syn", "late"])
def test_any_one_segment_of_a_resumed_connection_may_be_lost(security: Security, number: int) -> None:
    seen = -1

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen == number else [(0.0, packet)]

    hosts = Hosts(security, tap=tap)
    first, second = hosts.connect()
    assert first.report()["session_id"] == second.report()["session_id"]
    assert first.report()["error"] is None
    assert hosts.tickets == (1, 0, 0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_chains_survive_loss_duplication_and_reordering(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        return [(delay * copy, packet) for copy in range(1, 2 + (source.random() < 0.1))]

    hosts = Hosts(source.choice([PLAIN, LATE, FRESH]), tap=tap)
    for _ in range(4):
        first, second = hosts.connect()
        assert first.report()["error"] is None, f"seed {seed}"
        assert first.report()["session_id"] == second.report()["session_id"], f"seed {seed}"


def test_a_resumed_connection_is_rekeyed_and_leaves_a_ticket_of_its_first_chain() -> None:
    hosts = Hosts()
    attempt = hosts.wire.client.connect(("10.0.0.2", 80), security=PLAIN, now=hosts.wire.now)
    hosts.wire.run(1.0)
    attempt.rekey()
    hosts.wire.run(1.0)
    assert attempt.report()["generation"] == 1
    assert hosts.tickets == (1, 0, 0, 1)
    attempt.abort()
    hosts.wire.run(1.0)
    while hosts.listener.accept() is not None:
        pass
    assert hosts.connect()[0].report()["resumed"]


def test_suites_are_negotiated_anew() -> None:
    hosts = Hosts()
    other = Security("ao-enc-dh", suites=("hmac-sha-1-96+aes-128-ctr",))
    first, _ = hosts.connect(other)
    assert (first.report()["resumed"], first.report()["mac"]) == (True, "hmac-sha-1-96")


def test_a_group_that_is_not_wanted_any_more_is_not_resumed() -> None:
    hosts = Hosts()
    other = Security("ao-enc-dh", groups=("secp256r1",))
    hosts.listener.security = Security("ao-enc-dh", groups=("secp256r1", "x25519"))
    first, _ = hosts.connect(other)
    assert (first.report()["resumed"], first.report()["group"]) == (False, "secp256r1")


def test_no_more_than_1024_are_kept() -> None:
    hosts = Hosts()
    tickets = hosts.wire.server.peers.tickets

    for number in range(1100):
        session = Session.of(number.to_bytes(32), 29)
        tickets.keep(session, b"\x0a\0\0\1", is_a=False, now=hosts.wire.now)
    assert len(tickets.takes) == 1024
