"""IPv4 and IPv6 headers: read once by offset, without copying; written from a prepared template.

What is not ours to understand is dropped with a reason: fragments are not put together.
"""

from __future__ import annotations

import ipaddress
import struct
from enum import StrEnum
from functools import lru_cache

from .batch import Octets
from .checksum import ones_complement_sum

TCP = 6
ICMP = 1
ICMPV6 = 58

_V4 = struct.Struct("!BBHHHBBH4s4s")
_V4_START = struct.Struct("!BBHHHBBH")
_V6 = struct.Struct("!IHBB16s16s")
_V6_START = struct.Struct("!IHBB")
_SHORT = struct.Struct("!H")

_HOP_BY_HOP = 0
_ROUTING = 43
_FRAGMENT = 44
_NO_NEXT_HEADER = 59
_DESTINATION_OPTIONS = 60
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT, _NO_NEXT_HEADER, _DESTINATION_OPTIONS))
_MOST_EXTENSIONS = 8
_PAD1 = 0
_MUST_UNDERSTAND = 0xC0  # option type bits other than 00: discard where unknown (RFC 8200 §4.2)

_DONT_FRAGMENT = 0x4000
_FRAGMENT_BITS = 0x3FFF  # more fragments, and the offset
_LARGEST_V4 = 0xFFFF
_UNSPECIFIED_V6 = bytes(16)
_LOOPBACK_V6 = bytes(15) + b"\x01"


class IpDrop(StrEnum):
    """Why an IP packet was dropped."""

    TRUNCATED = "ip_truncated"
    VERSION = "ip_version"
    HEADER_LENGTH = "ip_header_length"
    CHECKSUM = "ip_bad_checksum"
    SOURCE = "ip_bad_source"
    FRAGMENT = "fragment"
    EXTENSION = "ip_bad_extension"
    UNKNOWN_OPTION = "ip_unknown_option"
    ROUTED = "ip_routing_header"
    NO_NEXT_HEADER = "ip_no_next_header"


class Ip:
    """What the stack needs of one packet's IP header.

    ``source`` and ``destination`` have 4 or 16 octets; ``protocol`` is that of the payload, behind all extension
    headers; ``header_octets`` counts options and extension headers, so it is the payload's offset;
    ``total_octets`` is the packet's length as its header gives it (the memory may be longer); ``ttl`` is TTL or
    Hop Limit; ``ecn`` the two low bits of TOS or Traffic Class (RFC 3168 §5).
    """

    __slots__ = ("destination", "ecn", "header_octets", "protocol", "source", "total_octets", "ttl", "version")

    def __init__(
        self,
        version: int,
        source: bytes,
        destination: bytes,
        protocol: int,
        header_octets: int,
        total_octets: int,
        ttl: int,
        ecn: int,
    ) -> None:
        self.version = version
        self.source = source
        self.destination = destination
        self.protocol = protocol
        self.header_octets = header_octets
        self.total_octets = total_octets
        self.ttl = ttl
        self.ecn = ecn

    def payload(self, packet: Octets) -> memoryview:
        """Return the payload in ``packet``'s own memory."""
        return memoryview(packet)[self.header_octets : self.total_octets]


def parse(packet: Octets) -> Ip | IpDrop:
    """Read and judge one packet's header (RFC 791 §3.1, RFC 8200 §3); never raises on any octets.

    IPv4 options are skipped: source routes are accepted and not used for replies. Of IPv6's extension headers
    hop-by-hop options, destination options, a spent routing header and an atomic fragment header (RFC 6946) are
    passed over.
    """
    size = len(packet)
    if size < 20:
        return IpDrop.TRUNCATED
    version = packet[0] >> 4
    if version == 4:
        return _parse_v4(packet, size)
    if version == 6:
        return _parse_v6(packet, size)
    return IpDrop.VERSION


def _parse_v4(packet: Octets, size: int) -> Ip | IpDrop:
    start, tos, total, _, fragment, ttl, protocol, _, source, destination = _V4.unpack_from(packet)
    header_octets = (start & 0x0F) << 2
    if header_octets < 20 or total < header_octets:
        return IpDrop.HEADER_LENGTH
    if total > size:
        return IpDrop.TRUNCATED
    if int.from_bytes(packet[:header_octets], "big") % 0xFFFF:
        return IpDrop.CHECKSUM
    if fragment & _FRAGMENT_BITS:
        return IpDrop.FRAGMENT
    first = source[0]
    if first >= 224 or first in (0, 127):
        # Multicast, reserved, broadcast, "this host", loopback: never a source (RFC 1122 §3.2.1.3).
        return IpDrop.SOURCE
    return Ip(4, source, destination, protocol, header_octets, total, ttl, tos & 3)


def _parse_v6(packet: Octets, size: int) -> Ip | IpDrop:
    if size < 40:
        return IpDrop.TRUNCATED
    start, length, protocol, ttl, source, destination = _V6.unpack_from(packet)
    total = length + 40
    if total > size:
        return IpDrop.TRUNCATED
    if source[0] == 0xFF or source in (_UNSPECIFIED_V6, _LOOPBACK_V6):
        return IpDrop.SOURCE
    header_octets = 40
    if protocol in _EXTENSIONS:
        found = walk_extensions(packet, protocol, total)
        if isinstance(found, IpDrop):
            return found
        protocol, header_octets = found
    return Ip(6, source, destination, protocol, header_octets, total, ttl, (start >> 20) & 3)


def walk_extensions(packet: Octets, protocol: int, end: int, at: int = 40) -> tuple[int, int] | IpDrop:
    """Pass over IPv6 extension headers from offset ``at`` and return (protocol, offset of its header).

    ``end`` is the first octet that does not belong to the packet; at most eight headers are walked (RFC 8200 §4).
    """
    for count in range(_MOST_EXTENSIONS + 1):
        if protocol not in _EXTENSIONS:
            return protocol, at
        if protocol == _NO_NEXT_HEADER:
            return IpDrop.NO_NEXT_HEADER
        if at + 8 > end:
            return IpDrop.EXTENSION
        if protocol == _FRAGMENT:
            if _SHORT.unpack_from(packet, at + 2)[0] & 0xFFF9:
                return IpDrop.FRAGMENT
            protocol = packet[at]
            at += 8
            continue
        behind = at + ((packet[at + 1] + 1) << 3)
        if behind > end or (protocol == _HOP_BY_HOP and count):
            return IpDrop.EXTENSION
        if protocol == _ROUTING:
            if packet[at + 3]:
                return IpDrop.ROUTED
        else:
            reason = _judge_options(packet, at + 2, behind)
            if reason is not None:
                return reason
        protocol = packet[at]
        at = behind
    return IpDrop.EXTENSION


def _judge_options(packet: Octets, at: int, end: int) -> IpDrop | None:
    while at < end:
        kind = packet[at]
        if kind == _PAD1:
            at += 1
            continue
        if kind & _MUST_UNDERSTAND:
            return IpDrop.UNKNOWN_OPTION
        if at + 2 > end:
            return IpDrop.EXTENSION
        at += 2 + packet[at + 1]
    return None if at == end else IpDrop.EXTENSION


class IpTemplate:
    """Makes the IP headers of one direction of one flow.

    Addresses have 4 or 16 octets and one family, else ValueError. ``ttl`` 1-255, ``ecn`` 0-3, ``protocol`` 0-255,
    ``dscp`` 0-63 (RFC 2474 §3), which stands in TOS or Traffic Class above ``ecn``. ``options`` are IPv4's, whole
    words, 40 octets at most.
    """

    __slots__ = ("_addresses", "_first", "_most", "_protocol", "_start", "_sum", "_tos", "_ttl", "header_octets")

    def __init__(
        self,
        source: bytes,
        destination: bytes,
        *,
        ttl: int = 64,
        ecn: int = 0,
        protocol: int = TCP,
        dscp: int = 0,
        options: bytes = b"",
    ) -> None:
        if len(source) != len(destination) or len(source) not in (4, 16):
            raise ValueError("source and destination must be addresses of one family, 4 or 16 octets each")
        if not (1 <= ttl <= 255 and 0 <= ecn <= 3 and 0 <= protocol <= 255 and 0 <= dscp <= 63):
            raise ValueError("ttl must be 1-255, ecn 0-3, protocol 0-255, dscp 0-63")
        tos = dscp << 2 | ecn
        self._addresses = source + destination
        self._ttl = ttl
        self._tos = tos
        self._protocol = protocol
        if len(source) == 4:
            self.header_octets = 20 + len(options)
            self._first = 0x40 | self.header_octets >> 2
            self._addresses += options
            self._most = _LARGEST_V4 - self.header_octets
            self._start = 0
            fixed = _V4_START.pack(self._first, tos, 0, 0, _DONT_FRAGMENT, ttl, protocol, 0)
            self._sum = ones_complement_sum(fixed + self._addresses)
        else:
            self.header_octets = 40
            self._most = 0xFFFF
            self._start = (6 << 28) | (tos << 20)
            self._sum = 0

    def set_ecn(self, ecn: int) -> None:
        """Put ``ecn`` (0-3) into the headers that follow (RFC 3168 §5)."""
        self._sum += ecn - (self._tos & 3)
        self._tos = self._tos & ~3 | ecn
        if self._start:
            self._start = (6 << 28) | (self._tos << 20)

    def header(self, payload_octets: int, identification: int = 0) -> bytes:
        """Return the header of a packet with ``payload_octets`` (0-65,515 for IPv4, 0-65,535 for IPv6).

        Don't Fragment is set on IPv4 (RFC 1191 §3), where ``identification`` (0-65,535) may then be anything
        (RFC 6864 §4.1). Raises ValueError where the packet would be too long.
        """
        if payload_octets > self._most:
            raise ValueError(f"a packet cannot have {payload_octets} octets of payload, at most {self._most}")
        if self._start:
            return _V6_START.pack(self._start, payload_octets, self._protocol, self._ttl) + self._addresses
        total = payload_octets + self.header_octets
        return (
            _V4_START.pack(
                self._first,
                self._tos,
                total,
                identification,
                _DONT_FRAGMENT,
                self._ttl,
                self._protocol,
                # The sum is never zero; its remainder 0 stands for 0xFFFF, whose complement is 0.
                0xFFFF - ((self._sum + total + identification) % 0xFFFF or 0xFFFF),
            )
            + self._addresses
        )


def is_one_host(address: bytes) -> bool:
    """Whether 4 or 16 octets may be one host's address: not multicast, broadcast or unspecified."""
    if len(address) == 4:
        return 0 < address[0] < 224
    return address[0] != 0xFF and address != _UNSPECIFIED_V6


@lru_cache(maxsize=256)
def address_octets(text: str) -> bytes:
    """Return the 4 or 16 octets of an address in text form; ValueError, one line, where it is none."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone, which a stack's address cannot have")
    return ipaddress.ip_address(text).packed


def address_text(octets: bytes) -> str:
    """Return the text form of an address of 4 or 16 octets (IPv6: RFC 5952); ValueError for other lengths."""
    if len(octets) not in (4, 16):
        raise ValueError(f"an address has 4 or 16 octets, not {len(octets)}")
    return str(ipaddress.ip_address(octets))
