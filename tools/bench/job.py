"""What one end of a transfer is told and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Job:
    """One end of a transfer.

    ``core`` is the one to be pinned to (-1: none); the receiver listens at ``address``, ``port``, and ``peer`` is
    the other end's address. The sender goes on for ``seconds``, or up to ``octets`` where that is not 0. ``own``
    and ``host`` are a stack's address (CIDR) and the kernel's beside it; ``protect`` is a mode, of the kernel's TCP
    none, md5 or tls; ``mac`` and ``cipher`` are names of profile.md §7; ``keys`` is a keys file, empty for none.
    """

    core: int
    address: str
    peer: str
    port: int
    seconds: float
    octets: int
    congestion: str
    own: str = ""
    host: str = ""
    mtu: int = 1500
    protect: str = "none"
    mac: str = ""
    cipher: str = ""
    keys: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the job as what can cross to another process."""
        return asdict(self)

    @classmethod
    def read(cls, job: dict[str, Any]) -> Self:
        """Return the job of ``to_json()``."""
        return cls(**job)


@dataclass(frozen=True, slots=True)
class Result:
    """What an end saw: ``octets`` of stream after the first read, and the ``seconds`` that they took.

    ``cpu`` is the CPU time of its process in that time, seconds; ``dropped`` counts packets lost at its device.
    """

    octets: int
    seconds: float
    cpu: float = 0.0
    dropped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the result as what can cross to another process."""
        return asdict(self)

    @classmethod
    def read(cls, result: dict[str, Any]) -> Self:
        """Return the result of ``to_json()``."""
        return cls(**result)

    @property
    def gigabits(self) -> float:
        """Goodput in Gbit/s (10^9 bits of stream a second), 0 where there was no time."""
        return self.octets * 8 / self.seconds / 1e9 if self.seconds > 0 else 0.0
