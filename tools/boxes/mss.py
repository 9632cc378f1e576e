"""The MSS clamp of tunnels and of PPPoE."""

from __future__ import annotations

from stack.box import Direction

from .base import Rewriter, at_least
from .registry import box
from .tcp import MOST_OPTIONS, MSS, SYN, Tcp


@box("mss", "lowers the MSS in SYNs")
class MssClamp(Rewriter):
    """``most``: to so many octets; ``add``: a SYN without MSS gets one, where it has room."""

    def __init__(self, *, most: int = 1220, add: bool = False) -> None:
        super().__init__()
        at_least("most", most, 1)
        self._value = min(most, 0xFFFF)
        self._add = add

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Lower the option, or add it."""
        if not tcp.flags & SYN or not tcp.sound:
            return
        octets = self._value.to_bytes(2)
        for kind, at, length in tcp.spans():
            if kind == MSS and length == 4:
                if int.from_bytes(tcp.packet[at + 2 : at + 4]) > self._value:
                    tcp.overwrite(at + 2, octets)
                    self.counts["clamped"] += 1
                return
        options = tcp.options()
        if self._add and sum(map(len, options)) + 4 <= MOST_OPTIONS:
            tcp.set_options([bytes((MSS, 4)) + octets, *options])
            self.counts["added"] += 1
