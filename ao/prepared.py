"""Prepared cryptographic objects are kept of the connections that were used last, and made again for the others.

A keyed MAC takes a kilobyte of the library's memory for each direction, and some microseconds to be made: of ten
thousand connections that are silent none needs it.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

# A MAC and a cipher in each direction of 256 connections.
_MOST: Final = 4 * 256


class Prepared(Protocol):
    """What holds an object that it can make again."""

    def release(self) -> None:
        """Let go of it. Another thread may be in the middle of using it, and goes on."""


class Shelf:
    """At most ``most`` (>= 1) holders have their objects; the one that made it first gives way.

    One that is in use all the time gives way in its turn and stands last again, once in ``most`` times that others
    are made: so nothing has to be noted when an object is used.
    """

    __slots__ = ("_holders", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._holders: deque[Prepared] = deque()

    def put(self, holder: Prepared) -> None:
        """``holder`` has just made its object."""
        holders = self._holders
        holders.append(holder)
        if len(holders) > self._most:
            holders.popleft().release()


SHELF: Final = Shelf(_MOST)
