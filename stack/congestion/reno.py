"""Reno: the congestion avoidance of RFC 5681 §3.1."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from .base import CongestionControl


@mypyc_attr(allow_interpreted_subclasses=True)
class Reno(CongestionControl):
    """One segment per window of acknowledged octets, half of the flight after a loss."""

    __slots__ = ("_acked",)

    def __init__(self, initial_window: int) -> None:
        super().__init__(initial_window)
        self._acked = 0

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        self._acked += acked
        if self._acked >= self.cwnd:
            self._acked -= self.cwnd
            self.cwnd += smss

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        super().on_loss(flight, smss, now)
        self._acked = 0
