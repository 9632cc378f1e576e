"""How a socket waits for what another thread's stack does: by a lock, a timeout, a descriptor; and how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from ..runner import Runner
from ..socket_core import Blocked, Event, SocketCore, SocketError
from .mirror import Mirror
from .shared import Home

ResultT = TypeVar("ResultT")

# What a descriptor shows once nothing will happen any more: every wait for it ends, and the call says why.
_GONE = Event.READABLE | Event.WRITABLE | Event.PEER_HANGUP | Event.HANGUP


def system_error(number: int) -> OSError:
    """An OSError of the class and with the text that the system has for ``number``."""
    return OSError(number, os.strerror(number))


class WaitingSocket:
    """A ``SocketCore`` with a timeout, a descriptor and an end; ``Socket`` has the calls."""

    def __init__(self, home: Home, core: SocketCore) -> None:
        self._home = home
        self._runner = home.runner
        self._core = core
        self._timeout = socket.getdefaulttimeout()
        self._waiters: list[threading.Lock] = []
        self._mirror: Mirror | None = None
        # The names that ``socket.SocketIO`` and ``socket.socket.makefile`` have for these.
        self._closed = False
        self._io_refs = 0
        reference = weakref.WeakMethod(self.ring)

        def ring() -> None:
            # The stack holds its connections: it shall not hold those who have forgotten them.
            if (method := reference()) is not None:
                method()

        core.on_ready = ring
        home.add(self)

    # --- waiting -----------------------------------------------------------------------------------------

    def ring(self) -> None:
        """The core has news: called under the lock, by the runner or by a call on this socket."""
        for waiter in self._waiters:
            if waiter.locked():
                waiter.release()
        self._reflect()

    def _reflect(self) -> None:
        if self._mirror is None:
            return
        if self._runner.stopped:
            self._mirror.show(_GONE)
            return
        ready = self._core.ready(self._runner.now())
        # A socket that was not connected yet may still be: its hangup is not shown, because that would stay.
        self._mirror.show(ready if self._core.stood else ready & ~(Event.HANGUP | Event.PEER_HANGUP))

    def _call(self, operation: Callable[[float], ResultT | Blocked], timeout: float | None) -> ResultT:
        """Make a call of the core, again and again while it is blocked; ``timeout`` as of ``settimeout``."""
        runner = self._runner
        until = None if timeout is None else time.monotonic() + timeout
        with runner.lock:
            while True:
                if runner.stopped:
                    raise system_error(errno.ENETDOWN)
                try:
                    result = operation(runner.now())
                except SocketError as error:
                    raise error.plain from None
                finally:
                    self._reflect()
                    runner.wake()
                if not isinstance(result, Blocked):
                    return result
                if timeout == 0.0:
                    raise system_error(result.errno)
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0.0:
                    raise TimeoutError("timed out")
                if result.deadline is not None:
                    rest = max(result.deadline - runner.now(), 0.0)
                    left = rest if left is None else min(left, rest)
                self._wait(left)

    def _wait(self, seconds: float | None) -> None:
        """Leave the lock until the core has news or ``seconds`` are over."""
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        lock = self._runner.lock
        lock.release()
        try:
            waiter.acquire(timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))
        finally:
            lock.acquire()
            self._waiters.remove(waiter)

    def _at_once(self, operation: Callable[[float], ResultT]) -> ResultT:
        """Make a call of the core that never waits."""
        with self._runner.lock:
            try:
                return operation(self._runner.now())
            except SocketError as error:
                raise error.plain from None
            finally:
                self._reflect()
                self._runner.wake()

    def fileno(self) -> int:
        """A descriptor that is ready when the socket is; -1 after ``close``."""
        with self._runner.lock:
            if self._core.closed:
                return -1
            if self._mirror is None:
                self._mirror = Mirror()
                self._reflect()
            return self._mirror.fileno()

    # --- timeouts ----------------------------------------------------------------------------------------

    def settimeout(self, value: float | None) -> None:
        """How long calls wait, seconds: None without end, 0 not at all. Raises ValueError for less, EBADF."""
        if value is not None and value < 0.0:
            raise ValueError("Timeout value out of range")
        if self._core.closed:
            raise system_error(errno.EBADF)
        self._timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """What ``settimeout`` has set."""
        return self._timeout

    @property
    def timeout(self) -> float | None:
        """What ``settimeout`` has set."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Wait without end, or not at all. Raises EBADF."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Whether calls wait."""
        return self._timeout != 0.0

    # --- the end -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close; with open files of ``makefile`` when the last of them is closed. Waits only for SO_LINGER."""
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _real_close(self) -> None:
        runner = self._runner
        with runner.lock:
            linger = self._core.close(runner.now())
            if self._mirror is not None:
                self._mirror.close()
                self._mirror = None
            self.ring()
            runner.wake()
        if linger is not None:
            with contextlib.suppress(OSError):
                self._call(self._core.close, None)

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Whoever runs this may hold the lock, in the middle of the stack's work.
        core = getattr(self, "_core", None)
        if core is None or core.closed or self._runner.stopped:
            return
        text = f"unclosed {self!r}"
        self._runner.post(_Closing(core, self._runner, self._mirror))
        warnings.warn(text, ResourceWarning, stacklevel=2, source=self)

    def __getstate__(self) -> object:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class _Closing:
    """Closes what a socket that was forgotten has left open."""

    def __init__(self, core: SocketCore, runner: Runner, mirror: Mirror | None) -> None:
        self._core = core
        self._runner = runner
        self._mirror = mirror

    def __call__(self) -> None:
        self._core.close(self._runner.now())
        self._runner.wake()
        if self._mirror is not None:
            self._mirror.close()
