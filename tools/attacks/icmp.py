"""ICMP errors that no router sent, about segments that were (on path) or may have been sent (off path)."""

from __future__ import annotations

import struct
from typing import Final

from stack.batch import Octets
from stack.box import Direction, Emission
from stack.checksum import checksum
from stack.ip import ICMP, IpTemplate

from .attacker import Attacker
from .registry import PHASES, Target, attack
from .segments import Parts

_ROUTER: Final = bytes((10, 0, 0, 254))
_UNREACHABLE: Final = 3
_PROTOCOL, _PORT, _TOO_BIG = 2, 3, 4
_QUOTED: Final = 28  # IP header and eight octets (RFC 792)
_LEAST_MTU: Final = 68
_GUESSES: Final = 1000
_BEGIN: Final = 0.04


def message(code: int, quoted: bytes, *, mtu: int = 0) -> bytes:
    """Destination Unreachable to who sent the packet ``quoted``."""
    icmp = bytearray(struct.pack("!BBHHH", _UNREACHABLE, code, 0, 0, mtu) + quoted[:_QUOTED])
    struct.pack_into("!H", icmp, 2, checksum(icmp))
    return IpTemplate(_ROUTER, quoted[12:16], protocol=ICMP).header(len(icmp)) + bytes(icmp)


class Errors(Attacker):
    """Sends an error about each of the first segments of the phase back to its sender."""

    __slots__ = ("_code", "_mtu")

    def __init__(self, target: Target, *codes: int, mtu: int = 0) -> None:
        super().__init__(target)
        self._code = codes
        self._mtu = mtu

    def meets(self, parts: Parts, packet: bytes, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, and the errors about it."""
        out.append((now, direction, packet))
        if self.aimed_at(parts) and self.data[direction] <= 3 and (parts.payload or self.target.phase == "syn"):
            for code in self._code:
                self.acts += 1
                out.append((now, direction.reverse, message(code, packet, mtu=self._mtu)))


@attack("icmp-unreachable", fields=("icmp",), phases=PHASES)
def unreachable(target: Target) -> Errors:
    """Protocol and port unreachable about segments that were sent (RFC 5927 §5)."""
    return Errors(target, _PROTOCOL, _PORT)


@attack("icmp-too-big", fields=("icmp",), phases=PHASES)
def too_big(target: Target) -> Errors:
    """Fragmentation needed about segments that were sent, with the least MTU that there is (RFC 5927 §7)."""
    return Errors(target, _TOO_BIG, mtu=_LEAST_MTU)


class GuessedErrors:
    """Sends errors to the client about segments that it may have sent; packets that pass are not looked at."""

    def __init__(self, target: Target) -> None:
        self.acts = 0
        self.next_deadline: float | None = _BEGIN
        self._target = target

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let packets pass; when it is time, send all errors."""
        out: list[Emission] = [(now, direction, packet) for packet in packets]
        if self.next_deadline is not None and now >= self.next_deadline:
            self.next_deadline = None
            target = self._target
            for _ in range(_GUESSES):
                number = target.random.randrange(1 << 32)
                quoted = Parts(
                    target.client, target.client_port, target.server, target.server_port, number, 0
                ).packet()
                for code in (_PROTOCOL, _PORT, _TOO_BIG):
                    self.acts += 1
                    error = message(code, quoted, mtu=_LEAST_MTU if code == _TOO_BIG else 0)
                    out.append((now, Direction.BACKWARD, error))
        return out


@attack("guess-icmp", fields=("icmp",), on_path=False)
def guessed(target: Target) -> GuessedErrors:
    """A thousand errors of each kind that quote guessed numbers (RFC 5927 §4.1)."""
    return GuessedErrors(target)
