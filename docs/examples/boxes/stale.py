"""A box of one's own: a cache that answers with an old segment now and then instead of passing the new one."""

from collections import Counter
from random import Random

import edotun


@edotun.box("stale", "passes the segment before once more, in place of the one that came")
class Stale:
    """``share`` of the packets (0-1) are lost so, each in favour of its predecessor."""

    next_deadline = None  # it holds nothing back

    def __init__(self, random: Random, *, share: float = 0.05) -> None:
        self._random = random
        self._share = share
        self._last = {}
        self.counts = Counter()

    def process(self, packets, direction, now):
        """Take packets, and return what leaves: when, which way, and the packet."""
        out = []
        for packet in packets:
            if direction in self._last and self._random.random() < self._share:
                self.counts["stale"] += 1
                out.append((now, direction, self._last[direction]))
                continue
            self._last[direction] = bytes(packet)
            out.append((now, direction, packet))
        return out
