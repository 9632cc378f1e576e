"""F-RTO: was a timeout spurious? (RFC 5682 §2.1; with SACK §3.1)

After the timeout the first segment alone is sent again, then two new ones; what is acknowledged next tells
whether segments sent before the timeout still arrive.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..tcb import Tcb


class Verdict(Enum):
    """What an acknowledgment after the timeout means."""

    WAIT = "nothing yet"
    PROBE = "two new segments are to be sent"
    GENUINE = "go on with the conventional recovery"
    SPURIOUS = "nothing was lost"


class Frto:
    """One run of the algorithm, from step 1 at a timeout.

    ``una`` was SND.UNA then, ``resent_to`` the end of what is sent again in step 1, ``recover`` the highest number
    sent until step 2 ended (``recover`` of §2.1, RecoveryPoint of §3.1), ``probed`` whether step 3 is reached.
    """

    __slots__ = ("probed", "recover", "resent_to", "una")

    def __init__(self, tcb: Tcb) -> None:
        self.una = tcb.snd_una
        self.resent_to = min(tcb.snd_una + tcb.segment_size, tcb.snd_nxt)
        self.recover = tcb.snd_nxt
        self.probed = False

    def judge(self, tcb: Tcb, acked: int) -> Verdict:
        """An acknowledgment arrived, the scoreboard is updated; ``acked`` octets, 0 for a duplicate."""
        una = tcb.snd_una
        if not self.probed:
            if not acked:
                # §3.1 step 2 waits with SACK; without, a duplicate ends the matter: §2.1 step 2a.
                return Verdict.WAIT if tcb.sack_ok else Verdict.GENUINE
            # Step 2a.
            if una >= self.recover or (not tcb.sack_ok and una < self.resent_to):
                return Verdict.GENUINE
            # Step 2b.
            if not _can_send_new(tcb):
                return Verdict.GENUINE
            self.probed = True
            return Verdict.PROBE
        if not tcb.sack_ok:
            # §2.1 steps 3a, 3b.
            return Verdict.SPURIOUS if acked else Verdict.GENUINE
        board = tcb.scoreboard
        if una > self.recover or board.high_sack > self.recover or not (acked or board.delivered):
            # §3.1 step 3a: it may have been set off by the new segments.
            return Verdict.GENUINE
        # §3.1 step 3b: only what was sent before the timeout can have done this.
        return Verdict.SPURIOUS

    def window(self, smss: int) -> int:
        """The most that the congestion window may be once the timeout is found genuine (steps 2a, 3a), octets."""
        return (3 if self.probed else 2) * smss


def _can_send_new(tcb: Tcb) -> bool:
    """Whether a segment never sent before can go now, by the peer's window and Nagle's rule."""
    available = tcb.sending.end - tcb.snd_nxt
    usable = min(available, tcb.snd_una + tcb.snd_wnd - tcb.snd_nxt)
    if tcb.hold_data or usable <= 0:
        return False
    return usable >= tcb.segment_size or (usable == available and (tcb.fin_queued or not tcb.config.nagle))
