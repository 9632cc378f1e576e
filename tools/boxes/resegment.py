"""Boxes that cut segments or join them, with what becomes of the options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stack.batch import Octets
from stack.box import Direction, Emission
from stack.simulator.resegment import Split

from .base import SegmentBox, at_least, one_of
from .registry import box
from .tcp import ACK, FIN, PSH, Flow, Tcp

_LEFT: Final = ("first", "last", "none")
_PLAIN: Final = ACK | PSH | FIN


@box("split", "cuts segments with more octets behind Data Offset into several")
def split(*, most: int = 512, copy: bool = True) -> Split:
    """``most``: octets of each part; ``copy``: every part has the options, or the first alone."""
    return Split(most, copy=copy)


class _Held:
    """A segment that waits for its neighbour until ``deadline``."""

    __slots__ = ("deadline", "tcp")

    def __init__(self, tcp: Tcp, deadline: float) -> None:
        self.tcp = tcp
        self.deadline = deadline


@box("merge", "joins neighbouring segments that come soon after each other")
class Merge(SegmentBox):
    """``most``: octets of payload at most; ``wait``: how long a segment waits for the next, seconds; ``options``:
    those of the first, of the last, or none are left. The newer acknowledgment and window are kept.
    """

    def __init__(self, *, most: int = 16_000, wait: float = 0.002, options: str = "first") -> None:
        super().__init__()
        at_least("most", most, 1)
        at_least("wait", wait, 0.0)
        self._most = min(most, 60_000)
        self._wait = wait
        self._options = one_of("options", options, _LEFT)
        self._held: dict[tuple[Flow, Direction], _Held] = {}
        self.next_deadline: float | None = None

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let out what has waited long enough, and take in what comes."""
        out: list[Emission] = []
        for key, held in list(self._held.items()):
            if held.deadline <= now:
                self._release(key, now, out)
        out += super().process(packets, direction, now)
        self.next_deadline = min((held.deadline for held in self._held.values()), default=None)
        return out

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Join the segment to the one that waits, or let that out and have this one wait."""
        key = (tcp.flow(direction), direction)
        held = self._held.get(key)
        joins = tcp.sound and not tcp.flags & ~_PLAIN and tcp.payload_octets > 0
        if held is not None and joins and self._neighbours(held.tcp, tcp):
            held.tcp = self._joined(held.tcp, tcp)
            self.counts["merged"] += 1
        else:
            self._release(key, now, out)
            if not joins or tcp.payload_octets >= self._most:
                self._let_out(tcp, direction, now, out)
                return
            self._held[key] = held = _Held(tcp, now + self._wait)
        if held.tcp.flags & FIN:
            self._release(key, now, out)

    def parts(self, tcp: Tcp, direction: Direction) -> Iterable[Octets]:
        """What leaves instead of a segment."""
        return (tcp.octets(),)

    def _neighbours(self, one: Tcp, other: Tcp) -> bool:
        size = one.payload_octets
        return (one.seq + size) & 0xFFFFFFFF == other.seq and size + other.payload_octets <= self._most

    def _joined(self, one: Tcp, other: Tcp) -> Tcp:
        base, payload = (other, one.payload + other.payload) if self._options == "last" else (one, b"")
        base = base.copy()
        base.payload = payload or one.payload + other.payload
        base.seq = one.seq
        base.ack, base.window = other.ack, other.window
        base.flags = one.flags | other.flags
        if self._options == "none":
            base.set_options([])
        return base

    def _release(self, key: tuple[Flow, Direction], now: float, out: list[Emission]) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._let_out(held.tcp, key[1], now, out)

    def _let_out(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        out += [(now, direction, packet) for packet in self.parts(tcp, direction)]


@box(
    "offload",
    "joins segments as receive offload does, and cuts them anew with the options of the first in each part",
)
class Offload(Merge):
    """``most``: octets of each part; ``wait``: as for ``merge``."""

    def __init__(self, *, most: int = 1200, wait: float = 0.002) -> None:
        super().__init__(wait=wait)
        self._cut = Split(most, copy=True)

    def parts(self, tcp: Tcp, direction: Direction) -> Iterable[Octets]:
        """The segment, cut."""
        out: list[Emission] = []
        before = self._cut.cut
        self._cut.one(tcp.octets(), direction, 0.0, out)
        self.counts["cut"] += self._cut.cut - before
        return [packet for _, _, packet in out]
