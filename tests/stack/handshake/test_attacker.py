"""What an attacker who has seen everything can do with it: send it again, send it back, or send it much later.

docs/security.md has the table of attacks that these belong to; ``tests/stack/ao/test_attacks.py`` has those on
connections under configured keys.
"""

from __future__ import annotations

import pytest

from ao.reasons import AoDrop
from edo.walk import walk
from stack.batch import Batch
from stack.events import Closed
from stack.ip import Ip, parse
from stack.run import ACK, SYN
from stack.security import Security
from stack.segment import Segment
from tests.stack.handshake.agreed_pair import Pair
from tests.stack.handshake.faults import turned
from tests.stack.handshake.test_agreed import flags_of, has_option, in_clear
from tests.stack.handshake.test_modes import keyed
from tests.stack.wire import Wire, transfer

AGREED = Security("ao-enc-dh")
PLACEMENTS = ["syn", "late", "compact"]
AO = 29


def segment_of(packet: bytes) -> Segment:
    """A packet as a flow gets it."""
    ip = parse(packet)
    assert isinstance(ip, Ip)
    segment = Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))
    spans = walk(segment.tcp, 20, segment.data_offset)
    assert spans is not None
    segment.spans = spans
    return segment


def by(placement: str) -> Security:
    return Security("ao-enc-dh", placements=(placement,))


# --- again ---------------------------------------------------------------------------------------------------


def test_protected_segments_of_this_connection_again_bring_nothing_new() -> None:
    """Reports and messages of a change of keys are among them; what is answered is an acknowledgment."""
    pair = Pair(from_start=True)
    pair.talk()
    pair.a.attempt.rekey()
    pair.wire.run(3.0)
    pair.talk()
    assert pair.generations == (1, 1)
    seen = list(pair.wire.sent)
    protected = [(whose, packet) for _, whose, packet in seen if has_option(packet, AO)]
    for whose, packet in [*protected, *reversed(protected)]:
        stack = pair.wire.server if whose else pair.wire.client
        stack.receive(Batch([packet]), pair.wire.now)
    pair.wire.sent.clear()
    pair.wire.flush()
    assert all(flags_of(packet) == ACK for _, _, packet in pair.wire.sent)
    pair.wire.run(3.0)
    assert [side.attempt.read() for side in pair.sides] == [b"", b""]
    assert pair.generations == (1, 1)
    pair.talk()


@pytest.mark.parametrize(
    ("placement", "resumed"),
    [("syn", False), ("late", False), ("compact", False), ("syn", True), ("late", True)],
)
def test_a_client_that_is_played_again_says_nothing(placement: str, resumed: bool) -> None:
    """Everything that a client sent, once more to the same server: other keys, so no octet and no connection."""
    security = by(placement)
    wire = Wire()
    listener = wire.server.listen(80, security=security)
    for _ in range(2 if resumed else 1):
        wire.run(300.0)
        wire.sent.clear()
        attempt = wire.client.connect(("10.0.0.2", 80), security=security, now=wire.now)
        client, server = transfer(wire, attempt, listener, b"pay the bearer" * 20, b"paid")
        assert bytes(server.received) == b"pay the bearer" * 20
    assert client.attempt.report()["resumed"] is resumed
    wire.run(300.0)
    played = [(at, packet) for at, whose, packet in wire.sent if whose]
    assert len(played) >= 4
    wire.sent.clear()
    # The client's own host is silent: it would reset what it knows nothing of.
    wire.tap = lambda packet, whose, _now: []
    begun = wire.now - played[0][0]
    for at, packet in played:
        wire.put(packet, True, at + begun - wire.now)
    wire.run(5.0)
    assert listener.waiting == 0
    assert any(flags_of(packet) == SYN | ACK for _, whose, packet in wire.sent if not whose)
    wire.run(300.0)
    assert listener.waiting == 0
    assert not wire.server.flows


# --- back to where it came from ------------------------------------------------------------------------------


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("of_client", [True, False], ids=["client", "server"])
def test_whatever_is_sent_back_to_its_sender_is_not_taken(placement: str, of_client: bool) -> None:
    """Hello, answer, reports, data, messages of a change of keys: each direction has keys and messages of its own.

    But for the first SYN, which is then one that crosses.
    """
    wire = Wire()
    reflected = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal reflected
        if from_client is of_client and flags_of(packet) != SYN and flags_of(packet):
            reflected += 1
            wire.put(turned(packet), not from_client)
        return [(0.0, packet)]

    wire.tap = tap
    security = by(placement)
    attempt, listener = wire.open(security, security)
    client, server = transfer(wire, attempt, listener, bytes(range(256)) * 20, bytes(range(256)) * 10)
    assert (len(server.received), len(client.received)) == (5120, 2560)
    assert client.attempt.report()["error"] is server.attempt.report()["error"] is None
    assert reflected > 4
    drops = (client if of_client else server).attempt.report()["drops"]
    assert isinstance(drops, dict)
    assert sum(drops.values()) > 0
    assert not in_clear(wire)


def test_a_rekey_and_a_report_that_are_sent_back_change_nothing() -> None:
    pair = Pair()

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        pair.wire.put(turned(packet), not from_client)
        return [(0.0, packet)]

    pair.wire.tap = tap
    pair.a.attempt.rekey()
    pair.wire.run(3.0)
    pair.talk()
    assert pair.generations == (1, 1)
    assert set(pair.drops()) == {"ao_bad_mac"}
    assert pair.drops()["ao_bad_mac"] >= 4


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_syn_that_is_sent_back_ends_the_attempt_and_is_no_connection(placement: str) -> None:
    """Equal ISNs (profile.md §3): somebody on the path may prevent a connection, and not speak for the peer."""
    wire = Wire(tap=lambda packet, whose, _now: [])
    security = by(placement)
    attempt, _ = wire.open(security, security)
    wire.run(0.1)
    syn = next(packet for _, whose, packet in wire.sent if whose and flags_of(packet) == SYN)
    wire.put(turned(syn), False)
    wire.run(100.0)
    events = []
    while (event := attempt.next_event()) is not None:
        events.append(event)
    (closed,) = events
    assert isinstance(closed, Closed)
    assert closed.error is not None


# --- 2^32 octets later ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "server"), [(AGREED, AGREED), (keyed(1, 2), keyed(2, 1))], ids=["ao-enc-dh", "ao-enc"]
)
def test_a_segment_is_no_good_when_its_numbers_come_round(client: Security, server: Security) -> None:
    """The number's upper half is in the MAC (RFC 5925 §6.2): the same segment, where 2^32 octets have passed."""
    wire = Wire()
    attempt, listener = wire.open(client, server)
    wire.run(3.0)
    accepted = listener.accept()
    assert accepted is not None
    wire.tap = lambda packet, whose, _now: []
    wire.sent.clear()
    attempt.write(b"some octets")
    wire.flush()
    (packet,) = (packet for _, whose, packet in wire.sent if whose)
    segment = segment_of(packet)
    protection, number = accepted.flow.protection, accepted.flow.connection.rcv_nxt
    assert not isinstance(protection.open(segment, number), AoDrop)
    for rounds in (1, 2, 1 << 20):
        assert protection.open(segment, number + (rounds << 32)) is AoDrop.ao_bad_mac
