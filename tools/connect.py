"""``edotun connect``: one connection; what is sent, what becomes of what comes, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from ao.ends import endpoint
from stack.security import Security

from .network import Network, Reported, close
from .pattern import first_difference, pattern
from .report import unconnected
from .services import CHUNK

LIMIT = 1 << 18


class EchoFault(Exception):
    """What came back is not what was sent."""


@dataclass(slots=True)
class Job:
    """What ``connect`` is to do.

    ``octets``: how many of the pattern to send, None for those of ``source``. ``sink`` takes what comes, where it
    is not only counted (``octets`` given) or compared (``expect_echo``). ``patience``: seconds without any octet
    acknowledged or received after which the peer's end is no longer waited for. ``progress`` is called with the
    octets acknowledged and received so far.
    """

    host: str
    port: int
    security: Security
    local_port: int = 0
    octets: int | None = None
    expect_echo: bool = False
    source: Callable[[], AsyncIterator[bytes]] | None = None
    sink: Callable[[bytes], Awaitable[None]] | None = None
    patience: float = 60.0
    progress: Callable[[int, int], None] | None = None


class Exchange:
    """The octets of one connection, both ways."""

    def __init__(self, job: Job, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._job = job
        self._reader = reader
        self._writer = writer
        self.sent = 0
        self.received = 0

    @property
    def acknowledged(self) -> int:
        """Octets of ours that the peer has acknowledged."""
        unsent: int = self._writer.get_extra_info("unsent", 0)
        return self.sent - unsent

    async def run(self) -> None:
        """Send everything and the end, and receive until the peer's; raises OSError or EchoFault."""
        sending = asyncio.ensure_future(self._send())
        receiving = asyncio.ensure_future(self._receive())
        watching = asyncio.ensure_future(self._watch(sending, receiving))
        tasks = (sending, receiving, watching)
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> None:
        job = self._job
        if job.octets is not None:
            while self.sent < job.octets:
                count = min(CHUNK, job.octets - self.sent)
                await self._write(pattern(self.sent, count))
        elif job.source is not None:
            async for data in job.source():
                await self._write(data)
        self._writer.write_eof()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        self.sent += len(data)
        await self._writer.drain()
        # drain() does not give the loop a turn while the buffer has room.
        await asyncio.sleep(0)

    async def _receive(self) -> None:
        job = self._job
        while data := await self._reader.read(CHUNK):
            if job.expect_echo:
                wrong = first_difference(self.received, data)
                if wrong >= 0:
                    raise EchoFault(f"octet {wrong} of the echo is not the one that was sent")
            elif job.sink is not None:
                await job.sink(data)
            self.received += len(data)
            if job.expect_echo and job.octets is not None and self.received > job.octets:
                raise EchoFault(f"the echo is longer than the {job.octets} octets that were sent")
        if job.expect_echo and self.received != job.octets:
            raise EchoFault(f"the echo ended after {self.received} of {job.octets} octets")

    async def _watch(self, sending: asyncio.Future[None], receiving: asyncio.Future[None]) -> None:
        """Show progress; once our end is written, give up when nothing moves for as long as ``patience``."""
        job = self._job
        last = (-1, -1)
        since = time.monotonic()
        while not (sending.done() and receiving.done()):
            await asyncio.wait((sending, receiving), timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
            state = (self.acknowledged, self.received)
            if state != last or not sending.done():
                last, since = state, time.monotonic()
            if job.progress is not None:
                job.progress(*state)
            if sending.done() and not receiving.done() and time.monotonic() - since > job.patience:
                raise TimeoutError(f"the peer did not end the connection within {job.patience:g} s")


async def connect(network: Network, job: Job, finished: Callable[[dict[str, object], str | None], None]) -> int:
    """Do ``job``; ``finished`` gets the report and what went wrong beside it. Returns the exit status, 0 or 1.

    Cancelled, the connection is aborted and ``finished`` called, with the text of the cancellation if it has one,
    before CancelledError goes on.
    """
    attempts: list[Reported] = []
    started = time.monotonic()

    def report() -> dict[str, object]:
        if attempts:
            return attempts[-1].report()
        return unconnected(endpoint(job.host, job.port), job.security.protect, "", time.monotonic() - started)

    try:
        reader, writer = await network.open_connection(
            job.host,
            job.port,
            security=job.security,
            local_port=job.local_port,
            limit=LIMIT,
            started=attempts.append,
        )
    except OSError as failure:
        finished(report() | {"error": str(failure.strerror or failure)}, None)
        return 1
    except asyncio.CancelledError as cause:
        finished(report() | {"error": str(cause) or "interrupted"}, None)
        raise
    error: str | None = None
    try:
        await Exchange(job, reader, writer).run()
    except (OSError, EchoFault) as failure:
        error = str(getattr(failure, "strerror", None) or failure)
        writer.transport.abort()
    except asyncio.CancelledError as cause:
        writer.transport.abort()
        finished(report(), str(cause) or "interrupted")
        raise
    with contextlib.suppress(asyncio.CancelledError):
        error = error or await close(writer, job.patience)
    final = report()
    finished(final, error)
    return 1 if error or final.get("error") else 0
