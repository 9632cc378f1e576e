"""On path: segments that were seen are sent again: at once, later, in the next connection, or back."""

from __future__ import annotations

from typing import Final

from edo.codepoints import TIMESTAMPS
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import ACK, SYN
from stack.simulator.boxes import EachPacket

from .attacker import Attacker
from .registry import PHASES, Target, attack
from .segments import Parts

_LATER: Final = 0.015  # seconds
# Segments of an earlier connection that are played into the next, for each direction.
_MOST: Final = 200
# Packets with octets, when 2^32 octets are sent. Of so many early ones those behind the first few are kept; behind
# so many none of theirs is sent again.
_LARGE: Final = 2000
_EARLY: Final = 16
_FIRST: Final = 8
_LATE: Final = 10_000
# Numbers that are so close are within the window, octets.
_WITHIN: Final = 1 << 19


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
            place = None if newest is None else newest.place(TIMESTAMPS)
            mine = moved.place(TIMESTAMPS)
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


class AcrossWrap(Attacker):
    """Keeps the client's segments with octets from before its numbers begin anew, and sends them behind that."""

    __slots__ = ("_kept", "_played", "_wrapped")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._kept: list[bytes] = []
        self._wrapped = 0
        self._played = False

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and behind the third one that follows the wrap those from before it."""
        out.append((now, direction, packet))
        if direction is Direction.BACKWARD or not parts.payload:
            return
        if parts.seq >> 31:
            self._kept.append(packet)
        else:
            self._wrapped += 1
        if self._wrapped == 3 and not self._played:
            self._played = True
            self.acts += len(self._kept)
            out += [(now, direction, kept) for kept in self._kept]


@attack("replay-wrap", fields=("seq",), stage="wrap")
def across_wrap(target: Target) -> AcrossWrap:
    """What the client sent before its sequence numbers wrapped comes again behind that."""
    return AcrossWrap(target)


class NextRound(EachPacket):
    """Keeps early segments of the client, and sends them when their numbers are expected again, 2^32 octets later.

    Once as they were, and once with timestamps of the present, which PAWS has nothing against (RFC 7323 §5).
    """

    __slots__ = ("_count", "_kept", "_played", "acts")

    def __init__(self) -> None:
        super().__init__(Direction.FORWARD)
        self.acts = 0
        self._kept: list[Parts] = []
        self._count = 0
        self._played = False

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, of very many, so that few are taken apart; and what is played again before it."""
        if not self._played and len(packet) > _LARGE:
            self._count += 1
            if self._count <= _EARLY:
                parts = Parts.read(packet)
                if parts is not None and self._count > _FIRST:
                    self._kept.append(parts)
            elif self._count > _LATE and (self._kept[0].seq - int.from_bytes(packet[24:28])) % (1 << 32) < _WITHIN:
                self._play(packet, now, out)
        out.append((now, direction, packet))

    def _play(self, packet: Octets, now: float, out: list[Emission]) -> None:
        self._played = True
        newest = Parts.read(packet)
        place = None if newest is None else newest.place(TIMESTAMPS)
        for kept in self._kept:
            copies = [kept.packet()]
            mine = kept.place(TIMESTAMPS)
            if place is not None and mine is not None:
                mine[0][mine[1]] = place[0][place[1]]
                copies.append(kept.packet())
            self.acts += len(copies)
            out += [(now, Direction.FORWARD, copy) for copy in copies]


@attack("replay-round", fields=("seq",), stage="round")
def next_round(target: Target) -> NextRound:
    """Segments come again when 2^32 octets have passed and their numbers are expected anew."""
    return NextRound()
