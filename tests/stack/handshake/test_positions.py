"""What follows from keystream by stream position: one octet for each (key, position), whatever TCP does with it.

The table of docs/security.md, row by row, for agreed keys and, where the modes differ, for configured ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ao.mkt import Mkt
from edo.layout import lay_out
from edo.options import Options
from stack import rollover
from stack.checksum import ones_complement_sum
from stack.config import TcpConfig
from stack.run import ACK, FIN, PSH, RST, SYN, URG, Run
from stack.security import Security
from tests.stack.handshake.agreed_pair import PROTECTED, Pair
from tests.stack.handshake.test_agreed import flags_of, has_option, resummed
from tests.stack.handshake.test_modes import keyed
from tests.stack.keystream import Keystreams
from tests.stack.wire import Tap, Wire, transfer

MODES = pytest.mark.parametrize(
    ("client", "server"),
    [pytest.param(PROTECTED, PROTECTED, id="ao-enc-dh"), pytest.param(keyed(1, 2), keyed(2, 1), id="ao-enc")],
)


def fresh(security: Security) -> Security:
    """The same with a table of its own, if it has one."""
    if security.keys is None:
        return security
    (mkt,) = security.keys
    return keyed(mkt.send_id, mkt.recv_id)


def watch(wire: Wire) -> Keystreams:
    """Everything that was sent, looked at."""
    keystreams = Keystreams()
    for _, from_client, packet in wire.sent:
        keystreams.take(packet, from_client)
    return keystreams


def payload(packet: bytes) -> bytes:
    """The payload of an IPv4 packet, behind the Extension where there is one."""
    at = packet.find(b"\xfe\x06\x0e\xd0")
    end = 4 * int.from_bytes(packet[at + 4 : at + 6]) if at > 0 else (packet[32] >> 4) * 4
    return packet[20 + end :]


def repacked(packet: bytes, tcp: bytes) -> bytes:
    """An IPv4 packet of the same ends around other TCP octets, both checksums right."""
    header = bytearray(packet[:20])
    header[2:4] = (20 + len(tcp)).to_bytes(2)
    header[10:12] = bytes(2)
    header[10:12] = (0xFFFF - ones_complement_sum(header) % 0xFFFF).to_bytes(2)
    return resummed(bytes(header) + tcp, 13, tcp[13])


class Numbers:
    """Initial sequence numbers of one's choice."""

    def __init__(self, number: int) -> None:
        self._number = number

    def number(self, _key: object, _now: float) -> int:
        """The ISN."""
        return self._number

    def offset(self, _key: object) -> int:
        """The clock's offset."""
        return 0


# --- the same octets, cut and sent in any way ----------------------------------------------------------------


@MODES
def test_cut_at_every_boundary_the_ciphertext_is_the_same(client: Security, server: Security) -> None:
    wire, attempt, _ = opened(client, server, TcpConfig())
    flow, connection = attempt.flow, attempt.flow.connection
    octets = memoryview(random.Random(7).randbytes(150))
    for size in range(1, 151):
        run = Run(
            connection.snd_nxt, connection.rcv_nxt, ACK, 1000, connection.plain_options(wire.now), [octets], 150
        )
        run.segment_size = size
        before = len(flow.stack.out)
        flow.send(run, flow.stack.out)
        assert len(flow.stack.out) - before == -(-150 // size)
    wire.flush()
    keystreams = watch(wire)
    assert len(keystreams.cuts) == 150
    assert keystreams.resent == 149 * 150


@pytest.mark.parametrize("before", [1, 15, 16, 700, 1999])
@MODES
def test_the_numbers_wrap_inside_a_segment(client: Security, server: Security, before: int) -> None:
    """``before`` octets precede sequence number 0; losses make segments cross it that are cut otherwise."""
    dropped = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal dropped
        if from_client and len(packet) > 500 and dropped < 3:
            dropped += 1
            return []
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    for stack in (wire.client, wire.server):
        stack._numbers = Numbers((2**32 - 1 - before) & 0xFFFFFFFF)  # type: ignore[assignment]
    # Equal ISNs would be refused.
    wire.server._numbers = Numbers(2**32 - 1 - before - 7)  # type: ignore[assignment]
    data = random.Random(before).randbytes(20_000)
    attempt, listener = wire.open(fresh(client), fresh(server))
    ends = transfer(wire, attempt, listener, data, data)
    assert bytes(ends[0].received) == bytes(ends[1].received) == data
    starts = [
        (int.from_bytes(packet[24:28]), len(payload(packet))) for _, _, packet in wire.sent if len(packet) > 500
    ]
    assert any(start + octets > 2**32 for start, octets in starts)
    assert watch(wire).resent > 0
    assert not {"ao_bad_mac", "sne_underflow"} & set(ends[0].attempt.flow.drops + ends[1].attempt.flow.drops)


def test_retransmissions_after_a_rollover_and_back() -> None:
    """Configured keys may be backed up to: the same key meets the same octets."""
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if from_client and payload(packet) and lost < 12:
            lost += 1
            return []
        return [(0.0, packet)]

    wire = Wire()
    ask, give = keyed(1, 2), keyed(2, 1)
    attempt, listener = wire.open(ask, give)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    tables = (ask.keys, give.keys)
    new = (Mkt("next", 3, 4, b"other", encrypt="aes-128-ctr"), Mkt("next", 4, 3, b"other", encrypt="aes-128-ctr"))
    for stack, table, mkt in zip((wire.client, wire.server), tables, new, strict=True):
        assert table is not None
        rollover.add(stack, table, mkt)
    wire.tap = tap
    data = random.Random(9).randbytes(6000)
    attempt.write(data)
    assert ask.keys is not None
    (old,) = (mkt for mkt in ask.keys if mkt.name == "key")
    for mkt in (new[0], old, new[0], old):
        rollover.rotate(wire.client, ask.keys, mkt, sign=True)
        wire.run(0.7)
    wire.run(60.0)
    assert accepted.read() == data
    keystreams = watch(wire)
    assert {key for forward, key in keystreams.keys if forward} == {1, 3}
    assert keystreams.crossing > 500
    assert keystreams.resent > 500


# --- segments that are no ordinary data ----------------------------------------------------------------------


def opened(client: Security, server: Security, config: TcpConfig, tap: Tap | None = None) -> tuple[Wire, Any, Any]:
    """A wire, and the two ends of a connection over it."""
    wire = Wire(config=config)
    attempt, listener = wire.open(fresh(client), fresh(server))
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    wire.sent.clear()
    if tap is not None:
        wire.tap = tap
    return wire, attempt, accepted


@MODES
def test_a_probe_of_a_closed_window_is_the_next_octet_of_the_stream(client: Security, server: Security) -> None:
    wire, attempt, accepted = opened(client, server, TcpConfig(receive_buffer=4096))
    data = random.Random(4).randbytes(9000)
    attempt.write(data)
    wire.run(30.0)
    probes = [packet for _, from_client, packet in wire.sent if from_client and len(payload(packet)) == 1]
    assert len({payload(packet) for packet in probes}) == 1
    assert len(probes) > 2
    received = bytearray()

    def read() -> bool:
        received.extend(accepted.read())
        wire.flush()
        return len(received) == len(data)

    assert wire.run(60.0, read)
    assert received == data
    assert watch(wire).resent >= len(probes)


@MODES
def test_a_keepalive_has_no_octet(client: Security, server: Security) -> None:
    config = TcpConfig(keepalive=True, keepalive_idle=10.0, keepalive_interval=5.0)
    wire, attempt, accepted = opened(client, server, config)
    attempt.write(b"something")
    wire.run(100.0)
    assert accepted.read() == b"something"
    assert sum(not payload(packet) for _, _, packet in wire.sent) > 10
    assert sum(bool(payload(packet)) for _, _, packet in wire.sent) == 1


@MODES
def test_a_fin_has_a_number_and_no_octet(client: Security, server: Security) -> None:
    wire, attempt, accepted = opened(client, server, TcpConfig())
    attempt.write(b"last words")
    attempt.write_eof()
    wire.run(5.0)
    assert accepted.read() == b"last words"
    assert accepted.eof
    fins = [packet for _, from_client, packet in wire.sent if from_client and flags_of(packet) & FIN]
    assert len(payload(fins[0])) == 10
    assert accepted.flow.connection.rcv_nxt == attempt.flow.connection.iss + 1 + 10 + 1


@MODES
def test_a_reset_has_no_octets_and_those_of_a_peer_s_are_not_delivered(client: Security, server: Security) -> None:
    wire, attempt, accepted = opened(client, server, TcpConfig())
    flow, connection = attempt.flow, attempt.flow.connection
    words = memoryview(b"why I hang up")
    run = Run(
        connection.snd_nxt,
        connection.rcv_nxt,
        RST | ACK,
        0,
        connection.plain_options(wire.now),
        [words],
        len(words),
    )
    run.segment_size = 1000
    flow.send(run, flow.stack.out)
    wire.run(1.0)
    assert len(payload(wire.sent[0][2])) == len(words)
    assert accepted.error is not None
    assert not accepted.flow.connection.incoming.octets
    wire, attempt, accepted = opened(client, server, TcpConfig())
    attempt.write(b"x" * 5000)
    attempt.abort()
    wire.run(1.0)
    resets = [packet for _, _, packet in wire.sent if flags_of(packet) & RST]
    assert resets
    assert not any(payload(packet) for packet in resets)


@MODES
def test_the_urgent_pointer_is_clear_and_under_the_mac(client: Security, server: Security) -> None:
    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal flipped
        if flags_of(packet) & URG and not flipped:
            flipped = True
            return [(0.0, resummed(packet, 19, packet[39] ^ 1))]
        return [(0.0, packet)]

    flipped = False
    wire, attempt, accepted = opened(client, server, TcpConfig(), tap)
    attempt.write(b"go on ")
    attempt.write(b"stop!", urgent=True)
    wire.run(5.0)
    assert flipped
    urgent = next(packet for _, _, packet in wire.sent if flags_of(packet) & URG)
    assert 0 < int.from_bytes(urgent[38:40]) <= 11
    assert accepted.flow.drops["ao_bad_mac"] == 1
    assert accepted.urgent == 11
    assert accepted.read() == b"go on stop!"


@MODES
def test_no_syn_carries_octets_and_none_are_taken_from_one(client: Security, server: Security) -> None:
    """The key of a SYN could be replayed, or there is none yet."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and flags_of(packet) & SYN and server.keys is None:
            return [(0.0, repacked(packet, packet[20:] + b"early words"))]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    listener = wire.server.listen(80, security=fresh(server))
    attempt = wire.client.connect(("10.0.0.2", 80), security=fresh(client), now=wire.now, fast_open=b"early")
    ends = transfer(wire, attempt, listener, b" and late", b"answer")
    assert bytes(ends[1].received) == b"early and late"
    assert bytes(ends[0].received) == b"answer"
    syns = [packet for _, _, packet in wire.sent if flags_of(packet) & SYN]
    assert all(not packet[20 + (packet[32] >> 4) * 4 :] or b"\xa0\xe1" in packet for packet in syns)


# --- keys of other connections, of the other direction, and segments that somebody else cut -------------------


@MODES
def test_a_connection_in_the_place_of_another_has_other_keys(client: Security, server: Security) -> None:
    wire = Wire()
    listener = wire.server.listen(80, security=fresh(server))
    seen = []
    for _ in range(2):
        attempt = wire.client.connect(("10.0.0.2", 80), local_port=5000, security=fresh(client), now=wire.now)
        attempt.write(bytes(500))
        wire.run(2.0)
        seen.append(next(payload(packet) for _, _, packet in wire.sent if len(payload(packet)) == 500))
        wire.sent.clear()
        attempt.abort()
        wire.run(2.0)
        while (accepted := listener.accept()) is not None:
            accepted.abort()
        wire.run(2.0)
    assert seen[0] != seen[1]


def test_both_directions_of_crossed_syns_have_keystreams_of_their_own() -> None:
    wire = Wire()
    one = wire.client.connect(("10.0.0.2", 4000), local_port=4000, security=keyed(1, 2), now=wire.now)
    two = wire.server.connect(("10.0.0.1", 4000), local_port=4000, security=keyed(2, 1), now=wire.now)
    for attempt in (one, two):
        attempt.write(bytes(800))
    assert wire.run(10.0, lambda: one.readable == two.readable == 800)
    assert one.read() == two.read() == bytes(800)
    octets = {whose: payload(packet) for _, whose, packet in wire.sent if len(payload(packet)) == 800}
    assert octets[True] != octets[False]
    assert watch(wire).keys == {(True, 1), (False, 2)}


Recut = Callable[[bytes], list[bytes]]


def halves(packet: bytes) -> list[bytes]:
    """A box that splits a segment in two, each with the options of the whole."""
    tcp, octets = packet[20:], payload(packet)
    head = tcp[: len(tcp) - len(octets)]
    middle = len(octets) // 2
    second = bytearray(head)
    second[4:8] = ((int.from_bytes(head[4:8]) + middle) & 0xFFFFFFFF).to_bytes(4)
    return [repacked(packet, head + octets[:middle]), repacked(packet, bytes(second) + octets[middle:])]


@MODES
def test_segments_that_a_box_has_cut_do_not_verify(client: Security, server: Security) -> None:
    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal cut
        if from_client and len(payload(packet)) > 500 and cut < 4:
            cut += 1
            return [(0.0, piece) for piece in halves(packet)]
        return [(0.0, packet)]

    cut = 0
    wire, attempt, accepted = opened(client, server, TcpConfig(), tap)
    data = random.Random(2).randbytes(8000)
    attempt.write(data)
    received = bytearray()

    def read() -> bool:
        received.extend(accepted.read())
        wire.flush()
        return len(received) == len(data)

    assert wire.run(60.0, read)
    assert received == data
    assert accepted.flow.drops["ao_bad_mac"] == 8
    watch(wire)


def test_of_octets_that_came_twice_the_first_stand() -> None:
    """Only a peer that breaks the invariant can send two octets for a position under good MACs."""
    pair = Pair()
    flow, connection = pair.a.flow, pair.a.connection
    at = connection.snd_nxt
    for offset, words in ((5, b"first"), (5, b"other"), (0, b"head ")):
        run = Run(
            at + offset,
            connection.rcv_nxt,
            ACK | PSH,
            1000,
            connection.plain_options(pair.wire.now),
            [memoryview(words)],
            5,
        )
        run.segment_size = 1000
        flow.send(run, flow.stack.out)
        pair.wire.flush()
        pair.wire.run(0.1)
    assert pair.b.attempt.read() == b"head first"


def test_a_clear_segment_in_the_stream_is_no_part_of_it() -> None:
    pair = Pair()
    connection = pair.a.connection
    words = memoryview(b"not encrypted")
    run = Run(connection.snd_nxt, connection.rcv_nxt, ACK | PSH, 1000, Options(), [words], len(words))
    out: list[bytes] = []
    pair.a.flow.sealer.seal(run, lay_out(run.options), 1000, out)
    pair.wire.put(out[0], True)
    pair.talk()
    assert pair.drops() == {"clear_segment": 1}


def test_everything_of_a_protected_connection_is_signed() -> None:
    pair = Pair()
    pair.talk(20_000)
    assert all(has_option(packet, 29) for _, _, packet in pair.wire.sent)
