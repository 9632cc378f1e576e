"""The services of ``edotun serve`` but for HTTP, as handlers of asyncio streams: echo, sink, source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .pattern import pattern

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# Octets moved at a time.
CHUNK: Final = 1 << 18


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until the peer's end (RFC 862)."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read and forget until the peer's end (RFC 863)."""
    while await reader.read(CHUNK):
        pass


def source(octets: int | None) -> Handler:
    """Return a handler that sends ``octets`` of the pattern (None: without end) and then its own end.

    What the peer sends is read and forgotten, so that its end is seen.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading = asyncio.ensure_future(sink(reader, writer))
        try:
            position = 0
            while octets is None or position < octets:
                count = CHUNK if octets is None else min(CHUNK, octets - position)
                writer.write(pattern(position, count))
                position += count
                await writer.drain()
                # drain() does not give the loop a turn while the buffer has room.
                await asyncio.sleep(0)
            if writer.can_write_eof():
                writer.write_eof()
            await reading
        finally:
            reading.cancel()

    return handle
