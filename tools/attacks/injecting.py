"""On path: segments that nobody sent, with the numbers that are expected, once in each direction."""

from __future__ import annotations

from collections.abc import Callable

from stack.box import Direction, Emission
from stack.run import ACK, FIN, PSH, RST, SYN

from .attacker import Attacker
from .registry import PHASES, Target, attack
from .segments import Parts

# Behind so many segments with octets of a direction.
_AFTER = 3
_FORGED = b"octets that nobody sent. " * 8
_NEAR = 1000  # octets beyond what is expected
_STORM = 100

Forge = Callable[[Attacker, Direction], list[bytes]]


class Inject(Attacker):
    """Sends what ``forge`` makes, in each direction behind its third segment with octets."""

    __slots__ = ("_done", "_forge")

    def __init__(self, target: Target, forge: Forge) -> None:
        super().__init__(target)
        self._forge = forge
        self._done = [False, False]

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and what is injected behind it."""
        out.append((now, direction, packet))
        if not self._done[direction] and self.data[direction] >= _AFTER and self.last[direction.reverse]:
            self._done[direction] = True
            out += [(now, direction, forged) for forged in self._forge(self, direction)]


class RefuseOpening(Attacker):
    """Answers each SYN of either side with a reset, as if the other had refused it (RFC 9293 §3.10.7.3)."""

    __slots__ = ()

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and the reset that overtakes its answer."""
        out.append((now, direction, packet))
        if not parts.flags & SYN:
            return
        answer = Parts(
            parts.destination, parts.destination_port, parts.source, parts.source_port, parts.ack, RST | ACK
        )
        answer.ack = parts.following
        self.acts += 1
        out.append((now, direction.reverse, answer.packet()))


@attack("inject-rst", fields=("rst",), phases=PHASES)
def rst(target: Target) -> Attacker:
    """A reset with the very number that is expected; in the opening one that refuses each SYN."""
    if target.phase == "syn":
        return RefuseOpening(target)
    return Inject(target, lambda attacker, direction: attacker.forge(direction, RST))


@attack("inject-rst-near", fields=("rst",))
def rst_near(target: Target) -> Attacker:
    """A reset whose number lies in the window and is not the expected one (RFC 5961 §3)."""

    def forge(attacker: Attacker, direction: Direction) -> list[bytes]:
        return attacker.forge(direction, RST, seq=attacker.front[direction] + _NEAR)

    return Inject(target, forge)


@attack("inject-syn", fields=("syn",))
def syn(target: Target) -> Attacker:
    """A SYN with a number in the window (RFC 5961 §4)."""
    return Inject(target, lambda attacker, direction: attacker.forge(direction, SYN))


@attack("inject-fin", fields=("fin",))
def fin(target: Target) -> Attacker:
    """A FIN behind the octets so far, so that the stream seems to end there."""
    return Inject(target, lambda attacker, direction: attacker.forge(direction, FIN | ACK))


@attack("inject-data", fields=("payload",))
def data(target: Target) -> Attacker:
    """Octets that nobody sent, where the next ones are expected."""
    return Inject(target, lambda attacker, direction: attacker.forge(direction, PSH | ACK, payload=_FORGED))


@attack("inject-ack", fields=("ack",))
def ack(target: Target) -> Attacker:
    """Acknowledgments of octets that have not been sent yet (RFC 5961 §5)."""

    def forge(attacker: Attacker, direction: Direction) -> list[bytes]:
        front = attacker.front[direction.reverse]
        return [
            packet
            for beyond in (1, _NEAR, 1 << 20, 1 << 30)
            for packet in attacker.forge(direction, ACK, ack=front + beyond)
        ]

    return Inject(target, forge)


@attack("ack-storm", fields=("ack",))
def storm(target: Target) -> Attacker:
    """A hundred duplicate acknowledgments, which look like a loss (RFC 5681 §3.2)."""

    def forge(attacker: Attacker, direction: Direction) -> list[bytes]:
        seen = attacker.last[direction]
        number = None if seen is None else seen.ack
        return [packet for _ in range(_STORM) for packet in attacker.forge(direction, ACK, ack=number)]

    return Inject(target, forge)
