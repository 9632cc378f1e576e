"""Whose a packet is where processes share a device, judged by scapy's packets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Packet, Raw

from stack.batch import Batch, Checksum
from stack.checksum import checksum
from tun.offload import without_headers
from tun.sorting import FRAGMENT, Sorter, ports_of

V4 = IP(src="10.9.0.1", dst="10.9.0.2")
V6 = IPv6(src="fd09::1", dst="fd09::2")
OURS = TCP(sport=7, dport=50_001, seq=9)
THEIRS = TCP(sport=50_001, dport=7)
PORTS = 7 ^ 50_001


@pytest.mark.parametrize(
    ("packet", "ports"),
    [
        (V4 / THEIRS, PORTS),
        (V6 / THEIRS, PORTS),
        (IP(src="10.9.0.1", dst="10.9.0.2", options=b"\x01\x01\x01\x00") / THEIRS, PORTS),
        (V6 / IPv6ExtHdrDestOpt() / THEIRS, PORTS),
        (V4 / ICMP(type=3, code=4, nexthopmtu=600) / IP(src="10.9.0.2", dst="10.9.0.1") / OURS, PORTS),
        (V4 / ICMP(type=11) / IP(src="10.9.0.2", dst="10.9.0.1", options=b"\x01\x01\x01\x00") / OURS, PORTS),
        (V6 / ICMPv6PacketTooBig(mtu=1300) / IPv6(src="fd09::2", dst="fd09::1") / OURS, PORTS),
        (V6 / ICMPv6DestUnreach(code=4) / IPv6(src="fd09::2", dst="fd09::1") / IPv6ExtHdrDestOpt() / OURS, PORTS),
        (V4 / ICMP(type=8) / Raw(bytes(V4 / THEIRS)), None),
        (V6 / ICMPv6EchoRequest(data=bytes(V6 / THEIRS)), None),
        (V4 / UDP(sport=1, dport=2), None),
        (V4 / ICMP(type=3) / IP(src="10.9.0.2", dst="10.9.0.1") / UDP(sport=1, dport=2), None),
    ],
)
def test_ports_are_those_of_the_connection(packet: Packet, ports: int | None) -> None:
    assert ports_of(bytes(packet)) == ports
    assert ports_of(memoryview(bytes(packet))) == ports


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x45", b"\x60", b"\x4f", b"\x41"]))
def test_nothing_that_comes_raises(octets: bytes, first: bytes) -> None:
    ports_of(first + octets)
    Sorter(1, 3).sort(Batch([first + octets]), 0.0)


@given(st.data())
def test_a_packet_cut_short_raises_nothing(data: st.DataObject) -> None:
    whole = bytes(V6 / ICMPv6DestUnreach(code=4) / IPv6() / IPv6ExtHdrDestOpt() / OURS)
    ports_of(whole[: data.draw(st.integers(0, len(whole)))])


def test_a_batch_is_sorted_and_keeps_what_is_known_of_each() -> None:
    packets = [bytes(V4 / TCP(sport=port, dport=7) / Raw(bytes(port % 100))) for port in range(50_000, 50_030)]
    states = [Checksum.UNFINISHED if index % 2 else Checksum.FINISHED for index in range(30)]
    sizes = [10 if index % 6 == 1 else 0 for index in range(30)]
    mine, others = Sorter(2, 3).sort(Batch(packets, states, sizes), 0.0)
    kept = [index for index in range(30) if (50_000 + index ^ 7) % 3 == 2]
    assert list(mine.packets) == [packets[index] for index in kept]
    assert mine.checksums == [states[index] for index in kept]
    assert mine.gso_sizes == [sizes[index] for index in kept]
    for owner in (0, 1):
        theirs = [index for index in range(30) if (50_000 + index ^ 7) % 3 == owner]
        batch = without_headers([packet for number, packet in others if number == owner])
        assert [bytes(packet) for packet in batch.packets] == [packets[index] for index in theirs]
        assert batch.checksums == [states[index] for index in theirs]
        assert batch.gso_sizes == [sizes[index] for index in theirs]


def test_a_batch_of_our_own_is_passed_on_as_it_is() -> None:
    batch = Batch([bytes(V4 / TCP(sport=50_000, dport=port)) for port in (2, 4)] + [bytes(V4 / ICMP())])
    assert Sorter(0, 2).sort(batch, 0.0) == (batch, [])


@pytest.mark.parametrize("own", [0, 1])
def test_fragments_are_put_together_and_then_sorted(own: int) -> None:
    whole = V4 / TCP(sport=50_001, dport=8) / Raw(random.Random(1).randbytes(3000))
    pieces = [bytes(piece) for piece in fragment(whole, 600)]
    assert ports_of(pieces[0]) is FRAGMENT
    sorter = Sorter(own, 2)
    got: list[bytes] = []
    for piece in reversed(pieces):
        mine, others = sorter.sort(Batch([piece, bytes(V4 / ICMP())]), 1.0)
        if own == 1:
            got += [bytes(packet) for packet in mine.packets if packet[9] == 6]
            assert not others
        else:
            got += [bytes(without_headers([packet]).packets[0]) for _, packet in others]
    assert [IP(packet)[TCP].payload.load for packet in got] == [whole[TCP].payload.load]
    # What is never whole is forgotten.
    sorter.sort(Batch(pieces[:1]), 2.0)
    mine, others = sorter.sort(Batch(pieces[1:]), 100.0)
    assert not len(mine)
    assert not others


def test_a_last_fragment_may_have_one_octet() -> None:
    whole = V4 / TCP(sport=50_001, dport=8) / Raw(bytes(1 + 2 * 1472 - 20))
    pieces = [bytes(piece) for piece in fragment(whole, 1472)]
    assert len(pieces[-1]) == 21
    mine, others = Sorter(0, 2).sort(Batch(pieces), 1.0)
    assert not len(mine)
    assert [owner for owner, _ in others] == [1]
    assert ports_of(bytes(V4)) is None


@pytest.mark.parametrize("damage", ["checksum", "length"])
def test_a_fragment_whose_header_is_wrong_is_put_together_with_nothing(damage: str) -> None:
    """The stack of whoever has read it drops and counts it, as it does without other processes."""
    pieces = [bytearray(bytes(piece)) for piece in fragment(V4 / TCP(sport=1, dport=8) / Raw(bytes(1000)), 600)]
    first = pieces[0]
    if damage == "checksum":
        first[10] ^= 1
    else:
        first[2] = 0x7F
        first[10:12] = bytes(2)
        first[10:12] = checksum(first[:20]).to_bytes(2, "big")
    mine, others = Sorter(0, 2).sort(Batch(pieces), 1.0)
    assert list(mine.packets) == [first]
    assert not others
