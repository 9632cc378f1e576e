"""The path that changes in mid-connection, and the one that is two paths."""

from __future__ import annotations

from random import Random
from typing import Final

from stack.batch import Octets
from stack.box import BoxChain, Direction, Emission

from .base import Flows, at_least, one_of
from .registry import Boxes, box
from .tcp import read

_BY: Final = ("turn", "chance")
_CLEAN: Final = Boxes("")
_STRIP: Final = Boxes("strip")


class _Ways:
    """Two chains of boxes, one of which each packet takes."""

    def __init__(self, first: BoxChain, second: BoxChain) -> None:
        self.counts: dict[str, int] = {"first": 0, "second": 0}
        self._chains = (first, second)

    @property
    def next_deadline(self) -> float | None:
        """When ``process`` must be called even without packets (seconds), None for never."""
        return min((one.next_deadline for one in self._chains if one.next_deadline is not None), default=None)

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let each packet take its way; runs of one way go together."""
        out: list[Emission] = []
        for chain in self._chains:
            if (deadline := chain.next_deadline) is not None and deadline <= now:
                out += chain.process([], direction, now)
        run: list[Octets] = []
        taken = 0
        for packet in packets:
            way = self.way(packet, direction, now)
            if run and way != taken:
                out += self._chains[taken].process(run, direction, now)
                run = []
            taken = way
            run.append(packet)
            self.counts["second" if way else "first"] += 1
        if run:
            out += self._chains[taken].process(run, direction, now)
        return out

    def way(self, packet: Octets, direction: Direction, now: float) -> int:
        """Which way a packet takes, 0 or 1."""
        raise NotImplementedError


@box("change", "is a clean path at first, and another after some segments of a connection")
class Change(_Ways):
    """``after``: so many segments, both ways; ``to``: the boxes of the new path; ``before``: those of the old."""

    def __init__(self, random: Random, *, after: int = 20, to: Boxes = _STRIP, before: Boxes = _CLEAN) -> None:
        super().__init__(before.made(random), to.made(random))
        at_least("after", after, 0)
        self._after = after
        self._seen: Flows[list[int]] = Flows(lambda: [0])

    def way(self, packet: Octets, direction: Direction, now: float) -> int:
        """The new path once the connection has had its segments."""
        tcp = read(packet)
        if tcp is None:
            return 0
        seen = self._seen.of(tcp.flow(direction))
        seen[0] += 1
        return int(seen[0] > self._after)


@box("balance", "sends packets by two paths, in turn or by chance")
class Balance(_Ways):
    """``first`` and ``second``: the boxes on each; ``by``: turn or chance. None sees the other path's packets."""

    def __init__(self, random: Random, *, first: Boxes = _CLEAN, second: Boxes = _STRIP, by: str = "turn") -> None:
        super().__init__(first.made(random), second.made(random))
        self._random = random if one_of("by", by, _BY) == "chance" else None
        self._turn = [1, 1]

    def way(self, packet: Octets, direction: Direction, now: float) -> int:
        """The other than last time in this direction, or any."""
        if self._random is not None:
            return self._random.getrandbits(1)
        self._turn[direction] ^= 1
        return self._turn[direction]
