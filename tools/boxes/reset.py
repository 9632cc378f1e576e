"""The box that ends connections by RST in the name of their ends."""

from __future__ import annotations

from stack.box import Direction, Emission

from .answers import bare
from .base import Flows, SegmentBox, at_least, one_of
from .registry import box
from .tcp import ACK, FIN, RST, SYN, Tcp


class _Seen:
    """Segments of a connection until now, and whether it was reset."""

    __slots__ = ("done", "segments")

    def __init__(self) -> None:
        self.segments = 0
        self.done = False


@box("reset", "sends RSTs in the ends' names, with the numbers that they expect")
class Reset(SegmentBox):
    """``after``: so many segments of a connection; ``to``: whom, client, server or both. Segments go on passing."""

    def __init__(self, *, after: int = 10, to: str = "both") -> None:
        super().__init__()
        at_least("after", after, 0)
        self._after = after
        self._to = one_of("to", to, ("both", "client", "server"))
        self._flows = Flows(_Seen)

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and the resets once it is time."""
        out.append((now, direction, tcp.octets()))
        seen = self._flows.of(tcp.flow(direction))
        if tcp.flags & (SYN | ACK | RST) == SYN:
            seen.segments, seen.done = 0, False
        seen.segments += 1
        if seen.done or seen.segments <= self._after or tcp.flags & (SYN | RST) or not tcp.flags & ACK:
            return
        seen.done = True
        sender, receiver = (tcp.source, tcp.source_port), (tcp.destination, tcp.destination_port)
        length = (tcp.payload_octets if tcp.sound else 0) + bool(tcp.flags & FIN)
        onward = "server" if direction is Direction.FORWARD else "client"
        if self._to in ("both", onward):
            # It follows on the segment that passes now, so its number is the next that is expected.
            out.append((now, direction, bare(sender, receiver, tcp.seq + length, tcp.ack, RST | ACK)))
            self.counts["resets"] += 1
        if self._to != onward:
            out.append((now, direction.reverse, bare(receiver, sender, tcp.ack, tcp.seq + length, RST | ACK)))
            self.counts["resets"] += 1
