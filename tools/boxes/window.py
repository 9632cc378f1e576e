"""The window rewriter of traffic shapers."""

from __future__ import annotations

from stack.box import Direction

from .base import Rewriter, at_least
from .registry import box
from .tcp import RST, SYN, WSCALE, Tcp


@box("window", "lowers the window, and changes the window scale in SYNs")
class Window(Rewriter):
    """``most``: the field's highest value, unscaled; ``scale``: what window scale is set to in SYNs (-1: left)."""

    def __init__(self, *, most: int = 64, scale: int = -1) -> None:
        super().__init__()
        at_least("most", most, 0)
        at_least("scale", scale, -1)
        self._most = min(most, 0xFFFF)
        self._scale = scale

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Lower the field; in a SYN, whose window is not scaled, set the shift."""
        if tcp.flags & SYN:
            for kind, at, length in tcp.spans():
                if kind == WSCALE and length == 3 and self._scale >= 0:
                    tcp.overwrite(at + 2, bytes((min(self._scale, 14),)))
                    self.counts["scales"] += 1
        elif not tcp.flags & RST and tcp.window > self._most:
            tcp.window = self._most
            self.counts["windows"] += 1
