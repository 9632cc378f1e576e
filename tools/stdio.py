"""Standard input and output for asyncio, whatever they are (terminal, pipe, file), without blocking the loop.

Each has a daemon thread of its own: a read or write that never returns must not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 1 << 18
# Chunks that wait between thread and loop at most.
_AHEAD: Final = 4


async def read_chunks(descriptor: int) -> AsyncIterator[bytes]:
    """Yield what comes from ``descriptor`` until its end; raises OSError."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def read() -> None:
        while True:
            room.acquire()
            item: bytes | OSError
            try:
                item = os.read(descriptor, _CHUNK)
            except OSError as error:
                item = error
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, item)
            except RuntimeError:
                return  # the loop is closed: the program ends
            if not item or isinstance(item, OSError):
                return

    threading.Thread(target=read, daemon=True).start()
    while True:
        item = await chunks.get()
        if isinstance(item, OSError):
            raise item
        if not item:
            return
        yield item
        room.release()


class Output:
    """Writes to ``descriptor`` in order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._chunks: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._started = False

    async def write(self, data: bytes) -> None:
        """Write all of ``data``; returns when the descriptor has taken it. Raises OSError."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, daemon=True).start()
        done: asyncio.Future[None] = self._loop.create_future()
        self._chunks.put((data, done))
        await done

    def close(self) -> None:
        """Let the thread end after what is queued; the descriptor stays open."""
        self._chunks.put(None)

    def _run(self) -> None:
        while (item := self._chunks.get()) is not None:
            data, done = item
            error: OSError | None = None
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as failure:
                error = failure
            try:
                self._loop.call_soon_threadsafe(_finish, done, error)
            except RuntimeError:
                return


def _finish(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
