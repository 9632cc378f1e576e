"""On path: a field or an option is changed, set or cleared, in a few segments or in each."""

from __future__ import annotations

from typing import Final

from stack.box import Direction, Emission

from .attacker import Attacker
from .fields import FIELDS, How
from .registry import PHASES, Target, attack
from .segments import Parts

# So many segments of each direction are altered where not all are.
_FEW: Final = {"syn": 1, "established": 3}
_ALL: Final = tuple(FIELDS)


def _there(field: str, phase: str) -> bool:
    """Whether segments of a phase may have a field at all."""
    return phase in FIELDS[field].phases


class Alter(Attacker):
    """Alters the target's field in the first segments that have it, of each direction, or in ``every`` one.

    On a connection that stands the first are those behind the first octets.
    """

    __slots__ = ("_every", "_field", "_how", "_left")

    def __init__(self, target: Target, how: How, *, every: bool = False) -> None:
        super().__init__(target)
        self._field = FIELDS[target.field]
        self._how = how
        self._every = every
        self._left = [_FEW[target.phase]] * 2

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, altered where it is one of those."""
        if self.aimed_at(parts) and (self._every or self._due(parts, direction)):
            other = parts.copy()
            if self._field.alter(other, self._how):
                self._left[direction] -= 1
                self.acts += 1
                packet = other.packet()
        out.append((now, direction, packet))

    def _due(self, parts: Parts, direction: Direction) -> bool:
        begun = self.target.phase == "syn" or self.data[direction] > bool(parts.payload)
        return begun and self._left[direction] > 0


@attack("change", fields=_ALL, phases=PHASES, aims=_there)
def change(target: Target) -> Alter:
    """Another value close to the right one, in one SYN or three later segments of each direction."""
    return Alter(target, "change")


@attack("set", fields=_ALL, phases=PHASES)
def set_(target: Target) -> Alter:
    """All ones, or the option added where it is not, in one SYN or three later segments of each direction."""
    return Alter(target, "set")


@attack("clear", fields=_ALL, phases=PHASES, aims=_there)
def clear(target: Target) -> Alter:
    """Zero, or the option taken away, in one SYN or three later segments of each direction."""
    return Alter(target, "clear")


@attack("always", fields=_ALL, phases=PHASES, aims=_there)
def always(target: Target) -> Alter:
    """Another value in each segment, as somebody can who might drop them all."""
    return Alter(target, "change", every=True)


@attack("strip", fields=tuple(name for name, field in FIELDS.items() if field.option), phases=PHASES, aims=_there)
def strip(target: Target) -> Alter:
    """The option is taken out of each segment."""
    return Alter(target, "clear", every=True)
