"""An IP packet for a segment whose payload was decrypted."""

from __future__ import annotations

from typing import Final

from edo.codepoints import Dialect
from edo.options import Span
from stack.checksum import fold, ones_complement_sum, pseudo_header_sum
from stack.ip import IpTemplate
from stack.segment import Segment

_NOP: Final = b"\x01"
_FIXED: Final = 20
_MOST: Final = 40


def unchanged(segment: Segment) -> bytes:
    """The packet as it came, but for its IP header, which is made anew."""
    return _header(segment, len(segment.tcp)) + bytes(segment.tcp)


def as_sent(segment: Segment, end: int, payload: bytes) -> bytes:
    """The packet with its header of ``end`` octets as it was, and ``payload`` behind it."""
    return _packet(segment, bytearray(segment.tcp[:end]), payload)


def plainly(segment: Segment, spans: list[Span], dialect: Dialect, payload: bytes) -> bytes:
    """The packet as TCP would have sent it without protection: every reader of captures finds its payload.

    ``spans`` are all its options, those behind Data Offset too. TCP-AO, TCP-ENO, EDO and key exchange are left
    out, and so is what does not fit 40 octets without the room that EDO gave.
    """
    points = dialect.points
    ours = {points.ao, points.eno, points.native_supported, points.native_extension}
    exids = {points.edo_exid, points.ke_exid, points.syn_eos_exid}
    options = bytearray()
    for kind, exid, offset, length in spans:
        if kind not in ours and exid not in exids and len(options) + length <= _MOST:
            options += segment.tcp[offset : offset + length]
    options += _NOP * (-len(options) % 4)
    header = bytearray(segment.tcp[:_FIXED]) + options
    header[12] = len(header) // 4 << 4 | header[12] & 0xF
    return _packet(segment, header, payload)


def _packet(segment: Segment, header: bytearray, payload: bytes) -> bytes:
    """IP and TCP header with the right lengths and checksums."""
    octets = len(header) + len(payload)
    header[16:18] = bytes(2)
    initial = pseudo_header_sum(segment.source, segment.destination, octets)
    total = fold(ones_complement_sum(header) + ones_complement_sum(payload) + initial)
    header[16:18] = (0xFFFF - total).to_bytes(2)
    return _header(segment, octets) + header + payload


def _header(segment: Segment, octets: int) -> bytes:
    return IpTemplate(segment.source, segment.destination, ttl=max(segment.ttl, 1), ecn=segment.ecn).header(octets)
