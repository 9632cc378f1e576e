"""Off path: who sees no packet and knows addresses and ports guesses numbers, over the whole space (RFC 5961)."""

from __future__ import annotations

from typing import Final

from stack.batch import Octets
from stack.box import Direction, Emission
from stack.run import ACK, FIN, PSH, RST, SYN

from .registry import Target, attack
from .segments import Parts

# One guess for each window of a fresh connection, 256 KiB.
_STEP: Final = 1 << 18
_GUESSES: Final = (1 << 32) // _STEP
_BEGIN: Final = 0.04  # when the connection stands, seconds
_BATCH: Final = 256
_PAUSE: Final = 0.0005


class Guess:
    """Sends a segment for each guess to the server, not looking at packets that pass; ``acts`` counts guesses."""

    def __init__(self, target: Target, flags: int, payload: bytes = b"") -> None:
        self.acts = 0
        self.next_deadline: float | None = _BEGIN
        self._target = target
        self._flags = flags
        self._payload = payload
        self._first = target.random.randrange(_STEP)

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let packets pass; when it is time, send the next guesses."""
        out: list[Emission] = [(now, direction, packet) for packet in packets]
        if self.next_deadline is None or now < self.next_deadline:
            return out
        count = min(_BATCH, _GUESSES - self.acts)
        out += [(now, Direction.FORWARD, self._guess()) for _ in range(count)]
        self.next_deadline = now + _PAUSE if self.acts < _GUESSES else None
        return out

    def _guess(self) -> bytes:
        target = self._target
        number = self._first + self.acts * _STEP
        self.acts += 1
        parts = Parts(target.client, target.client_port, target.server, target.server_port, number, self._flags)
        parts.ack = target.random.randrange(1 << 32)
        parts.payload = self._payload
        return parts.packet()


@attack("guess-rst", fields=("rst",), on_path=False)
def rst(target: Target) -> Guess:
    """A reset for each window of the sequence space."""
    return Guess(target, RST)


@attack("guess-syn", fields=("syn",), on_path=False)
def syn(target: Target) -> Guess:
    """A SYN for each window of the sequence space."""
    return Guess(target, SYN)


@attack("guess-fin", fields=("fin",), on_path=False)
def fin(target: Target) -> Guess:
    """A FIN for each window of the sequence space, with any acknowledgment number."""
    return Guess(target, FIN | ACK)


@attack("guess-ack", fields=("ack",), on_path=False)
def ack(target: Target) -> Guess:
    """An acknowledgment for each window of the sequence space, of any number."""
    return Guess(target, ACK)


@attack("guess-data", fields=("payload",), on_path=False)
def data(target: Target) -> Guess:
    """Octets for each window of the sequence space, with any acknowledgment number."""
    return Guess(target, PSH | ACK, b"octets of somebody else")
