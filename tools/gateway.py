"""The gateway: connections of the kernel's TCP go on through the stack, and the reverse; programs need no change.

Both ways octets wait in the slower side's buffers only; FIN is passed on as half-close, RST as RST.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Final

from ao.ends import endpoint

from .gateway_file import Endpoint, Forward
from .network import Network, Reported, close, report_of
from .report import unconnected
from .serve import LAST_LINGER, LIMIT, LINGER

# Called with the forward, the report of its connection through the stack, and what went wrong beside it.
Relayed = Callable[[Forward, Mapping[str, object], str | None], None]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 1 << 18
_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BACKLOG: Final = 1024


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, the kernel's (SO_LINGER of 0) or ours."""
    kernel_socket = writer.get_extra_info("socket")
    if kernel_socket is not None:
        # Its descriptor may be closed already.
        with contextlib.suppress(OSError):
            kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    writer.transport.abort()


async def open_kernel(remote: Endpoint, source: tuple[str, int] | None) -> Streams:
    """Connect by the kernel's TCP, from ``source`` if given; raises OSError."""
    loop = asyncio.get_running_loop()
    kernel_socket = socket.socket(socket.AF_INET6 if ":" in remote.address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        kernel_socket.setblocking(False)
        kernel_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            # A fixed port may be used again while an earlier connection is in TIME-WAIT.
            kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kernel_socket.bind(source)
        try:
            await loop.sock_connect(kernel_socket, (remote.address, remote.port))
        except OSError as error:
            # asyncio's text for it names the call, not what went wrong.
            where = endpoint(remote.address, remote.port)
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)} at kernel:{where}") from None
        return await asyncio.open_connection(sock=kernel_socket, limit=LIMIT)
    except BaseException:
        kernel_socket.close()
        raise


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay one direction up to and with its end; raises OSError."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def relay(one: Streams, other: Streams) -> None:
    """Relay both ways until both have ended; raises the OSError for which either side failed."""
    pumps = [asyncio.ensure_future(_pump(one[0], other[1])), asyncio.ensure_future(_pump(other[0], one[1]))]
    try:
        await asyncio.gather(*pumps)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class Relay:
    """One ``[[forward]]``: its listener and the connections that it relays."""

    def __init__(self, network: Network, forward: Forward, relayed: Relayed, *, shared: bool = False) -> None:
        self._shared = shared
        self._network = network
        self._forward = forward
        self._relayed = relayed
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept connections; raises OSError."""
        listen = self._forward.listen
        if listen.kernel:
            self._server = await asyncio.start_server(
                self._connected,
                listen.address,
                listen.port,
                limit=LIMIT,
                backlog=_BACKLOG,
                reuse_port=self._shared or None,
            )
        else:
            self._server = await self._network.start_server(
                self._connected, listen.port, address=listen.address, security=self._forward.security, limit=LIMIT
            )

    async def stop(self) -> None:
        """Accept no more, end what is relayed with RST on both sides, and wait for the lines of it."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=LAST_LINGER)

    async def _open(self, attempts: list[Reported]) -> Streams:
        forward = self._forward
        if forward.connect.kernel:
            return await open_kernel(forward.connect, forward.source)
        address, port = forward.source or (None, 0)
        return await self._network.open_connection(
            forward.connect.address,
            forward.connect.port,
            security=forward.security,
            local_address=address,
            local_port=port,
            limit=LIMIT,
            started=attempts.append,
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        attempts: list[Reported] = []
        started = time.monotonic()
        error: str | None = None
        onward: Streams | None = None
        try:
            try:
                onward = await self._open(attempts)
                await relay((reader, writer), onward)
                for side in (writer, onward[1]):
                    error = error or await close(side, LINGER)
            except asyncio.CancelledError:
                # Only stop() cancels.
                error = "the gateway was stopped"
            except OSError as failure:
                error = str(failure.strerror or failure)
            if error is not None:
                reset(writer)
                if onward is not None:
                    reset(onward[1])
            self._relayed(self._forward, self._report(writer, onward, attempts, error, started), error)
        finally:
            self._tasks.discard(task)

    def _report(
        self,
        accepted: asyncio.StreamWriter,
        onward: Streams | None,
        attempts: list[Reported],
        error: str | None,
        started: float,
    ) -> Mapping[str, object]:
        """The facts of the connection of the two that is the stack's."""
        if not self._forward.listen.kernel:
            return report_of(accepted)
        if attempts:
            return attempts[-1].report()
        if onward is not None:
            return report_of(onward[1])
        remote = endpoint(self._forward.connect.address, self._forward.connect.port)
        return unconnected(remote, self._forward.security.protect, error or "", time.monotonic() - started)


async def run_gateway(
    network: Network,
    forwards: tuple[Forward, ...],
    *,
    ready: Callable[[], None],
    relayed: Relayed,
    stop: asyncio.Event,
    shared: bool = False,
) -> None:
    """Relay until ``stop`` is set; ``ready`` is called once all forwards accept. Raises OSError.

    ``shared``: other processes listen at the kernel's addresses too.
    """
    relays = [Relay(network, forward, relayed, shared=shared) for forward in forwards]
    try:
        for relay_ in relays:
            await relay_.start()
        ready()
        await stop.wait()
    finally:
        await asyncio.gather(*(relay_.stop() for relay_ in relays))
