"""Where something ends in the stream: writes that were pushed, or records."""

from __future__ import annotations

from bisect import bisect_right


class Ends:
    """Stream numbers where something ends that is not acknowledged yet, in order: what was pushed, or records."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: list[int] = []

    def mark(self, end: int) -> None:
        """Something ends before ``end``, which no earlier mark is beyond."""
        ends = self._ends
        if not ends or ends[-1] < end:
            ends.append(end)

    def within(self, start: int, end: int) -> bool:
        """Whether a segment with the octets [start, end) contains an end."""
        return bisect_right(self._ends, start) < bisect_right(self._ends, end)

    def first(self, start: int, end: int) -> int:
        """The first end within (start, end], ``end`` if there is none."""
        ends = self._ends
        place = bisect_right(ends, start)
        return min(ends[place], end) if place < len(ends) else end

    def last(self, start: int, end: int) -> int:
        """The last end within (start, end], ``start`` if there is none."""
        place = bisect_right(self._ends, end)
        return max(self._ends[place - 1], start) if place else start

    def release(self, una: int) -> None:
        """Everything before ``una`` is acknowledged."""
        ends = self._ends
        if ends and ends[0] <= una:
            del ends[: bisect_right(ends, una)]
