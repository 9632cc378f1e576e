"""Resets that a box sends in another's name."""

from __future__ import annotations

import struct
from typing import Final

from stack.checksum import checksum, pseudo_header_sum
from stack.ip import TCP, IpTemplate

from .tcp import ACK, FIN, RST, SYN, Tcp

_HEADER: Final = struct.Struct("!HHIIBBHHH")
_SHORT: Final = struct.Struct("!H")


def bare(source: tuple[bytes, int], destination: tuple[bytes, int], seq: int, ack: int, flags: int) -> bytes:
    """A packet with a segment of no payload and no options."""
    tcp = bytearray(
        _HEADER.pack(source[1], destination[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, 0, 0, 0)
    )
    initial = pseudo_header_sum(source[0], destination[0], len(tcp), TCP)
    _SHORT.pack_into(tcp, 16, checksum(tcp, initial=initial))
    return IpTemplate(source[0], destination[0]).header(len(tcp)) + tcp


def refusal(tcp: Tcp) -> bytes:
    """The reset that answers a segment of no connection (RFC 9293 §3.10.7.1)."""
    source, destination = (tcp.destination, tcp.destination_port), (tcp.source, tcp.source_port)
    if tcp.flags & ACK:
        return bare(source, destination, tcp.ack, 0, RST)
    length = tcp.payload_octets if tcp.sound else 0
    length += bool(tcp.flags & SYN) + bool(tcp.flags & FIN)
    return bare(source, destination, 0, tcp.seq + length, RST | ACK)
