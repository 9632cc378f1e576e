"""The application gateway: it changes text in the stream and so its length, as those for FTP do (RFC 2663 §2.9)."""

from __future__ import annotations

from bisect import insort

from stack.box import Direction

from .base import Flows, Rewriter
from .registry import box
from .tcp import ACK, SYN, Tcp


class _Edits:
    """What was changed in one direction's stream: positions are octets from the ISN, as the sender counts."""

    __slots__ = ("base", "places", "seen", "step")

    def __init__(self) -> None:
        self.base: int | None = None
        self.places: list[int] = []
        self.seen = 0
        self.step = (0, 0)

    def position(self, number: int) -> int:
        """The position of a sequence number as it stands in a header."""
        assert self.base is not None
        return ((number - self.base + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def onward(self, number: int) -> int:
        """The receiver's number for the sender's."""
        if self.base is None:
            return number
        old, new = self.step
        position = self.position(number)
        return number + (new - old) * sum(position >= place + old for place in self.places)

    def back(self, number: int) -> int:
        """The sender's number for the receiver's; within what was put in it is where that begins."""
        if self.base is None:
            return number
        old, new = self.step
        position = self.position(number)
        shift = 0
        for place in self.places:
            begins = place + shift
            if position <= begins:
                break
            if position < begins + new:
                return self.base + place
            shift += new - old
        return number - shift


@box("alg", "replaces a text in the stream by one of another length, and shifts the numbers after it")
class ApplicationGateway(Rewriter):
    """``find`` is replaced by ``replace`` where a segment has all of it."""

    def __init__(self, *, find: str = "10.0.0.1", replace: str = "192.0.2.1") -> None:
        super().__init__()
        if not find:
            raise ValueError("find: there must be a text to look for")
        self._find, self._replace = find.encode(), replace.encode()
        self._flows = Flows(lambda: (_Edits(), _Edits()))

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Replace the text, and have the numbers fit."""
        flow = tcp.flow(direction)
        begins = tcp.flags & (SYN | ACK) == SYN
        edits = self._flows.begin(flow) if begins else self._flows.of(flow)
        own, other = edits[direction], edits[direction.reverse]
        if own.base is None:
            own.base, own.step = tcp.seq, (len(self._find), len(self._replace))
        seq = tcp.seq
        if tcp.sound and tcp.payload_octets:
            self._edit(tcp, own, own.position(seq) + bool(tcp.flags & SYN))
        tcp.seq = own.onward(seq)
        if tcp.flags & ACK:
            tcp.ack = other.back(tcp.ack)
            tcp.shift_sack(other.back)

    def _edit(self, tcp: Tcp, own: _Edits, start: int) -> None:
        payload = tcp.payload
        parts: list[bytes] = []
        done = 0
        while (at := payload.find(self._find, done)) >= 0:
            place = start + at
            if place not in own.places:
                if place < own.seen:
                    break  # it was let through before, in two halves
                insort(own.places, place)
            parts += (payload[done:at], self._replace)
            done = at + len(self._find)
            self.counts["replaced"] += 1
        own.seen = max(own.seen, start + len(payload))
        if parts:
            tcp.payload = b"".join((*parts, payload[done:]))
