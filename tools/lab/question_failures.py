"""What an unchanged program sees of each failure: the calls of its socket, and the errno that one ends with."""

from __future__ import annotations

import errno
import random
from collections.abc import Generator
from typing import Final

from ao.mkt import Mkt, MktTable
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay
from stack.simulator.world import SimRunner, World
from stack.socket_core import Blocked, SocketCore, SocketError
from stack.socket_core.numbers import AF_INET, SHUT_WR

from ..boxes.registry import arranged
from .cell import Outcome
from .crossing import CLIENT, PORT, SERVER, Door, Talk, said
from .on_path import boxes_of

_DELAY: Final = 0.02
_PAUSE: Final = 30.0
_PATIENCE: Final = 7200.0
_HALF: Final = 20_000
_MOST: Final = 65_536
_MOST_STEPS: Final = 60_000


def _ao(secret: bytes) -> Security:
    return Security("ao", keys=MktTable([Mkt("key", 1, 1, secret)]))


ENDS: Final = ("none", "ao", "ao-enc-dh", "ao-enc-dh; prefer")
_NOBODY, _OTHER_KEYS = "nobody listens", "the peer has other keys"
_PLAIN, _UNASKED = "the peer knows of no protection", "the program's end knows of none"
CASES: Final = {
    "none fails": "none",
    _NOBODY: "none",
    _PLAIN: "none",
    _UNASKED: "none",
    _OTHER_KEYS: "none",
    "nothing passes": "loss:share=1.0",
    "offers are removed from SYNs": "strip-syn",
    "SYNs with unknown options are dropped": "drop-unknown-syn",
    "SYNs with unknown options are answered by RST": "drop-unknown-reset",
    "a proxy ends the connection": "proxy",
    "a gateway changes the text": "alg",
    "sequence numbers are rewritten": "sequence",
    "options are removed in mid-connection": "strip-after",
    "a NAT forgets the connection": "nat-expiring",
    "a box resets the connection": "reset",
}
"""What goes wrong, and the box that does it (``on_path``, or of one's own)."""


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Each failure, by what is asked for; only keys can be other ones."""
    return [(case, ends) for case in CASES for ends in ENDS if ends == "ao" or case != _OTHER_KEYS]


def _securities(case: str, ends: str) -> tuple[Security, Security]:
    mode, _, policy = ends.partition("; ")
    if mode == "ao":
        client, server = _ao(b"ours"), _ao(b"theirs" if case == _OTHER_KEYS else b"ours")
    elif mode == "none":
        client = server = Security()
    else:
        client = server = Security(mode, policy=policy or "require")
    return Security() if case == _UNASKED else client, Security() if case == _PLAIN else server


class _Program:
    """A program that knows sockets and no more: connect, send, sleep, send the rest, read to the end.

    ``call`` is the one in hand, ``error`` what it ended with, ``received`` what came.
    """

    def __init__(self, core: SocketCore, runner: SimRunner[Stack], seed: int) -> None:
        self.call = "connect"
        self.error: SocketError | None = None
        self.received = bytearray()
        self.ended = False
        self._core = core
        self._runner = runner
        self._text = said("up", seed)
        self._steps = self._run()

    def step(self) -> None:
        """Go on as far as that is possible without waiting."""
        if self.ended:
            return
        try:
            next(self._steps)
        except StopIteration:
            self.ended = True
        except SocketError as error:
            self.error, self.ended = error, True

    def _run(self) -> Generator[None]:
        core, runner = self._core, self._runner
        while isinstance(found := core.connect(SERVER, PORT, runner.now()), Blocked):
            if found.errno == errno.EINPROGRESS:
                runner.wake()
            yield
        begun = runner.now()
        yield from self._send(self._text[:_HALF])
        yield from self._read(begun + _PAUSE)
        yield from self._send(self._text[_HALF:])
        self.call = "shutdown"
        core.shutdown(SHUT_WR, runner.now())
        runner.wake()
        yield from self._read(_PATIENCE)

    def _send(self, text: bytes) -> Generator[None]:
        self.call = "send"
        while text:
            sent = self._core.send(text, 0, self._runner.now())
            if isinstance(sent, Blocked):
                yield
            else:
                text = text[sent:]
                self._runner.wake()

    def _read(self, until: float) -> Generator[None]:
        self.call = "recv"
        while self._runner.now() < until:
            octets = self._core.recv(_MOST, 0, self._runner.now())
            if isinstance(octets, Blocked):
                yield
            elif octets:
                self.received += octets
                self._runner.wake()
            else:
                return


def run(case: str, ends: str, seed: int) -> Outcome:
    """Let a program speak where this fails, and say which call told it so, and when."""
    client, server = _securities(case, ends)
    world = World(random.Random(f"failure {seed}"))
    here, there = (
        world.add(Stack([f"{address}/24"], random=world.octets, config=TcpConfig(nagle=False)))
        for address in (CLIENT, SERVER)
    )
    boxes = boxes_of(CASES[case], "server", random.Random(f"boxes {seed}"))
    world.link(here, there, *arranged(boxes, Delay(_DELAY)))
    door = None
    if case != _NOBODY:
        door = Door(there, there.stack.listen(PORT, security=server), Talk(seed, _PAUSE))
    core = SocketCore(here.stack, family=AF_INET, security=client)
    program = _Program(core, here, seed)

    def step() -> bool:
        program.step()
        return program.ended

    here.call_at(_PAUSE + 1.0, program.step)
    while not step() and world.now < _PATIENCE and world.steps < _MOST_STEPS and world.step():
        pass
    found: dict[str, object] = {"after": round(world.now, 3)}
    if door is not None and door.speakers:
        found["mode"] = door.speakers[-1].attempt.report()["mode"]
    return _told(program, world.now, said("down", seed), found)


def _told(program: _Program, now: float, expected: bytes, found: dict[str, object]) -> Outcome:
    received = bytes(program.received)
    found |= {"received": f"{len(received)} of {len(expected)} octets"}
    if not expected.startswith(received) or (program.error is None and program.ended and received != expected):
        return Outcome(
            "silent corruption", {**found, "what": f"recv: other octets, or an early end, in {now:.3g} s"}
        )
    if program.error is not None:
        name = errno.errorcode.get(program.error.errno or 0, "?")
        found |= {"call": program.call, "errno": name, "text": program.error.strerror}
        found["what"] = f"{program.call}: {name} after {now:.3g} s, {len(received)} octets received"
        return Outcome("fails", found)
    if not program.ended:
        return Outcome("hangs", {**found, "what": f"{program.call}: waits after {now:.3g} s"})
    return Outcome("works", {**found, "what": f"every call succeeds, in mode {found['mode']}"})
