"""What one process of a measurement is told and what it answers, each as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Job:
    """One end of a transfer.

    It ``sends`` or receives; ``stack``: by the stack's TCP on a TUN in ``netns``, else by the kernel's; ``core`` is
    the one to be pinned to (-1: none); the receiver listens at ``address``, ``port``. The sender goes on for
    ``seconds``, or up to ``octets`` where that is not 0. ``own``, ``host`` are the stack's address (CIDR) and the
    kernel's beside it; ``keys`` is a keys file, empty for none.
    """

    sends: bool
    stack: bool
    core: int
    address: str
    port: int
    seconds: float
    octets: int
    congestion: str
    netns: str = ""
    own: str = ""
    host: str = ""
    mtu: int = 1500
    protect: str = "none"
    keys: str = ""

    def line(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Self:
        """Return the job of ``line()``."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Result:
    """What the receiver saw: ``octets`` of stream after the first read, and the ``seconds`` that they took."""

    octets: int
    seconds: float

    def line(self) -> str:
        """Return the result as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Self:
        """Return the result of ``line()``."""
        return cls(**json.loads(line))

    @property
    def gigabits(self) -> float:
        """Goodput in Gbit/s (10^9 bits of stream a second), 0 where there was no time."""
        return self.octets * 8 / self.seconds / 1e9 if self.seconds > 0 else 0.0
