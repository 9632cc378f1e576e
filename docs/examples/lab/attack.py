"""An attack of one's own: PSH is taken from each segment with octets, and every tenth one comes twice.

edotun lab headers --with docs/examples/lab/attack.py --only attack=no-push
"""

from __future__ import annotations

import edotun
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import PSH
from tools.attacks.registry import Target
from tools.attacks.segments import Parts


class NoPush:
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
            if parts is not None and parts.payload and parts.flags & PSH:
                parts.flags &= ~PSH
                self.acts += 1
                packet = parts.packet()
                if self._target.random.random() < 0.1:
                    out.append((now + 0.001, direction, packet))
            out.append((now, direction, packet))
        return out


@edotun.attack("no-push", fields=("psh",), phases=("established",))
def no_push(target: Target) -> NoPush:
    """PSH is taken away, and some segments come twice."""
    return NoPush(target)
