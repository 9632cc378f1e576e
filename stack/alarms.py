"""Alarms: one heap for all timers of a stack, re-armed lazily: an alarm may ring early, never late.

What is in the heap and for nobody any more stays there until its time, which may be hours away (a keepalive, a
key's life), and with it what it was for. So it is counted, and swept out when it is more than half.
"""

from __future__ import annotations

import heapq
from typing import Final

from .ports import Timed

# Fewer entries than this for nobody are not worth a sweep.
_FEW: Final = 64


class Alarms:
    """Deadlines in seconds of the stack's clock; what moves a deadline later costs nothing here."""

    __slots__ = ("_count", "_heap", "_stale")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._count = 0
        self._stale = 0

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
            if timed.scheduled is not None:
                self._leave()
            timed.scheduled = deadline
            self._count += 1
            heapq.heappush(self._heap, (deadline, self._count, timed))

    def disarm(self, timed: Timed) -> None:
        """``timed`` is over and needs no alarm any more."""
        if timed.scheduled is not None:
            timed.scheduled = None
            self._leave()

    def _leave(self) -> None:
        """One entry more is for nobody."""
        self._stale += 1
        heap = self._heap
        if self._stale > _FEW and 2 * self._stale > len(heap):
            heap[:] = [entry for entry in heap if entry[0] == entry[2].scheduled and not entry[2].over]
            heapq.heapify(heap)
            self._stale = 0

    def advance(self, now: float) -> None:
        """Serve everything that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, timed = heapq.heappop(heap)
            if at != timed.scheduled:
                # An earlier deadline took its place; to arm it again would keep it in the heap for ever.
                self._stale = max(self._stale - 1, 0)
                continue
            timed.scheduled = None
            if timed.over:
                continue
            deadline = timed.next_deadline
            if deadline is not None and deadline <= now:
                timed.advance(now)
            self.arm(timed)
