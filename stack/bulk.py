"""Segments of up to 64 KiB that a device hands over: each stands for many that were alike on the wire.

As one run they are taken only where ``Flow.collect`` would have made the same run of them; else they are cut again,
so that nothing above can tell the difference.
"""

from __future__ import annotations

from typing import Final

from edo.negotiation import EdoState

from .ports import Carrier
from .run import ACK, PSH
from .segment import Segment

_NOT_PSH: Final = ~PSH
_BARE: Final = 20
_STAMPED: Final = 32
# NOP, NOP, and the timestamps option (RFC 7323 appendix A).
_TIMESTAMPS: Final = b"\x01\x01\x08\x0a"


def taken_whole(flow: Carrier | None, segment: Segment, size: int) -> bool:
    """Whether a segment that stands for as many as have ``size`` octets of payload may be taken as one.

    Only text is, with flags and options that mean the same once as many times: no FIN, CWR or URG, no SACK; and
    what has a MAC or an Extension belongs to one segment. A header that is none is not cut either: it is dropped.
    """
    if not segment.sound:
        return True
    offset = segment.data_offset
    if (
        flow is None
        or segment.flags & _NOT_PSH != ACK
        or (offset != _BARE and (offset != _STAMPED or bytes(segment.tcp[_BARE : _BARE + 4]) != _TIMESTAMPS))
        or not flow.handshake.settled
        or flow.edo.state is not EdoState.OFF
        or flow.protection.authenticates
        or flow.protection.md5
        or flow.upgraded is not None
    ):
        return False
    segment.segments = max(-(-(len(segment.tcp) - offset) // size), 1)
    return True
