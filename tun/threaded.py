"""A stack in a thread of its own: an event loop that shares with other threads whatever it runs."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self
from weakref import WeakSet

from stack.host import Stack
from stack.sockets import Net, Socket
from stack.states import State

from .driver import Driver
from .interface import Interface
from .loopback import Loopback

# How long the end waits for connections whose last octets or FIN were not acknowledged yet, seconds.
_LAST_FIN: Final = 2.0
_UNFINISHED: Final = (State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)


class FairLock:
    """A lock that is handed to whoever waits longest; one thread may not take it twice.

    A plain lock would mostly go back to the thread that gives it away and takes it again at once.
    """

    __slots__ = ("_guard", "_held", "_queue")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._queue: deque[threading.Lock] = deque()

    def acquire(self) -> None:
        """Take it, after all who came before."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        try:
            turn.acquire()
        except BaseException:
            # A signal's handler has raised: give up the place in the queue, or the lock that has just come.
            with self._guard:
                waited = turn in self._queue
                if waited:
                    self._queue.remove(turn)
            if not waited:
                self.release()
            raise

    def release(self) -> None:
        """Hand it to who is next."""
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class SharingSelector(selectors.DefaultSelector):
    """A selector that gives a lock away while it waits: so all that an event loop runs, runs under the lock."""

    def __init__(self, lock: FairLock) -> None:
        super().__init__()
        self._lock = lock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait without the lock, at most ``timeout`` seconds."""
        self._lock.release()
        try:
            return super().select(timeout)
        finally:
            self._lock.acquire()


class Driven(Protocol):
    """What a context in the thread gives: something with a driver."""

    @property
    def driver(self) -> Driver[Stack]:
        """What runs the stack."""


class ThreadedRunner:
    """Runs ``make()``, an asynchronous context with a driver, in a thread; a ``SharedRunner`` for sockets."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Driven]]) -> None:
        self.lock = FairLock()
        self.stopped = False
        self._make = make
        self._thread = threading.Thread(target=self._run, name="edotun", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver[Stack] | None = None
        self._end: asyncio.Event | None = None
        self._waking = False
        self._at_stop: list[Callable[[], None]] = []
        _runners.add(self)

    # --- the owner's thread ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; returns when the stack runs. Raises what entering the context raises."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            failure, self._failure = self._failure, None
            raise failure

    def stop(self) -> None:
        """Wait shortly for the last FINs, leave the context, end the thread. Raises what leaving raises."""
        if self._loop is None:
            return
        if self._end is not None:
            self.post(self._end.set)
        self._thread.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    # --- Runner ------------------------------------------------------------------------------------------

    @property
    def driver(self) -> Driver[Stack]:
        """The driver in the thread; RuntimeError before ``start``."""
        if self._driver is None:
            raise RuntimeError("the stack does not run: use it with 'with'")
        return self._driver

    @property
    def stack(self) -> Stack:
        """The stack; to be used under ``lock`` alone."""
        return self.driver.stack

    def now(self) -> float:
        """Seconds of the stack's clock."""
        return self.driver.now()

    def wake(self) -> None:
        """Have output and deadlines looked at soon, once for many calls; under ``lock``, from any thread."""
        if not self._waking:
            self._waking = True
            self.post(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self.driver.wake()

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Call ``callback`` in the thread at ``when`` (seconds of the stack's clock); under ``lock`` alone."""
        handle = self.driver.call_at(when, callback)
        self.wake()
        return handle

    def post(self, callback: Callable[[], None], /) -> None:
        """Call ``callback`` in the thread soon; from any thread, nothing once the thread has ended."""
        if self._loop is not None and not self.stopped:
            # It may end in this moment: then there is nobody to call anything.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def at_stop(self, callback: Callable[[], None], /) -> None:
        """Have ``callback`` called when the stack runs no longer."""
        self._at_stop.append(callback)

    def orphan(self) -> None:
        """This is a child of the process in which the thread runs: here there is none, and no stack.

        The lock may have been held by a thread that is not here either.
        """
        self.stopped = True
        self.lock = FairLock()
        self._end = None
        self._loop = None

    # --- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.lock.acquire()
        loop = asyncio.SelectorEventLoop(SharingSelector(self.lock))
        try:
            loop.run_until_complete(self._live(loop))
        except BaseException as failure:  # raised in the owner's thread
            self._failure = failure
        finally:
            self._finish()
            loop.close()
            self.lock.release()
            self._started.set()

    def _finish(self) -> None:
        self.stopped = True
        for callback in self._at_stop:
            callback()

    async def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        async with self._make() as driven:
            self._loop = loop
            self._end = asyncio.Event()
            self._driver = driven.driver
            gone = loop.create_task(self._driver.wait())
            end = loop.create_task(self._end.wait())
            self._started.set()
            try:
                await asyncio.wait((gone, end), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    self._finish()
                    gone.result()
                else:
                    await self._drain(loop)
            finally:
                gone.cancel()
                end.cancel()
                await asyncio.gather(gone, end, return_exceptions=True)

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """A userspace stack ends with its thread: without this the last FIN might never be sent."""
        until = loop.time() + _LAST_FIN
        while loop.time() < until and any(
            flow.connection.state in _UNFINISHED or (flow.connection.fin_queued and flow.connection.unsent)
            for flow in self.stack.flows.values()
        ):
            await asyncio.sleep(0.005)


_runners: Final[WeakSet[ThreadedRunner]] = WeakSet()


def _orphan() -> None:
    for runner in list(_runners):
        runner.orphan()


os.register_at_fork(after_in_child=_orphan)


class BlockingInterface:
    """An ``Interface`` for programs without asyncio: ``with``, not ``async with``; sockets, not streams.

    Takes what ``Interface`` takes. The stack runs in a thread; ``socket``, ``create_connection`` and
    ``create_server`` are those of ``Net``. Entering raises TunError or another OSError, leaving TunError where the
    device was gone before. When it ends, calls that wait fail with ENETDOWN; so does every call in a child that was
    forked, where there is no such thread: it has to make an interface of its own.
    """

    _kind: ClassVar[type[Interface]] = Interface

    def __init__(self, **settings: Any) -> None:
        made = self._kind(**settings)
        self.runner = ThreadedRunner(lambda: made)
        self.net = Net(self)

    def __enter__(self) -> Self:
        self.runner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.stop()

    @property
    def stack(self) -> Stack:
        """The stack; to be used under ``runner.lock`` alone."""
        return self.runner.stack

    def socket(self, *arguments: Any, **named: Any) -> Socket:
        """As ``Net.socket``."""
        return self.net.socket(*arguments, **named)

    def create_connection(self, *arguments: Any, **named: Any) -> Socket:
        """As ``Net.create_connection``."""
        return self.net.create_connection(*arguments, **named)

    def create_server(self, *arguments: Any, **named: Any) -> Socket:
        """As ``Net.create_server``."""
        return self.net.create_server(*arguments, **named)


class BlockingLoopback(BlockingInterface):
    """A ``BlockingInterface`` without a device: its sockets reach each other, and nobody else."""

    _kind = Loopback
