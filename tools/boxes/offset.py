"""The normalizer of Data Offset."""

from __future__ import annotations

from stack.box import Direction, Emission

from .base import SegmentBox, one_of
from .registry import box
from .tcp import FIXED, Tcp


@box("offset", "packs the options anew without NOPs, so that Data Offset is as small as can be")
class Offset(SegmentBox):
    """``low``: a Data Offset below 5 has its segment dropped, or set to 5."""

    def __init__(self, *, low: str = "drop") -> None:
        super().__init__()
        self._drops = one_of("low", low, ("drop", "five")) == "drop"

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment with its options packed."""
        if tcp.data_offset < FIXED:
            self.counts["low"] += 1
            if self._drops:
                return
            tcp.data_offset = FIXED
        elif tcp.sound:
            before = tcp.data_offset
            options = tcp.options()
            if FIXED + (sum(map(len, options)) + 3) // 4 * 4 < before:
                tcp.set_options(options)
                self.counts["packed"] += 1
        out.append((now, direction, tcp.octets()))
