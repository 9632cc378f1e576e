"""Even: every segment has its own moment, for paths whose queues are short."""

from __future__ import annotations

from typing import Final

from .base import Pacer

_UNLIMITED: Final = 1 << 62


class Even(Pacer):
    """One segment at a time, as far apart as the rate says; a time that was missed is not made up for."""

    __slots__ = ()

    def open(self, now: float, smss: int) -> bool:
        if now < self.next_at:
            self.credit = 0
            return False
        self.credit = smss if self.rate > 0.0 else _UNLIMITED
        return True

    def spend(self, octets: int, now: float) -> None:
        self.credit -= octets
        if self.rate > 0.0:
            self.next_at = max(self.next_at, now) + octets / self.rate
