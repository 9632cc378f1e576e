"""Two stacks with a connection that has agreed on keys, confirmed at both ends: for what comes after."""

from __future__ import annotations

from stack.attempt import Attempt
from stack.config import TcpConfig
from stack.handshake.agreed import Agreed
from stack.handshake.agreed_protection import AgreedProtection
from stack.run import ACK
from stack.security import Security
from tests.stack.handshake.test_agreed import flags_of
from tests.stack.wire import Tap, Wire

PROTECTED = Security("ao-enc-dh")


def _pass(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    return [(0.0, packet)]


class Side:
    """One end of the pair."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.flow = attempt.flow
        self.connection = attempt.flow.connection
        handshake = self.flow.handshake
        protection = self.flow.protection
        assert isinstance(handshake, Agreed)
        assert isinstance(protection, AgreedProtection)
        self.handshake = handshake
        self.protection = protection
        self.ring = protection.generations

    @property
    def generation(self) -> int:
        """The one that this side sends under."""
        return self.ring.sending


class Pair:
    """A client, A, and a server, B; ``tap`` holds from now on, or ``from_start`` (which it has to survive)."""

    def __init__(
        self,
        client: Security = PROTECTED,
        server: Security = PROTECTED,
        *,
        seed: int = 1,
        config: TcpConfig | None = None,
        tap: Tap = _pass,
        from_start: bool = False,
    ) -> None:
        self.wire = Wire(seed, config=config, tap=tap if from_start else _pass)
        attempt, self.listener = self.wire.open(client, server)
        self.wire.run(3.0, lambda: self.listener.waiting > 0)
        self.wire.run(1.0)
        accepted = self.listener.accept()
        assert accepted is not None
        self.a, self.b = Side(attempt), Side(accepted)
        if not from_start:
            self.wire.sent.clear()
            self.wire.tap = tap

    @property
    def sides(self) -> tuple[Side, Side]:
        """A and B."""
        return self.a, self.b

    @property
    def generations(self) -> tuple[int, int]:
        """What A and B send under."""
        return self.a.generation, self.b.generation

    def talk(self, octets: int = 1000, seconds: float = 1.0) -> None:
        """Both ends send ``octets`` and get what the other sent."""
        for number, side in enumerate(self.sides):
            side.attempt.write(bytes((number,)) * octets)
        got = [0, 0]

        def step() -> bool:
            for number, side in enumerate(self.sides):
                octets_read = side.attempt.read()
                assert octets_read == bytes((1 - number,)) * len(octets_read)
                got[number] += len(octets_read)
            self.wire.flush()
            return got == [octets, octets]

        assert self.wire.run(60.0, step), f"{got} of {octets} octets came"
        self.wire.run(seconds)

    def drops(self) -> dict[str, int]:
        """What either side dropped."""
        return dict(self.a.flow.drops + self.b.flow.drops + self.a.connection.drops + self.b.connection.drops)

    def messages(self, kind: int) -> list[tuple[float, bool, bytes]]:
        """Segments with a whole message ``kind`` among their key-exchange options: when, whose, the message."""
        found = []
        for at, from_client, packet in self.wire.sent:
            start = packet.find(b"\xa0\xe1" + bytes((kind,)))
            if start > 0 and flags_of(packet) & ACK:
                length = packet[start - 1]
                found.append((at, from_client, packet[start + 7 : start - 2 + length]))
        return found
