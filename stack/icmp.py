"""ICMP for IPv4 and IPv6: echo replies, and the errors that matter to TCP (RFC 792, RFC 4443, RFC 1191, RFC 8201).

How often to answer, and whether to believe an error (RFC 5927), is for the caller to decide.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from .batch import Octets
from .checksum import checksum, pseudo_header_sum
from .ip import ICMP, ICMPV6, TCP, Ip, IpDrop, IpTemplate, walk_extensions
from .ip_options import target

_PORTS_AND_SEQ = struct.Struct("!HHI")
_SHORT = struct.Struct("!H")
_HEADER = struct.Struct("!BBHI")
_LONG = struct.Struct("!I")
_V4_ADDRESSES = struct.Struct("!4s4s")
_V6_ADDRESSES = struct.Struct("!16s16s")
_ECHO_V4 = (8, 0)
_ECHO_V6 = (128, 129)
_FRAGMENTATION_NEEDED = 4
_MOST_QUOTED_V4 = 548  # what fits a datagram of 576 octets (RFC 1122 §3.2.2)
_MOST_QUOTED_V6 = 1280 - 48
_OFFSET_BITS = 0x1FFF


class IcmpKind(StrEnum):
    """What an ICMP error says; both families' types by one name."""

    UNREACHABLE = "unreachable"
    TOO_BIG = "too_big"
    TIME_EXCEEDED = "time_exceeded"
    PARAMETER_PROBLEM = "parameter_problem"


class IcmpDrop(StrEnum):
    """Why an ICMP message was dropped."""

    TRUNCATED = "icmp_truncated"
    CHECKSUM = "icmp_bad_checksum"
    UNKNOWN = "icmp_unknown"
    QUOTE = "icmp_bad_quote"
    NOT_TCP = "icmp_not_tcp"


_ERRORS_V4 = {3: IcmpKind.UNREACHABLE, 11: IcmpKind.TIME_EXCEEDED, 12: IcmpKind.PARAMETER_PROBLEM}
_ERRORS_V6 = {
    1: IcmpKind.UNREACHABLE,
    2: IcmpKind.TOO_BIG,
    3: IcmpKind.TIME_EXCEEDED,
    4: IcmpKind.PARAMETER_PROBLEM,
}


class IcmpError:
    """An error about a TCP segment that was sent.

    ``code`` is the ICMP code, whose meaning depends on ``version`` (4 or 6); ``mtu`` is the next hop's in octets
    (``TOO_BIG`` only; 0 where a router did not say, RFC 1191 §4). ``source`` to ``seq`` (32 bits) are those of
    the quoted segment, so ``source`` is the address that sent it. ``reporter`` is who sent the error.
    """

    __slots__ = (
        "code",
        "destination",
        "destination_port",
        "kind",
        "mtu",
        "reporter",
        "seq",
        "source",
        "source_port",
        "version",
    )

    def __init__(
        self,
        version: int,
        kind: IcmpKind,
        code: int,
        mtu: int,
        reporter: bytes,
        source: bytes,
        source_port: int,
        destination: bytes,
        destination_port: int,
        seq: int,
    ) -> None:
        self.version = version
        self.kind = kind
        self.code = code
        self.mtu = mtu
        self.reporter = reporter
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port
        self.seq = seq


def take(ip: Ip, packet: Octets) -> bytes | IcmpError | IcmpDrop:
    """Judge the ICMP message of a parsed packet; never raises on any octets.

    An echo request gives the whole IP packet of the reply (RFC 792, RFC 4443 §4.2), an error about TCP an
    ``IcmpError``. The caller has seen that the protocol is ICMP of the packet's family, or UNKNOWN results.
    """
    message = ip.payload(packet)
    if len(message) < 8:
        return IcmpDrop.TRUNCATED
    if ip.protocol == ICMP and ip.version == 4:
        initial = 0
    elif ip.protocol == ICMPV6 and ip.version == 6:
        initial = pseudo_header_sum(ip.source, ip.destination, len(message), ICMPV6)
    else:
        return IcmpDrop.UNKNOWN
    if checksum(message, initial=initial):
        return IcmpDrop.CHECKSUM
    kind, code = message[0], message[1]
    if ip.version == 4:
        if kind == _ECHO_V4[0]:
            return _echo_reply(ip, message, _ECHO_V4[1])
        return _error_v4(ip, kind, code, message)
    if kind == _ECHO_V6[0]:
        return _echo_reply(ip, message, _ECHO_V6[1])
    return _error_v6(ip, kind, code, message)


def _echo_reply(ip: Ip, message: memoryview, kind: int) -> bytes:
    reply = bytearray(message)
    _LONG.pack_into(reply, 0, kind << 24)
    initial = 0
    if ip.version == 6:
        initial = pseudo_header_sum(ip.destination, ip.source, len(reply), ICMPV6)
    _SHORT.pack_into(reply, 2, checksum(reply, initial=initial))
    header = IpTemplate(ip.destination, ip.source, protocol=ip.protocol).header(len(reply))
    return header + reply


def _error_v4(ip: Ip, number: int, code: int, message: memoryview) -> IcmpError | IcmpDrop:
    kind = _ERRORS_V4.get(number)
    if kind is None:
        # Source Quench is among these: TCP must ignore it (RFC 9293 §3.9.2.2, MUST-55).
        return IcmpDrop.UNKNOWN
    mtu = 0
    if kind is IcmpKind.UNREACHABLE and code == _FRAGMENTATION_NEEDED:
        kind = IcmpKind.TOO_BIG
        mtu = _SHORT.unpack_from(message, 6)[0]
    quote = message[8:]
    if len(quote) < 28 or quote[0] >> 4 != 4:
        return IcmpDrop.QUOTE
    header_octets = (quote[0] & 0x0F) << 2
    if header_octets < 20 or len(quote) < header_octets + 8:
        return IcmpDrop.QUOTE
    if _SHORT.unpack_from(quote, 6)[0] & _OFFSET_BITS:
        return IcmpDrop.QUOTE
    if quote[9] != TCP:
        return IcmpDrop.NOT_TCP
    source, destination = _V4_ADDRESSES.unpack_from(quote, 12)
    if header_octets > 20:
        destination = target(bytes(quote[20:header_octets]), destination)
    ports = _PORTS_AND_SEQ.unpack_from(quote, header_octets)
    return IcmpError(4, kind, code, mtu, ip.source, source, ports[0], destination, ports[1], ports[2])


def _error_v6(ip: Ip, number: int, code: int, message: memoryview) -> IcmpError | IcmpDrop:
    kind = _ERRORS_V6.get(number)
    if kind is None:
        return IcmpDrop.UNKNOWN
    mtu = _LONG.unpack_from(message, 4)[0] if kind is IcmpKind.TOO_BIG else 0
    quote = message[8:]
    if len(quote) < 48 or quote[0] >> 4 != 6:
        return IcmpDrop.QUOTE
    found = walk_extensions(quote, quote[6], len(quote))
    if isinstance(found, IpDrop):
        return IcmpDrop.QUOTE
    protocol, at = found
    if protocol != TCP:
        return IcmpDrop.NOT_TCP
    if len(quote) < at + 8:
        return IcmpDrop.QUOTE
    source, destination = _V6_ADDRESSES.unpack_from(quote, 8)
    ports = _PORTS_AND_SEQ.unpack_from(quote, at)
    return IcmpError(6, kind, code, mtu, ip.source, source, ports[0], destination, ports[1], ports[2])


def too_big(ip: Ip, packet: Octets, mtu: int, reporter: bytes) -> bytes:
    """Return the IP packet by which ``reporter`` says that ``packet`` exceeds its next hop's ``mtu`` (octets).

    IPv4: Destination Unreachable, fragmentation needed (RFC 1191 §4), quoting 548 octets at most; IPv6: Packet
    Too Big (RFC 4443 §3.2), filling 1,280 octets at most. ``reporter`` is of the packet's family.
    """
    template = IpTemplate(reporter, ip.source, protocol=ICMP if ip.version == 4 else ICMPV6)
    if ip.version == 4:
        quote = bytes(packet[: min(ip.total_octets, _MOST_QUOTED_V4)])
        start = _HEADER.pack(3, _FRAGMENTATION_NEEDED, 0, mtu)
        initial = 0
    else:
        quote = bytes(packet[: min(ip.total_octets, _MOST_QUOTED_V6)])
        start = _HEADER.pack(2, 0, 0, mtu)
        initial = pseudo_header_sum(reporter, ip.source, len(quote) + 8, ICMPV6)
    message = bytearray(start + quote)
    _SHORT.pack_into(message, 2, checksum(message, initial=initial))
    return template.header(len(message)) + message
