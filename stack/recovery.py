"""Loss recovery: what acknowledgments and timeouts say about losses (RFC 6675, RFC 6582, RFC 5681, RFC 3042).

It marks records of the scoreboard and moves the congestion window; the sender sends what is marked.
"""

from __future__ import annotations

from typing import Final

from .run import Run
from .seqnum import extend
from .tcb import FAST, LOSS, OPEN, Tcb

_DUP_THRESH: Final = 3


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
        if start < end <= tcb.snd_nxt:
            fresh += board.mark_sacked(start, end)
    return fresh


def on_new_ack(tcb: Tcb, acked: int, fresh: int, now: float) -> None:
    """SND.UNA has advanced by ``acked`` octets; ``fresh`` octets were newly SACKed by the same segment."""
    tcb.dupacks = 0
    tcb.limited = 0
    state = tcb.recovery
    smss = tcb.segment_size
    if state == OPEN:
        tcb.dup_octets = 0
        _grow(tcb, acked, now)
        if fresh:
            on_duplicate(tcb, fresh, now)
        return
    if tcb.snd_una >= tcb.recover:
        tcb.recovery = OPEN
        tcb.rescued = False
        if state == LOSS:
            _grow(tcb, acked, now)
        elif not tcb.sack_ok:
            flight = tcb.snd_nxt - tcb.snd_una
            tcb.control.on_recovered(max(flight, smss) + smss)
        tcb.dup_octets = 0
        return
    if state == LOSS:
        _grow(tcb, acked, now)
    elif tcb.sack_ok:
        tcb.scoreboard.mark_lost(tcb.scoreboard.lost_edge(smss))
    else:
        # Partial acknowledgment (RFC 6582 §3.2 step 3): the next segment is missing too.
        tcb.dup_octets = max(0, tcb.dup_octets - max(0, acked - smss))
        tcb.scoreboard.mark_head_lost(smss)
        tcb.fast_retransmit = True
    tcb.partial = True


def _grow(tcb: Tcb, acked: int, now: float) -> None:
    if tcb.cwnd_limited:
        tcb.control.on_ack(acked, tcb.segment_size, now, tcb.rtt.srtt)
    else:
        tcb.control.on_unused(now)


def on_duplicate(tcb: Tcb, fresh: int, now: float) -> None:
    """A duplicate acknowledgment (RFC 6675 §2 with SACK: ``fresh`` octets newly SACKed; else RFC 5681 §2)."""
    board = tcb.scoreboard
    smss = tcb.segment_size
    state = tcb.recovery
    if not tcb.sack_ok and state != LOSS:
        # The segment that caused it has left the network; what is missing has not.
        flight = tcb.snd_nxt - tcb.snd_una
        tcb.dup_octets = min(tcb.dup_octets + smss, max(flight - smss - board.waiting, 0))
    if state == FAST:
        if tcb.sack_ok:
            board.mark_lost(board.lost_edge(smss))
        return
    if state == LOSS:
        return
    tcb.dupacks += 1
    # Not again for what an earlier recovery or timeout dealt with (RFC 6675 §5.1, RFC 6582 §3.2 step 2).
    if tcb.snd_una + tcb.sack_ok > tcb.recover and (
        tcb.dupacks >= _DUP_THRESH or (fresh and board.lost_edge(smss) > tcb.snd_una)
    ):
        _enter(tcb, now)


def _enter(tcb: Tcb, now: float) -> None:
    """Fast retransmit: RFC 6675 §5 step 4, RFC 6582 §3.2 step 2."""
    board = tcb.scoreboard
    smss = tcb.segment_size
    # What limited transmit sent does not count (RFC 5681 §3.2 step 2).
    flight = tcb.snd_nxt - tcb.snd_una - tcb.limited
    tcb.recovery = FAST
    tcb.recover = tcb.snd_nxt
    tcb.rescued = False
    tcb.partial = False
    tcb.control.on_loss(flight, smss, now)
    if tcb.sack_ok:
        board.mark_lost(board.lost_edge(smss))
    board.mark_head_lost(smss)
    tcb.fast_retransmit = True


def on_timeout(tcb: Tcb, now: float) -> None:
    """The retransmission timer expired: everything that is not SACKed is sent again (RFC 5681 §3.1, RFC 6675 §5.1).

    SACK information is kept (errata 1610 of RFC 2018) unless the peer seems to have reneged: what it SACKed is
    next in order, or a second timeout follows without progress.
    """
    board = tcb.scoreboard
    # What was sent anew during a recovery stands beside octets that are lost or arrived: the network never held
    # more of it than the window, and only that much says what the path can take.
    flight = min(tcb.snd_nxt - tcb.snd_una, int(tcb.control.cwnd))
    first = tcb.retries == 1
    renege = not first or bool(board.records and board.records[0].sacked)
    board.mark_all_lost(renege=renege)
    tcb.control.on_rto(flight, tcb.segment_size, now, first=first)
    tcb.recovery = LOSS
    tcb.recover = tcb.snd_nxt
    tcb.dupacks = 0
    tcb.dup_octets = 0
    tcb.limited = 0
    tcb.fast_retransmit = True
