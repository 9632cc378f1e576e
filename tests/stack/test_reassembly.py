"""IP fragments: any order, any cut, overlaps, bounds (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722 §3)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, IPOption, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, fragment6
from scapy.packet import Raw

from stack.batch import Batch
from stack.ip import Ip, parse
from stack.reassembly import LIFETIME, FragmentDrop, Reassembler
from tests.stack.wire import Wire

PAYLOAD = random.Random(9).randbytes(4000)


def whole(version: int, payload: bytes = PAYLOAD) -> bytes:
    ip = IP(src="10.0.0.1", dst="10.0.0.2", id=77) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    return bytes(ip / TCP(sport=1, dport=2, seq=3) / Raw(payload))


def pieces(version: int, size: int = 1000, identification: int = 77, payload: bytes = PAYLOAD) -> list[bytes]:
    if version == 4:
        packet = IP(src="10.0.0.1", dst="10.0.0.2", id=identification) / TCP(sport=1, dport=2, seq=3) / Raw(payload)
        return [bytes(piece) for piece in fragment(packet, fragsize=size)]
    packet = (
        IPv6(src="fd00::1", dst="fd00::2")
        / IPv6ExtHdrFragment(id=identification)
        / TCP(sport=1, dport=2, seq=3)
        / Raw(payload)
    )
    return [bytes(piece) for piece in fragment6(packet, size + 48)]


def put(reassembler: Reassembler, packets: list[bytes], now: float = 0.0) -> list[bytes | FragmentDrop | None]:
    return [reassembler.take(packet, now) for packet in packets]


@pytest.mark.parametrize("version", [4, 6])
@given(order=st.randoms(use_true_random=False), size=st.integers(1, 300), repeat=st.booleans())
def test_any_order_gives_the_packet(version: int, order: random.Random, size: int, repeat: bool) -> None:
    # IPv6's first fragment has the whole of TCP's header (RFC 7112 §5).
    packets = pieces(version, size * 8 + 16 * (version == 6))[:]
    packets += packets[:-1] if repeat else []
    order.shuffle(packets)
    reassembler = Reassembler(pieces=1000)
    results = put(reassembler, packets)
    joined = [result for result in results if isinstance(result, bytes)]
    # A duplicate that arrives behind the end begins a datagram of its own, which never ends.
    assert joined[0][-len(PAYLOAD) :] == PAYLOAD
    assert joined[0][20 if version == 4 else 40 :] == whole(version)[20 if version == 4 else 40 :]
    ip = parse(joined[0])
    assert isinstance(ip, Ip)
    assert ip.total_octets == len(joined[0])


def test_extension_headers_before_the_fragment_header_stay() -> None:
    packet = (
        IPv6(src="fd00::1", dst="fd00::2")
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrFragment(id=5)
        / TCP(sport=1, dport=2)
        / Raw(PAYLOAD)
    )
    result = put(Reassembler(), [bytes(piece) for piece in fragment6(packet, 1280)])[-1]
    assert isinstance(result, bytes)
    ip = parse(result)
    assert isinstance(ip, Ip)
    assert (ip.protocol, ip.header_octets) == (6, 48)


@pytest.mark.parametrize("version", [4, 6])
def test_an_overlap_gives_the_datagram_up_for_good(version: int) -> None:
    """RFC 5722 §3: all fragments, those to come included."""
    packets = pieces(version)
    other = pieces(version, 504)
    reassembler = Reassembler()
    assert put(reassembler, [packets[0], other[1]]) == [None, FragmentDrop.OVERLAP]
    assert set(put(reassembler, packets)) == {FragmentDrop.OVERLAP}
    assert reassembler.held == 0
    # Another datagram of the same hosts is not touched by it.
    assert isinstance(put(reassembler, pieces(version, identification=78))[-1], bytes)


def test_a_fragment_behind_the_end_and_two_ends_are_overlaps() -> None:
    packets = pieces(4)
    short = pieces(4, payload=PAYLOAD[:1500])
    assert put(Reassembler(), [short[-1], packets[-1]])[-1] is FragmentDrop.OVERLAP
    assert put(Reassembler(), [packets[2], short[-1]])[-1] is FragmentDrop.OVERLAP


def test_what_waits_too_long_is_given_up() -> None:
    reassembler = Reassembler()
    put(reassembler, pieces(4)[:2], 10.0)
    assert reassembler.next_deadline == 10.0 + LIFETIME
    assert reassembler.expire(10.0 + LIFETIME - 1) == 0
    assert reassembler.expire(10.0 + LIFETIME) == 1
    assert reassembler.held == 0
    assert reassembler.next_deadline is None


def test_memory_is_bounded_whatever_arrives() -> None:
    reassembler = Reassembler(limit=20_000, most=10, pieces=8)
    for identification in range(500):
        put(reassembler, pieces(4, identification=identification)[:-1])
        assert reassembler.held <= 20_000
    tiny = put(reassembler, pieces(4, 8, identification=900))
    assert FragmentDrop.NO_ROOM in tiny
    assert reassembler.held <= 20_000


@given(st.binary(min_size=20, max_size=120), st.sampled_from([0x45, 0x46, 0x60]))
def test_no_octets_raise(octets: bytes, start: int) -> None:
    packet = bytes((start,)) + octets + bytes(20)
    parsed = parse(packet)
    if str(parsed) == "fragment":
        Reassembler().take(packet, 0.0)


@pytest.mark.parametrize("version", [4, 6])
def test_congestion_seen_by_one_fragment_is_seen_by_the_packet(version: int) -> None:
    """RFC 3168 §5.3: CE of any fragment; never together with fragments that are not ECT."""

    def marked(packet: bytes, ecn: int) -> bytes:
        scapy = IP(packet) if version == 4 else IPv6(packet)
        if version == 4:
            scapy.tos, scapy.chksum = ecn, None
        else:
            scapy.tc = ecn
        return bytes(scapy)

    packets = pieces(version)
    result = put(Reassembler(), [marked(packet, 3 if n == 1 else 2) for n, packet in enumerate(packets)])[-1]
    assert isinstance(result, bytes)
    ip = parse(result)
    assert isinstance(ip, Ip)
    assert ip.ecn == 3
    mixed = put(Reassembler(), [marked(packet, 3 if n == 1 else 0) for n, packet in enumerate(packets)])[-1]
    assert mixed is FragmentDrop.ECN


@pytest.mark.parametrize("version", [4, 6])
def test_the_stack_answers_a_fragmented_segment(version: int) -> None:
    wire = Wire()
    wire.server.receive(Batch(pieces(version)), 1.0)
    assert len(wire.server.take_output(1.0).packets) == 1
    assert wire.server.drops == {}
    # A lone fragment is forgotten in time, and counted.
    wire.server.receive(Batch(pieces(version, identification=3)[:1]), 2.0)
    deadline = wire.server.next_deadline
    assert deadline is not None
    wire.server.advance(deadline)
    assert wire.server.drops == {"fragment_timeout": 1}


def raw(offset: int, payload: bytes, *, more: bool, options: int = 0) -> bytes:
    """One IPv4 fragment, ``offset`` in octets."""
    padding: list[object] = [IPOption(b"\x01")] * options
    packet = IP(src="10.0.0.1", dst="10.0.0.2", id=5, proto=6, flags="MF" if more else 0, frag=offset // 8)
    packet.options = padding
    return bytes(packet / Raw(payload))


@pytest.mark.parametrize(
    ("offset", "octets", "more"),
    [(0, 9, True), (8, 0, False), (65_528, 8, False), (65_520, 1000, False)],
    ids=["no whole units", "empty", "at the end of all lengths", "beyond it"],
)
def test_a_fragment_that_cannot_be_is_malformed(offset: int, octets: int, more: bool) -> None:
    reassembler = Reassembler()
    assert reassembler.take(raw(offset, bytes(octets), more=more), 0.0) is FragmentDrop.MALFORMED
    assert (reassembler.held, reassembler.next_deadline) == (0, None)


def test_a_packet_that_becomes_too_long_with_its_options_is_malformed() -> None:
    """RFC 791 §3.1: the total length has 16 bits; only the first fragment tells how long the header is."""
    reassembler = Reassembler(limit=1 << 20, pieces=100)
    last = 65_535 - 20 - 7
    assert reassembler.take(raw(last // 8 * 8, bytes(7), more=False), 0.0) is None
    for offset in range(8000, last // 8 * 8, 8000):
        octets = bytes(min(8000, last // 8 * 8 - offset))
        assert reassembler.take(raw(offset, octets, more=True), 0.0) is None
    assert reassembler.take(raw(0, bytes(8000), more=True, options=8), 0.0) is FragmentDrop.MALFORMED
    assert reassembler.held == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, 16, True), (8, 16, True)),
        ((8, 16, True), (0, 16, True)),
        ((8, 8, False), (16, 8, False)),
        ((16, 16, True), (8, 8, False)),
        ((8, 8, False), (16, 8, True)),
    ],
    ids=["behind", "before", "two ends", "end before others", "behind the end"],
)
def test_fragments_that_contradict_each_other_end_the_packet(
    first: tuple[int, int, bool], second: tuple[int, int, bool]
) -> None:
    """RFC 5722 §3, RFC 8200 §4.5: nothing of it is used, and nothing that comes later."""
    reassembler = Reassembler()
    octets = random.Random(4).randbytes(100)
    results = [
        reassembler.take(raw(offset, octets[offset : offset + size], more=more), 0.0)
        for offset, size, more in (first, second, (32, 8, True))
    ]
    assert results == [None, FragmentDrop.OVERLAP, FragmentDrop.OVERLAP]
    assert reassembler.held == 0


def six(*headers: object) -> bytes:
    packet = IPv6(src="fd00::1", dst="fd00::2")
    for header in headers:
        packet = packet / header
    return bytes(packet)


def test_headers_before_the_fragment_header_are_walked_and_bounded() -> None:
    piece = IPv6ExtHdrFragment(id=1, m=0, offset=0)
    tcp = TCP(sport=1, dport=2)
    whole_one = Reassembler().take(six(IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), piece, tcp), 0.0)
    assert isinstance(whole_one, bytes)
    assert whole_one[-20:-16] == bytes(tcp)[:4]
    nothing = six(IPv6ExtHdrHopByHop(), tcp)
    endless = six(*[IPv6ExtHdrDestOpt() for _ in range(20)], piece, tcp)
    cut = bytearray(six(piece, tcp)[:44])
    cut[4:6] = (4).to_bytes(2)
    longer = bytearray(six(piece, tcp))
    longer[4:6] = (500).to_bytes(2)
    uneven = six(IPv6ExtHdrFragment(id=1, m=1, offset=0), Raw(bytes(13)))
    for packet in (nothing, endless, bytes(cut), bytes(longer), uneven):
        assert Reassembler().take(packet, 0.0) is FragmentDrop.MALFORMED


@pytest.mark.parametrize(("octets", "taken"), [(8, False), (16, False), (24, True)])
def test_a_first_fragment_without_all_headers_is_dropped(octets: int, taken: bool) -> None:
    # RFC 7112 §5: what reads ports in first fragments must not be led past them.
    reassembler = Reassembler(pieces=1000)
    first, *rest = pieces(6, octets)
    assert reassembler.take(first, 0.0) == (None if taken else FragmentDrop.HEADERS)
    assert all(reassembler.take(piece, 0.0) is None for piece in rest[:-1])
    assert isinstance(reassembler.take(rest[-1], 0.0), bytes) is taken


def test_headers_that_are_cut_off_are_no_headers() -> None:
    packet = (
        IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(id=5, m=1, nh=60) / Raw(bytes((6, 1)) + bytes(6))
    )
    assert Reassembler().take(bytes(packet), 0.0) is FragmentDrop.HEADERS


def test_an_atomic_fragment_stands_alone() -> None:
    """RFC 6946 §4: it is no part of the datagram with its identification, whatever waits of that."""
    wire = Wire()
    wire.server.listen(80)
    syn = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(id=77) / TCP(sport=9, dport=80, flags="S")
    waiting = pieces(6)[:1]
    wire.server.receive(Batch(waiting), wire.now)
    wire.server.receive(Batch([bytes(syn)]), wire.now)
    (answer,) = wire.server.take_output(wire.now).packets
    assert IPv6(bytes(answer))[TCP].flags == "SA"
    assert not wire.server.drops
    # And the others can still become whole.
    wire.server.receive(Batch(pieces(6)[1:]), wire.now)
    assert FragmentDrop.OVERLAP not in wire.server.drops
