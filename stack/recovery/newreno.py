"""NewReno: recovery without SACK (RFC 5681 §3.2, RFC 6582, RFC 3042)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from ..losses import FAST, LOSS
from ..run import Run
from .base import LossRecovery

if TYPE_CHECKING:
    from ..tcb import Tcb

_DUP_THRESH: Final = 3


@mypyc_attr(allow_interpreted_subclasses=True)
class NewReno(LossRecovery):
    """Duplicate acknowledgments are counted; each stands for a segment that has left the network."""

    __slots__ = ()

    def on_same_ack(self, tcb: Tcb, run: Run, plain: bool, now: float) -> None:
        if plain and tcb.snd_nxt != tcb.snd_una:
            super().on_same_ack(tcb, run, plain, now)
            if self.frto is None:
                self.duplicate(tcb, 0, now)

    def duplicate(self, tcb: Tcb, fresh: int, now: float) -> None:
        """RFC 5681 §2, §3.2 steps 1-4."""
        if tcb.recovery == LOSS:
            return
        board = tcb.scoreboard
        smss = tcb.segment_size
        flight = tcb.snd_nxt - tcb.snd_una
        tcb.dup_octets = min(tcb.dup_octets + smss, max(flight - smss - board.waiting, 0))
        if tcb.recovery == FAST:
            return
        tcb.dupacks += 1
        # Not again for what an earlier recovery or timeout dealt with (RFC 6582 §3.2 step 2).
        if tcb.dupacks >= _DUP_THRESH and tcb.snd_una > tcb.recover:
            self.enter(tcb, now)
            board.mark_head_lost(smss)

    def partial(self, tcb: Tcb, acked: int, now: float) -> None:
        """RFC 6582 §3.2 step 3: the next segment is missing too."""
        smss = tcb.segment_size
        tcb.dup_octets = max(0, tcb.dup_octets - max(0, acked - smss))
        tcb.scoreboard.mark_head_lost(smss)
        tcb.fast_retransmit = True

    def leave(self, tcb: Tcb, acked: int, now: float) -> None:
        """RFC 6582 §3.2 step 3, full acknowledgment."""
        fast = tcb.recovery == FAST
        super().leave(tcb, acked, now)
        if fast:
            smss = tcb.segment_size
            tcb.control.on_recovered(max(tcb.snd_nxt - tcb.snd_una, smss) + smss)
