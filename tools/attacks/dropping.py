"""On path: segments are dropped, by what they are."""

from __future__ import annotations

from collections.abc import Callable

from stack.box import Direction, Emission
from stack.run import FIN, SYN

from .attacker import Attacker, of_opening
from .registry import Target, attack
from .segments import Parts


class Drop(Attacker):
    """Drops the segments for which ``unwanted(self, parts, direction)``."""

    __slots__ = ("_unwanted",)

    def __init__(self, target: Target, unwanted: Callable[[Attacker, Parts, Direction], bool]) -> None:
        super().__init__(target)
        self._unwanted = unwanted

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment unless it is dropped."""
        if self._unwanted(self, parts, direction):
            self.acts += 1
        else:
            out.append((now, direction, packet))


@attack("drop-first", fields=("segment",), phases=("syn",))
def first(target: Target) -> Drop:
    """The first SYN and the first SYN-ACK, and what goes beside them."""
    seen: set[tuple[Direction, int]] = set()

    def unwanted(_: Attacker, parts: Parts, direction: Direction) -> bool:
        if not of_opening(parts) or (direction, parts.flags) in seen:
            return False
        seen.add((direction, parts.flags))
        return True

    return Drop(target, unwanted)


@attack("drop-beside", fields=("syn-eos",), phases=("syn",))
def beside(target: Target) -> Drop:
    """Every out-of-band segment."""
    return Drop(target, lambda _, parts, direction: parts.out_of_band)


@attack("drop-data", fields=("segment",))
def data(target: Target) -> Drop:
    """Each fifth segment with octets."""
    return Drop(target, lambda one, parts, way: bool(parts.payload) and one.data[way] % 5 == 0)


@attack("drop-acks", fields=("segment",))
def acks(target: Target) -> Drop:
    """Every second segment without octets, SYN or FIN."""
    count = [0]

    def unwanted(_: Attacker, parts: Parts, direction: Direction) -> bool:
        if parts.payload or parts.flags & (SYN | FIN):
            return False
        count[0] += 1
        return count[0] % 2 == 0

    return Drop(target, unwanted)


@attack("drop-all", fields=("segment",))
def everything(target: Target) -> Drop:
    """Everything, from the third segment with octets on."""
    return Drop(target, lambda one, parts, direction: max(one.data) >= 3)
