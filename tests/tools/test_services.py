import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from stack.security import Security
from tests.tools.loopback import Loopback, bounded
from tools.pattern import pattern
from tools.serve import serve
from tools.services import Handler, echo, sink, source

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def serving(handler: Handler, client: Client) -> list[str | None]:
    """Run ``client`` against ``handler`` through ``serve``; returns the errors of the finished connections."""
    errors: list[str | None] = []

    async def main() -> None:
        network, stop, ready = Loopback(), asyncio.Event(), asyncio.Event()
        served = asyncio.ensure_future(
            serve(
                network,
                handler,
                0,
                Security(),
                ready=ready.set,
                finished=lambda report, error: errors.append(error),
                stop=stop,
            )
        )
        await ready.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        await client(reader, writer)
        writer.close()
        while not errors:
            await asyncio.sleep(0)
        stop.set()
        await served

    bounded(main())
    return errors


def test_echo_returns_everything_and_the_end() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        octets = pattern(0, 3_000_000)
        writer.write(octets)
        writer.write_eof()
        assert await reader.read(-1) == octets

    assert serving(echo, client) == [None]


def test_sink_reads_all_and_says_nothing() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(1_000_000))
        writer.write_eof()
        assert await reader.read(-1) == b""

    assert serving(sink, client) == [None]


def test_source_sends_the_pattern() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(-1) == pattern(0, 700_001)

    assert serving(source(700_001), client) == [None]


def test_endless_source_ends_with_its_reader() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(2_000_000) == pattern(0, 2_000_000)

    assert len(serving(source(None), client)) == 1


def test_a_reset_is_told() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.readexactly(1)
        kernel = writer.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    assert serving(echo, client) == ["Connection reset by peer"]


def test_a_faulty_handler_ends_its_connection_only() -> None:
    async def faulty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise KeyError("nothing")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(-1) == b""

    assert serving(faulty, client) == ["KeyError: 'nothing'"]


def test_stopping_closes_what_is_open_and_prints_its_line() -> None:
    errors: list[str | None] = []

    async def main() -> bytes:
        network, stop, ready = Loopback(), asyncio.Event(), asyncio.Event()

        def finished(report: object, error: str | None) -> None:
            errors.append(error)

        served = asyncio.ensure_future(
            serve(network, echo, 0, Security(), ready=ready.set, finished=finished, stop=stop)
        )
        await ready.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        stop.set()
        await served
        rest = await reader.read(-1)
        writer.close()
        return rest

    assert bounded(main()) == b""
    assert errors == [None]
