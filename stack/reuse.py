"""Whether a SYN may end a TIME-WAIT early: by timestamps, else by sequence numbers (RFC 6191 §2, RFC 1337)."""

from __future__ import annotations

from edo.codepoints import CodePoints
from edo.fast import read_options
from edo.options import Options

from .connection import Connection
from .ports import Carrier
from .segment import Segment
from .seqnum import extend
from .states import State

_HALF = 0x80000000
_MASK = 0xFFFFFFFF


def may_reuse(connection: Connection, seq: int, options: Options) -> bool:
    """Judge a SYN with 32-bit ``seq`` for the pair of ``connection``; False in any state but TIME-WAIT."""
    if connection.state is not State.TIME_WAIT:
        return False
    if options.ts_val is not None and connection.timestamps:
        advance = (options.ts_val - connection.ts_recent) & _MASK
        if 0 < advance < _HALF:
            return True
        if advance:
            return False
    return extend(seq, connection.rcv_nxt) > connection.rcv_nxt


def gives_way(flow: Carrier, segment: Segment, points: CodePoints) -> bool:
    """Whether a SYN may begin another connection in place of ``flow``, by the rules and by its protection."""
    if flow.connection.state is not State.TIME_WAIT:
        return False
    options = read_options(segment.tcp, segment.spans, points)
    return may_reuse(flow.connection, segment.seq, options) and flow.protection.succeeds(segment)
