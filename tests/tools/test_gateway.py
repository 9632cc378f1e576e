"""Relays over loopback: the stack's side is the kernel's as well, so only what the relay itself does is seen."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from stack.security import Security
from tests.tools.loopback import Loopback, bounded
from tools.gateway import Relay, open_kernel, run_gateway
from tools.gateway_file import Endpoint, Forward
from tools.pattern import pattern

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Lines = list[tuple[str, str | None]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def gateway(handler: Handler, *, kernel_listens: bool, lines: Lines) -> Any:
    """A far server with ``handler`` and a gateway before it; yields the port to connect to."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    far = Endpoint(not kernel_listens, "127.0.0.1", server.sockets[0].getsockname()[1])
    near = Endpoint(kernel_listens, "127.0.0.1", free_port())
    forward = Forward("web", near, far, None, Security())
    ready, stop = asyncio.Event(), asyncio.Event()

    def relayed(which: Forward, report: Mapping[str, object], error: str | None) -> None:
        lines.append((which.name, error))

    task = asyncio.ensure_future(run_gateway(Loopback(), (forward,), ready=ready.set, relayed=relayed, stop=stop))
    await ready.wait()
    try:
        yield near.port
    finally:
        stop.set()
        await task
        server.close()


@pytest.fixture(params=[True, False], ids=["kernel-to-stack", "stack-to-kernel"])
def kernel_listens(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_octets_and_half_close_both_ways(kernel_listens: bool) -> None:
    lines: Lines = []
    question, answer = pattern(0, 2_000_000), pattern(9, 3_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The answer begins after the question's end: it needs the half-close.
        assert await reader.read(-1) == question
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with gateway(handler, kernel_listens=kernel_listens, lines=lines) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(question)
            writer.write_eof()
            assert await reader.read(-1) == answer
            writer.close()
            await until(lambda: bool(lines))

    bounded(main())
    assert lines == [("web", None)]


def test_the_far_sides_reset_is_passed_on(kernel_listens: bool) -> None:
    lines: Lines = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        kernel = writer.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def main() -> None:
        async with gateway(handler, kernel_listens=kernel_listens, lines=lines) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            await until(lambda: bool(lines))

    bounded(main())
    assert lines == [("web", "Connection reset by peer")]


def test_the_near_sides_reset_is_passed_on(kernel_listens: bool) -> None:
    lines: Lines = []
    seen: list[BaseException] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        try:
            await reader.read(-1)
        except OSError as error:
            seen.append(error)

    async def main() -> None:
        async with gateway(handler, kernel_listens=kernel_listens, lines=lines) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.readexactly(1)
            kernel = writer.get_extra_info("socket")
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await until(lambda: bool(lines and seen))

    bounded(main())
    assert isinstance(seen[0], ConnectionResetError)


def test_nobody_there_is_a_reset() -> None:
    lines: Lines = []

    async def main() -> None:
        forward = Forward(
            "web",
            Endpoint(False, "127.0.0.1", 0),
            Endpoint(True, "127.0.0.1", free_port()),
            None,
            Security(),
        )
        network = Loopback()
        relay = Relay(network, forward, lambda which, report, error: lines.append((which.name, error)))
        await relay.start()
        reader, _writer = await asyncio.open_connection("127.0.0.1", network.port)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        await relay.stop()

    bounded(main())
    [(name, error)] = lines
    assert name == "web"
    assert error is not None
    assert error.startswith("Connection refused at kernel:127.0.0.1:")


def test_a_slow_reader_holds_the_sender_back(kernel_listens: bool) -> None:
    lines: Lines = []
    accepted = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        nonlocal accepted
        async with gateway(handler, kernel_listens=kernel_listens, lines=lines) as port:
            client = socket.create_connection(("127.0.0.1", port))
            client.setblocking(False)
            quiet = 0
            chunk = bytes(1 << 16)
            while quiet < 2000 and accepted < 1 << 28:
                try:
                    accepted += client.send(chunk)
                    quiet = 0
                except BlockingIOError:
                    quiet += 1
                await asyncio.sleep(0)
            client.close()

    bounded(main())
    assert accepted < 1 << 28


def test_stopping_resets_what_is_relayed(kernel_listens: bool) -> None:
    """Cut short is not ended: a FIN would make half an answer look whole."""
    lines: Lines = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half")
        with contextlib.suppress(OSError):
            await reader.read(-1)

    async def main() -> None:
        async with gateway(handler, kernel_listens=kernel_listens, lines=lines) as port:
            reader, _writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readexactly(4) == b"half"
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)

    bounded(main())
    assert lines == [("web", "the gateway was stopped")]


def test_the_source_is_used_again_and_again() -> None:
    """A fixed source port must not wait for an earlier connection's TIME-WAIT."""
    source = ("127.0.0.1", free_port())

    async def main() -> list[tuple[str, int]]:
        names = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            names.append(writer.get_extra_info("peername"))
            await reader.read(-1)
            writer.close()

        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            remote = Endpoint(True, *server.sockets[0].getsockname())
            reader, writer = await open_kernel(remote, source)
            writer.write_eof()
            await reader.read(-1)
            writer.close()
            await writer.wait_closed()
        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            remote = Endpoint(True, *server.sockets[0].getsockname())
            _, writer = await open_kernel(remote, source)
            await until(lambda: len(names) == 2)
            writer.close()
        return names

    assert bounded(main()) == [source, source]
