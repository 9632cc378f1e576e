"""Was a reduction of the window spurious? By timestamps (RFC 3522, Eifel) or D-SACK (RFC 2883, RFC 3708)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..run import Run

if TYPE_CHECKING:
    from ..tcb import Tcb

_MASK = 0xFFFFFFFF
_HALF = 0x80000000


def answers_before(tcb: Tcb, run: Run, moment: float) -> bool:
    """Whether TSecr says that the peer answers a segment sent before ``moment``, seconds."""
    if not tcb.timestamps or run.options.ts_val is None:
        return False
    stamp = int(moment * 1000.0) + tcb.clock_offset
    return (run.options.ts_ecr - stamp) & _MASK >= _HALF


class Undo:
    """What is needed to find that the latest reduction was wrong, and to take it back.

    ``una`` was SND.UNA then, ``recover`` SND.NXT, ``flight`` FlightSize in octets; ``timeout`` tells a timeout
    from fast recovery. ``stamp`` is the TSval of the first retransmission (RetransmitTS of RFC 3522 §3.2 step 2),
    -1 before there is one and once it has served; ``octets`` how many retransmitted ones were not reported as
    duplicates. ``original`` says that the first octets outstanding then had been sent once: an acknowledgment of
    what was sent again before answers an earlier retransmission, and not the first sending.
    """

    __slots__ = ("flight", "octets", "original", "recover", "resent", "stamp", "timeout", "una")

    def __init__(self, tcb: Tcb, *, timeout: bool) -> None:
        self.una = tcb.snd_una
        self.recover = tcb.snd_nxt
        self.flight = tcb.snd_nxt - tcb.snd_una
        self.timeout = timeout
        records = tcb.scoreboard.records
        self.original = bool(records) and not records[0].resent
        self.resent = False
        self.stamp = -1
        self.octets = 0

    def on_resent(self, tcb: Tcb, start: int, octets: int, now: float) -> None:
        """RFC 3522 §3.2 step 2: note the timestamp of the first retransmission, of the octets from ``start`` on."""
        if not self.resent and self.original and start == self.una and tcb.timestamps:
            self.stamp = (int(now * 1000.0) + tcb.clock_offset) & _MASK
        self.resent = True
        self.octets += octets

    def by_timestamp(self, tcb: Tcb, run: Run) -> bool:
        """RFC 3522 §3.2 steps 4, 5: the first acceptable ACK echoes an earlier sending than the retransmission."""
        stamp = self.stamp
        if stamp < 0:
            return False
        self.stamp = -1
        options = run.options
        if options.ts_val is None or not options.ts_ecr:
            return False
        return (options.ts_ecr - stamp) & _MASK >= _HALF

    def by_duplicate(self, start: int, end: int) -> bool:
        """[start, end) arrived twice: was everything that was retransmitted?"""
        if not self.octets or start < self.una or end > self.recover:
            return False
        self.octets = max(self.octets - (end - start), 0)
        return not self.octets

    def restore(self, tcb: Tcb, acked: int, now: float) -> None:
        """Take the reduction back (RFC 4015 §3.2; RFC 9438 §4.9): the window as it was, but no burst."""
        control = tcb.control
        cwnd = control.cwnd
        # F-RTO's two new segments may have widened it beyond what it was.
        control.cwnd = min(cwnd, tcb.segment_size)
        control.on_spurious()
        flight = tcb.snd_nxt - tcb.snd_una
        control.cwnd = max(cwnd, min(control.cwnd, flight + min(acked, tcb.initial_window)))
        # pipe_prev: slow start leads back to what was in flight.
        control.ssthresh = max(control.ssthresh, self.flight)
        sent_at = tcb.scoreboard.acked_sent_at
        if self.timeout and acked and sent_at >= 0.0:
            # Step 8: the timer was too short for the path as it is now.
            tcb.rtt.adapt(now - sent_at)
