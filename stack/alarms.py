"""Alarms: one heap for all timers of a stack, re-armed lazily: an alarm may ring early, never late."""

from __future__ import annotations

import heapq

from .ports import Timed


class Alarms:
    """Deadlines in seconds of the stack's clock; what moves a deadline later costs nothing here."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._count = 0

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` may have something to do; None for never."""
        return self._heap[0][0] if self._heap else None

    def arm(self, timed: Timed) -> None:
        """See to it that ``advance`` serves ``timed`` in time."""
        if timed.over:
            return
        deadline = timed.next_deadline
        if deadline is not None and (timed.scheduled is None or deadline < timed.scheduled):
            timed.scheduled = deadline
            self._count += 1
            heapq.heappush(self._heap, (deadline, self._count, timed))

    def advance(self, now: float) -> None:
        """Serve everything that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, timed = heapq.heappop(heap)
            if at != timed.scheduled:
                # An earlier deadline took its place; to arm it again would keep it in the heap for ever.
                continue
            timed.scheduled = None
            if timed.over:
                continue
            deadline = timed.next_deadline
            if deadline is not None and deadline <= now:
                timed.advance(now)
            self.arm(timed)
