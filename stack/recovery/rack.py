"""RACK-TLP (RFC 8985): losses are found by time, tails by a probe; PRR (RFC 9937) spreads the reduction."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from .. import pmtu
from ..flight import Sent
from ..losses import FAST, LOSS, OPEN
from ..run import Run
from ..seqnum import low32
from .base import LossRecovery
from .pipe import in_flight
from .prr import Prr
from .undo import answers_before

if TYPE_CHECKING:
    from ..tcb import Tcb

_DUP_THRESH: Final = 3
_NEVER: Final = math.inf
# Times that differ by less are equal, seconds (RFC 8985 §4: microseconds are fine enough).
_GRAIN: Final = 1e-6
# RACK.min_RTT is the least of the last one to two of these, seconds (§6.2 step 1: windowed).
_MIN_RTT_WINDOW: Final = 150.0
# TLP.max_ack_delay, seconds (§7.2): what most receivers delay an acknowledgment at most.
_MAX_ACK_DELAY: Final = 0.2
# Two ticks of a clock (G of RFC 6298): a round trip that took no time leaves the answer some.
_PTO_LEAST: Final = 0.002
# PTO before there is an SRTT, seconds (§7.2).
_PTO_INITIAL: Final = 1.0
# So many records that may still be reordered are looked at for the reordering timer; those that follow were sent
# later, and are given the time of the newest that arrived: a bound for the work that a peer can cause.
_MOST_EARLY: Final = 256
# Recoveries without D-SACK until the reordering window is reset (§6.2 step 4).
_PERSIST: Final = 16


@mypyc_attr(allow_interpreted_subclasses=True)
class Rack(LossRecovery):
    """State of RFC 8985 §5.3 under its names; -1 stands for None. ``newly_sampled``: an RTT was measured since
    the last probe; ``reorder_at``: when the reordering timer expires; ``reduced_at``: of the last reduction;
    ``timeout_at``: of the last timeout, until it is found to have come while segments were still arriving.
    """

    __slots__ = (
        "_least",
        "_window_end",
        "dsack_round",
        "dsack_seen",
        "end_seq",
        "fack",
        "min_rtt",
        "newly_sampled",
        "prr",
        "reduced_at",
        "reo_wnd_mult",
        "reo_wnd_persist",
        "reorder_at",
        "reordering_seen",
        "rtt",
        "timeout_at",
        "tlp_end_seq",
        "tlp_is_retrans",
        "xmit_ts",
    )

    restarts = True

    def __init__(self) -> None:
        super().__init__()
        self.xmit_ts = -1.0
        self.end_seq = 0
        self.fack = 0
        self.rtt = 0.0
        self.min_rtt = self._least = _NEVER
        self._window_end = -1.0
        self.reordering_seen = False
        self.dsack_seen = False
        self.dsack_round = -1
        self.reo_wnd_mult = 1
        self.reo_wnd_persist = 0
        self.reorder_at = _NEVER
        self.newly_sampled = True
        self.tlp_end_seq = -1
        self.tlp_is_retrans = False
        self.prr: Prr | None = None
        self.reduced_at = -1.0
        self.timeout_at = -1.0

    def start(self, tcb: Tcb) -> None:
        self.fack = tcb.snd_una
        if tcb.rtt.srtt:
            # The handshake's round trip.
            self.rtt = self.min_rtt = self._least = tcb.rtt.srtt

    # --- acknowledgments ---------------------------------------------------------------------------------

    def on_new_ack(self, tcb: Tcb, run: Run, acked: int, now: float) -> None:
        board = tcb.scoreboard
        if (
            board.simple
            and tcb.recovery == OPEN
            and not board.sacked
            and not run.options.sack
            and self.tlp_end_seq < 0
            and self.reorder_at == _NEVER
        ):
            # In order: whatever is still in flight was sent after what is acknowledged, so nothing is lost.
            tcb.dupacks = tcb.limited = 0
            sent_at = board.acked_sent_at
            rtt = now - sent_at
            self.rtt = rtt
            if rtt < self.min_rtt or now >= self._window_end:
                self._measure(rtt, now)
            if sent_at >= self.xmit_ts:
                self.xmit_ts = sent_at
                self.end_seq = run.ack
            self.fack = max(self.fack, run.ack)
            self.newly_sampled = True
            self.grow(tcb, acked, now)
            return
        super().on_new_ack(tcb, run, acked, now)
        self.dsack_seen = False
        if self.tlp_end_seq >= 0:
            self._take_probe_ack(tcb, run, acked, now)

    def on_same_ack(self, tcb: Tcb, run: Run, plain: bool, now: float) -> None:
        super().on_same_ack(tcb, run, plain, now)
        if self.dsack_seen:
            self._adapt(tcb, leaving=False)
            self.dsack_seen = False
        if self.tlp_end_seq >= 0 and (plain or run.options.sack):
            self._take_probe_ack(tcb, run, 0, now)
        if tcb.scoreboard.delivered:
            self.arm(tcb, now)

    def on_duplicate_report(self, tcb: Tcb, start: int, end: int) -> None:
        """A D-SACK block: a retransmission was spurious, unless this side sent none or it was the loss probe."""
        if self.tlp_is_retrans and end == self.tlp_end_seq:
            return
        if tcb.retransmissions:
            self.dsack_seen = True

    def progress(self, tcb: Tcb, acked: int, fresh: int, now: float) -> None:
        before = tcb.recovery
        if before == OPEN:
            self.grow(tcb, self.news(tcb, acked), now)
        elif tcb.snd_una >= tcb.recover:
            self.leave(tcb, acked, now)
        elif before == LOSS:
            self.grow(tcb, acked, now)
        self._adapt(tcb, leaving=before != OPEN and tcb.recovery == OPEN)
        self._react(tcb, now, advanced=True)

    def _revert(self, tcb: Tcb, acked: int, now: float) -> None:
        if self.undo is not None and not self.undo.timeout:
            # What was taken for lost came late. §6.2 step 3 does not see it, for it has been sent again meanwhile;
            # and as long as no reordering was seen, three segments beyond a hole suffice to do so again.
            self.reordering_seen = True
        super()._revert(tcb, acked, now)

    def duplicate(self, tcb: Tcb, fresh: int, now: float) -> None:
        tcb.dupacks += 1
        self._adapt(tcb, leaving=False)
        self._react(tcb, now)

    def learn(self, tcb: Tcb, run: Run, now: float) -> None:
        """RFC 8985 §6.2 steps 1-3, of everything newly acknowledged, cumulatively or selectively."""
        delivered = tcb.scoreboard.delivered
        if not delivered:
            return
        newest = -1.0
        newest_end = 0
        for sent_at, _, end, resent in delivered:
            if (sent_at > newest or (sent_at == newest and end > newest_end)) and not (
                resent and self._ambiguous(tcb, run, sent_at, now)
            ):
                newest = sent_at
                newest_end = end
        if newest >= 0.0:
            # Steps 1 and 2.
            self.rtt = now - newest
            self.newly_sampled = True
            self._measure(self.rtt, now)
            if newest > self.xmit_ts or (newest == self.xmit_ts and newest_end > self.end_seq):
                self.xmit_ts = newest
                self.end_seq = newest_end
        if self.timeout_at >= 0.0 and tcb.recovery == LOSS:
            self._doubt(tcb, run, newest)
        # Step 3, in ascending order of the numbers.
        fack = self.fack
        for _, start, end, resent in sorted(delivered, key=itemgetter(2)) if len(delivered) > 1 else delivered:
            if end > fack:
                fack = end
            elif end < fack and not resent:
                self.reordering_seen = True
                self.reorderings += 1
                self.reordering = max(self.reordering, -(-(fack - start) // tcb.segment_size))
        self.fack = fack

    def _ambiguous(self, tcb: Tcb, run: Run, sent_at: float, now: float) -> bool:
        """§6.2 step 2: whether an acknowledgment of what was retransmitted at ``sent_at`` may be of an earlier
        sending: by TSecr (condition 1), or because it came sooner than any round trip takes (condition 2).
        """
        return answers_before(tcb, run, sent_at) or now - sent_at < self.min_rtt - _GRAIN

    def _measure(self, rtt: float, now: float) -> None:
        """§6.2 step 1: the least of recent round trips."""
        if now >= self._window_end:
            self.min_rtt = min(self._least, rtt)
            self._least = rtt
            self._window_end = now + _MIN_RTT_WINDOW
        else:
            self._least = min(self._least, rtt)
            self.min_rtt = min(self.min_rtt, rtt)

    def _adapt(self, tcb: Tcb, *, leaving: bool) -> None:
        """§6.2 step 4, first half: the reordering window grows once per round trip with a D-SACK."""
        if 0 <= self.dsack_round <= tcb.snd_una:
            self.dsack_round = -1
        if self.dsack_round < 0 and self.dsack_seen:
            self.dsack_seen = False
            self.dsack_round = tcb.snd_nxt
            self.reo_wnd_mult += 1
            self.reo_wnd_persist = _PERSIST
        elif leaving:
            self.reo_wnd_persist -= 1
            if self.reo_wnd_persist <= 0:
                self.reo_wnd_mult = 1

    def reo_wnd(self, tcb: Tcb) -> float:
        """§6.2 step 4, second half: RACK.reo_wnd, seconds."""
        if not self.reordering_seen:
            if tcb.recovery != OPEN or tcb.dupacks >= _DUP_THRESH:
                return 0.0
            if tcb.scoreboard.sacked_segments(tcb.segment_size, _DUP_THRESH) >= _DUP_THRESH:
                return 0.0
        if self.min_rtt == _NEVER:
            return 0.0
        return min(self.reo_wnd_mult * self.min_rtt / 4, tcb.rtt.srtt)

    def _detect(self, tcb: Tcb, now: float) -> tuple[bool, bool]:
        """§6.2 step 5: mark what is lost; was there any, and was a retransmission among it?"""
        board = tcb.scoreboard
        patience = self.rtt + self.reo_wnd(tcb)
        xmit_ts = self.xmit_ts
        latest = -1.0
        lost = again = False
        early = 0
        record = board.flight.oldest
        while record is not None and record.sent_at <= xmit_ts:
            following = record.after
            if record.sent_at < xmit_ts or record.end < self.end_seq:
                if record.sent_at + patience - now <= _GRAIN:
                    again = again or (record.resent and record.sent_at >= self.reduced_at)
                    board.lose(record)
                    lost = True
                else:
                    latest = record.sent_at
                    early += 1
                    if early == _MOST_EARLY:
                        latest = xmit_ts
                        break
            record = following
        self.reorder_at = latest + patience if latest >= 0.0 else _NEVER
        return lost, again

    def _react(self, tcb: Tcb, now: float, *, advanced: bool = False) -> None:
        """Detect losses, and do what congestion control asks for then (§9.3); SND.UNA has ``advanced`` or not."""
        if self.frto is not None:
            return
        lost, again = self._detect(tcb, now)
        if lost and tcb.recovery == OPEN:
            if not pmtu.isolated(tcb, now):
                self.enter(tcb, now)
        elif again and self.prr is None:
            # Without PRR a lost retransmission is a second indication of congestion (§9.3).
            self._reduce(tcb, in_flight(tcb), now)
        prr = self.prr
        if prr is not None and tcb.recovery == FAST:
            pipe = in_flight(tcb)
            delivered = _octets(tcb)
            if not delivered and tcb.config.prr_from_window:
                # The reordering timer: one segment stands for what it found.
                delivered = tcb.segment_size
            safe = advanced and not lost
            tcb.control.cwnd = pipe + prr.budget(delivered, pipe, tcb.segment_size, safe=safe)

    # --- phases ------------------------------------------------------------------------------------------

    def _reduce(self, tcb: Tcb, flight: int, now: float) -> None:
        tcb.control.on_loss(flight, tcb.segment_size, now)
        self.reduced_at = now

    def enter(self, tcb: Tcb, now: float) -> None:
        from_window = tcb.config.prr_from_window
        flight = tcb.snd_nxt - tcb.snd_una
        # RecoverFS (RFC 9937 §6.1): what was SACKed before will not be delivered during the recovery.
        recover_fs = int(tcb.control.cwnd) if from_window else flight - tcb.scoreboard.sacked + _octets(tcb)
        super().enter(tcb, now)
        self.reduced_at = now
        self._reset_probe()
        # A controller that asks for no reduction has none spread.
        ssthresh = tcb.control.ssthresh
        self.prr = Prr(ssthresh, recover_fs) if from_window or ssthresh < flight else None

    def leave(self, tcb: Tcb, acked: int, now: float) -> None:
        super().leave(tcb, acked, now)
        if self.prr is not None:
            # The window that the controller asked for.
            tcb.control.cwnd = self.prr.ssthresh
            self.prr = None

    def on_timeout(self, tcb: Tcb, now: float) -> None:
        self.prr = None
        self.reduced_at = now
        self.reorder_at = _NEVER
        tcb.loss_at = _NEVER
        self._reset_probe()
        self.timeout_at = now
        super().on_timeout(tcb, now)

    def _doubt(self, tcb: Tcb, run: Run, newest: float) -> None:
        """Where what was sent before the timeout still arrives (the ``newest`` delivered or TSecr tell), what §6.3
        took for lost is on its way, but for what §6.2 finds lost: all, once the first segment, which went last, is
        acknowledged. F-RTO cannot tell: not after another recovery (RFC 5682 §3.1 step 1).
        """
        advanced = tcb.scoreboard.delivered[0][2] <= tcb.snd_una
        if 0.0 <= newest < self.timeout_at or (advanced and answers_before(tcb, run, self.timeout_at)):
            self.timeout_at = -1.0
            tcb.scoreboard.forget_lost()

    def lose_after_timeout(self, tcb: Tcb, upto: int, now: float, *, beyond: int = 0) -> None:
        """§6.3: the first segment, and what was sent at least a round trip and the reordering window ago."""
        board = tcb.scoreboard
        patience = self.rtt + self.reo_wnd(tcb)
        record = board.flight.oldest
        while record is not None and record.sent_at + patience - now <= _GRAIN:
            following = record.after
            if record.start < upto:
                board.lose(record)
            record = following
        if not board.waiting:
            board.mark_head_lost(tcb.segment_size)

    # --- tail loss probes --------------------------------------------------------------------------------

    def _reset_probe(self) -> None:
        """§7.1."""
        self.tlp_end_seq = -1
        self.tlp_is_retrans = False
        self.tail_probe = False

    def arm(self, tcb: Tcb, now: float) -> None:
        """The reordering timer (§6.2 step 5), else the probe timeout (§7.2); neither beside a sooner RTO (§8)."""
        at = self.reorder_at
        if at != _NEVER:
            tcb.rexmt_at = max(tcb.rexmt_at, at)
        elif (
            tcb.recovery == OPEN
            and tcb.config.tail_probes
            and self.newly_sampled
            and self.tlp_end_seq < 0
            and not tcb.scoreboard.sacked
            and tcb.rexmt_at != _NEVER
        ):
            srtt = tcb.rtt.srtt
            at = now + (max(2 * srtt, _PTO_LEAST) if srtt else _PTO_INITIAL)
            if tcb.snd_nxt - tcb.snd_una <= tcb.segment_size:
                at += _MAX_ACK_DELAY
            at = min(at, tcb.rexmt_at)
        tcb.loss_at = at

    def on_timer(self, tcb: Tcb, now: float) -> None:
        if self.reorder_at == _NEVER:
            # §7.3; whether a probe may go was asked when the timer was armed.
            tcb.loss_at = _NEVER
            self.tail_probe = True
            return
        tcb.scoreboard.delivered = []
        self._react(tcb, now)
        tcb.loss_at = self.reorder_at

    def on_probed(self, tcb: Tcb, *, again: bool) -> None:
        """§7.3, TLP_send_probe()."""
        self.tlp_end_seq = tcb.snd_nxt
        self.tlp_is_retrans = again
        self.newly_sampled = False
        tcb.loss_at = _NEVER

    def _take_probe_ack(self, tcb: Tcb, run: Run, acked: int, now: float) -> None:
        """§7.4.2, TLP_process_ack()."""
        if run.ack < self.tlp_end_seq:
            return
        if not self.tlp_is_retrans:
            self._reset_probe()
            return
        blocks = run.options.sack
        if blocks and blocks[0][1] == low32(self.tlp_end_seq):
            # Case 1: both arrived.
            self._reset_probe()
        elif run.ack > self.tlp_end_seq:
            self._reset_probe()
            # The probe repaired a loss: a congestion event.
            self._reduce(tcb, acked + tcb.snd_nxt - tcb.snd_una, now)
        elif not acked and not blocks:
            # Case 2: a duplicate from a receiver without D-SACK.
            self._reset_probe()

    # --- sending -----------------------------------------------------------------------------------------

    def on_sent(self, tcb: Tcb, octets: int, now: float) -> None:
        if self.prr is not None:
            self.prr.out += octets
        self.arm(tcb, now)

    def on_resent(self, tcb: Tcb, record: Sent, now: float) -> None:
        super().on_resent(tcb, record, now)
        if self.prr is not None:
            self.prr.out += record.end - record.start


def _octets(tcb: Tcb) -> int:
    """DeliveredData (RFC 9937 §5): what the acknowledgment in hand was the first to cover, octets."""
    return sum(end - start for _, start, end, _ in tcb.scoreboard.delivered)
