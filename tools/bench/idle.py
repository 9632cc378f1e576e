"""Memory of idle connections: what a process takes more for each that is established and silent.

``measure(protect, connections)`` returns an ``Idle``; ``rows(protects, connections)`` those of several modes as
JSON rows: ``{"work": "idle connection, none", "mode": "none", "connections": 10000, "accepted": octets,
"opened": octets, "target": 8192 or null, "unit": "octets resident each"}``.

Two processes, joined by a pair of sockets (neither root nor a device is needed), have the connections between
them through the asyncio API, each with one task that reads, at both ends. Resident memory is taken when a few
stand, after a collection of garbage, and when all do: the difference, by their number, is what one takes of the
process, with what the interpreter's allocator cannot give back. They are opened few at a time, so that what a
handshake takes for itself is no part of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .crowd import in_memory

CONNECTIONS: Final = 10_000
# The target holds for connections without protection, octets.
TARGET: Final = 8192
# Stand before it is measured: what the first ones make is made once.
_FIRST: Final = 100


@dataclass(frozen=True, slots=True)
class Idle:
    """Octets resident for each of ``connections``, at the side that accepted and at the one that opened."""

    protect: str
    connections: int
    accepted: int
    opened: int

    def to_json(self) -> dict[str, object]:
        """Return the row."""
        return {
            "work": f"idle connection, {self.protect}",
            "mode": self.protect,
            "connections": self.connections,
            "accepted": self.accepted,
            "opened": self.opened,
            "target": TARGET if self.protect == "none" else None,
            "unit": "octets resident each",
        }


def measure(protect: str = "none", connections: int = CONNECTIONS) -> Idle:
    """Have ``connections`` (>= 1) stand in mode ``protect`` and see what each takes; raises ProgramError."""
    with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder, in_memory(protect, Path(folder)) as crowd:
        crowd.grow(_FIRST)
        before = crowd.resident()
        crowd.grow(_FIRST + connections)
        after = crowd.resident()
    accepted, opened = ((last - first) // connections for first, last in zip(before, after, strict=True))
    return Idle(protect, connections, accepted, opened)


def rows(
    protects: Sequence[str] = ("none", "ao", "ao-enc-dh"),
    connections: int = CONNECTIONS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[dict[str, object]]:
    """Return a row for each mode; ``progress`` gets the name of each before it begins. Raises ProgramError."""
    found = []
    for protect in protects:
        progress(f"idle connections, {protect}")
        found.append(measure(protect, connections).to_json())
    return found
