"""What an unchanged program sees through a gateway when the stack's connection fails (docs/findings.md)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import Any

import pytest

from stack.events import TcpError
from stack.security import Security
from tests.tools.loopback import Facts, Loopback, bounded
from tests.tools.test_gateway import free_port
from tools.gateway import Relay, reset
from tools.gateway_file import Endpoint, Forward

CURL_RECV_ERROR = 56
# It could not connect, or send, or receive: by how soon the reset comes.
CURL_RESET = (7, 55, CURL_RECV_ERROR)
# Each errno that the question "failure" of ``edotun lab questions`` ends with before the connection stands.
NUMBERS = (errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EPROTO, errno.ECONNABORTED)


class Failing(Loopback):
    """A network on which nobody is reached."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def open_connection(self, host: str, port: int, **options: Any) -> Any:
        options["started"](Facts(f"{host}:{port}"))
        raise TcpError(self.number, "for this reason")


@contextlib.asynccontextmanager
async def relayed(network: Loopback, far_port: int = 80) -> Any:
    """A gateway before ``network``; yields where programs connect, and the errors that it tells of."""
    errors: list[str | None] = []
    near = Endpoint(True, "127.0.0.1", free_port())
    forward = Forward("web", near, Endpoint(False, "127.0.0.1", far_port), None, Security())
    relay = Relay(network, forward, lambda _which, _report, error: errors.append(error))
    await relay.start()
    try:
        yield near.port, errors
    finally:
        await relay.stop()


async def curl(port: int) -> int | None:
    """The exit status of a download."""
    command = ("curl", "--silent", "--max-time", "10", "--output", "/dev/null", f"http://127.0.0.1:{port}/")
    return await (await asyncio.create_subprocess_exec(*command)).wait()


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.__getitem__)
def test_a_connection_that_does_not_come_about_is_a_reset(number: int) -> None:
    async def main() -> None:
        async with relayed(Failing(number)) as (port, errors):
            # The kernel's connection stands; what it was for does not.
            reader, _writer = await asyncio.open_connection("127.0.0.1", port)
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            assert errors == ["for this reason"]

    bounded(main())


@pytest.mark.programs("curl")
@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.__getitem__)
def test_curl_ends_with_a_status_of_a_reset(number: int) -> None:
    async def main() -> None:
        async with relayed(Failing(number)) as (port, errors):
            assert await curl(port) in CURL_RESET
            assert errors == ["for this reason"]

    bounded(main())


@pytest.mark.programs("curl")
def test_curl_does_not_take_half_an_answer_for_a_whole_one() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it")
        await writer.drain()
        await asyncio.sleep(0)
        reset(writer)

    async def main() -> None:
        server = await asyncio.start_server(half, "127.0.0.1", 0)
        far: socket.socket = server.sockets[0]
        async with relayed(Loopback(), far.getsockname()[1]) as (port, errors):
            assert await curl(port) == CURL_RECV_ERROR
            assert errors == ["Connection reset by peer"]
        server.close()

    bounded(main())
