"""Whatever a connection sends is signed, in every state and on every way to its end (RFC 5925 §7.4, §7.5).

Random runs with loss, reordering, changes of keys and all ways to close: each packet's MAC is computed anew by
``straight``, which shares nothing with the stack.
"""

from __future__ import annotations

import random

import pytest

from ao.mkt import Mkt, MktTable
from stack import ao_counters
from stack.attempt import Attempt
from stack.config import TcpConfig
from stack.handshake.configured import ConfiguredProtection
from stack.isn import InitialNumbers
from stack.security import Security
from stack.states import State
from tests.stack.ao.standing import Standing, client_packets, header_at, option
from tests.stack.ao.straight import ACK, FIN, RST, SYN, Recomputed
from tests.stack.handshake.test_agreed import resummed
from tests.stack.wire import Wire

SECRETS = {(True, 61): b"first", (False, 84): b"first", (True, 62): b"second", (False, 85): b"second"}


def both() -> tuple[Security, Security]:
    """Two keys of HMAC-SHA-1-96 at each end."""
    mac = "hmac-sha-1-96"
    client = MktTable([Mkt("first", 61, 84, b"first", mac=mac), Mkt("second", 62, 85, b"second", mac=mac)])
    server = MktTable([Mkt("first", 84, 61, b"first", mac=mac), Mkt("second", 85, 62, b"second", mac=mac)])
    return Security("ao", keys=client), Security("ao", keys=server)


class Watched:
    """A wire on which every packet that is sent is looked at; ``lossy`` loses and reorders what is random."""

    def __init__(self, seed: int, lossy: float) -> None:
        self.source = random.Random(seed)
        self.lossy = lossy
        self.deaf = False
        self.faults: list[str] = []
        self.recomputed = Recomputed(SECRETS)
        config = TcpConfig(keepalive=True, keepalive_idle=20.0, keepalive_interval=5.0, receive_buffer=8192)
        self.wire = Wire(seed, tap=self.tap, config=config)

    def tap(self, packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        fault = self.recomputed.fault(packet, from_client)
        if fault == "no TCP-AO" and packet[33] & RST and self.answers_for_nobody(packet, from_client):
            # Not a connection's: of the host, which has no key for it (RFC 5925 §7.7).
            fault = None
        if fault is not None:
            self.faults.append(f"{fault} at {now:.3f}: {packet.hex()}")
        if self.deaf or self.source.random() < self.lossy:
            return []
        return [(self.source.random() * 0.05 if self.source.random() < self.lossy else 0.0, packet)]

    def answers_for_nobody(self, packet: bytes, from_client: bool) -> bool:
        """Whether the sender has no connection between these ports."""
        ports = int.from_bytes(packet[20:22], "big"), int.from_bytes(packet[22:24], "big")
        stack = self.wire.client if from_client else self.wire.server
        return all((key[1], key[3]) != ports for key in stack.flows)

    def open(self) -> tuple[Attempt, Attempt]:
        client, server = both()
        attempt, listener = self.wire.open(client, server)
        assert self.wire.run(60.0, lambda: listener.waiting > 0)
        accepted = listener.accept()
        assert accepted is not None
        return attempt, accepted


def rotate(attempt: Attempt, source: random.Random) -> None:
    """Ask the peer for one of the two keys."""
    protection = attempt.flow.protection
    assert isinstance(protection, ConfiguredProtection)
    if protection.ring is not None:
        protection.ring.ask_for(source.choice(sorted(protection.ring.tallies)))


ENDINGS = ["close", "abort", "both close", "half-close", "orphan", "no answer", "unread"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("seed", range(4))
def test_every_segment_of_a_random_run_has_a_good_mac(seed: int, ending: str) -> None:
    print(f"seed {seed}")
    watched = Watched(seed, 0.15 if seed % 2 else 0.0)
    wire, source = watched.wire, watched.source
    client, server = watched.open()
    ends = [client, server]
    for _ in range(12):
        source.choice(ends).write(source.randbytes(source.randrange(1, 6000)))
        rotate(source.choice(ends), source)
        wire.run(source.random() * 2.0)
        if ending != "unread" or source.random() < 0.3:
            for end in ends:
                end.read()
    wire.run(60.0)
    if ending == "close":
        client.write_eof()
        wire.run(1.0)
        server.write_eof()
    elif ending == "abort":
        client.abort()
    elif ending == "both close":
        client.write_eof()
        server.write_eof()
    elif ending == "half-close":
        client.write_eof()
        wire.run(5.0)
        server.write(b"after the peer's FIN")
    elif ending == "orphan":
        client.write(bytes(5000))
        client.close()
        wire.run(0.015)
        server.write(b"for nobody")
    elif ending == "no answer":
        watched.deaf = True
        client.write(b"into the dark")
    else:
        client.write(bytes(40_000))
        server.write(bytes(40_000))
    wire.run(300.0)
    assert watched.faults == []
    assert watched.recomputed.seen > 40


def test_the_runs_show_every_kind_of_segment() -> None:
    """Keepalive probes, probes of a closed window, bare FINs, resets: each was among what is looked at."""
    watched = Watched(1, 0.0)
    client, server = watched.open()
    client.write(bytes(40_000))
    watched.wire.run(100.0)
    probes = [packet for at, from_client, packet in watched.wire.sent if from_client and at > 120.0]
    assert probes, "the server reads nothing: its window is closed and probed"
    server.read()
    while watched.wire.run(1.0) or server.read():
        pass
    before = len(watched.wire.sent)
    watched.wire.run(30.0)
    assert len(watched.wire.sent) > before, "nothing was said for 30 s: keepalives"
    client.write_eof()
    watched.wire.run(1.0)
    server.abort()
    watched.wire.run(10.0)
    assert watched.faults == []
    assert {"SYN", "ACK", "text", "FIN", "RST"} <= watched.recomputed.kinds


@pytest.mark.parametrize("lossy", [0.0, 0.2])
def test_crossed_syns_are_signed_and_verified(lossy: float) -> None:
    """All four traffic keys are in use then (RFC 5925 §5.2; RFC 9293 §3.5, Figure 7)."""
    watched = Watched(5, lossy)
    wire = watched.wire
    client, server = both()
    one = wire.client.connect(("10.0.0.2", 80), security=client, now=wire.now, local_port=90)
    other = wire.server.connect(("10.0.0.1", 90), security=server, now=wire.now, local_port=80)
    one.write(b"from one")
    other.write(b"from the other")
    wire.run(60.0)
    assert (other.read(), one.read()) == (b"from one", b"from the other")
    assert watched.faults == []
    assert {end.report()["mode"] for end in (one, other)} == {"ao"}


@pytest.mark.parametrize("from_client", [True, False])
def test_the_macs_are_good_across_a_wrap(from_client: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SNE 1 behind 2^32, and SNE 0 for what is sent again from before it (RFC 5925 §6.2)."""
    watched = Watched(3, 0.1)
    host = watched.wire.client if from_client else watched.wire.server
    number = InitialNumbers.number
    monkeypatch.setattr(
        InitialNumbers,
        "number",
        lambda self, *ends: (1 << 32) - 9000 if self is host._numbers else number(self, *ends),
    )
    client, server = watched.open()
    sender, receiver = (client, server) if from_client else (server, client)
    sender.write(bytes(30_000))
    got = 0
    for _ in range(300):
        watched.wire.run(0.5)
        got += len(receiver.read())
    assert got == 30_000
    assert watched.faults == []


# --- TIME-WAIT and connections without an application -----------------------------------------------------


def in_time_wait() -> Standing:
    """The server closed first and waits; the client is gone."""
    standing = Standing(port=5000)
    standing.server.close()
    standing.wire.run(1.0)
    standing.client.close()
    standing.wire.run(1.0)
    assert standing.flow.connection.state is State.TIME_WAIT
    return standing


@pytest.mark.parametrize("options", [b"", option(), option(key_id=9)], ids=["none", "bad", "unknown key"])
def test_a_forged_syn_does_not_end_time_wait(options: bytes) -> None:
    """It would be a new connection's (RFC 6191 §2), if its MAC were good; neither is anything answered."""
    standing = in_time_wait()
    state, counted = standing.state(), standing.counted
    packets = [standing.forge(flags, seq=1 << 20, options=options) for flags in (SYN, RST, FIN, ACK)]
    assert standing.attack(packets) == []
    assert standing.wire.server.flows[standing.flow.key] is standing.flow
    assert standing.state() == state
    assert sum(standing.since(counted).values()) == len(packets)


def test_a_signed_syn_does_and_is_counted_once() -> None:
    standing = in_time_wait()
    before = ao_counters.of_stack(standing.wire.server)
    sent = len(client_packets(standing.wire))
    again = Standing(before=standing, port=5000)
    assert standing.wire.server.flows[again.flow.key] is again.flow
    now = len(client_packets(standing.wire))
    after = ao_counters.of_stack(standing.wire.server)
    assert after["good"] - before["good"] == now - sent


def test_a_repeated_fin_is_answered_from_time_wait_under_the_key() -> None:
    standing = in_time_wait()
    fins = [packet for packet in client_packets(standing.wire) if packet[header_at(packet) + 13] & 1]
    (answer,) = standing.attack([fins[-1]])
    assert answer[header_at(answer) + 20] == 29
    changed = resummed(fins[-1], 24, fins[-1][header_at(fins[-1]) + 24] ^ 1)
    assert standing.attack([changed]) == []


def test_a_connection_that_nobody_holds_any_more_verifies() -> None:
    """Closed by the application, FIN-WAIT-2: forged FINs and resets end nothing."""
    standing = Standing()
    standing.server.close()
    standing.wire.run(1.0)
    assert standing.flow.connection.state is State.FIN_WAIT_2
    state = standing.state()
    packets = [
        standing.forge(flags, options=options) for flags in (FIN | ACK, RST, SYN) for options in (b"", option())
    ]
    assert standing.attack(packets) == []
    assert standing.state() == state
    standing.client.close()
    standing.wire.run(1.0)
    assert standing.flow.connection.state is State.TIME_WAIT
