"""How much is in the network, and which of it acknowledgments with SACK report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..run import Run
from ..seqnum import extend

if TYPE_CHECKING:
    from ..tcb import Tcb


def in_flight(tcb: Tcb) -> int:
    """SetPipe() of RFC 6675 §4, octets; without SACK each duplicate ACK stands for a segment that arrived."""
    board = tcb.scoreboard
    return tcb.snd_nxt - tcb.snd_una - board.sacked - board.waiting + board.extra - tcb.dup_octets


def update(tcb: Tcb, run: Run) -> int:
    """Update() of RFC 6675 §4; return how many octets were not known to have arrived.

    Blocks that are empty, lie below SND.UNA (D-SACK, RFC 2883) or beyond SND.NXT say nothing.
    """
    fresh = 0
    una = tcb.snd_una
    board = tcb.scoreboard
    for left, right in run.options.sack:
        start = extend(left, una)
        end = extend(right, una)
        if tcb.config.whole_sacks and start < end:
            start, end = board.whole(start, end, tcb.segment_size)
        if start < end <= tcb.snd_nxt:
            fresh += board.mark_sacked(start, end)
    return fresh


def duplicate(tcb: Tcb, run: Run) -> tuple[int, int] | None:
    """What the first block reports as received twice (RFC 2883 §4), None if it reports no such thing.

    It is a D-SACK block if it lies below the acknowledgment or within the second block.
    """
    blocks = run.options.sack
    una = run.ack
    start = extend(blocks[0][0], una)
    end = extend(blocks[0][1], una)
    if not tcb.iss < start < end <= tcb.snd_nxt:
        return None
    if end <= una:
        return start, end
    if len(blocks) > 1 and extend(blocks[1][0], una) <= start and end <= extend(blocks[1][1], una):
        return start, end
    return None
