"""A box that gives flows of one link round trips of their own."""

from __future__ import annotations

from stack.batch import Octets
from stack.box import Direction, Emission


class Paths:
    """Delays IPv4 packets without options by their flow: a host far behind the link. FORWARD leaves the clients."""

    next_deadline: float | None = None  # what waits, waits in the chain

    def __init__(self) -> None:
        self._more: dict[bytes, float] = {}

    def lengthen(self, port: int, seconds: float) -> None:
        """The client's port ``port`` has a path that takes ``seconds`` longer each way (0 or more)."""
        self._more[port.to_bytes(2)] = seconds

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let each packet go when its path takes it."""
        at = 20 if direction is Direction.FORWARD else 22
        more = self._more
        return [(now + more.get(bytes(packet[at : at + 2]), 0.0), direction, packet) for packet in packets]
