"""Memory of idle connections: what a process takes more for each that is established and silent.

Two processes, joined by a pair of sockets (neither root nor a device is needed), have the connections between
them through the asyncio API, each with one task that reads, at both ends. Resident memory is taken when a few
stand, after a collection of garbage, and when all do: the difference, by their number, is what one takes of the
process, with what the interpreter's allocator cannot give back. They are opened few at a time, so that what a
handshake takes for itself is no part of it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .crowd import in_memory
from .measures import Figure, Place

CONNECTIONS: Final = 10_000
OPENING: Final = {"none": 0.00035, "ao": 0.0005, "ao-enc-dh": 0.0011}
"""About how long it takes to open a connection, both ends on a core each; seconds."""
# Stand before it is measured: what the first ones make is made once.
_FIRST: Final = 100


@dataclass(frozen=True, slots=True)
class Idle:
    """Octets resident for each of ``connections``, at the side that accepted and at the one that opened."""

    protect: str
    connections: int
    accepted: int
    opened: int


def measure(protect: str = "none", connections: int = CONNECTIONS) -> Idle:
    """Have ``connections`` (>= 1) stand in mode ``protect`` and see what each takes; raises ProgramError."""
    with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder, in_memory(protect, Path(folder)) as crowd:
        crowd.grow(_FIRST)
        before = crowd.resident()
        crowd.grow(_FIRST + connections)
        after = crowd.resident()
    accepted, opened = ((last - first) // connections for first, last in zip(before, after, strict=True))
    return Idle(protect, connections, accepted, opened)


@dataclass(frozen=True, slots=True)
class Memory:
    """Octets resident for each of ``connections`` at the end where it takes more of them."""

    protect: str
    connections: int

    @property
    def name(self) -> str:
        return f"idle connection, {self.protect}, of {self.connections:,}"

    def lasts(self, seconds: float) -> float:
        return 1.5 + self.connections * OPENING.get(self.protect, 0.001)

    def run(self, place: Place) -> Figure:
        found = measure(self.protect, self.connections)
        return Figure(max(found.accepted, found.opened))
