"""On path: what a translator does, consistently both ways: addresses, ports, sequence numbers, timestamps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edo.codepoints import SACK, TIMESTAMPS
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import ACK, SYN

from .attacker import Attacker
from .registry import Target, attack
from .segments import Parts

_ADDRESS: Final = bytes((10, 0, 0, 99))
_PORT: Final = 61_001
_SHIFT: Final = 0x1234_5678
_CLOCK: Final = 0x0101_0101
_WHOLE: Final = 1 << 32


class Translate(Attacker):
    """Has ``rewrite`` change the parts of every segment, knowing its direction."""

    __slots__ = ("_rewrite",)

    def __init__(self, target: Target, rewrite: Callable[[Parts, Direction], None]) -> None:
        super().__init__(target)
        self._rewrite = rewrite

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, translated where it is TCP."""
        parts = Parts.read(packet)
        if parts is not None:
            self._rewrite(parts, direction)
            self.acts += 1
            packet = parts.packet()
        out.append((now, direction, packet))


def _address(client: bytes) -> Callable[[Parts, Direction], None]:
    def rewrite(parts: Parts, direction: Direction) -> None:
        if direction is Direction.FORWARD:
            parts.source = _ADDRESS
        elif parts.destination == _ADDRESS:
            parts.destination = client

    return rewrite


def _port(client_port: int) -> Callable[[Parts, Direction], None]:
    def rewrite(parts: Parts, direction: Direction) -> None:
        if direction is Direction.FORWARD:
            parts.source_port = _PORT
        elif parts.destination_port == _PORT:
            parts.destination_port = client_port

    return rewrite


def _numbers(parts: Parts, direction: Direction) -> None:
    """As firewalls do that choose better initial numbers for a client (SACK blocks translated with them)."""
    if direction is Direction.FORWARD:
        parts.seq += _SHIFT
        return
    if parts.flags & ACK:
        parts.ack -= _SHIFT
    place = parts.place(SACK)
    if place is not None:
        area, index = place
        option = area[index]
        edges = (int.from_bytes(option[at : at + 4]) for at in range(2, len(option), 4))
        area[index] = option[:2] + b"".join(((edge - _SHIFT) % _WHOLE).to_bytes(4) for edge in edges)


def _clocks(parts: Parts, direction: Direction) -> None:
    """The client's clock, as those do that hide how long a host has been up."""
    place = parts.place(TIMESTAMPS)
    if place is None:
        return
    area, index = place
    option = area[index]
    value, echo = int.from_bytes(option[2:6]), int.from_bytes(option[6:10])
    if direction is Direction.FORWARD:
        value += _CLOCK
    elif not (parts.flags & SYN and not echo):
        echo -= _CLOCK
    area[index] = option[:2] + (value % _WHOLE).to_bytes(4) + (echo % _WHOLE).to_bytes(4)


@attack("translate", fields=("source-address", "source-port", "seq", "tsval"))
def translate(target: Target) -> Translate:
    """The client has another one to the server, in every segment and consistently both ways."""
    rewrites = {
        "source-address": _address(target.client),
        "source-port": _port(target.client_port),
        "seq": _numbers,
        "tsval": _clocks,
    }
    return Translate(target, rewrites[target.field])
