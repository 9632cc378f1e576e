"""On path: what one end says of its receiving is made a lie: acknowledgments, windows, SACK blocks."""

from __future__ import annotations

from typing import Final

from edo.codepoints import SACK
from stack.box import Direction, Emission
from stack.run import ACK

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts


class Optimistic(Attacker):
    """Drops a segment with octets of each direction, and tells its sender from then on that all has come.

    True acknowledgments pass: they are old to whoever believes the others, and has forgotten octets that never
    arrived.
    """

    __slots__ = ("_dropped",)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._dropped = [False, False]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, unless it is the one, and the acknowledgment that says it came."""
        drops = not self._dropped[direction] and bool(parts.payload) and self.data[direction] >= 4
        if not drops:
            out.append((now, direction, packet))
        self._dropped[direction] |= drops
        if self._dropped[direction] and parts.payload:
            back = direction.reverse
            out += [(now, back, one) for one in self.forge(back, ACK, ack=self.front[direction])]


@attack("optimistic-ack", fields=("ack",))
def optimistic(target: Target) -> Optimistic:
    """A segment is dropped, and it and all that follows are acknowledged to their sender."""
    return Optimistic(target)


class Windows(Attacker):
    """Sends behind each segment another one that says the same but for its ``window``."""

    __slots__ = ("_window",)

    def __init__(self, target: Target, window: int) -> None:
        super().__init__(target)
        self._window = window

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and what tells of this window."""
        out.append((now, direction, packet))
        if self.aimed_at(parts) and max(self.data) >= 3:
            out += [(now, direction, one) for one in self.forge(direction, ACK, ack=parts.ack, window=self._window)]


@attack("shrink-window", fields=("window",))
def shrink(target: Target) -> Windows:
    """Behind each segment comes one that tells of a window which no segment fits (RFC 9293 §3.8.6)."""
    return Windows(target, 1)


@attack("zero-window", fields=("window",))
def zero(target: Target) -> Windows:
    """Behind each segment comes one that tells of no window."""
    return Windows(target, 0)


_BLOCK: Final = 1448


class Lies(Attacker):
    """Sends SACK blocks for octets that were not there: of all that is under way, and of nothing (RFC 2018 §8)."""

    __slots__ = ("_done",)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._done = [0, 0]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and behind some with octets the lies that go back to their sender."""
        out.append((now, direction, packet))
        back = direction.reverse
        seen = self.last[back]
        if not parts.payload or seen is None or self._done[direction] >= 5 or self.data[direction] < 3:
            return
        self._done[direction] += 1
        front = self.front[direction]
        for left, right in (
            (front - _BLOCK, front),
            (seen.ack + _BLOCK, front),
            (front + _BLOCK, front + 9 * _BLOCK),
        ):
            edges = b"".join((edge % (1 << 32)).to_bytes(4) for edge in (left, right))
            option = bytes((SACK, 10)) + edges
            out += [(now, back, one) for one in self.forge(back, ACK, ack=seen.ack, option=option)]


@attack("sack-lies", fields=("sack",))
def lies(target: Target) -> Lies:
    """SACK blocks tell that what is still under way has come, and of octets that were never sent."""
    return Lies(target)
