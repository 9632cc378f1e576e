"""A connection across a path: two programs that say half of what they have, are silent, and say the rest."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import Final

from stack.attempt import Attempt
from stack.box import Box
from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.host import Stack
from stack.listener import Listener
from stack.security import Security
from stack.simulator.world import SimRunner, World

CLIENT: Final = "10.0.0.1"
SERVER: Final = "10.0.0.2"
PORT: Final = 80
TEXT: Final = b"my address is 10.0.0.1, and "
"""What each half begins with: applications do name addresses."""

_HALF: Final = 20_000  # octets
_PAUSE: Final = 30.0  # seconds; boxes that forget connections do so meanwhile
_PATIENCE: Final = 7200.0  # virtual seconds: what has not ended by then hangs
_MOST_STEPS: Final = 40_000  # and so does what goes on and on


def said(end: str, seed: int) -> bytes:
    """All that an end ("up": the client, "down": the server) has to say."""
    chance = random.Random(f"{end} {seed}")
    return b"".join(TEXT + chance.randbytes(_HALF - len(TEXT)) for _ in range(2))


class Speaker:
    """The program at one end; times are those at which it saw something, seconds."""

    def __init__(self, runner: SimRunner[Stack], attempt: Attempt, own: bytes, expected: bytes) -> None:
        self.attempt = attempt
        self.expected = expected
        self.received = bytearray()
        self.error: TcpError | None = None
        self.first_at: float | None = None
        self.eof_at: float | None = None
        self.closed_at: float | None = None
        self._runner = runner
        self._rest = own[_HALF:]
        attempt.owner = self
        # Where the connection has failed already, an event says so.
        with contextlib.suppress(TcpError):
            attempt.write(own[:_HALF])
        runner.call_at(runner.now() + _PAUSE, self._go_on)
        self.on_ready()

    def _go_on(self) -> None:
        with contextlib.suppress(TcpError):
            self.attempt.write(self._rest)
            self.attempt.write_eof()
        self._runner.wake()

    def on_ready(self) -> None:
        """Take what is there."""
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.closed_at, self.error = self._runner.now(), event.error
        while octets := self.attempt.read():
            self.received += octets
            if self.first_at is None:
                self.first_at = self._runner.now()
        if self.eof_at is None and self.attempt.eof:
            self.eof_at = self._runner.now()

    @property
    def whole(self) -> bool:
        """Whether all has come, its end included, nothing else, and no error after."""
        return self.eof_at is not None and self.received == self.expected and self.error is None

    @property
    def misled(self) -> bool:
        """Whether octets came that nobody sent, or the stream ended early as if that were its end."""
        early = self.eof_at is not None and len(self.received) < len(self.expected)
        return early or not self.expected.startswith(self.received)

    def told(self) -> dict[str, object]:
        """What the program saw, and what its connection tells."""
        report = self.attempt.report()
        found: dict[str, object] = {
            "received": f"{len(self.received)} of {len(self.expected)} octets",
            "right": self.expected.startswith(self.received),
            "first": self.first_at,
            "end": self.eof_at,
            "error": None if self.error is None else str(self.error.strerror),
        }
        names = ("mode", "fallback", "placement", "method", "syn_eos", "edo", "retransmissions", "drops", "path")
        return found | {name: report[name] for name in names if report[name]}


class _Door:
    """The server: one program for each connection that comes."""

    def __init__(self, runner: SimRunner[Stack], listener: Listener, seed: int) -> None:
        self.speakers: list[Speaker] = []
        self._runner = runner
        self._listener = listener
        self._seed = seed
        listener.owner = self

    def on_ready(self) -> None:
        """A connection can be accepted."""
        while (attempt := self._listener.accept()) is not None:
            own, expected = said("down", self._seed), said("up", self._seed)
            self.speakers.append(Speaker(self._runner, attempt, own, expected))
            self._runner.wake()


class Crossed:
    """What became of it: ``client``, the ``servers``, virtual ``seconds``, and whether it ended at all."""

    def __init__(self, client: Speaker, servers: list[Speaker], seconds: float, *, ended: bool) -> None:
        self.client = client
        self.servers = servers
        self.seconds = seconds
        self.ended = ended

    @property
    def speakers(self) -> list[Speaker]:
        """All programs, the client's first."""
        return [self.client, *self.servers]

    @property
    def server(self) -> Speaker | None:
        """The program of the server that had the client's octets, or the last."""
        found = [one for one in self.servers if one.whole] or self.servers
        return found[-1] if found else None


def cross(client: Security, server: Security, path: Sequence[Box], seed: int) -> Crossed:
    """Have a client and a server speak across ``path``; equal calls give equal results."""
    world = World(random.Random(f"path {seed}"))
    config = TcpConfig(nagle=False)
    here = world.add(Stack([f"{CLIENT}/24"], random=world.octets, config=config), "client")
    there = world.add(Stack([f"{SERVER}/24"], random=world.octets, config=config), "server")
    world.link(here, there, *path)
    door = _Door(there, there.stack.listen(PORT, security=server), seed)
    attempt = here.stack.connect((SERVER, PORT), security=client, now=world.now)
    speaker = Speaker(here, attempt, said("up", seed), said("down", seed))
    here.wake()

    def ended() -> bool:
        return speaker.closed_at is not None and all(one.closed_at is not None for one in door.speakers)

    while not ended() and world.now < _PATIENCE and world.steps < _MOST_STEPS and world.step():
        pass
    return Crossed(speaker, door.speakers, world.now, ended=ended())
