"""What a congestion controller is: windows in octets, told of acknowledgments and losses, never of segments."""

from __future__ import annotations

from typing import Final

# How many segments an acknowledgment may open the window by in slow start: receivers acknowledge a whole batch
# at once, and the octets count (the limit L of RFC 9406 §4.2 for senders that do not pace).
SLOW_START_LIMIT: Final = 8
_UNBOUNDED: Final = 1 << 62


class CongestionControl:
    """Slow start of RFC 5681 §3.1 and the interface of every controller.

    ``cwnd`` and ``ssthresh`` are octets. ``smss`` is the segment size in octets, ``flight`` FlightSize in octets,
    times are seconds. A subclass sets ``beta`` and says how the window grows beyond ``ssthresh``.
    """

    __slots__ = ("cwnd", "ssthresh")

    beta = 0.5

    def __init__(self, initial_window: int) -> None:
        self.cwnd = initial_window
        self.ssthresh = _UNBOUNDED

    def on_ack(self, acked: int, smss: int, now: float, srtt: float) -> None:
        """``acked`` octets were newly acknowledged while the window was what limited sending."""
        if self.cwnd < self.ssthresh:
            self.cwnd += min(acked, SLOW_START_LIMIT * smss)
        else:
            self.avoid(acked, smss, now, srtt)

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        """Congestion avoidance."""
        raise NotImplementedError

    def on_unused(self, now: float) -> None:
        """An acknowledgment came while the window was not what limited sending: it does not grow."""

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        """A loss was found by duplicate acknowledgments: one congestion event (RFC 5681 §3.2)."""
        self.ssthresh = max(int(flight * self.beta), 2 * smss)
        self.cwnd = self.ssthresh

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        """The timer expired; ``first`` for the first time since something was acknowledged (RFC 5681 §3.1)."""
        if first:
            self.ssthresh = max(int(flight * self.beta), 2 * smss)
        self.cwnd = smss

    def on_idle(self, restart_window: int) -> None:
        """Nothing was sent for longer than the RTO (RFC 5681 §4.1)."""
        self.cwnd = min(self.cwnd, restart_window)

    def on_recovered(self, window: int) -> None:
        """Fast recovery without SACK ends; ``window`` bounds the burst that may follow (RFC 6582 §3.2)."""
        self.cwnd = min(self.ssthresh, window)
