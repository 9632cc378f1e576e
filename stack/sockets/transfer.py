"""The calls of a socket that move octets, with the arguments, results and errors of ``socket.socket``."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, Protocol, cast

from ..socket_core import Blocked, SocketError
from .waiting import WaitingSocket, system_error

Buffer = bytes | bytearray | memoryview
# Octets of a file that are read at a time.
_FILE_BLOCK = 1 << 16


def octets_of(data: Buffer) -> memoryview:
    """The octets of a buffer, not copied. Raises TypeError and BufferError as ``socket`` does."""
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B")


def room_in(buffer: bytearray | memoryview) -> memoryview:
    """The octets of a buffer that can be written. Raises TypeError as ``socket`` does."""
    view = memoryview(buffer)
    if view.readonly or not view.c_contiguous:
        raise TypeError(f"a contiguous read-write bytes-like object is required, not {type(buffer).__name__!r}")
    return view.cast("B")


class Readable(Protocol):
    """A file that is opened for reading octets."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` octets, b"" at the end."""


class OctetSocket(WaitingSocket):
    """A connected socket's part of ``Socket``."""

    # --- sending -----------------------------------------------------------------------------------------

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Send; returns how many octets were taken: all of them without a timeout, else at least one.

        Flags: MSG_DONTWAIT, MSG_MORE, MSG_OOB (urgent up to the last octet, RFC 6093). Raises BlockingIOError,
        TimeoutError, BrokenPipeError, or what the connection has failed with.
        """
        view = octets_of(data)
        timeout = self._waits(flags)
        return self._finish(view, self._send_some(view, flags, timeout), flags, timeout)

    def _finish(self, view: memoryview, sent: int, flags: int, timeout: float | None) -> int:
        """Without a timeout, send what is left of ``view``, as far as that goes; how many octets were sent."""
        while timeout is None and 0 < sent < len(view):
            more = self._send_rest(view[sent:], flags)
            if not more:
                break
            sent += more
        return sent

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it. After an error it is not known how much was sent."""
        view = octets_of(data)
        timeout = self._waits(flags)
        until = None if timeout is None else time.monotonic() + timeout
        sent = 0
        while True:
            sent += self._send_some(view[sent:], flags, timeout)
            if sent >= len(view):
                return
            if until is not None and timeout:
                timeout = until - time.monotonic()
                if timeout <= 0.0:
                    raise TimeoutError("timed out")

    def sendmsg(
        self, buffers: Iterable[Buffer], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None
    ) -> int:
        """Send the buffers' octets one after the other; EOPNOTSUPP for ancillary data."""
        if list(ancdata):
            raise system_error(errno.EOPNOTSUPP)
        data = b"".join(buffers)
        return self.send(data, flags) if address is None else self.sendto(data, flags, address)

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """As ``send``: sendto(data, [flags,] address), which connects with MSG_FASTOPEN (RFC 7413).

        To a stream that is connected the address says nothing new.
        """
        if len(rest) not in (1, 2):
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(rest) + 1} given)")
        flags, address = (0, rest[0]) if len(rest) == 1 else rest
        host, port = self._resolve("sendto", address)
        view = octets_of(data)
        octets = bytes(view)
        timeout = self._waits(flags)
        sent = self._call(lambda now: self._core.sendto(octets, flags, host, port, now), timeout)
        return self._finish(view, sent, flags & ~socket.MSG_FASTOPEN, timeout)

    def sendfile(self, file: Readable, offset: int = 0, count: int | None = None) -> int:
        """Send what a file opened for reading octets has from ``offset``, at most ``count``; returns how much.

        Raises ValueError where the socket does not wait.
        """
        if self._timeout == 0.0:
            raise ValueError("non-blocking sockets are not supported")
        if count is not None and count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
        seek: Callable[[int], object] | None = getattr(file, "seek", None)
        if offset and seek is not None:
            seek(offset)
        total = 0
        try:
            while count is None or total < count:
                data = file.read(_FILE_BLOCK if count is None else min(_FILE_BLOCK, count - total))
                if not data:
                    break
                self.sendall(data)
                total += len(data)
        finally:
            if total and seek is not None:
                seek(offset + total)
        return total

    def _send_some(self, view: memoryview, flags: int, timeout: float | None) -> int:
        def operation(now: float) -> int | Blocked:
            # Only what fits is copied: the stack keeps it.
            return self._core.send(bytes(view[: self._core.send_room or 1]), flags, now)

        return self._call(operation, timeout)

    def _send_rest(self, view: memoryview, flags: int) -> int:
        """Send more of what was begun; 0 where that fails: the next call tells why."""

        def operation(now: float) -> int | Blocked:
            core = self._core
            if core.pending_error:
                return 0
            try:
                return core.send(bytes(view[: core.send_room or 1]), flags, now)
            except SocketError:
                return 0

        return self._call(operation, None)

    # --- receiving ---------------------------------------------------------------------------------------

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """At most ``bufsize`` octets; b"" at the end of the stream.

        Flags: MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL (as many as that, but at the end; without a timeout). MSG_OOB is
        EINVAL: urgent data is in line (RFC 6093 §5).
        """
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        if not bufsize:
            return b""
        timeout = self._waits(flags)
        data = self._call(lambda now: self._core.recv(bufsize, flags, now), timeout)
        if flags & socket.MSG_WAITALL and not flags & socket.MSG_PEEK and timeout is None:
            while 0 < len(data) < bufsize and (more := self._recv_rest(bufsize - len(data), flags)):
                data += more
        return data

    def _recv_rest(self, count: int, flags: int) -> bytes:
        """More of what was begun; b"" where that fails: the next call tells why."""

        def operation(now: float) -> bytes | Blocked:
            core = self._core
            if core.pending_error and not core.readable:
                return b""
            try:
                return core.recv(count, flags, now)
            except SocketError:
                return b""

        return self._call(operation, None)

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer``, at most ``nbytes`` (0: its size); returns how many octets."""
        view = room_in(buffer)
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

    def recvfrom_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> tuple[int, None]:
        """As ``recv_into``; a stream's octets have no address of their own."""
        return self.recv_into(buffer, nbytes, flags), None

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, None]:
        """As ``recv``: (octets, no ancillary data, no flags, no address)."""
        return self.recv(bufsize, flags), [], 0, None

    def recvmsg_into(
        self, buffers: Sequence[bytearray | memoryview], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, None]:
        """As ``recvmsg``, into the buffers one after the other: (how many octets, ...)."""
        views = [room_in(buffer) for buffer in buffers]
        data = self.recv(sum(map(len, views)), flags)
        rest = memoryview(data)
        for view in views:
            piece = rest[: len(view)]
            view[: len(piece)] = piece
            rest = rest[len(piece) :]
        return len(data), [], 0, None

    # --- both --------------------------------------------------------------------------------------------

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

    def _waits(self, flags: int) -> float | None:
        return 0.0 if flags & socket.MSG_DONTWAIT else self._timeout

    def _resolve(self, caller: str, address: Any) -> tuple[str, int]:
        """(address in text form, port) of an address as ``socket`` takes it; names are resolved by the system."""
        family = socket.AddressFamily(self._core.family)
        if not isinstance(address, tuple):
            kind = type(address).__name__
            raise TypeError(f"{caller}(): {family.name} address must be tuple, not {kind}")
        if not 2 <= len(address) <= (2 if family is socket.AF_INET else 4):
            expected = (
                "a pair (host, port)" if family is socket.AF_INET else "a tuple (host, port[, flowinfo[, scopeid]])"
            )
            raise TypeError(f"{family.name} address must be {expected}")
        host, port = address[:2]
        if isinstance(host, bytes | bytearray):
            host = host.decode("ascii")
        if not isinstance(host, str) or not isinstance(port, int):
            raise TypeError(f"{caller}(): {family.name} address must be (str, int, ...)")
        if not 0 <= port < 65536:
            raise OverflowError(f"{caller}(): port must be 0-65535.")
        if not host:
            return "", port
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
        return str(found[0][4][0]), port
