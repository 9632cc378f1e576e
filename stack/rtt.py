"""Round-trip time and retransmission timeout (RFC 6298)."""

from __future__ import annotations

import math
from typing import Final

# Granularity of the clock that measures, seconds (G of RFC 6298 §2).
_GRANULARITY: Final = 0.001


class RttEstimator:
    """SRTT, RTTVAR and RTO of one connection, all in seconds; ``srtt`` is 0 before the first measurement.

    ``granularity`` is the least that the RTO lies above SRTT, ``slop`` is added to each RTO but the initial one and
    is not doubled; ``least`` is the shortest round trip that was measured.
    """

    __slots__ = ("_base", "_granularity", "_maximum", "_minimum", "_slop", "least", "rto", "rttvar", "srtt")

    def __init__(
        self,
        initial: float,
        minimum: float,
        maximum: float,
        granularity: float = _GRANULARITY,
        slop: float = 0.0,
    ) -> None:
        self._slop = slop
        self._base = initial
        self._minimum = minimum
        self._maximum = maximum
        self._granularity = granularity
        self.least = math.inf
        self.srtt = 0.0
        self.rttvar = 0.0
        self.rto = min(initial, maximum)

    def sample(self, rtt: float, expected: int = 1) -> None:
        """Take a measurement (seconds, >= 0), one of about ``expected`` in this round trip.

        The gains are divided by that number, so that many samples of one window do not shorten the history
        (RFC 7323 appendix G).
        """
        srtt = self.srtt
        if not rtt >= self.least:
            self.least = rtt
        if srtt == 0.0:
            # Never exactly zero, which says that there was no measurement yet.
            srtt = max(rtt, 1e-9)
            rttvar = rtt / 2
        else:
            rttvar = self.rttvar
            error = rtt - srtt
            rttvar += ((error if error > 0.0 else -error) - rttvar) / (4 * expected)
            srtt += error / (8 * expected)
        self.srtt = srtt
        self.rttvar = rttvar
        # This runs for each acknowledgment: comparisons cost half of what calls of min and max do.
        spread = 4 * rttvar
        rto = srtt + (spread if spread > self._granularity else self._granularity)
        if self._slop:
            self._base = rto
            rto += self._slop
        if rto < self._minimum:
            rto = self._minimum
        elif rto > self._maximum:
            rto = self._maximum
        self.rto = rto

    def adapt(self, rtt: float) -> None:
        """A timeout was spurious: the segment took ``rtt`` seconds after all (RFC 4015 §3.2 step 8)."""
        self.srtt = max(self.srtt, rtt)
        self.rttvar = max(self.rttvar, rtt / 2)
        self._base = self.srtt + max(4 * self.rttvar, self._granularity)
        self.rto = min(max(self._base + self._slop, self._minimum), self._maximum)

    def back_off(self) -> None:
        """Double the timeout (RFC 6298 §5.5); it stays so until the next measurement (Karn's algorithm)."""
        if self._slop:
            self._base *= 2
            self.rto = min(max(self._base + self._slop, self._minimum), self._maximum)
        else:
            self.rto = min(self.rto * 2, self._maximum)

    def syn_was_lost(self) -> None:
        """Data transmission begins after a SYN that timed out: RTO at least 3 s (RFC 6298 §5.7)."""
        self.rto = min(max(self.rto, 3.0), self._maximum)
