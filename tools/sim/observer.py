"""What is watched of the senders while a scenario runs: silences against their timers, round trips, samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stack.connection import Connection
from stack.run import Run
from stack.segment import Segment
from stack.trace import FlowName, Trace

# At most one sample of a flow in this time, seconds.
_GRAIN: Final = 0.001


@dataclass(slots=True)
class Sample:
    """One connection's state at ``time`` (seconds): octets, seconds, octets sent and acknowledged so far."""

    time: float
    cwnd: int
    ssthresh: int
    srtt: float
    sent: int
    acknowledged: int


class _Watched:
    """One sender: when it last sent data, when that or an acknowledgment last moved it on, the RTO it had then."""

    __slots__ = ("moved_at", "rto", "samples", "sent_at", "una")

    def __init__(self, now: float) -> None:
        self.sent_at = now
        self.moved_at = now
        self.rto = 0.0
        self.una = 0
        self.samples: list[Sample] = []


class Observer:
    """Watches a stack whose every connection always has data to send, and passes on to ``other`` what it sees.

    ``silence`` is the longest time that one of them sent no data, seconds; ``overdue`` the longest time without
    data sent or acknowledged, as a part of the RTO (RFC 6298, doubled where it was) that the sender had then: no
    more than 1 where no timer is missed. ``delay`` is the mean of the round trips (smoothed) from ``warm`` on,
    ``rto`` the largest timeout. ``samples`` are kept where ``keep`` asks for them.
    """

    def __init__(self, *, keep: bool, warm: float, other: Trace | None = None) -> None:
        self.silence = 0.0
        self.overdue = 0.0
        self.rto = 0.0
        self._keep = keep
        self._warm = warm
        self._other = other
        self._sum = 0.0
        self._count = 0
        self._flows: dict[FlowName, _Watched] = {}

    @property
    def delay(self) -> float:
        """The mean smoothed round trip, seconds."""
        return self._sum / self._count if self._count else 0.0

    @property
    def samples(self) -> list[list[Sample]]:
        """One list for each connection, in the order in which they began."""
        return [watched.samples for watched in self._flows.values()]

    def segment_received(self, flow: FlowName, segment: Segment, now: float) -> None:
        """Not looked at."""
        if self._other is not None:
            self._other.segment_received(flow, segment, now)

    def segment_dropped(self, flow: FlowName, reason: str, now: float) -> None:
        """Not looked at."""
        if self._other is not None:
            self._other.segment_dropped(flow, reason, now)

    def segments_sent(self, flow: FlowName, run: Run, count: int, octets: int, now: float) -> None:
        """Data ends a silence."""
        if self._other is not None:
            self._other.segments_sent(flow, run, count, octets, now)
        watched = self._flows.get(flow)
        if watched is None or not run.length:
            return
        self.silence = max(self.silence, now - watched.sent_at)
        self._moved(watched, now)
        watched.sent_at = now

    def updated(self, flow: FlowName, connection: Connection, now: float) -> None:
        """Look at the connection."""
        if self._other is not None:
            self._other.updated(flow, connection, now)
        rtt = connection.rtt
        if not rtt.srtt:
            return
        watched = self._flows.get(flow)
        if watched is None:
            watched = self._flows[flow] = _Watched(now)
        una = connection.snd_una - connection.iss
        if una != watched.una:
            watched.una = una
            self._moved(watched, now)
        watched.rto = rtt.rto
        self.rto = max(self.rto, rtt.rto)
        if now >= self._warm:
            self._sum += rtt.srtt
            self._count += 1
        samples = watched.samples
        if self._keep and (not samples or now - samples[-1].time >= _GRAIN):
            control = connection.control
            sent = connection.snd_nxt - connection.iss
            samples.append(Sample(now, int(control.cwnd), int(control.ssthresh), rtt.srtt, sent, una))

    def finish(self, now: float) -> None:
        """The run ends at ``now``: a silence that lasts until then counts."""
        for watched in self._flows.values():
            self.silence = max(self.silence, now - watched.sent_at)
            self._moved(watched, now)

    def _moved(self, watched: _Watched, now: float) -> None:
        if watched.rto > 0.0:
            self.overdue = max(self.overdue, (now - watched.moved_at) / watched.rto)
        watched.moved_at = now
