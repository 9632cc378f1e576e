"""The ECN bleacher."""

from __future__ import annotations

from stack.box import Direction

from .base import Rewriter
from .registry import box
from .tcp import CWR, ECE, Tcp


@box("ecn", "clears the bits of ECN, in the IP header, in TCP's, or the reserved bits of that")
class Bleacher(Rewriter):
    """``ip``: ECT and CE; ``tcp``: ECE, CWR and AE; ``reserved``: the three bits that are left."""

    def __init__(self, *, ip: bool = True, tcp: bool = True, reserved: bool = False) -> None:
        super().__init__()
        self._ip = ip
        self._flags = ECE | CWR if tcp else 0
        self._bits = (0x01 if tcp else 0) | (0x0E if reserved else 0)

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Clear them."""
        if self._ip and tcp.ecn:
            tcp.ecn = 0
            self.counts["ip"] += 1
        if tcp.flags & self._flags or tcp.reserved & self._bits:
            tcp.flags &= ~self._flags
            tcp.reserved &= ~self._bits
            self.counts["tcp"] += 1
