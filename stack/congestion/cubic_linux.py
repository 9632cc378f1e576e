"""CUBIC as Linux has it: counted in whole segments, with the first HyStart (Ha and Rhee 2011) instead of HyStart++.

It differs from RFC 9438 in what the document leaves open and in what it has changed since: the window grows by one
segment for a count of acknowledged ones that is reckoned at most 32 times a second; after a timeout nothing is
known of an earlier maximum, and then it grows by one segment for 20 at the slowest.
"""

from __future__ import annotations

import math
from typing import Final

from .base import CongestionControl

_C: Final = 410 / 1024
_BETA: Final = 717 / 1024
_FRIENDLY: Final = 15
_INTERVAL: Final = 1 / 32
# The count where the maximum is not known, and the least.
_SLOWEST: Final = 20
_FASTEST: Final = 2
# HyStart: from which window on, how many samples of a round count, and the bounds of the delay that ends slow
# start; acknowledgments closer than this are of one train, seconds.
_LOW_WINDOW: Final = 16
_SAMPLES: Final = 8
_LEAST_DELAY: Final = 0.004
_MOST_DELAY: Final = 0.016
_TRAIN: Final = 0.002
_TRAIN_DELAY: Final = 0.001


class CubicLinux(CongestionControl):
    """``_max`` is the window before the last reduction and ``_origin`` the plateau, in segments.

    ``_count`` is how many acknowledged segments let the window grow by one, ``_acked`` how many of them there were,
    ``_epoch`` when the present stage began, seconds, -1 before it has. What HyStart knows of a round trip begins
    with ``_round``.
    """

    __slots__ = (
        "_acked",
        "_count",
        "_delay_min",
        "_epoch",
        "_found",
        "_friendly",
        "_friendly_acked",
        "_k",
        "_last_at",
        "_last_window",
        "_max",
        "_origin",
        "_round_began",
        "_round_end",
        "_round_heard",
        "_round_least",
        "_round_samples",
        "_sample",
        "_smss",
    )

    beta = _BETA

    def __init__(self, initial_window: int) -> None:
        super().__init__(initial_window)
        self.wants_rtt = True
        self._acked = 0
        self._smss = 0
        self._round_end = -1
        self._round_began = self._round_heard = 0.0
        self._round_least = math.inf
        self._round_samples = 0
        self._sample: tuple[float, int, int] | None = None
        self._forget()

    def _forget(self) -> None:
        """As at the beginning: nothing is known."""
        self._count = self._max = self._origin = self._last_window = 0
        self._friendly = self._friendly_acked = 0
        self._k = 0.0
        self._last_at = -1.0
        self._epoch = -1.0
        self._delay_min = math.inf
        self._found = False

    # --- growth ----------------------------------------------------------------------------------------------

    def on_ack(self, acked: int, smss: int, now: float, srtt: float) -> None:
        self._smss = smss
        self._observe(now)
        segments = -(-acked // smss)
        window = self.cwnd // smss
        threshold = self.ssthresh // smss
        if window < threshold:
            taken = min(segments, threshold - window)
            self.cwnd += taken * smss
            segments -= taken
            window += taken
            if not segments:
                return
        self._reckon(window, segments, now)
        self._grow(smss, segments)

    def _grow(self, smss: int, segments: int) -> None:
        """One segment for ``_count`` that were acknowledged."""
        if self._acked >= self._count:
            self._acked = 0
            self.cwnd += smss
        self._acked += segments
        if self._acked >= self._count:
            more = self._acked // self._count
            self._acked -= more * self._count
            self.cwnd += more * smss

    def _reckon(self, window: int, segments: int, now: float) -> None:
        """The count: by the cubic function, or sooner where Reno would have grown more."""
        self._friendly_acked += segments
        if self._last_window == window and self._last_at >= 0.0 and now - self._last_at <= _INTERVAL:
            return
        if self._epoch < 0.0 or now != self._last_at:
            self._last_window = window
            self._last_at = now
            if self._epoch < 0.0:
                self._epoch = now
                self._friendly_acked = segments
                self._friendly = window
                self._origin = max(self._max, window)
                self._k = ((self._origin - window) / _C) ** (1 / 3)
            delay = self._delay_min if self._delay_min != math.inf else 0.0
            distance = now - self._epoch + delay - self._k
            growth = int(_C * abs(distance) ** 3)
            target = self._origin + growth if distance >= 0.0 else self._origin - growth
            self._count = window // (target - window) if target > window else 100 * window
            if not self._max:
                self._count = min(self._count, _SLOWEST)
        step = max(window * _FRIENDLY >> 3, 1)
        if self._friendly_acked > step:
            steps = (self._friendly_acked - 1) // step
            self._friendly_acked -= steps * step
            self._friendly += steps
        if self._friendly > window:
            self._count = min(self._count, window // (self._friendly - window))
        self._count = max(self._count, _FASTEST)

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        self.on_ack(acked, smss, now, srtt)

    # --- HyStart ---------------------------------------------------------------------------------------------

    def on_round_trip(self, rtt: float, una: int, nxt: int) -> None:
        self._sample = (rtt, una, nxt)

    def on_unused(self, now: float) -> None:
        self._observe(now)

    def _observe(self, now: float) -> None:
        """Take the round trip that the acknowledgment in hand measured."""
        if self._sample is None:
            return
        rtt, una, nxt = self._sample
        self._sample = None
        if self._epoch >= 0.0 and now - self._epoch < 1.0:
            # Right after a reduction round trips say little.
            return
        self._delay_min = min(self._delay_min, max(rtt, 1e-6))
        if self._found or self.cwnd >= self.ssthresh:
            return
        if una > self._round_end:
            self._round_began = self._round_heard = now
            self._round_end = nxt
            self._round_least = math.inf
            self._round_samples = 0
        if self.cwnd < _LOW_WINDOW * self._smss:
            return
        if now - self._round_heard <= _TRAIN:
            self._round_heard = now
            self._found = now - self._round_began > (self._delay_min + _TRAIN_DELAY) / 2
        self._round_least = min(self._round_least, rtt)
        if self._round_samples < _SAMPLES:
            self._round_samples += 1
        elif self._round_least > self._delay_min + min(max(self._delay_min / 8, _LEAST_DELAY), _MOST_DELAY):
            self._found = True
        if self._found:
            self.ssthresh = self.cwnd

    # --- reductions ------------------------------------------------------------------------------------------

    def _reduce(self, smss: int) -> None:
        super()._reduce(smss)
        window = self.cwnd // smss
        self._epoch = -1.0
        self._max = int(window * (1 + _BETA) / 2) if window < self._max else window

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        super().on_rto(flight, smss, now, first=first)
        self._forget()

    def on_idle(self, restart_window: int) -> None:
        self._epoch = -1.0
        super().on_idle(restart_window)
