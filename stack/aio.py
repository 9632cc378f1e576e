"""The API for asyncio: ``open_connection`` and ``start_server`` as asyncio has them, over a Runner's stack."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .aio_streams import LIMIT, ClientConnected, StreamProtocol, StreamReader, StreamWriter
from .aio_transport import AttemptTransport, plain_error
from .events import TcpError
from .security import Security

if TYPE_CHECKING:
    from .attempt import Attempt
    from .listener import Listener
    from .runner import Runner


async def _resolve(host: str, port: int) -> list[tuple[str, int]]:
    """Return the endpoints that ``host`` (an address or a name) stands for; raises OSError."""
    try:
        return [(str(ipaddress.ip_address(host)), port)]
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(entry[4][0]), port) for entry in found))


async def _open(
    runner: Runner,
    remote: tuple[str, int],
    security: Security,
    local: tuple[str | None, int],
    limit: int,
    started: Callable[[Attempt], None] | None,
    fast_open: bytes | None,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamProtocol(reader, loop)
    opened: asyncio.Future[None] = loop.create_future()
    try:
        attempt = runner.stack.connect(
            remote,
            local_port=local[1],
            local_address=local[0],
            security=security,
            now=runner.now(),
            fast_open=fast_open,
        )
    except TcpError as error:
        raise plain_error(error) from None
    if started is not None:
        started(attempt)
    transport = AttemptTransport(runner, attempt, protocol, loop, opened=opened)
    runner.wake()
    try:
        await opened
    except asyncio.CancelledError:
        transport.abort()
        raise
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_connection(
    runner: Runner,
    host: str,
    port: int,
    *,
    security: Security | None = None,
    local_port: int = 0,
    local_address: str | None = None,
    limit: int = LIMIT,
    started: Callable[[Attempt], None] | None = None,
    fast_open: bytes | None = None,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect through ``runner``'s stack; returns (reader, writer) with asyncio's semantics.

    ``host`` is an address or a name that the system resolves, whose addresses are tried in order; ``port`` 1-65535;
    ``local_port`` 0 is a random one; ``limit`` (octets) bounds the reader's buffer as in asyncio; ``started`` is
    called with each Attempt that is made; ``fast_open`` is written first, in the SYN where the peer's cookie is
    known (RFC 7413), so that the peer may see it twice. Raises ConnectionRefusedError, TimeoutError or another
    OSError with the stack's text.
    """
    security = security or Security()
    errors: list[OSError] = []
    for remote in await _resolve(host, port):
        try:
            return await _open(runner, remote, security, (local_address, local_port), limit, started, fast_open)
        except OSError as error:
            errors.append(error)
    if len(errors) == 1 or len({str(error) for error in errors}) == 1:
        raise errors[0]
    raise OSError("; ".join(map(str, errors)))


def _listening_name(runner: Runner, listener: Listener) -> tuple[str, int]:
    """The address and port of a listener, the unspecified address where it takes connections to any."""
    address = listener.address
    if address is None:
        address = bytes(max(map(len, runner.stack.addresses)))
    return str(ipaddress.ip_address(address)), listener.port


class ListeningSocket:
    """What ``Server.sockets`` holds: as much of a listening socket as programs ask of one."""

    __slots__ = ("_name",)

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def getsockname(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address and port on which the stack listens."""
        return (*self._name, 0, 0) if ":" in self._name[0] else self._name


class Server(asyncio.AbstractServer):
    """A listener whose connections are handed to stream protocols; asyncio's Server but for the descriptors."""

    def __init__(
        self,
        runner: Runner,
        listener: Listener,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._runner = runner
        self._listener: Listener | None = listener
        self._local = _listening_name(runner, listener)
        self._make_protocol = make_protocol
        self._loop = loop
        self._transports: set[AttemptTransport] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None
        self._ended = self._transport_ended
        listener.owner = self

    def on_ready(self) -> None:
        """Accept what is there; called by the runner."""
        while self._listener is not None and (attempt := self._listener.accept()) is not None:
            transport = AttemptTransport(
                self._runner, attempt, self._make_protocol(), self._loop, ended=self._ended
            )
            self._transports.add(transport)
            transport.on_ready()

    def _transport_ended(self, transport: AttemptTransport) -> None:
        self._transports.discard(transport)
        self._release()

    def _release(self) -> None:
        if self._listener is None and not self._transports:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    @property
    def local(self) -> tuple[str, int]:
        """The address and port on which the stack listens."""
        return self._local

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """One object with ``getsockname()``; none after ``close()``."""
        return () if self._listener is None else (ListeningSocket(self._local),)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._listener is not None

    async def start_serving(self) -> None:
        """Nothing is left to be done: a server accepts from the start."""

    def close(self) -> None:
        """Accept no more; connections that stand go on."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.close()
        self._runner.wake()
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._release()

    def close_clients(self) -> None:
        """Close every connection that was accepted."""
        for transport in tuple(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """Abort every connection that was accepted."""
        for transport in tuple(self._transports):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its connections have ended."""
        if self._listener is None and not self._transports:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def serve_forever(self) -> None:
        """Wait until cancelled, then close; raises RuntimeError when called twice or after ``close()``."""
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._listener is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None


async def start_server(
    client_connected_cb: ClientConnected,
    runner: Runner,
    port: int,
    *,
    address: str | None = None,
    security: Security | None = None,
    backlog: int = 1024,
    limit: int = LIMIT,
    fast_open: int = 0,
) -> Server:
    """Listen on ``port`` of the stack and call ``client_connected_cb(reader, writer)`` for each connection.

    ``address`` None means every address of the stack; ``backlog`` bounds connections that were not accepted yet;
    ``limit`` (octets) bounds each reader's buffer as in asyncio; ``fast_open`` (0: off) is how many connections may
    have opened fast and not stand yet, of which the first octets may come twice (RFC 7413 §6.1). A coroutine as
    callback becomes a task. Raises OSError where the port is taken, ValueError where the address is not the
    stack's.
    """
    loop = asyncio.get_running_loop()

    def make_protocol() -> StreamProtocol:
        return StreamProtocol(StreamReader(limit, loop), loop, client_connected_cb)

    try:
        config = None
        if fast_open:
            config = runner.stack.config
            config = replace(config, fast_open=replace(config.fast_open, pending=fast_open))
        listener = runner.stack.listen(
            port,
            address=address,
            security=security or Security(),
            backlog=backlog,
            config=config,
        )
    except TcpError as error:
        raise plain_error(error) from None
    server = Server(runner, listener, make_protocol, loop)
    runner.wake()
    return server
