"""Fuzz input as a row of choices: a generator reads what it asks for octet by octet; beyond the end all is 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads ``data`` from its front; ``left`` octets are still there."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Octets that were not read yet."""
        return max(len(self._data) - self._at, 0)

    def octet(self) -> int:
        """The next octet."""
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def number(self, octets: int) -> int:
        """The next ``octets`` as a number."""
        return int.from_bytes(bytes(self.octet() for _ in range(octets)))

    def below(self, most: int) -> int:
        """A number of 0 to ``most`` - 1 (at most 255)."""
        return self.octet() % most

    def one_of(self, values: Sequence[T]) -> T:
        """One of at most 256 values."""
        return values[self.octet() % len(values)]

    def flag(self) -> bool:
        """Yes or no."""
        return bool(self.octet() & 1)

    def octets(self, most: int) -> bytes:
        """At most ``most`` octets, fewer where they are at their end; an octet before them says how many."""
        count = min(self.octet() % (most + 1) if most < 256 else self.number(2) % (most + 1), self.left)
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        """Everything that is left."""
        start, self._at = self._at, max(len(self._data), self._at)
        return self._data[start:]
