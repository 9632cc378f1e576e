"""BBR, version 1: a model of the path (its bandwidth, its shortest round trip) instead of losses.

Cardwell and others, BBR: Congestion-Based Congestion Control, ACM Queue 14 (5), 2016; constants as in Linux. Of
later versions (draft-ietf-ccwg-bbr) it has the end of STARTUP by losses, but only where the bandwidth does not grow
either, lest random losses end it. Not here: the long-term bandwidth of policed paths, and allowance for aggregated
acknowledgments.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from .base import CongestionControl
from .delivery_rate import RateSample

_HIGH_GAIN: Final = 2885 / 1000 + 0.001
_DRAIN_GAIN: Final = 1000 / 2885
_CWND_GAIN: Final = 2.0
_CYCLE: Final[tuple[float, ...]] = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_BW_ROUNDS: Final = 10
_MIN_RTT_LIFE: Final = 10.0
_PROBE_RTT_TIME: Final = 0.2
_LEAST_SEGMENTS: Final = 4
_FULL_GROWTH: Final = 1.25
_FULL_ROUNDS: Final = 3
# A round of STARTUP in recovery shows a full pipe when more than this part is lost, told by so many acknowledgments
# at least (BBR.LossThresh and StartupFullLossCnt of draft-ietf-ccwg-bbr).
_LOSS_THRESHOLD: Final = 0.02
_FULL_LOSSES: Final = 6
# A little below the estimate, so that no queue stands.
_MARGIN: Final = 0.99
_FIRST_RTT: Final = 0.001
_QUANTUM: Final = 0.001

STARTUP: Final = "startup"
DRAIN: Final = "drain"
PROBE_BW: Final = "probe_bw"
PROBE_RTT: Final = "probe_rtt"


@mypyc_attr(allow_interpreted_subclasses=True)
class Bbr(CongestionControl):
    """``mode`` is one of the four above; ``bandwidth`` octets a second, ``min_rtt`` seconds (-1: none yet)."""

    __slots__ = (
        "_bandwidths",
        "_conserving",
        "_cycle_at",
        "_cycle_index",
        "_delivered",
        "_done_at",
        "_done_round",
        "_full",
        "_full_bandwidth",
        "_full_count",
        "_held_back",
        "_idle",
        "_initial",
        "_left",
        "_losses",
        "_lost",
        "_min_rtt_at",
        "_next_round",
        "_prior",
        "_recovering",
        "_round",
        "_round_delivered",
        "_round_lost",
        "_round_recovering",
        "_round_start",
        "_seed",
        "cwnd_gain",
        "min_rtt",
        "mode",
        "pacing_gain",
    )

    needs_pacing = True
    needs_rate = True
    heeds_marks = False

    def __init__(self, initial_window: int) -> None:
        super().__init__(initial_window)
        self._initial = initial_window
        self._bandwidths: deque[tuple[int, float]] = deque()
        self.min_rtt = -1.0
        self._min_rtt_at = 0.0
        self.mode = STARTUP
        self.pacing_gain = self.cwnd_gain = _HIGH_GAIN
        self._round = 0
        self._next_round = 0
        self._round_start = False
        self._full = False
        self._full_bandwidth = 0.0
        self._full_count = 0
        self._cycle_index = 0
        self._cycle_at = 0.0
        self._done_at = -1.0
        self._done_round = False
        self._idle = False
        self._prior = 0
        self._recovering = False
        self._conserving = False
        self._held_back = False
        self._left = -2
        self._seed = 0
        self._delivered = 0
        self._lost = self._losses = 0
        self._round_delivered = self._round_lost = 0
        self._round_recovering = False

    def start(self, srtt: float, seed: int) -> None:
        """Pace the first window over the first round trip, as STARTUP will."""
        self._seed = seed
        self.pacing_rate = _HIGH_GAIN * self.cwnd / (srtt if srtt > 0.0 else _FIRST_RTT)

    @property
    def bandwidth(self) -> float:
        """The highest delivery rate of ten round trips, octets a second."""
        return self._bandwidths[0][1] if self._bandwidths else 0.0

    def window_for(self, gain: float) -> int:
        """``gain`` times the bandwidth-delay product, octets; the initial window before there is a model."""
        if self.min_rtt < 0.0:
            return self._initial
        return int(gain * self.bandwidth * self.min_rtt)

    # --- acknowledgments ---------------------------------------------------------------------------------

    def on_delivered(self, sample: RateSample) -> None:
        self._update_round(sample)
        self._update_bandwidth(sample)
        self._update_cycle(sample)
        if not self._full:
            self._check_full(sample)
        self._check_drain(sample)
        self._update_min_rtt(sample)
        self._set_rate()
        self._set_window(sample)

    def _update_round(self, sample: RateSample) -> None:
        self._delivered = sample.delivered
        self._round_start = sample.prior_delivered >= self._next_round
        if self._round_start:
            self._next_round = sample.delivered
            self._round += 1
            self._held_back = self._conserving
            self._conserving = False

    def _update_bandwidth(self, sample: RateSample) -> None:
        """A maximum over ten rounds: what is smaller and older than another can never be it."""
        rate = sample.rate
        if rate < 0.0 or (sample.app_limited and rate < self.bandwidth):
            return
        rates = self._bandwidths
        while rates and rates[-1][1] <= rate:
            rates.pop()
        rates.append((self._round, rate))
        while rates[0][0] <= self._round - _BW_ROUNDS:
            rates.popleft()

    def _update_cycle(self, sample: RateSample) -> None:
        """PROBE_BW: more for a round trip, less until that queue is gone, then six as the estimate has it."""
        if self.mode != PROBE_BW:
            return
        gain = self.pacing_gain
        elapsed = sample.now - self._cycle_at > self.min_rtt
        before = sample.in_flight + sample.acked
        if gain > 1.0:
            over = elapsed and (sample.recovering or before >= self._target(gain, sample.smss))
        elif gain < 1.0:
            over = elapsed or before <= self._target(1.0, sample.smss)
        else:
            over = elapsed
        if over:
            self._cycle_index = (self._cycle_index + 1) % len(_CYCLE)
            self._cycle_at = sample.now
            self.pacing_gain = _CYCLE[self._cycle_index]

    def _check_full(self, sample: RateSample) -> None:
        """The pipe is full when three rounds brought less than a quarter more each, or one that lost much."""
        self._losses += sample.lost > self._lost
        if not self._round_start:
            return
        overflows = self._overflows(sample)
        if sample.app_limited or self._held_back:
            # Nor can the bandwidth grow where no more is sent than is delivered.
            return
        bandwidth = self.bandwidth
        if bandwidth >= self._full_bandwidth * _FULL_GROWTH:
            self._full_bandwidth = bandwidth
            self._full_count = 0
            return
        self._full_count += 1
        self._full = overflows or self._full_count >= _FULL_ROUNDS

    def _overflows(self, sample: RateSample) -> bool:
        """Whether the round that ends was spent in recovery and lost more than what random losses make likely."""
        lost = sample.lost - self._round_lost
        delivered = sample.delivered - self._round_delivered
        much = self._losses >= _FULL_LOSSES and lost > _LOSS_THRESHOLD * (lost + delivered)
        whole = self._round_recovering and sample.recovering
        self._losses = 0
        self._round_lost = sample.lost
        self._round_delivered = sample.delivered
        self._round_recovering = sample.recovering
        return much and whole

    def _check_drain(self, sample: RateSample) -> None:
        if self.mode == STARTUP and self._full:
            self.mode = DRAIN
            self.pacing_gain = _DRAIN_GAIN
            self.cwnd_gain = _HIGH_GAIN
        if self.mode == DRAIN and sample.in_flight <= self._target(1.0, sample.smss):
            self._probe_bandwidth(sample.now)

    def _probe_bandwidth(self, now: float) -> None:
        """Begin in any phase but the draining one, so that flows do not probe together."""
        self.mode = PROBE_BW
        self.cwnd_gain = _CWND_GAIN
        self._cycle_index = (self._seed + self._round) % (len(_CYCLE) - 1)
        if self._cycle_index:
            self._cycle_index += 1
        self._cycle_at = now
        self.pacing_gain = _CYCLE[self._cycle_index]

    def _update_min_rtt(self, sample: RateSample) -> None:
        """The shortest round trip of ten seconds; when it has grown old, PROBE_RTT empties the queue to see it."""
        now = sample.now
        expired = self.min_rtt >= 0.0 and now > self._min_rtt_at + _MIN_RTT_LIFE
        if sample.rtt >= 0.0 and (self.min_rtt < 0.0 or sample.rtt <= self.min_rtt or expired):
            self.min_rtt = sample.rtt
            self._min_rtt_at = now
        if expired and not self._idle and self.mode != PROBE_RTT:
            self.mode = PROBE_RTT
            self.pacing_gain = self.cwnd_gain = 1.0
            self._save()
            self._done_at = -1.0
        self._idle = False
        if self.mode != PROBE_RTT:
            return
        if self._done_at < 0.0:
            if sample.in_flight <= _LEAST_SEGMENTS * sample.smss:
                self._done_at = now + _PROBE_RTT_TIME
                self._done_round = False
                self._next_round = sample.delivered
            return
        self._done_round = self._done_round or self._round_start
        if self._done_round and now >= self._done_at:
            self._min_rtt_at = now
            self.cwnd = max(self.cwnd, self._prior)
            if self._full:
                self._probe_bandwidth(now)
            else:
                self.mode = STARTUP
                self.pacing_gain = self.cwnd_gain = _HIGH_GAIN

    # --- what follows ------------------------------------------------------------------------------------

    def _set_rate(self) -> None:
        rate = self.pacing_gain * self.bandwidth * _MARGIN
        if rate > 0.0 and (self._full or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _target(self, gain: float, smss: int) -> int:
        """A window for ``gain``, with room for what is sent, received and acknowledged together."""
        quantum = max(int(self.pacing_rate * _QUANTUM), 2 * smss)
        return self.window_for(gain) + 3 * quantum

    def _set_window(self, sample: RateSample) -> None:
        smss = sample.smss
        acked = sample.acked
        # What was lost has left the path: it makes no room for anything else.
        self.cwnd = max(self.cwnd - (sample.lost - self._lost), smss)
        self._lost = sample.lost
        if self._recovering and not sample.recovering:
            self._recovering = self._conserving = False
            self._left = self._round
            self.cwnd = max(self.cwnd, self._prior)
        if self._conserving:
            # The first round of a recovery: what is delivered may be sent again, no more.
            self.cwnd = max(self.cwnd, sample.in_flight + acked)
        else:
            target = self._target(self.cwnd_gain, smss)
            if self._full:
                self.cwnd = min(self.cwnd + acked, target)
            elif self.cwnd < target or sample.delivered < self._initial:
                self.cwnd += acked
        self.cwnd = max(self.cwnd, _LEAST_SEGMENTS * smss)
        if self.mode == PROBE_RTT:
            self.cwnd = min(self.cwnd, _LEAST_SEGMENTS * smss)

    def _save(self) -> None:
        """Keep the window for later, once for recovery and PROBE_RTT together."""
        if self._recovering or self.mode == PROBE_RTT:
            self._prior = max(self._prior, self.cwnd)
        else:
            self._prior = self.cwnd

    # --- events ------------------------------------------------------------------------------------------

    def on_ack(self, acked: int, smss: int, now: float, srtt: float) -> None:
        """Nothing: the window follows delivery."""

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        """A loss is no congestion in this model; for a round no more is sent than is delivered.

        Where losses never cease, one recovery follows the other. Linux sees them as a single one, and so must this
        model: with every other round held back it would never find the bandwidth.
        """
        self._save()
        follows = self._recovering
        self._recovering = True
        if follows or self._round <= self._left + 1:
            return
        self._conserving = True
        self._next_round = self._delivered
        # What is still under way is added by the sample of this acknowledgment.
        self.cwnd = smss

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        """Nothing is known to be under way: begin with one segment, and look anew whether the pipe is full."""
        if first:
            self._save()
        self._recovering = True
        self._conserving = False
        self._full_bandwidth = 0.0
        self.cwnd = smss

    def on_spurious(self) -> None:
        self._recovering = self._conserving = False
        self.cwnd = max(self.cwnd, self._prior)

    def on_idle(self, restart_window: int) -> None:
        """The model keeps what it knows; to have been idle is no reason to measure the round trip anew."""
        self._idle = True
