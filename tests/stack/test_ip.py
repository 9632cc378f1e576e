"""IP headers against packets made by scapy, and against mutations of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, IPOption_NOP, IPOption_SSRR
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    PadN,
    RouterAlert,
)
from scapy.packet import Packet, Raw

from stack.ip import Ip, IpDrop, IpTemplate, address_octets, address_text, parse

A4, B4 = "192.0.2.1", "198.51.100.7"
A6, B6 = "2001:db8::1", "2001:db8:ffff::7"
SEGMENT = TCP(sport=1234, dport=80, seq=1) / Raw(b"hello")


def v4(**fields: object) -> bytes:
    return bytes(IP(src=A4, dst=B4, **fields) / SEGMENT)


def v6(*headers: Packet, **fields: object) -> bytes:
    packet = IPv6(src=A6, dst=B6, **fields)
    for header in headers:
        packet = packet / header
    return bytes(packet / SEGMENT)


def good(packet: bytes) -> Ip:
    ip = parse(packet)
    assert isinstance(ip, Ip), ip
    return ip


def test_ipv4_fields() -> None:
    packet = v4(ttl=33, tos=0xB9, flags="DF", id=7)
    ip = good(packet)
    assert (ip.version, ip.protocol, ip.ttl, ip.ecn, ip.header_octets) == (4, 6, 33, 1, 20)
    assert (address_text(ip.source), address_text(ip.destination)) == (A4, B4)
    assert ip.total_octets == len(packet)
    assert ip.payload(packet) == packet[20:]


def test_ipv6_fields() -> None:
    packet = v6(hlim=9, tc=0xB3, fl=0xFFFFF)
    ip = good(packet)
    assert (ip.version, ip.protocol, ip.ttl, ip.ecn, ip.header_octets) == (6, 6, 9, 3, 40)
    assert (address_text(ip.source), address_text(ip.destination)) == (A6, B6)
    assert ip.payload(packet) == packet[40:]


def test_memory_behind_the_packet_is_not_payload() -> None:
    for packet in (v4(), v6()):
        longer = memoryview(bytearray(packet + b"\xaa" * 7))
        assert good(packet).payload(longer) == good(longer).payload(longer)


def test_ipv4_options_are_skipped() -> None:
    """RFC 9293 §3.9.2.1: options, source routes among them, may be there."""
    packet = v4(options=[IPOption_NOP(), IPOption_SSRR(routers=["192.0.2.9"])])
    ip = good(packet)
    assert ip.header_octets == (packet[0] & 15) * 4 > 20
    assert bytes(ip.payload(packet)).endswith(b"hello")


@pytest.mark.parametrize("bit", range(4, 160))
def test_ipv4_checksum_finds_every_flipped_bit(bit: int) -> None:
    packet = bytearray(v4(flags="DF"))
    packet[bit >> 3] ^= 0x80 >> (bit & 7)
    assert isinstance(parse(packet), IpDrop)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", IpDrop.TRUNCATED),
        (b"\x45" + bytes(18), IpDrop.TRUNCATED),
        (b"\x50" + bytes(30), IpDrop.VERSION),
        (v4()[:-1], IpDrop.TRUNCATED),
        (v6()[:-1], IpDrop.TRUNCATED),
        (v6()[:39], IpDrop.TRUNCATED),
        (v4(ihl=4), IpDrop.HEADER_LENGTH),
        (v4(len=19), IpDrop.HEADER_LENGTH),
        (v4(chksum=1), IpDrop.CHECKSUM),
        (v4(flags="MF"), IpDrop.FRAGMENT),
        (v4(frag=1), IpDrop.FRAGMENT),
        (v6(IPv6ExtHdrFragment(offset=0, m=1)), IpDrop.FRAGMENT),
        (v6(IPv6ExtHdrFragment(offset=5, m=0)), IpDrop.FRAGMENT),
        (v6(IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop()), IpDrop.EXTENSION),
        (v6(IPv6ExtHdrDestOpt(len=200)), IpDrop.EXTENSION),
        (v6(*[IPv6ExtHdrDestOpt()] * 9), IpDrop.EXTENSION),
        (v6(IPv6ExtHdrHopByHop(options=[Jumbo()])), IpDrop.UNKNOWN_OPTION),
        (v6(IPv6ExtHdrRouting(addresses=[A6], segleft=1)), IpDrop.ROUTED),
        (v6(nh=59), IpDrop.NO_NEXT_HEADER),
        (bytes(IP(src="224.0.0.1", dst=B4)), IpDrop.SOURCE),
        (bytes(IP(src="255.255.255.255", dst=B4)), IpDrop.SOURCE),
        (bytes(IP(src="127.0.0.1", dst=B4)), IpDrop.SOURCE),
        (bytes(IP(src="0.0.0.0", dst=B4)), IpDrop.SOURCE),
        (bytes(IPv6(src="ff02::1", dst=B6)), IpDrop.SOURCE),
        (bytes(IPv6(src="::", dst=B6)), IpDrop.SOURCE),
        (bytes(IPv6(src="::1", dst=B6)), IpDrop.SOURCE),
    ],
)
def test_drops(packet: bytes, reason: IpDrop) -> None:
    assert parse(packet) is reason


@pytest.mark.parametrize(
    "headers",
    [
        [IPv6ExtHdrHopByHop(options=[RouterAlert()])],
        [IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 20)])],
        [IPv6ExtHdrRouting(addresses=[A6], segleft=0)],
        [IPv6ExtHdrFragment(offset=0, m=0)],
        [IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrRouting(addresses=[A6, B6], segleft=0)],
        [IPv6ExtHdrDestOpt()] * 8,
    ],
)
def test_extension_headers_are_passed_over(headers: list[Packet]) -> None:
    packet = v6(*headers)
    ip = good(packet)
    assert ip.protocol == 6
    assert ip.header_octets == len(packet) - len(SEGMENT)


MADE = [
    v4(),
    v4(options=[IPOption_NOP(), IPOption_SSRR(routers=["192.0.2.9"])]),
    v6(),
    v6(IPv6ExtHdrHopByHop(options=[RouterAlert()]), IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment()),
    v6(IPv6ExtHdrRouting(addresses=[A6])),
]


@given(
    st.sampled_from(MADE),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=4),
    st.integers(0, 120),
)
def test_mutations_never_raise(packet: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    octets = bytearray(packet)
    for at, value in changes:
        octets[at % len(octets)] = value
    ip = parse(memoryview(octets)[: max(0, len(octets) - cut)] if cut < 60 else octets)
    if isinstance(ip, Ip):
        assert 20 <= ip.header_octets <= ip.total_octets <= len(octets)


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x45", b"\x60"]))
def test_noise_never_raises(noise: bytes, start: bytes) -> None:
    assert isinstance(parse(start + noise), Ip | IpDrop)


@given(
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.integers(1, 255),
    st.integers(0, 3),
    st.integers(0, 65515),
    st.integers(0, 0xFFFF),
)
def test_ipv4_template_equals_scapy(
    source: bytes, destination: bytes, ttl: int, ecn: int, octets: int, identification: int
) -> None:
    template = IpTemplate(source, destination, ttl=ttl, ecn=ecn)
    expected = IP(
        src=address_text(source),
        dst=address_text(destination),
        ttl=ttl,
        tos=ecn,
        id=identification,
        flags="DF",
        proto=6,
        len=octets + 20,
    )
    assert template.header(octets, identification) == bytes(expected)


@given(st.integers(1, 255), st.integers(0, 3), st.integers(0, 65535), st.sampled_from([6, 58]))
def test_ipv6_template_equals_scapy(ttl: int, ecn: int, octets: int, protocol: int) -> None:
    template = IpTemplate(address_octets(A6), address_octets(B6), ttl=ttl, ecn=ecn, protocol=protocol)
    expected = IPv6(src=A6, dst=B6, hlim=ttl, tc=ecn, nh=protocol, plen=octets)
    assert template.header(octets) == bytes(expected)


def test_template_refuses_misuse() -> None:
    with pytest.raises(ValueError, match="one family"):
        IpTemplate(bytes(4), bytes(16))
    with pytest.raises(ValueError, match="ttl"):
        IpTemplate(bytes(4), bytes(4), ttl=0)
    with pytest.raises(ValueError, match="at most 65515"):
        IpTemplate(bytes(4), bytes(4)).header(65516)


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16))
def test_addresses_go_both_ways(octets: bytes) -> None:
    assert address_octets(address_text(octets)) == octets


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "host", "10.0.0.1/8"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"(IPv4 or IPv6 address|has a zone)"):
        address_octets(text)
