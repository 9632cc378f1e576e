"""Socket: the calls of ``socket.socket``, over the stack of a runner in another thread."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import IO, Any, Self, TypeVar, cast

from ..runner import Runner
from ..socket_core import Blocked, Event, SocketCore, SocketError
from .mirror import Mirror
from .shared import Home

Address = tuple[Any, ...]
ResultT = TypeVar("ResultT")
Buffer = bytes | bytearray | memoryview


class Socket:
    """A stream socket of a userspace stack, with the methods, results and errors of ``socket.socket``.

    Every method may be called from any thread. ``close`` ends the waits of other threads with EBADF. ``fileno``
    is a real descriptor for select, poll, epoll, selectors and asyncio's ``sock_*`` calls: it is readable when
    ``recv`` or ``accept`` would not wait, writable when ``send`` would not, and hangs up with the connection; it is
    not to be read or written itself. ``detach``, ``dup`` and ancillary data do not exist.
    """

    def __init__(self, home: Home, core: SocketCore) -> None:
        self._home = home
        self._runner = home.runner
        self._core = core
        self._timeout = socket.getdefaulttimeout()
        self._waiters: list[threading.Lock] = []
        self._mirror: Mirror | None = None
        self._is_closed = False
        # What ``socket.SocketIO`` counts and looks at.
        self._io_refs = 0
        core.on_ready = self.ring
        home.add(self)

    # --- waiting -----------------------------------------------------------------------------------------

    def ring(self) -> None:
        """The core has news: called under the lock, by the runner or by a call on this socket."""
        for waiter in self._waiters:
            if waiter.locked():
                waiter.release()
        if self._mirror is not None:
            self._reflect()

    def _reflect(self) -> None:
        if self._mirror is not None:
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
                    raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
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
                    raise OSError(result.errno, os.strerror(result.errno))
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
            waiter.acquire(timeout=-1 if seconds is None else seconds)
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

    # --- opening -----------------------------------------------------------------------------------------

    def bind(self, address: Address) -> None:
        """Take a local address and port, (host, port) or IPv6's four; host "" is any, port 0 a free one."""
        self._at_once(lambda _: self._core.bind(str(address[0]), int(address[1])))

    def listen(self, backlog: int = 128) -> None:
        """Take connections; ``backlog`` of them may wait for ``accept``."""
        self._at_once(lambda _: self._core.listen(backlog))

    def accept(self) -> tuple[Socket, Address]:
        """The next connection and its peer's address."""
        core = self._call(self._core.accept, self._timeout)
        return Socket(self._home, core), core.remote

    def connect(self, address: Address) -> None:
        """Connect to (host, port); names are resolved by the system. Raises what ``socket.socket.connect`` does."""
        host, port = self._resolve(address)
        self._call(lambda now: self._core.connect(host, port, now), self._timeout)

    def connect_ex(self, address: Address) -> int:
        """As ``connect``, but errors are returned as numbers."""
        try:
            self.connect(address)
        except TimeoutError as error:
            return error.errno or errno.EAGAIN
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def _resolve(self, address: Address) -> tuple[str, int]:
        host, port = str(address[0]), int(address[1])
        found = socket.getaddrinfo(host or None, port, socket.AddressFamily(self._core.family), socket.SOCK_STREAM)
        return str(found[0][4][0]), port

    # --- octets ------------------------------------------------------------------------------------------

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Send; returns how many octets were taken: all of them without a timeout, else at least one."""
        view = memoryview(data).cast("B")
        timeout = self._waits(flags)
        sent = self._send_some(view, flags, timeout)
        while timeout is None and sent < len(view):
            sent += self._send_some(view[sent:], flags, None)
        return sent

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it. After an error it is not known how much was sent."""
        view = memoryview(data).cast("B")
        timeout = self._waits(flags)
        until = None if timeout is None else time.monotonic() + timeout
        sent = 0
        while sent < len(view):
            if until is not None and timeout:
                timeout = max(until - time.monotonic(), 1e-6)
            sent += self._send_some(view[sent:], flags, timeout)

    def sendmsg(self, buffers: Iterable[Buffer], ancdata: Iterable[Any] = (), flags: int = 0) -> int:
        """Send the buffers' octets one after the other; there is no ancillary data."""
        if list(ancdata):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return self.send(b"".join(buffers), flags)

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """As ``send``: sendto(data, [flags,] address); the address must be one of the family."""
        flags, address = (0, rest[0]) if len(rest) == 1 else rest
        host, port = str(address[0]), int(address[1])
        octets = bytes(data)
        return self._call(lambda now: self._core.sendto(octets, flags, host, port, now), self._waits(flags))

    def _send_some(self, view: memoryview, flags: int, timeout: float | None) -> int:
        room = 0

        def operation(now: float) -> int | Blocked:
            nonlocal room
            # Only what fits is copied: the stack keeps it.
            room = min(len(view), self._core.send_room or 1)
            return self._core.send(bytes(view[:room]), flags, now)

        return self._call(operation, timeout)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """At most ``bufsize`` octets; b"" at the end. With MSG_WAITALL as many as that, but at the end."""
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        data = self._recv_some(bufsize, flags)
        if flags & socket.MSG_WAITALL and not flags & socket.MSG_PEEK:
            while 0 < len(data) < bufsize and (more := self._recv_some(bufsize - len(data), flags)):
                data += more
        return data

    def _recv_some(self, count: int, flags: int) -> bytes:
        return self._call(lambda now: self._core.recv(count, flags, now), self._waits(flags))

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer``, at most ``nbytes`` (0: its size); returns how many octets."""
        view = memoryview(buffer).cast("B")
        if nbytes < 0:
            raise ValueError("negative buffersize in recv_into")
        if nbytes > len(view):
            raise ValueError("buffer too small for requested bytes")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, None]:
        """As ``recv``; a stream's octets have no address of their own."""
        return self.recv(bufsize, flags), None

    def _waits(self, flags: int) -> float | None:
        return 0.0 if flags & socket.MSG_DONTWAIT else self._timeout

    # --- closing -----------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """End one direction or both: SHUT_RD, SHUT_WR, SHUT_RDWR."""
        self._at_once(lambda now: self._core.shutdown(how, now))

    def close(self) -> None:
        """Close; with open files of ``makefile`` when the last of them is closed. Waits only for SO_LINGER."""
        self._is_closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _real_close(self) -> None:
        try:
            with contextlib.suppress(OSError):
                self._call(self._core.close, None)
        finally:
            with self._runner.lock:
                if self._mirror is not None:
                    self._mirror.close()
                    self._mirror = None
                self.ring()

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._is_closed:
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
        warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
        self._runner.post(_Closing(core, self._runner, self._mirror))

    # --- options and facts -------------------------------------------------------------------------------

    def settimeout(self, value: float | None) -> None:
        """How long calls wait, seconds: None without end, 0 not at all."""
        if value is not None and value < 0.0:
            raise ValueError("Timeout value out of range")
        self._timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """What ``settimeout`` has set."""
        return self._timeout

    @property
    def timeout(self) -> float | None:
        """What ``settimeout`` has set."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Wait without end, or not at all."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Whether calls wait."""
        return self._timeout != 0.0

    def setsockopt(self, level: int, name: int, value: int | Buffer | None, optlen: int | None = None) -> None:
        """Set an option; numbers are those of the ``socket`` module on Linux."""
        if value is None:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        given = value if isinstance(value, int) else bytes(value)
        self._at_once(lambda _: self._core.setsockopt(level, name, given))

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> int | bytes:
        """An option as a number, or with ``buflen`` as at most so many octets of the machine's structure."""
        value = self._at_once(lambda now: self._core.getsockopt(level, name, now))
        if buflen:
            octets = value if isinstance(value, bytes) else value.to_bytes(4, "little", signed=value < 0)
            return octets[:buflen]
        return value if isinstance(value, int) else int.from_bytes(value[:4], "little", signed=True)

    def ioctl(self, request: int) -> int:
        """FIONREAD (SIOCINQ), TIOCOUTQ (SIOCOUTQ) or SIOCOUTQNSD: octets that wait."""
        return self._at_once(lambda _: self._core.ioctl(request))

    def getsockname(self) -> Address:
        """The local address and port."""
        return self._at_once(lambda _: self._core.getsockname())

    def getpeername(self) -> Address:
        """The peer's address and port."""
        return self._at_once(lambda _: self._core.getpeername())

    def security(self) -> dict[str, object]:
        """What protects the connection: the names of the line of a finished connection."""
        return self._at_once(lambda _: self._core.security())

    def report(self) -> dict[str, object]:
        """The line of a finished connection, as it is now."""
        return self._at_once(lambda _: self._core.report())

    def info(self) -> dict[str, int | str]:
        """The fields of struct tcp_info by name, with ``state``, RFC 9293's."""
        return self._at_once(lambda _: self._core.info())

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AddressFamily(self._core.family)

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """IPPROTO_TCP."""
        return socket.IPPROTO_TCP

    def fileno(self) -> int:
        """A descriptor that is ready when the socket is; -1 after ``close``."""
        with self._runner.lock:
            if self._core.closed:
                return -1
            if self._mirror is None:
                self._mirror = Mirror()
                self._reflect()
            return self._mirror.fileno()

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file over the socket, as ``socket.socket.makefile`` makes it."""
        # The system's needs of a socket what this one has: recv_into, send and the count of files.
        make = cast(Callable[..., IO[Any]], socket.socket.makefile)
        return make(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)

    def __repr__(self) -> str:
        state = "closed" if self._core.closed else self._core.state.name
        return f"<edotun.sockets.Socket {self.family.name} {state}>"


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
