"""On path: urgent data that nobody sent."""

from __future__ import annotations

from stack.box import Direction, Emission
from stack.run import URG

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts


class Urgency(Attacker):
    """Sets URG and a pointer into the middle of the octets in three segments of each direction."""

    __slots__ = ("_left",)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._left = [3, 3]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, urgent where it is one of those."""
        if parts.payload and self.aimed_at(parts) and self._left[direction]:
            self._left[direction] -= 1
            self.acts += 1
            parts.flags |= URG
            parts.urgent = len(parts.payload) // 2
            packet = parts.packet()
        out.append((now, direction, packet))


@attack("urgent", fields=("urgent-pointer",))
def urgent(target: Target) -> Urgency:
    """Half of the octets of three segments of each direction are made urgent (RFC 9293 §3.8.5)."""
    return Urgency(target)
