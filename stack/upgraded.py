"""SEG-U segments of a connection (draft-bonica-tcpm-extended-options; ``edo.rivals.seg_u`` has what was assumed).

Once its header's end is known such a segment is like any other, with more options.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Protocol

from edo.codepoints import POINTS, SACK, TIMESTAMPS
from edo.options import Options, Span
from edo.plan import Plan
from edo.rivals.seg_u import header_end, prefix
from edo.walk import walk

from .security import Security
from .segment import Segment

NAME: Final = "seg-u"
_MOST_BLOCKS: Final = 31
_BLOCK = Struct(">II").pack
_TIMES = Struct(">BBBBII").pack
_NOP: Final = b"\x01"


class _Taker(Protocol):
    upgraded: bool | None


class _Door(Protocol):
    security: Security


def find(segment: Segment, flow: _Taker | None, listener: _Door | None) -> list[Span] | None:
    """The options of a segment with Data Offset 0, whose header's end the segment is given; None to drop it.

    As an old stack drops it, wherever neither the connection nor the listener was to take such segments.
    """
    if segment.data_offset:
        return None
    if flow is not None:
        takes = flow.upgraded is not None
    else:
        space = None if listener is None else listener.security.syn_space
        takes = space is not None and space.method == NAME
    end = header_end(segment.tcp) if takes else None
    spans = None if end is None else walk(segment.tcp, 24, end)
    if end is None or spans is None:
        return None
    segment.data_offset = segment.header_end = end
    return spans


def is_upgraded(segment: Segment) -> bool:
    """Whether a segment that was taken has this form."""
    return not segment.tcp[12] >> 4


def lay(options: Options, riders: tuple[bytes, ...] = ()) -> Plan:
    """Lay out a segment without SYN: timestamps and SACK with their values on word boundaries, then ``riders``."""
    area = b""
    if options.ts_val is not None:
        area = _TIMES(1, 1, TIMESTAMPS, 10, options.ts_val, options.ts_ecr)
    if options.user_timeout is not None:
        area += bytes((POINTS.user_timeout, 4)) + options.user_timeout.to_bytes(2)
    blocks = options.sack[:_MOST_BLOCKS]
    if blocks:
        area += 2 * _NOP + bytes((SACK, 2 + 8 * len(blocks))) + b"".join(_BLOCK(*block) for block in blocks)
    area += b"".join(riders)
    area += _NOP * (-len(area) % 4)
    return Plan(prefix(len(area)) + area, 0)
