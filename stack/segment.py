"""A received TCP segment: the fixed header read once, by offset, without copying (RFC 9293 §3.1)."""

from __future__ import annotations

import struct

from edo.options import Options, Span

from .run import AE

_FIXED = struct.Struct("!HHIIBBHHH")
_NO_OPTIONS = Options()


class Segment:
    """One segment as it came, with what has been read of it so far.

    ``tcp`` is header and payload as delivered by IP, so its length is the TCP length; ``data_offset`` and
    ``header_end`` are octets from its start; ``spans`` are the options found by the structural walk. ``source``
    and ``destination`` are addresses of 4 or 16 octets; ``ip_octets`` is the whole packet's length. ``segments`` is
    how many on the wire it stands for, which a device has put together.
    """

    __slots__ = (
        "ack",
        "data_offset",
        "destination",
        "destination_port",
        "ecn",
        "flags",
        "header_end",
        "ip_octets",
        "options",
        "segments",
        "seq",
        "source",
        "source_port",
        "spans",
        "tcp",
        "ttl",
        "urgent",
        "window",
    )

    data_offset: int
    seq: int
    ack: int
    flags: int

    def __init__(
        self, source: bytes, destination: bytes, ttl: int, ecn: int, ip_octets: int, tcp: memoryview
    ) -> None:
        self.source = source
        self.destination = destination
        self.ttl = ttl
        self.ecn = ecn
        self.ip_octets = ip_octets
        self.tcp = tcp
        (
            self.source_port,
            self.destination_port,
            self.seq,
            self.ack,
            offset,
            self.flags,
            self.window,
            _,
            self.urgent,
        ) = _FIXED.unpack_from(tcp)
        self.data_offset = (offset >> 4) << 2
        if offset & 1:
            self.flags |= AE
        self.header_end = self.data_offset
        self.segments = 1
        self.spans: list[Span] = []
        self.options = _NO_OPTIONS

    @property
    def sound(self) -> bool:
        """Whether Data Offset lies between the fixed header and the end of the segment (RFC 9293 §3.1)."""
        return 20 <= self.data_offset <= len(self.tcp)

    def sequence_octets(self) -> int:
        """SEG.LEN: payload octets plus one each for SYN and FIN (RFC 9293 §3.4)."""
        return len(self.tcp) - self.header_end + ((self.flags >> 1) & 1) + (self.flags & 1)
