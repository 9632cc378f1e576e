"""On path: octets of one segment under the header of another."""

from __future__ import annotations

from stack.box import Direction, Emission

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts


class Splice(Attacker):
    """Gives three segments of each direction the octets of the one before, as many as they had."""

    __slots__ = ("_before", "_left")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._before = [b"", b""]
        self._left = [3, 3]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, with other octets where it is one of those."""
        before, octets = self._before[direction], parts.payload
        if octets and self.aimed_at(parts):
            self._before[direction] = octets
            if self._left[direction] and len(before) >= len(octets):
                self._left[direction] -= 1
                self.acts += 1
                parts.payload = before[: len(octets)]
                packet = parts.packet()
        out.append((now, direction, packet))


@attack("splice", fields=("payload",))
def splice(target: Target) -> Splice:
    """Three segments of each direction carry the octets of the segment before."""
    return Splice(target)
