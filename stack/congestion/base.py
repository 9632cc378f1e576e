"""What a congestion controller is: windows in octets, told of acknowledgments and losses, never of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from .delivery_rate import RateSample

# How many segments an acknowledgment may open the window by in slow start: receivers acknowledge a whole batch
# at once, and the octets count (the limit L of RFC 9406 §4.2 for senders that do not pace).
SLOW_START_LIMIT: Final = 8
_UNBOUNDED: Final = 1 << 62


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionControl:
    """Slow start of RFC 5681 §3.1 and the interface of every controller.

    ``cwnd`` and ``ssthresh`` are octets. ``smss`` is the segment size in octets, ``flight`` FlightSize in octets,
    times are seconds. A subclass sets ``beta`` and says how the window grows beyond ``ssthresh``. ``paced`` says
    that the sender spreads what the window allows, at ``pacing_rate`` (octets a second; 0: by the window),
    ``limit`` by how many segments an acknowledgment may open it in slow start, ``wants_rtt`` that
    ``on_round_trip`` is to be called.
    """

    __slots__ = ("_before", "cwnd", "limit", "paced", "pacing_rate", "ssthresh", "wants_rtt")

    beta: ClassVar[float] = 0.5
    # Whether marks of the path change the window; who does not heed them sends nothing ECN-capable.
    heeds_marks: ClassVar[bool] = True
    # Whether it works with pacing only, and whether it is to be told of delivery by ``on_delivered``.
    needs_pacing: ClassVar[bool] = False
    needs_rate: ClassVar[bool] = False

    def __init__(self, initial_window: int) -> None:
        self.cwnd = initial_window
        self.ssthresh = _UNBOUNDED
        self.limit = SLOW_START_LIMIT
        self.paced = False
        self.pacing_rate = 0.0
        self.wants_rtt = False
        self._before: tuple[float, ...] | None = None

    def start(self, srtt: float, seed: int) -> None:
        """The connection is established; ``srtt`` seconds, 0 if not measured; ``seed`` is any number."""

    def on_delivered(self, sample: RateSample) -> None:
        """What an acknowledgment says about delivery, after everything else was told of it."""

    def on_ack(self, acked: int, smss: int, now: float, srtt: float) -> None:
        """``acked`` octets were newly acknowledged while the window was what limited sending."""
        if self.cwnd < self.ssthresh:
            self.slow_start(acked if self.paced else min(acked, self.limit * smss))
        else:
            self.avoid(acked, smss, now, srtt)

    def slow_start(self, acked: int) -> None:
        """Slow start; ``acked`` octets, bounded by the limit for senders that do not pace."""
        self.cwnd += acked

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        """Congestion avoidance."""
        raise NotImplementedError

    def on_round_trip(self, rtt: float, una: int, nxt: int) -> None:
        """An acknowledgment up to ``una`` (SND.UNA) measured ``rtt`` seconds; ``nxt`` is SND.NXT."""

    def on_unused(self, now: float) -> None:
        """An acknowledgment came while the window was not what limited sending: it does not grow."""

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        """A loss was found by duplicate acknowledgments: one congestion event (RFC 5681 §3.2)."""
        self._reduce(smss)
        # After a recovery FlightSize holds much that arrived out of order; the path had no more than the window.
        self.ssthresh = max(int(min(flight, self.cwnd) * self.beta), 2 * smss)
        self.cwnd = self.ssthresh

    def on_ecn(self, flight: int, smss: int, now: float) -> None:
        """The peer echoes a mark of the path: a congestion event without a loss, at most one a round trip.

        The window may fall to one segment, the threshold to two (RFC 3168 §6.1.2, RFC 9438 §4.6).
        """
        before = min(flight, self.cwnd)
        self.on_loss(flight, smss, now)
        self.cwnd = max(int(before * self.beta), smss)
        self._before = None

    def on_rto(self, flight: int, smss: int, now: float, *, first: bool) -> None:
        """The timer expired; ``first`` for the first time since something was acknowledged (RFC 5681 §3.1)."""
        if first:
            self._reduce(smss)
            self.ssthresh = max(int(flight * self.beta), 2 * smss)
        self.cwnd = smss

    def on_spurious(self) -> None:
        """The last loss or timeout was none: take back what it did, once (RFC 9438 §4.9, RFC 4015 §3.2)."""
        before = self._before
        self._before = None
        if before is not None and self.cwnd < before[0]:
            self._restore(before)

    def _reduce(self, smss: int) -> None:
        """A congestion event begins: keep what ``on_spurious`` brings back."""
        self._before = self._state()

    def _state(self) -> tuple[float, ...]:
        """What a reduction changes; the window first."""
        return self.cwnd, self.ssthresh

    def _restore(self, before: tuple[float, ...]) -> None:
        """Put back what ``_state`` returned."""
        self.cwnd = int(before[0])
        self.ssthresh = int(before[1])

    def on_idle(self, restart_window: int) -> None:
        """Nothing was sent for longer than the RTO (RFC 5681 §4.1)."""
        self.cwnd = min(self.cwnd, restart_window)

    def on_recovered(self, window: int) -> None:
        """Fast recovery without SACK ends; ``window`` bounds the burst that may follow (RFC 6582 §3.2)."""
        self.cwnd = min(self.ssthresh, window)
