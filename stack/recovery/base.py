"""What every loss recovery has in common, and the interface between it and the sender."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from .. import ecn, pmtu
from ..flight import Sent
from ..losses import FAST, LOSS, OPEN, Recovery
from ..run import Run
from ..tcb import Tcb
from .frto import Frto, Verdict
from .pipe import duplicate, in_flight, update
from .undo import Undo


@mypyc_attr(allow_interpreted_subclasses=True)
class LossRecovery(Recovery[Tcb]):
    """Recovery of one connection. The sender calls ``on_*``; a subclass says what is lost and when.

    ``frto`` is the run of F-RTO after a timeout, ``undo`` what would take the latest reduction back.
    """

    __slots__ = ("frto", "undo")

    def __init__(self) -> None:
        super().__init__()
        self.frto: Frto | None = None
        self.undo: Undo | None = None

    def start(self, tcb: Tcb) -> None:
        """The connection is established."""

    # --- acknowledgments ---------------------------------------------------------------------------------

    def on_new_ack(self, tcb: Tcb, run: Run, acked: int, now: float) -> None:
        """SND.UNA has advanced by ``acked`` octets, and the scoreboard with it."""
        board = tcb.scoreboard
        tcb.dupacks = 0
        tcb.limited = 0
        if board.simple:
            board.delivered.append((board.acked_sent_at, run.ack - acked, run.ack, False))
        fresh = 0
        if run.options.sack and tcb.sack_ok:
            self._take_duplicate(tcb, run, acked, now)
            fresh = update(tcb, run)
        self.learn(tcb, run, now)
        if tcb.recovery == OPEN:
            self.progress(tcb, acked, fresh, now)
            return
        most = 0
        if self.undo is not None and self.undo.by_timestamp(tcb, run):
            self._revert(tcb, acked, now)
        elif self.frto is not None:
            verdict = self._judge(tcb, acked, now)
            if verdict is Verdict.PROBE or verdict is Verdict.WAIT:
                return
            if verdict is Verdict.GENUINE:
                most = self._stop_frto(tcb, now)
        self.progress(tcb, acked, fresh, now)
        if most:
            tcb.control.cwnd = min(tcb.control.cwnd, most)

    def on_same_ack(self, tcb: Tcb, run: Run, plain: bool, now: float) -> None:
        """SEG.ACK is SND.UNA; ``plain`` if there are neither text nor FIN nor another window (RFC 5681 §2)."""
        board = tcb.scoreboard
        if board.delivered:
            board.delivered = []
        fresh = 0
        if run.options.sack and tcb.sack_ok:
            self._take_duplicate(tcb, run, 0, now)
            if tcb.snd_nxt == tcb.snd_una:
                return
            fresh = update(tcb, run)
        if not (fresh or plain):
            return
        self.learn(tcb, run, now)
        if self.frto is not None:
            verdict = self._judge(tcb, 0, now)
            if verdict is Verdict.WAIT:
                return
            if verdict is Verdict.GENUINE:
                tcb.control.cwnd = min(tcb.control.cwnd, self._stop_frto(tcb, now))
        if fresh:
            self.duplicate(tcb, fresh, now)

    def _take_duplicate(self, tcb: Tcb, run: Run, acked: int, now: float) -> None:
        """Look for a D-SACK block and for what it says about the latest reduction."""
        block = duplicate(tcb, run)
        if block is None:
            return
        self.on_duplicate_report(tcb, block[0], block[1])
        if self.undo is not None and self.undo.by_duplicate(*block):
            self._revert(tcb, acked, now)

    def on_duplicate_report(self, tcb: Tcb, start: int, end: int) -> None:
        """The peer has received [start, end) twice (RFC 2883)."""

    # --- what a subclass decides -------------------------------------------------------------------------

    def learn(self, tcb: Tcb, run: Run, now: float) -> None:
        """The scoreboard was brought up to date by ``run``; what it delivered is listed there."""

    def progress(self, tcb: Tcb, acked: int, fresh: int, now: float) -> None:
        """``acked`` octets were acknowledged in order and ``fresh`` beyond by one segment."""
        state = tcb.recovery
        if state == OPEN:
            acked = self.news(tcb, acked)
            tcb.dup_octets = 0
            self.grow(tcb, acked, now)
            if fresh:
                self.duplicate(tcb, fresh, now)
            return
        if tcb.snd_una >= tcb.recover:
            self.leave(tcb, acked, now)
            return
        if state == LOSS:
            self.grow(tcb, acked, now)
        else:
            self.partial(tcb, acked, now)
        tcb.partial = True

    def duplicate(self, tcb: Tcb, fresh: int, now: float) -> None:
        """An acknowledgment says that something beyond SND.UNA has arrived, ``fresh`` octets where it tells."""
        raise NotImplementedError

    def partial(self, tcb: Tcb, acked: int, now: float) -> None:
        """In fast recovery ``acked`` octets were acknowledged, not all that was outstanding when it began."""
        raise NotImplementedError

    def lose_after_timeout(self, tcb: Tcb, upto: int, now: float, *, beyond: int = 0) -> None:
        """Mark what is lost after a timeout: everything below ``upto`` (RFC 5681 §3.1), but not what lies below
        ``beyond``, which is on its way again.
        """
        tcb.scoreboard.mark_below(upto, beyond)

    # --- phases ------------------------------------------------------------------------------------------

    def grow(self, tcb: Tcb, acked: int, now: float) -> None:
        """Let the congestion window grow if it was what limited sending; after a timeout it always is."""
        usage = tcb.usage
        limited = tcb.cwnd_limited if usage is None else usage.allows(tcb.control.cwnd, tcb.control.ssthresh)
        if limited or tcb.recovery == LOSS:
            tcb.control.on_ack(acked, tcb.segment_size, now, tcb.rtt.srtt)
        else:
            tcb.control.on_unused(now)

    def news(self, tcb: Tcb, acked: int) -> int:
        """How many of ``acked`` octets are said to have arrived for the first time, where that is to count."""
        if not tcb.config.grow_by_delivery:
            return acked
        if tcb.sack_ok:
            delivered = tcb.scoreboard.delivered
            return min(sum(end - start for _, start, end, _ in delivered), acked) if delivered else acked
        return max(acked - tcb.dup_octets, min(acked, tcb.segment_size))

    def enter(self, tcb: Tcb, now: float) -> None:
        """Fast recovery begins: one congestion event (RFC 5681 §3.2), and a retransmission at once."""
        pmtu.disturbed(tcb, now)
        self.undo = Undo(tcb, timeout=False)
        # What limited transmit sent does not count (RFC 5681 §3.2 step 2).
        flight = tcb.snd_nxt - tcb.snd_una - tcb.limited
        tcb.recovery = FAST
        tcb.recover = tcb.snd_nxt
        tcb.rescued = False
        tcb.partial = False
        if tcb.snd_una > tcb.ecn_recover:
            # Not again for a window that marks have reduced already (RFC 3168 §6.1.2).
            tcb.control.on_loss(self.measure(tcb, flight), tcb.segment_size, now)
            ecn.reduced(tcb)
        tcb.fast_retransmit = True

    @staticmethod
    def measure(tcb: Tcb, flight: int) -> int:
        """What the window is reduced from: FlightSize (RFC 5681 §3.1), or the window (RFC 9438 §4.6)."""
        return int(tcb.control.cwnd) if tcb.config.reduce_from_window else flight

    def leave(self, tcb: Tcb, acked: int, now: float) -> None:
        """Everything that was outstanding when recovery began is acknowledged."""
        if tcb.recovery == LOSS:
            self.grow(tcb, acked, now)
        tcb.recovery = OPEN
        tcb.rescued = False
        tcb.dup_octets = 0

    def _revert(self, tcb: Tcb, acked: int, now: float) -> None:
        """The reduction was spurious: nothing had been lost, and the window is given back."""
        undo = self.undo
        if undo is None:
            return
        self.undo = None
        undo.restore(tcb, acked, now)
        if tcb.recovery == OPEN:
            return
        self.frto = None
        tcb.scoreboard.forget_lost()
        tcb.recovery = OPEN
        # RFC 5682 §3.1, end: losses found from now on are new ones.
        tcb.recover = tcb.snd_una - 1
        tcb.dup_octets = 0
        tcb.fast_retransmit = False

    # --- timeouts ----------------------------------------------------------------------------------------

    def on_timeout(self, tcb: Tcb, now: float) -> None:
        """The retransmission timer expired (RFC 5681 §3.1, RFC 6675 §5.1, RFC 5682).

        SACK information is kept, however often this happens (errata 1610 of RFC 2018, RFC 6675 §5.1), unless the
        peer has reneged. It cannot without being seen: what it threw away comes to be next in order.
        """
        board = tcb.scoreboard
        first = tcb.retries == 1
        # What was sent anew during a recovery stands beside octets that are lost or arrived: the network never
        # held more of it than the window, and only that much says what the path can take.
        flight = min(tcb.snd_nxt - tcb.snd_una, int(tcb.control.cwnd))
        again = self.frto is not None and not self.frto.probed and self.frto.una == tcb.snd_una
        if tcb.recovery == OPEN:
            self.undo = Undo(tcb, timeout=True)
        elif not again:
            # RFC 5682 §6: nothing is taken back if the timeout came during another recovery.
            self.undo = None
        reneged = bool(board.records and board.records[0].sacked)
        # RFC 5682 §2.1, §3.1, step 1: not during another recovery.
        try_frto = (tcb.recovery == OPEN or again) and not reneged and not board.waiting
        tcb.control.on_rto(self.measure(tcb, flight), tcb.segment_size, now, first=first)
        ecn.reduced(tcb)
        tcb.recovery = LOSS
        tcb.recover = tcb.snd_nxt
        tcb.dupacks = 0
        tcb.dup_octets = 0
        tcb.limited = 0
        tcb.partial = False
        tcb.fast_retransmit = True
        if reneged:
            board.forget_sacked()
        if try_frto:
            # Only the first segment goes again until F-RTO has decided.
            self.frto = Frto(tcb)
            board.mark_head_lost(tcb.segment_size)
        else:
            self.frto = None
            if reneged:
                board.mark_all_lost()
            else:
                self.lose_after_timeout(tcb, tcb.snd_nxt, now)

    def _judge(self, tcb: Tcb, acked: int, now: float) -> Verdict:
        """What F-RTO makes of an acknowledgment, with what follows for window and phase."""
        frto = self.frto
        assert frto is not None
        verdict = frto.judge(tcb, acked)
        if verdict is Verdict.PROBE:
            # RFC 5682 §2.1 step 2b: two segments never sent before, instead of retransmissions.
            tcb.control.cwnd = in_flight(tcb) + 2 * tcb.segment_size
        elif verdict is Verdict.SPURIOUS:
            if self.undo is None:
                verdict = Verdict.GENUINE
            else:
                self._revert(tcb, acked, now)
        return verdict

    def _stop_frto(self, tcb: Tcb, now: float) -> int:
        """The timeout was genuine: go on conventionally; return the most that the window may be, octets."""
        frto = self.frto
        assert frto is not None
        self.frto = None
        self.lose_after_timeout(tcb, frto.recover, now, beyond=frto.resent_to)
        return frto.window(tcb.segment_size)

    # --- sending ---------------------------------------------------------------------------------------

    def on_resent(self, tcb: Tcb, record: Sent, now: float) -> None:
        """``record`` was sent again."""
        if self.undo is not None and tcb.recovery != OPEN:
            self.undo.on_resent(tcb, record.start, record.end - record.start, now)
