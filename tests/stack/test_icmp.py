"""ICMP against packets made by scapy, and against mutations of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.packet import Packet, Raw

from stack.checksum import checksum, pseudo_header_sum
from stack.icmp import IcmpDrop, IcmpError, IcmpKind, take
from stack.ip import ICMP as ICMP_V4
from stack.ip import ICMPV6, Ip, address_octets, address_text, parse

ROUTER4, A4, B4 = "203.0.113.1", "192.0.2.1", "198.51.100.7"
ROUTER6, A6, B6 = "2001:db8::99", "2001:db8::1", "2001:db8:ffff::7"
SEGMENT = TCP(sport=4321, dport=80, seq=0xDEADBEEF) / Raw(bytes(600))


def taken(packet: Packet | bytes) -> bytes | IcmpError | IcmpDrop:
    octets = bytes(packet)
    ip = parse(octets)
    assert isinstance(ip, Ip), ip
    return take(ip, octets)


def quoted4(octets: int, **fields: object) -> bytes:
    return bytes(IP(src=A4, dst=B4, **fields) / SEGMENT)[:octets]


def quoted6(octets: int, *headers: Packet) -> bytes:
    packet = IPv6(src=A6, dst=B6)
    for header in headers:
        packet = packet / header
    return bytes(packet / SEGMENT)[:octets]


def error4(kind: int, code: int, quote: bytes, mtu: int = 0) -> bytes:
    return bytes(IP(src=ROUTER4, dst=A4) / ICMP(type=kind, code=code, nexthopmtu=mtu) / Raw(quote))


def error6(header: Packet, quote: bytes) -> bytes:
    return bytes(IPv6(src=ROUTER6, dst=A6) / header / Raw(quote))


@pytest.mark.parametrize("data", [b"", b"x", b"abcdefgh" * 7, bytes(1472)])
def test_echo_reply_ipv4(data: bytes) -> None:
    reply = taken(IP(src=B4, dst=A4, ttl=3) / ICMP(type=8, id=7, seq=9) / Raw(data))
    assert isinstance(reply, bytes)
    expected = IP(src=A4, dst=B4, id=0, flags="DF", ttl=64) / ICMP(type=0, id=7, seq=9) / Raw(data)
    assert reply == bytes(expected)


@pytest.mark.parametrize("data", [b"", b"x", b"abcdefgh" * 7, bytes(1452)])
def test_echo_reply_ipv6(data: bytes) -> None:
    reply = taken(IPv6(src=B6, dst=A6) / ICMPv6EchoRequest(id=7, seq=9, data=data))
    assert isinstance(reply, bytes)
    assert reply == bytes(IPv6(src=A6, dst=B6, hlim=64) / ICMPv6EchoReply(id=7, seq=9, data=data))


@pytest.mark.parametrize(
    ("kind", "code", "mtu", "expected", "expected_mtu"),
    [
        (3, 0, 0, IcmpKind.UNREACHABLE, 0),
        (3, 3, 1400, IcmpKind.UNREACHABLE, 0),
        (3, 4, 1400, IcmpKind.TOO_BIG, 1400),
        (3, 4, 0, IcmpKind.TOO_BIG, 0),
        (11, 0, 0, IcmpKind.TIME_EXCEEDED, 0),
        (12, 1, 0, IcmpKind.PARAMETER_PROBLEM, 0),
    ],
)
@pytest.mark.parametrize("octets", [28, 29, 68, 548])
def test_errors_ipv4(kind: int, code: int, mtu: int, expected: IcmpKind, expected_mtu: int, octets: int) -> None:
    """RFC 792: header and 64 bits of data are quoted at least; RFC 1191 §4: where the MTU stands."""
    error = taken(error4(kind, code, quoted4(octets), mtu))
    assert isinstance(error, IcmpError), error
    assert (error.version, error.kind, error.code, error.mtu) == (4, expected, code, expected_mtu)
    assert (error.source_port, error.destination_port, error.seq) == (4321, 80, 0xDEADBEEF)
    assert [address_text(a) for a in (error.reporter, error.source, error.destination)] == [ROUTER4, A4, B4]


@pytest.mark.parametrize(
    ("header", "expected", "code", "mtu"),
    [
        (ICMPv6DestUnreach(code=1), IcmpKind.UNREACHABLE, 1, 0),
        (ICMPv6PacketTooBig(mtu=1280), IcmpKind.TOO_BIG, 0, 1280),
        (ICMPv6PacketTooBig(mtu=0xFFFFFFFF), IcmpKind.TOO_BIG, 0, 0xFFFFFFFF),
        (ICMPv6TimeExceeded(code=0), IcmpKind.TIME_EXCEEDED, 0, 0),
        (ICMPv6ParamProblem(code=2, ptr=40), IcmpKind.PARAMETER_PROBLEM, 2, 0),
    ],
)
@pytest.mark.parametrize("octets", [48, 49, 600])
def test_errors_ipv6(header: Packet, expected: IcmpKind, code: int, mtu: int, octets: int) -> None:
    error = taken(error6(header, quoted6(octets)))
    assert isinstance(error, IcmpError), error
    assert (error.version, error.kind, error.code, error.mtu) == (6, expected, code, mtu)
    assert (error.source_port, error.destination_port, error.seq) == (4321, 80, 0xDEADBEEF)
    assert [address_text(a) for a in (error.reporter, error.source, error.destination)] == [ROUTER6, A6, B6]


def test_quoted_options_and_extensions_are_passed_over() -> None:
    error = taken(error4(3, 1, quoted4(200, options=[IPOption_NOP()] * 5)))
    assert isinstance(error, IcmpError)
    assert error.seq == 0xDEADBEEF
    error = taken(error6(ICMPv6DestUnreach(), quoted6(200, IPv6ExtHdrDestOpt())))
    assert isinstance(error, IcmpError)
    assert error.seq == 0xDEADBEEF


UDP4 = bytes(IP(src=A4, dst=B4) / UDP() / Raw(bytes(30)))
UDP6 = bytes(IPv6(src=A6, dst=B6) / UDP() / Raw(bytes(30)))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (bytes(IP(src=B4, dst=A4, proto=1) / Raw(bytes(7))), IcmpDrop.TRUNCATED),
        (bytes(IP(src=B4, dst=A4) / ICMP(type=8, chksum=1)), IcmpDrop.CHECKSUM),
        (bytes(IPv6(src=B6, dst=A6) / ICMPv6EchoRequest(cksum=1)), IcmpDrop.CHECKSUM),
        (bytes(IP(src=B4, dst=A4) / ICMP(type=0)), IcmpDrop.UNKNOWN),
        (bytes(IP(src=B4, dst=A4) / ICMP(type=4) / Raw(quoted4(48))), IcmpDrop.UNKNOWN),
        (bytes(IPv6(src=B6, dst=A6) / ICMPv6EchoReply()), IcmpDrop.UNKNOWN),
        (bytes(IP(src=B4, dst=A4) / SEGMENT), IcmpDrop.UNKNOWN),
        (bytes(IPv6(src=B6, dst=A6, nh=1) / Raw(bytes(8))), IcmpDrop.UNKNOWN),
        (bytes(IP(src=B4, dst=A4, proto=58) / Raw(bytes(8))), IcmpDrop.UNKNOWN),
        (error4(3, 0, quoted4(27)), IcmpDrop.QUOTE),
        (error4(3, 0, quoted4(47, options=[IPOption_NOP()] * 20)), IcmpDrop.QUOTE),
        (error4(3, 0, quoted4(100, ihl=4)), IcmpDrop.QUOTE),
        (error4(3, 0, quoted4(100, frag=2)), IcmpDrop.QUOTE),
        (error4(3, 0, quoted6(100)), IcmpDrop.QUOTE),
        (error4(3, 3, UDP4), IcmpDrop.NOT_TCP),
        (error6(ICMPv6DestUnreach(), quoted6(47)), IcmpDrop.QUOTE),
        (error6(ICMPv6DestUnreach(), quoted6(55, IPv6ExtHdrDestOpt())), IcmpDrop.QUOTE),
        (error6(ICMPv6DestUnreach(), quoted4(100)), IcmpDrop.QUOTE),
        (error6(ICMPv6DestUnreach(), UDP6), IcmpDrop.NOT_TCP),
    ],
)
def test_drops(packet: bytes, reason: IcmpDrop) -> None:
    assert taken(packet) is reason


MADE = [
    bytes(IP(src=B4, dst=A4) / ICMP(type=8) / Raw(b"data")),
    bytes(IPv6(src=B6, dst=A6) / ICMPv6EchoRequest(data=b"data")),
    error4(3, 4, quoted4(60, options=[IPOption_NOP()] * 4), 1400),
    error6(ICMPv6PacketTooBig(mtu=1280), quoted6(80, IPv6ExtHdrDestOpt())),
]


@given(
    st.sampled_from(MADE),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 60),
)
def test_mutations_behind_a_good_checksum_never_raise(
    packet: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    ip = parse(packet)
    assert isinstance(ip, Ip)
    octets = bytearray(packet)
    for at, value in changes:
        octets[ip.header_octets + at % (len(octets) - ip.header_octets)] = value
    octets = octets[: max(len(octets) - cut, ip.header_octets)]
    ip.total_octets = len(octets)
    if len(octets) >= ip.header_octets + 4:
        at = ip.header_octets
        octets[at + 2 : at + 4] = bytes(2)
        initial = pseudo_header_sum(ip.source, ip.destination, len(octets) - at, ICMPV6) if ip.version == 6 else 0
        octets[at + 2 : at + 4] = checksum(octets[at:], initial=initial).to_bytes(2, "big")
    result = take(ip, octets)
    assert result is not IcmpDrop.CHECKSUM
    if isinstance(result, bytes):
        assert isinstance(parse(result), Ip)


@given(st.binary(max_size=80), st.sampled_from([ICMP_V4, ICMPV6, 6]), st.booleans())
def test_noise_never_raises(noise: bytes, protocol: int, six: bool) -> None:
    a, b = (address_octets(text) for text in ((A6, B6) if six else (A4, B4)))
    ip = Ip(6 if six else 4, a, b, protocol, 0, len(noise), 64, 0)
    assert isinstance(take(ip, noise), bytes | IcmpError | IcmpDrop)
