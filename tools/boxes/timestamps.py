"""The timestamp rewriter, of those who hide how long a host has been up."""

from __future__ import annotations

import struct
from random import Random
from typing import Final

from stack.box import Direction

from .base import Flows, Rewriter
from .registry import box
from .tcp import TIMESTAMPS, Tcp

_TIMES: Final = struct.Struct("!II")


@box("timestamps", "adds a random number to each direction's timestamps")
class Timestamps(Rewriter):
    """``echoes``: TSecr is put back to what the other end had sent, which half such a box forgets."""

    def __init__(self, random: Random, *, echoes: bool = True) -> None:
        super().__init__()
        self._echoes = echoes
        self._flows = Flows(lambda: (random.getrandbits(32), random.getrandbits(32)))

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Shift TSval by this direction's number, TSecr by the other's, back."""
        added = self._flows.of(tcp.flow(direction))
        for kind, at, length in tcp.spans():
            if kind == TIMESTAMPS and length == 10:
                value, echo = _TIMES.unpack_from(tcp.packet, at + 2)
                value = value + added[direction] & 0xFFFFFFFF
                # Without an echo the field is zero (RFC 7323 §3.2).
                if self._echoes and echo:
                    echo = echo - added[direction.reverse] & 0xFFFFFFFF
                tcp.overwrite(at + 2, _TIMES.pack(value, echo))
                self.counts["shifted"] += 1
