"""asyncio's streams with less memory: what a connection that waits for its peer holds is as little as can be.

asyncio's own keep, for each connection, a queue of writers that wait, two futures that nobody awaits, a weak
reference, a closure and an empty buffer: a kilobyte and a half more. To programs these are ``asyncio.StreamReader``
and ``asyncio.StreamWriter``, and ``start_tls`` works; what is inside is made when it is needed, and given back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, SupportsIndex

LIMIT: Final = 1 << 16

ClientConnected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]
# The buffer of every reader that has nothing; never added to.
_NOTHING: Final = bytearray()
# Octets from which on what comes is handed to ``read`` as it came, instead of being copied into the buffer.
_LARGE: Final = 16_384
# Pieces behind such a one that are shorter than this are gathered: else each would cost an object.
_SMALL: Final = 512


class StreamReader(asyncio.StreamReader):
    """A reader that has a buffer only while there is something in it; ``limit`` in octets as in asyncio.

    What asyncio's has as attributes from the start is the class's until it changes. Raises ValueError for a
    ``limit`` that is not positive.
    """

    _buffer = _NOTHING
    _limit = LIMIT
    _eof = False
    _paused = False
    _waiter: asyncio.Future[None] | None = None
    _exception: BaseException | None = None
    _transport: asyncio.BaseTransport | None = None
    # What came and is not in the buffer, which is empty then, and how many octets that are.
    _pieces: deque[bytes | bytearray] | None = None
    _held = 0

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        if limit != LIMIT:
            self._limit = limit
        self._loop = loop

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take ``data`` from the protocol."""
        large = isinstance(data, bytes) and (len(data) >= _LARGE or self._pieces is not None)
        if large and data and not self._buffer:
            self._keep(data)
            return
        if self._buffer is _NOTHING and data:
            self._buffer = bytearray()
        super().feed_data(data)

    def _keep(self, data: Any) -> None:
        pieces = self._pieces
        if pieces is None:
            pieces = self._pieces = deque()
        if len(data) >= _SMALL:
            pieces.append(data)
        elif isinstance(last := pieces[-1], bytearray):
            last += data
        else:
            pieces.append(bytearray(data))
        self._held += len(data)
        self._wakeup_waiter()  # type: ignore[attr-defined]  # asyncio's own
        if self._held > 2 * self._limit and not self._paused and self._transport is not None:
            assert isinstance(self._transport, asyncio.ReadTransport)
            try:
                self._transport.pause_reading()
            except NotImplementedError:
                return
            self._paused = True

    def _gather(self) -> None:
        """Have in the buffer all that came: what looks for a line or a number of octets looks there."""
        if self._pieces is not None:
            self._buffer = bytearray().join(self._pieces)
            self._pieces = None
            self._held = 0

    def at_eof(self) -> bool:
        """Whether everything was read and the end has come."""
        return self._pieces is None and super().at_eof()

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """As asyncio's."""
        self._gather()
        return await super().readuntil(separator)

    async def readexactly(self, n: int) -> bytes:
        """As asyncio's."""
        self._gather()
        return await super().readexactly(n)

    async def read(self, n: int = -1) -> bytes:
        """Return at most ``n`` octets as soon as there are any, all until the end where ``n`` is negative."""
        if n <= 0 or self._exception is not None:
            return await super().read(n)
        if not self._buffer and self._pieces is None and not self._eof:
            # Here and not in a coroutine of its own: most connections wait here, and most of the time.
            waiter = self._begin_waiting("read")
            try:
                await waiter
            finally:
                self._waiter = None
        pieces = self._pieces
        if pieces is not None and len(pieces[0]) > n:
            self._gather()
            pieces = None
        buffer = self._buffer
        if pieces is not None:
            data = bytes(pieces.popleft())
            self._held -= len(data)
            if not pieces:
                self._pieces = None
        elif len(buffer) <= n:
            data = bytes(buffer)
            self._buffer = _NOTHING
        else:
            data = bytes(buffer[:n])
            del buffer[:n]
        if self._paused and len(self._buffer) + self._held <= self._limit:
            self._resume()
        return data

    async def _wait_for_data(self, func_name: str) -> None:
        """Wait until there is more, for the other methods that read."""
        waiter = self._begin_waiting(func_name)
        try:
            await waiter
        finally:
            self._waiter = None
        self._gather()

    def _begin_waiting(self, func_name: str) -> asyncio.Future[None]:
        if self._waiter is not None:
            raise RuntimeError(f"{func_name}() called while another coroutine is already waiting for incoming data")
        if not self._buffer:
            self._buffer = _NOTHING
        # What waits for more than the buffer may have has it all the same.
        self._resume()
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _resume(self) -> None:
        """Have the transport deliver again."""
        if self._paused:
            self._paused = False
            assert isinstance(self._transport, asyncio.ReadTransport)
            self._transport.resume_reading()


class StreamWriter(asyncio.StreamWriter):
    """A writer without the future that asyncio's makes and never uses."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: StreamProtocol,
        reader: StreamReader,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._reader = reader
        self._loop = loop


class StreamProtocol(asyncio.Protocol):
    """Between a transport and a reader, as ``asyncio.StreamReaderProtocol``, which is what each method does.

    ``connected`` is called with the reader and a writer once the connection stands, a coroutine becomes a task;
    None where somebody opened the connection and has them already.
    """

    __slots__ = (
        "_client_connected_cb",
        "_closed",
        "_drain_waiters",
        "_error",
        "_loop",
        "_lost",
        "_over_ssl",
        "_paused",
        "_reader",
        "_task",
        "_transport",
        "_writer",
    )

    def __init__(
        self, reader: StreamReader, loop: asyncio.AbstractEventLoop, connected: ClientConnected | None = None
    ) -> None:
        self._reader: StreamReader | None = reader
        self._loop = loop
        # By this name asyncio's ``start_tls`` knows which side it is.
        self._client_connected_cb = connected
        self._transport: Any = None
        self._writer: StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._over_ssl = False
        self._paused = False
        self._lost = False
        self._error: BaseException | None = None
        self._closed: asyncio.Future[None] | None = None
        self._drain_waiters: list[asyncio.Future[None]] | None = None

    # --- the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands: the reader and, where it was accepted, the program have it."""
        reader = self._reader
        assert reader is not None
        reader.set_transport(transport)
        self._take(transport)
        if self._client_connected_cb is None:
            return
        assert isinstance(transport, asyncio.WriteTransport)
        self._writer = StreamWriter(transport, self, reader, self._loop)
        served = self._client_connected_cb(reader, self._writer)
        if asyncio.iscoroutine(served):
            self._task = self._loop.create_task(served)
            self._task.add_done_callback(self._served)

    def _take(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._over_ssl = transport.get_extra_info("sslcontext") is not None

    def _served(self, task: asyncio.Task[None]) -> None:
        transport = self._transport
        if task.cancelled():
            if transport is not None:
                transport.close()
        elif (error := task.exception()) is not None:
            self._loop.call_exception_handler(
                {
                    "message": "Unhandled exception in client_connected_cb",
                    "exception": error,
                    "transport": transport,
                }
            )
            if transport is not None:
                transport.close()

    def data_received(self, data: bytes) -> None:
        """Octets for the reader."""
        if self._reader is not None:
            self._reader.feed_data(data)

    def eof_received(self) -> bool:
        """The peer's direction has ended; ours goes on, but not with TLS."""
        if self._reader is not None:
            self._reader.feed_eof()
        return not self._over_ssl

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: who reads, drains or waits for the end is told."""
        reader = self._reader
        if reader is not None:
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(exc)
        self._lost = True
        self._error = exc
        if self._closed is not None:
            _end(self._closed, exc)
        if self._paused:
            self._wake_drainers(exc)
        self._reader = self._writer = self._task = self._transport = None

    def pause_writing(self) -> None:
        """``drain`` is to wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """``drain`` may go on."""
        self._paused = False
        self._wake_drainers(None)

    def _wake_drainers(self, error: BaseException | None) -> None:
        for waiter in self._drain_waiters or ():
            _end(waiter, error)

    # --- the writer: what asyncio's asks of its protocol -----------------------------------------------------

    async def _drain_helper(self) -> None:
        """Wait while writing is paused; raises ConnectionResetError once the connection is lost."""
        if self._lost:
            raise ConnectionResetError("Connection lost")
        if not self._paused:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        if self._drain_waiters is None:
            self._drain_waiters = []
        self._drain_waiters.append(waiter)
        try:
            await waiter
        finally:
            if self._drain_waiters is not None:
                self._drain_waiters.remove(waiter)
                if not self._drain_waiters:
                    self._drain_waiters = None

    def _get_close_waiter(self, stream: object) -> asyncio.Future[None]:
        """A future that is done once the connection is lost, with the error if there was one."""
        if self._closed is None or (self._closed.cancelled() and not self._lost):
            self._closed = self._loop.create_future()
            if self._lost:
                _end(self._closed, self._error)
        return self._closed

    def _replace_writer(self, writer: asyncio.StreamWriter) -> None:
        """``start_tls`` has put TLS between (Python before 3.13)."""
        self._take(writer.transport)

    def _replace_transport(self, transport: asyncio.BaseTransport) -> None:
        """``start_tls`` has put TLS between."""
        self._take(transport)


def _end(waiter: asyncio.Future[None], error: BaseException | None) -> None:
    if waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)
        # Whoever awaits it still gets it; that nobody did is no fault to be reported.
        waiter.exception()
