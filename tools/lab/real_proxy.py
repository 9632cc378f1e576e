"""A TCP proxy inside a namespace: what the kernel redirects to it ends here, and begins anew towards its server."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

from tun.netns import Namespace

PORT = 8000
_ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST of Linux, at level SOL_IP
_PATIENCE = 10.0  # seconds


class Proxy:
    """Relays both directions of each connection, each with its own end; for ``with``.

    It runs in a thread inside ``namespace``, whose rules redirect connections to ``PORT``.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._thread = threading.Thread(target=self._inside, name="proxy")
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        # asyncio itself holds a server's tasks by weak references only.
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        if not self._up.wait(_PATIENCE):
            raise TimeoutError("the proxy did not begin to listen")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)

    def _inside(self) -> None:
        self._namespace.call(lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accepted, "0.0.0.0", PORT)
        self._up.set()
        await self._stop.wait()
        server.close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted: socket.socket = writer.get_extra_info("socket")
        port, address = struct.unpack_from("!2xH4s", accepted.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16))
        try:
            onward, back = await asyncio.open_connection(socket.inet_ntoa(address), port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_relay(reader, back), _relay(onward, writer))
        writer.close()
        back.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
