"""On path: what the opening offers is taken away, so that less is agreed on than both ends could."""

from __future__ import annotations

from typing import Final

from edo.codepoints import MSS, POINTS
from stack.box import Direction, Emission

from .attacker import Attacker, of_opening
from .registry import Target, attack
from .segments import NOP, Parts

_KEPT: Final = (MSS, NOP[0])


class Downgrade(Attacker):
    """Takes options ``kinds`` (None: all but MSS) out of segments with SYN, and drops what goes beside them."""

    __slots__ = ("_kinds",)

    def __init__(self, target: Target, kinds: tuple[int, ...] | None) -> None:
        super().__init__(target)
        self._kinds = kinds

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, poorer where it is one of the opening."""
        if of_opening(parts):
            self.acts += 1
            if parts.out_of_band:
                return
            # What stood behind Data Offset goes with the option that told where it ends.
            parts.inside = [one for one in parts.inside if self._keeps(one[0])]
            if self._kinds is None:
                parts.behind = []
            packet = parts.packet()
        out.append((now, direction, packet))

    def _keeps(self, kind: int) -> bool:
        return kind in _KEPT if self._kinds is None else kind not in self._kinds


@attack("downgrade", fields=("segment",), phases=("syn",))
def downgrade(target: Target) -> Downgrade:
    """Every option but MSS is taken out of SYN and SYN-ACK, and out-of-band segments are dropped."""
    return Downgrade(target, None)


@attack("downgrade-eno", fields=("eno",), phases=("syn",))
def eno(target: Target) -> Downgrade:
    """TCP-ENO is taken out of SYN and SYN-ACK, and out-of-band segments are dropped (RFC 8547 §8.2)."""
    return Downgrade(target, (POINTS.eno,))


@attack("downgrade-ao", fields=("ao",), phases=("syn",))
def ao(target: Target) -> Downgrade:
    """Signatures are taken out of SYN and SYN-ACK."""
    return Downgrade(target, (POINTS.ao, POINTS.md5))
