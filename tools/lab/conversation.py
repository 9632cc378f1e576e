"""Conversation: two programs that exchange seeded octets over real connections, with boxes between them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stack.attempt import Attempt
from stack.box import Box, Direction
from stack.config import TcpConfig
from stack.events import Closed, SoftError, TcpError, Urgent
from stack.host import Stack
from stack.listener import Listener
from stack.runner import Runner
from stack.security import Security
from stack.simulator import Delay, RateLimit
from stack.simulator.world import World

CLIENT: Final = "10.0.0.1"
SERVER: Final = "10.0.0.2"
PORT: Final = 80
CLIENT_PORT: Final = 50_000
"""The client's port, the same in each run, for attackers off path, who are taken to know it."""

_QUEUE: Final = 1 << 24
# A program writes so much at once, and keeps so much waiting, octets.
_PIECE: Final = 1 << 20
_WAITING: Final = 1 << 22
_TICKS: Final = 250_000  # of the clock of initial sequence numbers, a second (RFC 9293 §3.4.1)
# Until TIME-WAIT is over, seconds.
_BETWEEN: Final = 100.0
# What the seed of an earlier connection's octets is more than this one's.
_BEFORE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said: ``octets`` each way, over a path of ``rtt`` seconds, for ``patience`` seconds at most.

    It ends after ``most_steps`` events too, since some attacks have two ends answer each other for ever. The
    client's octets and the server's come from ``seed``, and so does all else that is left to chance. ``repeat``:
    the client says what it says so many times. ``rate`` in bit/s. ``config`` is of both ends (None: the stack's
    default, with a user timeout of 60 s). ``before``: an earlier connection between the same ports, with octets of
    its own, has come and gone before this one. ``isn``: the client's initial sequence number, had by connecting
    when it is that (None: at once).
    """

    seed: int
    octets: int = 40_000
    rtt: float = 0.02
    patience: float = 300.0
    most_steps: int = 20_000
    config: TcpConfig | None = None
    before: bool = False
    isn: int | None = None
    repeat: int = 1
    rate: float = 10e6

    @property
    def up(self) -> bytes:
        """What the client sends, ``repeat`` times."""
        return random.Random(f"up {self.seed}").randbytes(self.octets)

    @property
    def down(self) -> bytes:
        """What the server sends."""
        return random.Random(f"down {self.seed}").randbytes(self.octets)


class Text:
    """What one end sends: ``block`` again and again; ``octets`` is its whole length."""

    __slots__ = ("_twice", "block", "octets")

    def __init__(self, block: bytes, times: int = 1) -> None:
        self.block = block
        self.octets = len(block) * times
        # What begins anywhere in a block goes on in the next.
        self._twice = memoryview(block * 2 if times > 1 else block)

    def at(self, position: int, most: int) -> memoryview:
        """The octets from ``position`` on, at most ``most`` and no more than a block."""
        start = position % len(self.block) if position < self.octets else 0
        return self._twice[start : start + max(0, min(most, len(self.block), self.octets - position))]


class Program:
    """What an application does at one end: it sends everything, ends its direction, and judges what comes.

    ``received`` counts octets; ``right``: they are those that were sent.
    """

    __slots__ = (
        "_left",
        "_sent",
        "attempt",
        "closed_at",
        "eof_at",
        "error",
        "expected",
        "received",
        "right",
        "runner",
        "sends",
        "soft",
        "urgent",
    )

    def __init__(self, runner: Runner, attempt: Attempt, sends: Text, expected: Text) -> None:
        self.runner = runner
        self.attempt = attempt
        self.sends = sends
        self.expected = expected
        self.received = 0
        self.right = True
        self.eof_at: float | None = None
        self.closed_at: float | None = None
        self.error: TcpError | None = None
        self.soft: list[str] = []
        self.urgent = False
        self._sent = 0
        self._left = True
        attempt.owner = self
        self._write()
        runner.wake()
        self.on_ready()

    def _write(self) -> None:
        """Write what there is room for, and the end behind all of it."""
        try:
            while self._sent < self.sends.octets and self.attempt.unsent < _WAITING:
                piece = self.sends.at(self._sent, _PIECE)
                self.attempt.write(bytes(piece))
                self._sent += len(piece)
            if self._sent == self.sends.octets and self._left:
                self._left = False
                self.attempt.write_eof()
        except TcpError as error:
            # It had ended before it was accepted, or while this was written.
            self._left, self._sent = False, self.sends.octets
            if self.closed_at is None:
                self.closed_at, self.error = self.runner.now(), error

    def on_ready(self) -> None:
        """Something happened to the connection."""
        now = self.runner.now()
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, SoftError):
                self.soft.append(str(event.error.strerror))
            elif isinstance(event, Urgent):
                self.urgent = True
            elif isinstance(event, Closed):
                self.closed_at, self.error = now, event.error or self.error
        while octets := self.attempt.read(len(self.expected.block)):
            self.right &= octets == self.expected.at(self.received, len(octets))
            self.received += len(octets)
        if self.eof_at is None and self.attempt.eof:
            self.eof_at = now
        if self._left:
            self._write()
            self.runner.wake()

    @property
    def whole(self) -> bool:
        """Whether all that the other side sent has arrived, its end included, and nothing else."""
        return self.eof_at is not None and self.right and self.received == self.expected.octets

    @property
    def wrong(self) -> bool:
        """Whether anything arrived that was not sent, or the stream ended early as if that were its end."""
        return not self.right or (self.eof_at is not None and self.received < self.expected.octets)

    @property
    def drops(self) -> Counter[str]:
        """What the connection dropped, by reason."""
        drops = self.attempt.report()["drops"]
        assert isinstance(drops, dict)
        return Counter({str(reason): n for reason, n in drops.items()})

    def told(self) -> dict[str, object]:
        """What the application saw, and what of it the connection tells."""
        report = self.attempt.report()
        found: dict[str, object] = {
            "received": self.received,
            "of": self.expected.octets,
            "right": self.right,
            "end": self.eof_at is not None,
            "error": None if self.error is None else str(self.error.strerror),
            "errno": None if self.error is None else self.error.errno,
        }
        if self.urgent:
            found["urgent"] = True
        if self.soft:
            found["soft"] = sorted(set(self.soft))
        for name in (
            "mode",
            "fallback",
            "placement",
            "edo",
            "retransmissions",
            "drops",
            "ao",
            "session_id",
            "path",
        ):
            if report[name]:
                found[name] = report[name]
        return found


class Acceptor:
    """The server's program: one for each connection that comes."""

    def __init__(self, runner: Runner, listener: Listener, talk: Talk) -> None:
        self.programs: list[Program] = []
        self.talk = talk
        self._runner = runner
        self._listener = listener
        listener.owner = self

    def on_ready(self) -> None:
        """A connection can be accepted."""
        while (attempt := self._listener.accept()) is not None:
            self.programs.append(
                Program(self._runner, attempt, Text(self.talk.down), Text(self.talk.up, self.talk.repeat))
            )

    def over(self, client: Program) -> bool:
        """Whether the client's program and all of the server's are done."""
        return client.closed_at is not None and all(one.closed_at is not None for one in self.programs)


@dataclass(slots=True)
class Spoken:
    """How a conversation went: ``seconds`` until both programs were done (``patience`` where they were not)."""

    seconds: float
    done: bool
    client: Program
    servers: list[Program]
    stack_drops: dict[str, int] = field(default_factory=dict)

    @property
    def programs(self) -> list[Program]:
        """All programs, the client's first."""
        return [self.client, *self.servers]

    @property
    def whole(self) -> bool:
        """Whether one connection carried everything both ways and both programs saw it end in order."""
        ended = all(program.closed_at is not None and program.error is None for program in self.programs)
        return ended and len(self.servers) == 1 and all(program.whole for program in self.programs)

    def told(self) -> dict[str, object]:
        """What both applications saw, and what hosts dropped that belonged to no connection."""
        found: dict[str, object] = {
            "seconds": round(self.seconds, 6),
            "client": self.client.told(),
            "server": self.servers[0].told() if self.servers else None,
        }
        if len(self.servers) > 1:
            found["more connections"] = [program.told() for program in self.servers[1:]]
        if self.stack_drops:
            found["drops of no connection"] = self.stack_drops
        return found


def spoken(seconds: float, done: bool, client: Program, acceptor: Acceptor, drops: Counter[str]) -> Spoken:
    """How it went, where both hosts together count ``drops``: those of connections among them."""
    left = Counter({str(name): n for name, n in drops.items()})
    for one in (client, *acceptor.programs):
        left -= one.drops
    return Spoken(seconds, done, client, acceptor.programs, dict(sorted(left.items())))


def _dial(stack: Stack, security: Security, now: float) -> Attempt:
    return stack.connect((SERVER, PORT), security=security, now=now, local_port=CLIENT_PORT)


def converse(talk: Talk, client: Security, server: Security, boxes: Sequence[Box] = ()) -> Spoken:
    """Have both speak through ``boxes``, which stand in the middle of the path; equal calls give equal results."""
    world = World(random.Random(talk.seed))
    config = talk.config or TcpConfig(user_timeout=60.0)
    here = world.add(Stack([f"{CLIENT}/24"], random=world.octets, config=config), "client")
    there = world.add(Stack([f"{SERVER}/24"], random=world.octets, config=config), "server")
    # Each end's line is behind its own: what a box in the middle sends takes nobody's place.
    lines = [RateLimit(talk.rate / 8, _QUEUE, only=direction) for direction in Direction]
    near, far = Delay(talk.rtt / 4), Delay(talk.rtt / 4)
    world.link(here, there, lines[0], near, *boxes, far, lines[1])
    acceptor = Acceptor(there, there.stack.listen(PORT, security=server), talk)

    def speak(talk: Talk) -> Program:
        acceptor.talk, acceptor.programs = talk, []
        attempt = _dial(here.stack, client, world.now)
        program = Program(here, attempt, Text(talk.up, talk.repeat), Text(talk.down))
        deadline = world.now + talk.patience
        last = world.steps + talk.most_steps
        while not acceptor.over(program) and world.now < deadline and world.steps < last and world.step():
            pass
        return program

    if talk.before:
        speak(replace(talk, seed=talk.seed + _BEFORE))
        world.run(world.now + _BETWEEN)
    if talk.isn is not None:
        # A twin with the client's secrets tells which number it would take now.
        twin = Stack([f"{CLIENT}/24"], random=random.Random(talk.seed).randbytes, config=config)
        ahead = talk.isn - _dial(twin, client, world.now).flow.connection.iss
        # Half a tick more, that no rounding is behind it.
        world.run(world.now + (ahead % (1 << 32) + 0.5) / _TICKS)
    begun = world.now
    program = speak(talk)
    done = acceptor.over(program)
    seconds = world.now - begun if done else talk.patience
    return spoken(seconds, done, program, acceptor, here.stack.drops + there.stack.drops)
