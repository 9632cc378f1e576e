"""On path: octets are put into the stream, and every later number is moved so that nobody notices."""

from __future__ import annotations

from typing import Final

from edo.codepoints import SACK
from stack.box import Direction, Emission
from stack.run import ACK

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts

_INSERTED: Final = b"; and pay the bearer"
_WHOLE: Final = 1 << 32


class Insert(Attacker):
    """Puts octets behind those of the client's third segment, as an application gateway changes addresses in text.

    Later numbers of the client go up, acknowledgments of the server down. SACK blocks are taken out.
    """

    __slots__ = ("_at",)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._at: int | None = None

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment with its numbers moved."""
        if not self.aimed_at(parts):
            out.append((now, direction, packet))
            return
        if self._at is None and direction is Direction.FORWARD and self.data[direction] == 3 and parts.payload:
            self._at = parts.following
        if self._at is not None:
            if direction is Direction.FORWARD:
                if parts.payload and parts.following == self._at:
                    parts.payload += _INSERTED
                elif (parts.seq - self._at) % _WHOLE < 1 << 31:
                    parts.seq += len(_INSERTED)
            elif parts.flags & ACK and (parts.ack - self._at - len(_INSERTED)) % _WHOLE < 1 << 31:
                parts.ack -= len(_INSERTED)
            parts.inside = [one for one in parts.inside if one[0] != SACK]
            self.acts += 1
            packet = parts.packet()
        out.append((now, direction, packet))


@attack("insert", fields=("payload",))
def insert(target: Target) -> Insert:
    """Octets are put into the client's stream, and all later numbers are made to fit."""
    return Insert(target)
