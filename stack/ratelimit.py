"""A token bucket for answers that strangers can draw: resets, ICMP, refusals (RFC 5961 §7, RFC 4443 §2.4 f)."""

from __future__ import annotations


class RateLimit:
    """Allows ``rate`` events a second on average and ``burst`` at once; time in seconds is passed in."""

    __slots__ = ("_burst", "_rate", "_then", "_tokens")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._then = 0.0

    def allow(self, now: float) -> bool:
        """Whether one more event may happen now."""
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
