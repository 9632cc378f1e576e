"""A connection across a path: two programs that say half of what they have, are silent, and say the rest."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stack.attempt import Attempt
from stack.box import Box
from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.host import Stack
from stack.listener import Listener
from stack.runner import Runner
from stack.security import Security
from stack.simulator.world import World

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


@dataclass(frozen=True, slots=True)
class Talk:
    """What both programs have to say, by ``seed``, and how long they are silent between, seconds.

    ``began``: when the talk did, on the runners' clock.
    """

    seed: int
    pause: float = _PAUSE
    began: float = 0.0


class Speaker:
    """The program at one end ("up": the client); times are those at which it saw something, seconds of the talk."""

    def __init__(self, runner: Runner, attempt: Attempt, end: str, talk: Talk) -> None:
        self.attempt = attempt
        own, self.expected = said(end, talk.seed), said("down" if end == "up" else "up", talk.seed)
        self.received = bytearray()
        self.error: TcpError | None = None
        self.first_at: float | None = None
        self.eof_at: float | None = None
        self.closed_at: float | None = None
        self._runner = runner
        self._began = talk.began
        self._rest = own[_HALF:]
        attempt.owner = self
        # Where the connection has failed already, an event says so.
        with contextlib.suppress(TcpError):
            attempt.write(own[:_HALF])
        runner.call_at(runner.now() + talk.pause, self._go_on)
        self.on_ready()

    def _go_on(self) -> None:
        with contextlib.suppress(TcpError):
            self.attempt.write(self._rest)
            self.attempt.write_eof()
        self._runner.wake()

    def on_ready(self) -> None:
        """Take what is there."""
        now = self._runner.now() - self._began
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.closed_at, self.error = now, event.error
        while octets := self.attempt.read():
            self.received += octets
            if self.first_at is None:
                self.first_at = now
        if self.eof_at is None and self.attempt.eof:
            self.eof_at = now

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


class Door:
    """The server: one program for each connection that comes."""

    def __init__(self, runner: Runner, listener: Listener, talk: Talk) -> None:
        self.speakers: list[Speaker] = []
        self._runner = runner
        self._listener = listener
        self._talk = talk
        listener.owner = self

    def on_ready(self) -> None:
        """A connection can be accepted."""
        while (attempt := self._listener.accept()) is not None:
            self.speakers.append(Speaker(self._runner, attempt, "down", self._talk))
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


def over(client: Speaker, door: Door) -> bool:
    """Whether every program has seen the end of its connection."""
    return all(one.closed_at is not None for one in (client, *door.speakers))


def cross(client: Security, server: Security, path: Sequence[Box], seed: int) -> Crossed:
    """Have a client and a server speak across ``path``; equal calls give equal results."""
    world = World(random.Random(f"path {seed}"))
    config = TcpConfig(nagle=False)
    here = world.add(Stack([f"{CLIENT}/24"], random=world.octets, config=config), "client")
    there = world.add(Stack([f"{SERVER}/24"], random=world.octets, config=config), "server")
    world.link(here, there, *path)
    talk = Talk(seed)
    door = Door(there, there.stack.listen(PORT, security=server), talk)
    attempt = here.stack.connect((SERVER, PORT), security=client, now=world.now)
    speaker = Speaker(here, attempt, "up", talk)
    here.wake()

    def ended() -> bool:
        return over(speaker, door)

    while not ended() and world.now < _PATIENCE and world.steps < _MOST_STEPS and world.step():
        pass
    return Crossed(speaker, door.speakers, world.now, ended=ended())
