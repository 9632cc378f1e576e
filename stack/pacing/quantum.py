"""Quantum: a millisecond's worth at a time, so that fast connections need no timer for each segment."""

from __future__ import annotations

from typing import Final

from .base import Pacer

# Sent together: what the rate gives in this time (seconds), within bounds.
_BURST: Final = 0.001
_LEAST_SEGMENTS: Final = 2
_MOST: Final = 1 << 16
# Nor more than this part of the window: on a short path a millisecond is a whole round trip, too much for a queue.
_PARTS: Final = 32
_UNLIMITED: Final = 1 << 62


class Quantum(Pacer):
    """Who comes late by no more than a millisecond, or a quantum's time if that is more, loses nothing: timers of
    operating systems are no finer. What was not used for longer is lost.
    """

    __slots__ = ("_quantum",)

    def __init__(self) -> None:
        super().__init__()
        self._quantum = 0

    def open(self, now: float, smss: int) -> bool:
        if now < self.next_at:
            self.credit = 0
            return False
        if self.rate > 0.0:
            most = min(_MOST, self.window // _PARTS) if self.window else _MOST
            self._quantum = max(min(int(self.rate * _BURST), most), _LEAST_SEGMENTS * smss)
            self.credit = self._quantum
        else:
            self.credit = _UNLIMITED
        return True

    def spend(self, octets: int, now: float) -> None:
        self.credit -= octets
        if self.rate > 0.0:
            start = max(self.next_at, now - max(self._quantum / self.rate, _BURST))
            self.next_at = start + octets / self.rate
