"""Pacer: when the next octets of one connection may go."""

from __future__ import annotations

from typing import Final

# Sent together: what the rate gives in this time (seconds), within bounds.
_BURST: Final = 0.001
_LEAST_SEGMENTS: Final = 2
_MOST: Final = 1 << 16
_UNLIMITED: Final = 1 << 62


class Pacer:
    """``rate`` in octets a second, 0 for no limit; ``next_at`` when the next quantum may go, seconds; ``credit``
    how many octets of the present one are left.
    """

    __slots__ = ("_quantum", "credit", "next_at", "rate")

    def __init__(self) -> None:
        self.rate = 0.0
        self.next_at = 0.0
        self.credit = 0
        self._quantum = 0

    def open(self, now: float, smss: int) -> bool:
        """Begin another quantum if it is time (``smss`` octets is a segment); False: not before ``next_at``."""
        if now < self.next_at:
            self.credit = 0
            return False
        if self.rate > 0.0:
            self._quantum = max(min(int(self.rate * _BURST), _MOST), _LEAST_SEGMENTS * smss)
            self.credit = self._quantum
        else:
            self.credit = _UNLIMITED
        return True

    def spend(self, octets: int, now: float) -> None:
        """``octets`` are sent now: the next go when the rate has made up for them.

        Who comes late by no more than a quantum's time loses nothing; what was not used for longer is lost.
        """
        self.credit -= octets
        if self.rate > 0.0:
            start = max(self.next_at, now - self._quantum / self.rate)
            self.next_at = start + octets / self.rate

    def hold(self, until: float) -> None:
        """Nothing goes before ``until``, seconds."""
        self.next_at = max(self.next_at, until)
        self.credit = 0
