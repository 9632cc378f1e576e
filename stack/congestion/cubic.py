"""CUBIC (RFC 9438). Windows are kept in octets and reckoned in segments, as the document does."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from .base import CongestionControl
from .hystart import HyStart

_C: Final = 0.4
_BETA: Final = 0.7
_ALPHA: Final = 3 * (1 - _BETA) / (1 + _BETA)


@mypyc_attr(allow_interpreted_subclasses=True)
class Cubic(CongestionControl):
    """Growth by the time since the last congestion event, never slower than Reno's; HyStart++ in slow start.

    ``_epoch`` is when the current stage of congestion avoidance began, seconds, -1 before it has; it moves on by
    the times in which the window could not grow (RFC 9438 §4.2).
    """

    __slots__ = ("_after_rto", "_epoch", "_hystart", "_k", "_prior", "_unused", "_w_est", "_w_max")

    beta = _BETA

    def __init__(self, initial_window: int) -> None:
        super().__init__(initial_window)
        self._hystart: HyStart | None = HyStart()
        self.wants_rtt = True
        self._epoch = -1.0
        self._unused = -1.0
        self._k = 0.0
        self._w_max = 0.0
        self._w_est = 0.0
        self._prior = 0.0
        self._after_rto = False

    def slow_start(self, acked: int) -> None:
        self.cwnd += acked if self._hystart is None else acked // self._hystart.divisor

    def on_round_trip(self, rtt: float, una: int, nxt: int) -> None:
        if self._hystart is not None and self._hystart.sample(rtt, una, nxt):
            # RFC 9406 §4.2: congestion avoidance begins with the window as it is (RFC 9438 §4.10).
            self.ssthresh = self.cwnd
            self._leave_slow_start()

    def _leave_slow_start(self) -> None:
        """HyStart++ is for the first slow start only (RFC 9406 §4.2)."""
        self._hystart = None
        self.wants_rtt = False

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        cwnd = self.cwnd / smss
        segments = acked / smss
        if self._epoch < 0.0:
            self._begin(cwnd, now)
        elif self._unused >= 0.0:
            self._epoch += now - self._unused
        self._unused = -1.0
        t = now - self._epoch
        # §4.3: as fast as Reno once the window from before the reduction is reached.
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

    def on_idle(self, restart_window: int) -> None:
        # Slow start follows, up to ssthresh, and then another stage of congestion avoidance (§4.2).
        self._epoch = self._unused = -1.0
        super().on_idle(restart_window)

    def _reduce(self, smss: int) -> None:
        """§4.7, fast convergence: give room to newer flows when the window falls short of the last maximum."""
        super()._reduce(smss)
        self._leave_slow_start()
        cwnd = self.cwnd / smss
        self._prior = cwnd
        self._w_max = cwnd * (1 + _BETA) / 2 if cwnd < self._w_max else cwnd
        self._epoch = -1.0
        self._unused = -1.0

    def _state(self) -> tuple[float, ...]:
        # §4.9.1 names what may be saved and restored.
        return (*super()._state(), self._prior, self._w_max, self._k, self._epoch, self._w_est)

    def _restore(self, before: tuple[float, ...]) -> None:
        super()._restore(before[:2])
        self._prior, self._w_max, self._k, self._epoch, self._w_est = before[2:]
        self._after_rto = False

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        self._after_rto = False
        super().on_loss(flight, smss, now)

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        self._after_rto = True
        super().on_rto(flight, smss, now, first=first)
