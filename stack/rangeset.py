"""Sorted, disjoint, non-adjacent half-open ranges of stream numbers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class RangeSet:
    """A set of integers kept as half-open ranges [start, end), in order, no two touching.

    ``starts`` and ``ends`` are the edges index by index; others may read them.
    """

    __slots__ = ("ends", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts, self.ends, strict=True)

    def touching(self, start: int, end: int) -> tuple[int, int]:
        """Return indexes (i, j) of the ranges that [start, end) overlaps or is adjacent to: i, ..., j - 1."""
        return bisect_left(self.ends, start), bisect_right(self.starts, end)

    def find(self, number: int) -> int:
        """Return the index of the range that contains ``number``, -1 if none does."""
        index = bisect_right(self.starts, number) - 1
        return index if index >= 0 and number < self.ends[index] else -1

    def add(self, start: int, end: int) -> tuple[int, int]:
        """Add [start, end), not empty; return what ``touching`` said before: the ranges that became one."""
        i, j = self.touching(start, end)
        if i < j:
            start = min(start, self.starts[i])
            end = max(end, self.ends[j - 1])
        self.starts[i:j] = [start]
        self.ends[i:j] = [end]
        return i, j

    def pop_first(self) -> tuple[int, int]:
        """Remove and return the lowest range."""
        return self.starts.pop(0), self.ends.pop(0)
