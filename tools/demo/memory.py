"""The demonstration without root: the same stacks, joined by a link in memory, in virtual time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from random import Random
from typing import Final

from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.events import Closed
from stack.host import Stack
from stack.ip import TCP, Ip, parse
from stack.listener import Listener
from stack.security import Security
from stack.simulator import Delay, SimRunner, World
from stack.simulator.boxes import repair_checksum

from .frames import Frame
from .outcome import MODE, Download
from .topology import CLIENT_STACK, SERVER_STACK

PORT: Final = 80
_DELAY: Final = 0.002
_PATIENCE: Final = 600.0
_QUEUE: Final = 1 << 19
_LARGE: Final = 1000
_WINDOW_AT: Final = 14

Progress = Callable[[int], None]


class Router:
    """A box that keeps what comes and what leaves and, where ``alter`` says so, flips one bit of one segment.

    The bit is the lowest of the window field in the first packet of more than 1,000 octets from the server; the
    TCP checksum is repaired, as a router's kernel does it.
    """

    __slots__ = ("_alter", "altered", "frames")

    def __init__(self, *, alter: bool) -> None:
        self._alter = alter
        self.altered = 0
        self.frames: list[Frame] = []

    @property
    def next_deadline(self) -> float | None:
        """None: nothing waits here."""
        return None

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Pass packets on; BACKWARD is from the server to the client."""
        out: list[Emission] = []
        for packet in packets:
            came = bytes(packet)
            left = came
            if self._alter and direction is Direction.BACKWARD and len(came) > _LARGE:
                left = self._flip(came)
            self.frames += (Frame(now, True, came), Frame(now, False, left))
            out.append((now, direction, left))
        return out

    def _flip(self, packet: bytes) -> bytes:
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.protocol != TCP:
            return packet
        changed = bytearray(packet)
        changed[ip.header_octets + _WINDOW_AT + 1] ^= 1
        repair_checksum(ip, changed)
        self._alter = False
        self.altered += 1
        return bytes(changed)


class _Server:
    """Sends the file to whoever connects, then the end."""

    def __init__(self, listener: Listener, runner: SimRunner[Stack], file: bytes) -> None:
        self._listener = listener
        self._runner = runner
        self._file = memoryview(file)
        self._sent = 0
        self.attempt: Attempt | None = None

    def on_ready(self) -> None:
        if self.attempt is None:
            self.attempt = self._listener.accept()
            if self.attempt is None:
                return
            self.attempt.owner = self
        attempt = self.attempt
        while attempt.next_event() is not None:
            pass
        attempt.read()
        if attempt.error is None and self._sent < len(self._file):
            room = _QUEUE - attempt.unsent
            if room > 0:
                attempt.write(bytes(self._file[self._sent : self._sent + room]))
                self._sent += room
                if self._sent >= len(self._file):
                    attempt.close()
        self._runner.wake()


class _Client:
    """Asks, takes what comes, and closes at its end."""

    def __init__(self, attempt: Attempt, runner: SimRunner[Stack], progress: Progress) -> None:
        self._runner = runner
        self._progress = progress
        self.attempt = attempt
        self.hash = hashlib.sha256()
        self.octets = 0
        self.closed = False

    def on_ready(self) -> None:
        attempt = self.attempt
        while (event := attempt.next_event()) is not None:
            self.closed = self.closed or isinstance(event, Closed)
        data = attempt.read()
        if data:
            self.hash.update(data)
            self.octets += len(data)
            self._progress(self.octets)
        if attempt.eof and not self.closed:
            attempt.close()
        self._runner.wake()


def download(file: bytes, *, protect: str = MODE, alter: bool = False, progress: Progress) -> Download:
    """Download ``file`` from one stack to another; ``progress`` is called with the octets received so far.

    Raises ``stack.simulator.Stalled`` where it does not come to its end.
    """
    world = World(Random(int.from_bytes(os.urandom(8))))
    client = world.add(Stack([f"{CLIENT_STACK}/24"], random=os.urandom), "client")
    server = world.add(Stack([f"{SERVER_STACK}/24"], random=os.urandom), "server")
    router = Router(alter=alter)
    delay = Delay(_DELAY, random=world.random)
    world.link(client, server, router, delay)
    security = Security(protect=protect)
    listener = server.stack.listen(PORT, security=security)
    serving = _Server(listener, server, file)
    listener.owner = serving
    attempt = client.stack.connect((SERVER_STACK, PORT), security=security, now=world.now)
    asking = _Client(attempt, client, progress)
    attempt.owner = asking
    client.wake()
    world.run(until=_PATIENCE, stop=lambda: asking.closed)
    seconds = world.now
    peer = serving.attempt
    # The last acknowledgment is still on its way to the server.
    world.run(until=world.now + 1)
    return Download(
        octets=asking.octets,
        sent=hashlib.sha256(file).hexdigest(),
        received=asking.hash.hexdigest(),
        seconds=seconds,
        client=attempt.report(),
        server=peer.report() if peer is not None else {},
        frames=router.frames,
        altered=router.altered if alter else None,
        virtual=True,
    )
