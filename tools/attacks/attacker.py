"""What attackers have in common: which segments they are after, and how they make segments of their own."""

from __future__ import annotations

from typing import Final

from edo.codepoints import POINTS, SACK
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import ACK, SYN
from stack.simulator.boxes import EachPacket

from .registry import Target
from .segments import Parts

# Options of a segment that was seen which no forged one repeats.
_LEFT_OUT: Final = (SACK,)
_SIGNATURES: Final = (POINTS.ao, POINTS.md5)


def of_opening(parts: Parts) -> bool:
    """Whether a segment has SYN or goes beside one."""
    return bool(parts.flags & SYN) or parts.out_of_band


class Attacker(EachPacket):
    """A box on the path that shows each TCP segment to ``meets``; ``acts`` counts what it did.

    ``last`` has the latest segment of each direction behind the opening, ``front`` the number behind the highest
    octet that went by, ``data`` how many segments with octets did.
    """

    __slots__ = ("acts", "data", "front", "last", "target")

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        self.acts = 0
        self.last: list[Parts | None] = [None, None]
        self.front = [0, 0]
        self.data = [0, 0]

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Look at a packet, and append what becomes of it."""
        parts = Parts.read(packet)
        if parts is None:
            out.append((now, direction, packet))
            return
        if not of_opening(parts) and parts.flags & ACK:
            self.last[direction] = parts
            if not self.front[direction] or parts.following - self.front[direction] & 1 << 31 == 0:
                self.front[direction] = parts.following
            self.data[direction] += bool(parts.payload)
        self.meets(parts, bytes(packet), direction, now, out)

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append what becomes of a segment, and what is sent besides; by default it goes on."""
        out.append((now, direction, packet))

    def aimed_at(self, parts: Parts) -> bool:
        """Whether a segment belongs to the phase that is attacked."""
        return of_opening(parts) == (self.target.phase == "syn")

    def forge(
        self,
        direction: Direction,
        flags: int,
        *,
        seq: int | None = None,
        ack: int | None = None,
        payload: bytes = b"",
        window: int | None = None,
        option: bytes = b"",
    ) -> list[bytes]:
        """Segments as the end that sends in ``direction`` would send one, from what was seen; none before that.

        ``seq`` and ``ack`` are what is expected next where they are None. Of a signed connection there are two: one
        with the signature of the segment before, one with none.
        """
        seen = self.last[direction]
        if seen is None:
            return []
        back = self.last[direction.reverse]
        forged = seen.copy()
        forged.flags, forged.payload, forged.behind = flags, payload, []
        forged.seq = self.front[direction] if seq is None else seq
        forged.ack = ack if ack is not None else self.front[direction.reverse] if back is not None else seen.ack
        forged.window = seen.window if window is None else window
        forged.inside = [one for one in seen.inside if one[0] not in _LEFT_OUT]
        if option:
            forged.add(option)
        packets = [forged.packet()]
        bare = [one for one in forged.inside if one[0] not in _SIGNATURES]
        if len(bare) < len(forged.inside):
            forged.inside = bare
            packets.append(forged.packet())
        self.acts += len(packets)
        return packets
