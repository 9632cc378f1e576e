"""ICMP errors on their way through a translator: the addresses and ports of the segment that they quote.

RFC 5508 §4.2: the quoted packet is translated as the segment itself was, and the error's own addresses with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from stack.batch import Octets
from stack.checksum import checksum, pseudo_header_sum
from stack.icmp import IcmpError, take
from stack.ip import ICMP, ICMPV6, Ip, parse

_SHORT: Final = struct.Struct("!H")
# Octets: ICMP's header, and where the addresses stand in a header of IPv4 and of IPv6.
_ICMP: Final = 8
_ADDRESSES: Final = {4: 12, 6: 8}

End = tuple[bytes, int]


def quoted_error(packet: Octets) -> IcmpError | None:
    """The ICMP error about a TCP segment that a packet is; None for anything else."""
    ip = parse(packet)
    if not isinstance(ip, Ip) or ip.protocol not in (ICMP, ICMPV6):
        return None
    taken = take(ip, packet)
    return taken if isinstance(taken, IcmpError) else None


def translated(packet: Octets, swap: Callable[[End], End], error: IcmpError) -> bytes | None:
    """The packet of ``error`` with every address and port that ``swap`` changes; None where the quote is not plain.

    Checksums fit; that of the quoted segment, whose end is not there, is left.
    """
    ip = parse(packet)
    assert isinstance(ip, Ip)
    copy = bytearray(packet[: ip.total_octets])
    quote = ip.header_octets + _ICMP
    size = 4 if ip.version == 4 else 16
    if ip.version == 4:
        ports = quote + ((copy[quote] & 0x0F) << 2)
    elif copy[quote + 6] == 6:
        ports = quote + 40
    else:
        return None
    at = quote + _ADDRESSES[ip.version]
    source = swap((error.source, error.source_port))
    destination = swap((error.destination, error.destination_port))
    copy[at : at + 2 * size] = source[0] + destination[0]
    copy[ports : ports + 4] = _SHORT.pack(source[1]) + _SHORT.pack(destination[1])
    outer = _ADDRESSES[ip.version]
    # Who tells of the error may be the translated host itself.
    for start, port in ((outer, error.destination_port), (outer + size, error.source_port)):
        address = bytes(copy[start : start + size])
        copy[start : start + size] = swap((address, port))[0]
    if ip.version == 4:
        quoted = slice(quote, ports)
        copy[quote + 10 : quote + 12] = bytes(2)
        _SHORT.pack_into(copy, quote + 10, checksum(copy[quoted]))
        copy[10:12] = bytes(2)
        _SHORT.pack_into(copy, 10, checksum(copy[: ip.header_octets]))
    message = ip.header_octets
    copy[message + 2 : message + 4] = bytes(2)
    initial = 0
    if ip.version == 6:
        initial = pseudo_header_sum(bytes(copy[8:24]), bytes(copy[24:40]), len(copy) - message, ICMPV6)
    _SHORT.pack_into(copy, message + 2, checksum(copy[message:], initial=initial))
    return bytes(copy)
