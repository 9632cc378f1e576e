"""Ends that only make connections: who accepts one resets it, and so many are under way at a time.

Whoever opens could not reset it without the reset overtaking, in the same batch, what tells that it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import selectors
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stack.events import Closed, Established, TcpError

from ..job import Job
from .kernel import new_socket
from .stack import drops, interface_of, security_of

if TYPE_CHECKING:
    from stack.attempt import Attempt
    from stack.listener import Listener
    from stack.security import Security
    from tun.interface import Interface

UNDER_WAY: Final = 64
"""Connections that an opener begins before the first of them stands."""
# An acceptor is done when for so long nothing has come, and whoever waits for the first connection when it did not
# stand so long after the time is over; seconds.
_SILENCE: Final = 0.5
_PATIENCE: Final = 5.0
_ABORTIVE: Final = struct.pack("@ii", 1, 0)


class Counted:
    """Handshakes that were made, and the CPU time of this process from ``begin`` to the last of them."""

    def __init__(self, seconds: float) -> None:
        self._latest = time.monotonic() + seconds + _PATIENCE
        self.handshakes = 0
        self.failed = 0
        self.begin()

    def begin(self) -> None:
        """Start the clock: what comes from now on counts."""
        self._first = self._last = time.process_time()
        self._ended = time.monotonic()

    def add(self, count: int) -> None:
        """So many more stand."""
        self.handshakes += count
        self._last, self._ended = time.process_time(), time.monotonic()

    @property
    def over(self) -> bool:
        """Whether none is expected any more, by who accepts."""
        now = time.monotonic()
        return now - self._ended > _SILENCE if self.handshakes else now > self._latest

    @property
    def missing(self) -> bool:
        """Whether the first is still waited for."""
        return not self.handshakes and time.monotonic() < self._latest

    def result(self, dropped: int = 0) -> dict[str, Any]:
        """What crosses to the benchmark; ``dropped`` packets were lost at the device."""
        cpu = self._last - self._first
        return {"handshakes": self.handshakes, "cpu": cpu, "failed": self.failed, "dropped": dropped}


# --- the stack -----------------------------------------------------------------------------------------


class _Door:
    """The owner of a listener: takes what stands."""

    def __init__(self, listener: Listener, counted: Counted) -> None:
        self._listener = listener
        self._counted = counted

    def on_ready(self) -> None:
        count = 0
        while (attempt := self._listener.accept()) is not None:
            count += 1
            attempt.abort()
        if count:
            self._counted.add(count)


def accept(job: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Be a stack that listens, until nobody comes any more."""
    return asyncio.run(_accept(Job.read(job), ready))


async def _accept(job: Job, ready: Callable[[], None]) -> dict[str, Any]:
    counted = Counted(job.seconds)
    async with interface_of(job) as interface:
        listener = interface.stack.listen(job.port, security=security_of(job, "wait"))
        listener.owner = _Door(listener, counted)
        counted.begin()
        ready()
        while not counted.over:
            await asyncio.sleep(0.1)
        return counted.result(drops(interface))


class _Opening:
    """The owner of one attempt: has the next one begin when it was reset."""

    __slots__ = ("_attempt", "_crowd", "_stands")

    def __init__(self, crowd: _Crowd, attempt: Attempt) -> None:
        self._crowd = crowd
        self._attempt = attempt
        self._stands = False

    def on_ready(self) -> None:
        attempt = self._attempt
        while (event := attempt.next_event()) is not None:
            if isinstance(event, Established):
                self._stands = True
            elif isinstance(event, Closed):
                attempt.owner = None
                self._crowd.next(stood=self._stands)
                return


class _Crowd:
    """Connections that a stack opens, some at a time."""

    def __init__(self, interface: Interface, job: Job, security: Security) -> None:
        self.counted = Counted(job.seconds)
        self._stack = interface.stack
        self._runner = interface.driver
        self._to = (job.address, job.port)
        self._security = security
        self._end = time.monotonic() + job.seconds
        self._under_way = 0
        self.done = asyncio.Event()
        for _ in range(UNDER_WAY):
            self._begin()
        self._runner.wake()

    def _begin(self) -> None:
        try:
            attempt = self._stack.connect(self._to, security=self._security, now=self._runner.now())
        except TcpError:
            self.counted.failed += 1
            return
        attempt.owner = _Opening(self, attempt)
        self._under_way += 1

    def next(self, *, stood: bool) -> None:
        """One is over."""
        if stood:
            self.counted.add(1)
        else:
            self.counted.failed += 1
        self._under_way -= 1
        if time.monotonic() < self._end:
            self._begin()
        elif not self._under_way:
            self.done.set()


def open_(job: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Be a stack that opens connections for the job's time."""
    return asyncio.run(_open(Job.read(job)))


async def _open(job: Job) -> dict[str, Any]:
    async with interface_of(job) as interface:
        crowd = _Crowd(interface, job, security_of(job, "wait"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(job.seconds + _PATIENCE):
                await crowd.done.wait()
        return crowd.counted.result(drops(interface))


# --- the kernel ----------------------------------------------------------------------------------------


def flood(job_: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Open connections with the kernel's TCP for the job's time."""
    job = Job.read(job_)
    counted = Counted(job.seconds)
    end = time.monotonic() + job.seconds
    with selectors.DefaultSelector() as waits:

        def begin() -> None:
            one = new_socket(job)
            one.setblocking(False)
            if one.connect_ex((job.address, job.port)) not in (0, errno.EINPROGRESS):
                one.close()
                counted.failed += 1
                return
            waits.register(one, selectors.EVENT_READ)

        for _number in range(UNDER_WAY):
            begin()
        while time.monotonic() < end or counted.missing:
            ready = waits.select(0.2)
            stand = 0
            for key, _events in ready:
                one = key.fileobj
                assert isinstance(one, socket.socket)
                waits.unregister(one)
                # What ends it is the reset of one that stood.
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET:
                    stand += 1
                else:
                    counted.failed += 1
                one.close()
                begin()
            if stand:
                counted.add(stand)
        for key in list(waits.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
    return counted.result()


def take(job_: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Accept connections with the kernel's TCP, until nobody comes any more."""
    job = Job.read(job_)
    counted = Counted(job.seconds)
    with new_socket(job) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", job.port))
        listener.listen(1024)
        listener.settimeout(0.1)
        ready()
        while not counted.over:
            with contextlib.suppress(TimeoutError):
                one, _ = listener.accept()
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
                one.close()
                counted.add(1)
    return counted.result()
