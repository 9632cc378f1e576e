"""The box that hides weak initial sequence numbers: it adds a number of its own to each direction's."""

from __future__ import annotations

from random import Random

from stack.box import Direction

from .base import Flows, Rewriter
from .registry import box
from .tcp import ACK, Tcp


@box("sequence", "adds a random number to each direction's sequence numbers (ISN randomizer)")
class Sequence(Rewriter):
    """``sack``: SACK blocks are shifted as well, which some such boxes forget."""

    def __init__(self, random: Random, *, sack: bool = True) -> None:
        super().__init__()
        self._sack = sack
        self._flows = Flows(lambda: (random.getrandbits(32), random.getrandbits(32)))

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Shift the sequence number by this direction's number, what acknowledges by the other's, back."""
        added = self._flows.of(tcp.flow(direction))
        tcp.seq += added[direction]
        back = added[direction.reverse]
        if tcp.flags & ACK:
            tcp.ack -= back
        if self._sack:
            tcp.shift_sack(lambda edge: edge - back)
        self.counts["shifted"] += 1
