"""On path: who only listens."""

from __future__ import annotations

from stack.box import Direction, Emission

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts

_PIECE = 16  # octets that nobody finds by chance


class Read(Attacker):
    """Changes nothing; ``acts`` counts the segments that he read, ``found`` those with what he is after."""

    __slots__ = ("_pieces", "found")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.found = 0
        secret = target.secret
        self._pieces = [secret[at : at + _PIECE] for at in range(0, len(secret) - _PIECE, 1000)]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment."""
        self.acts += bool(parts.payload)
        self.found += any(piece in parts.payload for piece in self._pieces)
        out.append((now, direction, packet))


@attack("read", fields=("payload",))
def read(target: Target) -> Read:
    """Nothing is changed: what goes by is searched for what the client sends."""
    return Read(target)
