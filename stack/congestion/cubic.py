"""CUBIC (RFC 9438). Windows are kept in octets and reckoned in segments, as the document does."""

from __future__ import annotations

from typing import Final

from .base import CongestionControl

_C: Final = 0.4
_BETA: Final = 0.7
_ALPHA: Final = 3 * (1 - _BETA) / (1 + _BETA)


class Cubic(CongestionControl):
    """Growth by the time since the last congestion event, never slower than Reno's.

    ``_epoch`` is when the current stage of congestion avoidance began, seconds, -1 before it has; it moves on by
    the times in which the window could not grow (RFC 9438 §4.2).
    """

    __slots__ = ("_after_rto", "_epoch", "_k", "_prior", "_unused", "_w_est", "_w_max")

    beta = _BETA

    def __init__(self, initial_window: int) -> None:
        super().__init__(initial_window)
        self._epoch = -1.0
        self._unused = -1.0
        self._k = 0.0
        self._w_max = 0.0
        self._w_est = 0.0
        self._prior = 0.0
        self._after_rto = False

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        cwnd = self.cwnd / smss
        segments = acked / smss
        if self._epoch < 0.0:
            self._begin(cwnd, now)
        elif self._unused >= 0.0:
            self._epoch += now - self._unused
        self._unused = -1.0
        t = now - self._epoch
        # §4.3: as fast as Reno once the window of before the loss is reached.
        alpha = 1.0 if self._w_est >= self._prior else _ALPHA
        self._w_est += alpha * segments / cwnd
        w_max = self._w_max
        k = self._k
        if _C * (t - k) ** 3 + w_max < self._w_est:
            self.cwnd = max(self.cwnd, int(self._w_est * smss))
            return
        target = min(max(_C * (t + srtt - k) ** 3 + w_max, cwnd), 1.5 * cwnd)
        self.cwnd += int((target - cwnd) / cwnd * segments * smss)

    def _begin(self, cwnd: float, now: float) -> None:
        """A stage of congestion avoidance begins (RFC 9438 §4.2; §4.8 after a timeout, §4.10 after slow start)."""
        self._epoch = now
        self._w_est = cwnd
        if self._after_rto or self._w_max <= cwnd:
            self._w_max = cwnd
            self._k = 0.0
        else:
            self._k = ((self._w_max - cwnd) / _C) ** (1 / 3)
        self._after_rto = False

    def on_unused(self, now: float) -> None:
        if self._unused < 0.0:
            self._unused = now

    def _reduce(self, smss: int) -> None:
        """§4.7, fast convergence: give room to newer flows when the window falls short of the last maximum."""
        cwnd = self.cwnd / smss
        self._prior = cwnd
        self._w_max = cwnd * (1 + _BETA) / 2 if cwnd < self._w_max else cwnd
        self._epoch = -1.0
        self._unused = -1.0

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        self._reduce(smss)
        super().on_loss(flight, smss, now)

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        if first:
            self._reduce(smss)
        self._after_rto = True
        super().on_rto(flight, smss, now, first=first)
