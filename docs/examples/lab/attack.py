"""An attack of one's own: PSH is turned round in about one of five segments with octets.

edotun lab headers --with docs/examples/lab/attack.py --only attack=push
"""

from __future__ import annotations

import edotun
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import PSH
from tools.attacks.registry import Target
from tools.attacks.segments import Parts


class Push:
    """A box: packets go in, and what comes out of it goes on. ``acts`` is told in the evidence."""

    next_deadline: float | None = None  # nothing waits in it

    def __init__(self, target: Target) -> None:
        self.acts = 0
        self._target = target

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Return (when, which way, packet) for everything that leaves."""
        out: list[Emission] = []
        for packet in packets:
            parts = Parts.read(packet)
            if parts is not None and parts.payload and self._target.random.random() < 0.2:
                parts.flags ^= PSH
                self.acts += 1
                packet = parts.packet()
            out.append((now, direction, packet))
        return out


@edotun.attack("push", fields=("psh",), phases=("established",))
def push(target: Target) -> Push:
    """PSH is set or cleared in some segments."""
    return Push(target)
