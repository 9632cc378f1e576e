"""Serving: a handler's connections from the first octet to the line that is printed when each is finished."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from stack.security import Security

from .network import Network, close, report_of
from .services import Handler

# Called with a finished connection's report and with the error of the program that used it (None: none).
Finished = Callable[[Mapping[str, object], str | None], None]

# How long a connection that is closed may take to have everything acknowledged, seconds; and at the program's end.
LINGER = 120.0
LAST_LINGER = 2.0
LIMIT = 1 << 18


class Service:
    """A handler, and the connections that it has at the moment."""

    def __init__(self, handler: Handler, finished: Finished) -> None:
        self._handler = handler
        self._finished = finished
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; to be given to ``start_server``."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        error: str | None = None
        try:
            try:
                if self._stopping:
                    raise asyncio.CancelledError
                await self._handler(reader, writer)
            except asyncio.CancelledError:
                # Only stop() cancels: the connection is closed in order and its line printed.
                task.uncancel()
            except OSError as failure:
                error = str(failure.strerror or failure)
            except Exception as failure:
                # A connection must not take the server with it; the line says what happened.
                error = f"{type(failure).__name__}: {failure}"
                writer.transport.abort()
            try:
                failed = await close(writer, LAST_LINGER if self._stopping else LINGER)
            except asyncio.CancelledError:
                task.uncancel()
                failed = await close(writer, LAST_LINGER)
            self._finished(report_of(writer), error or failed)
        finally:
            self._tasks.discard(task)

    async def stop(self) -> None:
        """Close every connection and wait until their lines are printed."""
        self._stopping = True
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=2 * LAST_LINGER)


async def serve(
    network: Network,
    handler: Handler,
    port: int,
    security: Security,
    *,
    address: str | None = None,
    ready: Callable[[], None],
    finished: Finished,
    stop: asyncio.Event,
) -> None:
    """Serve ``handler`` on ``port`` until ``stop`` is set; ``ready`` is called once connections are accepted."""
    service = Service(handler, finished)
    server = await network.start_server(service.connected, port, address=address, security=security, limit=LIMIT)
    try:
        ready()
        await stop.wait()
    finally:
        server.close()
        await service.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_LINGER):
                await server.wait_closed()
