"""The one structural walk from option to option (RFC 9293 §3.1, RFC 6994 §2)."""

from __future__ import annotations

from edo.options import Span
from edo.shapes import SHAPES


def walk(tcp: memoryview, start: int, end: int) -> list[Span] | None:
    """List the options of ``tcp[start:end]``; None where one overruns the area or has Length 0 or 1.

    ``start`` and ``end`` are octets from the start of the TCP header. NOPs are passed over, EOL ends the walk, and
    an area that reaches past the segment counts as overrun. The ExID is read for kinds 253 and 254 with Length 4
    or more, else it is -1. Takes at most one step per octet and raises nothing.
    """
    if start == 20 and end <= len(tcp):
        # The few layouts that nearly all segments have are recognized without a step per option.
        for fixed_octets, expected, known in SHAPES.get(end, ()):
            if fixed_octets(tcp, 20) == expected:
                return known.copy()
    return walk_steps(tcp, start, end)


def walk_steps(tcp: memoryview, start: int, end: int) -> list[Span] | None:
    """The walk itself, for areas of any layout; arguments and result as ``walk``."""
    if end > len(tcp) or start < 0:
        return None
    spans: list[Span] = []
    offset = start
    while offset < end:
        kind = tcp[offset]
        if kind == 1:
            offset += 1
            continue
        if kind == 0:
            break
        if offset + 1 >= end:
            return None
        length = tcp[offset + 1]
        following = offset + length
        if length < 2 or following > end:
            return None
        if kind >= 253 and kind != 255 and length >= 4:
            spans.append((kind, tcp[offset + 2] << 8 | tcp[offset + 3], offset, length))
        else:
            spans.append((kind, -1, offset, length))
        offset = following
    return spans
