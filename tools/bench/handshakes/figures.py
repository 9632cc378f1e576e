"""What is found out of one kind of handshake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

RTT: Final = 0.05
"""Round-trip time of the link over which round trips are counted, seconds."""


@dataclass(slots=True)
class Wire:
    """What a handshake alone puts on the wire: IP packets and their octets, from the client and from the server.

    ``round_trips`` pass before the client's first octet of the stream can be sent.
    """

    packets_up: int = 0
    packets_down: int = 0
    octets_up: int = 0
    octets_down: int = 0
    round_trips: int = 0

    def count(self, octets: int, *, up: bool) -> None:
        """Add a packet."""
        if up:
            self.packets_up += 1
            self.octets_up += octets
        else:
            self.packets_down += 1
            self.octets_down += octets


@dataclass(slots=True)
class Rate:
    """Handshakes that were made, and the CPU seconds of this process that they took, both ends together."""

    handshakes: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Handshakes in a second of one core; 0 where no time was seen to pass."""
        return self.handshakes / self.seconds if self.seconds > 0 else 0.0


class Kind(Protocol):
    """A kind of handshake that can be measured."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def base(self) -> str:
        """The name of the kind beside which it is looked at: the same without keys."""

    def rate(self, seconds: float) -> Rate:
        """Make handshakes for about ``seconds`` of CPU time, one at least."""

    def wire(self) -> Wire | None:
        """What one puts on the wire, None where it meets none."""
