"""SACK-based recovery by counting (RFC 6675): kept beside RACK for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from .. import pmtu
from ..losses import FAST, LOSS
from .base import LossRecovery

if TYPE_CHECKING:
    from ..tcb import Tcb

_DUP_THRESH: Final = 3


@mypyc_attr(allow_interpreted_subclasses=True)
class Rfc6675(LossRecovery):
    """What lies three segments or ranges below what was SACKed is lost; a lost retransmission takes a timeout."""

    __slots__ = ()

    rescues = True

    def duplicate(self, tcb: Tcb, fresh: int, now: float) -> None:
        """RFC 6675 §5: in recovery step C's IsLost(), before it steps 1-4."""
        board = tcb.scoreboard
        smss = tcb.segment_size
        if tcb.recovery == LOSS:
            return
        edge = board.lost_edge(smss)
        if tcb.recovery == FAST:
            board.mark_lost(edge)
            return
        tcb.dupacks += 1
        # Not again for what an earlier recovery or timeout dealt with (RFC 6675 §5.1).
        if tcb.snd_una >= tcb.recover and (tcb.dupacks >= _DUP_THRESH or edge > tcb.snd_una):
            if pmtu.isolated_head(tcb, edge, now):
                return
            self.enter(tcb, now)
            board.mark_lost(edge)
            board.mark_head_lost(smss)

    def partial(self, tcb: Tcb, acked: int, now: float) -> None:
        tcb.scoreboard.mark_lost(tcb.scoreboard.lost_edge(tcb.segment_size))
