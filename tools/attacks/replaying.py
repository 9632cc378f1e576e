"""On path: segments that were seen are sent again: at once, later, in the next connection, or back."""

from __future__ import annotations

from typing import Final

from stack.box import Direction, Emission
from stack.run import ACK, SYN

from .attacker import Attacker
from .registry import PHASES, Target, attack
from .segments import Parts

_LATER: Final = 0.015  # seconds
# Segments of an earlier connection that are played into the next, for each direction.
_MOST: Final = 200


class Replay(Attacker):
    """Each segment of the phase comes twice more, a moment later and a second later."""

    __slots__ = ()

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment and its copies."""
        out.append((now, direction, packet))
        if self.aimed_at(parts):
            self.acts += 2
            out += [(now + _LATER, direction, packet), (now + 1.0, direction, packet)]


@attack("replay", fields=("segment",), phases=PHASES)
def again(target: Target) -> Replay:
    """Each segment comes twice more within its connection."""
    return Replay(target)


class ReplayBefore(Attacker):
    """Keeps what an earlier connection sent, and sends it into the next one between the same ports.

    ``shifted``: with numbers moved to those of the new connection, for who has no MAC to respect.
    """

    __slots__ = ("_kept", "_numbers", "_old", "_played", "_shifted")

    def __init__(self, target: Target, *, shifted: bool) -> None:
        super().__init__(target)
        self._shifted = shifted
        self._kept: list[tuple[Direction, Parts]] = []
        self._numbers: list[int | None] = [None, None]
        self._old: list[int | None] = [None, None]
        self._played = [False, False]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and behind the first ones of the second connection those of the first."""
        out.append((now, direction, packet))
        if parts.flags & SYN and self._numbers[direction] != parts.seq:
            if self._numbers[direction] is not None:
                self._old[direction] = self._numbers[direction]
                self.data[direction] = 0
            self._numbers[direction] = parts.seq
        if self._old[Direction.FORWARD] is None:
            if len(self._kept) < 2 * _MOST:
                self._kept.append((direction, parts))
        elif (
            self._old[Direction.BACKWARD] is not None and not self._played[direction] and self.data[direction] >= 3
        ):
            self._played[direction] = True
            for whose, kept in self._kept:
                if whose is direction:
                    self.acts += 1
                    out.append((now, direction, self._moved(kept, direction).packet()))

    def _moved(self, kept: Parts, direction: Direction) -> Parts:
        moved = kept.copy()
        here, there = self._numbers[direction], self._numbers[direction.reverse]
        old_here, old_there = self._old[direction], self._old[direction.reverse]
        assert here is not None
        assert there is not None
        assert old_here is not None
        assert old_there is not None
        if self._shifted:
            moved.seq += here - old_here
            if moved.flags & ACK:
                moved.ack += there - old_there
            newest = self.last[direction]
            place = None if newest is None else newest.place(8)
            mine = moved.place(8)
            if place is not None and mine is not None:
                # Timestamps of today, which PAWS has nothing against.
                mine[0][mine[1]] = place[0][place[1]]
        return moved


@attack("replay-before", fields=("segment",), stage="twice")
def before(target: Target) -> ReplayBefore:
    """What an earlier connection between the same ports sent comes again in the next, as it was."""
    return ReplayBefore(target, shifted=False)


@attack("replay-moved", fields=("segment",), stage="twice")
def moved(target: Target) -> ReplayBefore:
    """The same with numbers and timestamps moved to those of the new connection."""
    return ReplayBefore(target, shifted=True)


class Reflect(Attacker):
    """Sends each segment of the phase back to its sender as well, addresses and ports exchanged."""

    __slots__ = ()

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment and its reflection."""
        out.append((now, direction, packet))
        if self.aimed_at(parts):
            turned = parts.copy()
            turned.source, turned.destination = parts.destination, parts.source
            turned.source_port, turned.destination_port = parts.destination_port, parts.source_port
            self.acts += 1
            out.append((now, direction.reverse, turned.packet()))


@attack("reflect", fields=("segment",), phases=PHASES)
def reflect(target: Target) -> Reflect:
    """Each segment also comes back to who sent it."""
    return Reflect(target)


class Delay(Attacker):
    """Holds segments of the phase back, three of each direction, for a second."""

    __slots__ = ("_left",)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._left = [3, 3]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, for later where it is one of those."""
        if self.aimed_at(parts) and self._left[direction] and (parts.payload or self.target.phase == "syn"):
            self._left[direction] -= 1
            self.acts += 1
            now += 1.0
        out.append((now, direction, packet))


@attack("hold", fields=("segment",), phases=PHASES)
def hold(target: Target) -> Delay:
    """Three segments of each direction come a second late."""
    return Delay(target)
