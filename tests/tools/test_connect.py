"""``edotun connect`` over loopback: the kernel's TCP stands for the stack's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from stack.security import Security
from tests.tools.loopback import Facts, Loopback, bounded
from tools.connect import Job, connect
from tools.pattern import pattern
from tools.services import echo, sink

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Told = list[tuple[dict[str, object], str | None]]


def run(handler: Handler, **options: Any) -> tuple[int, Told]:
    """Do a job against ``handler``; returns the exit status and the finished connections."""
    told: Told = []

    async def main() -> int:
        network = Loopback()

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await handler(reader, writer)
            writer.close()

        server = await network.start_server(served, 0)
        job = Job("127.0.0.1", network.port, Security(), **options)
        status = await connect(network, job, lambda report, error: told.append((report, error)))
        server.close()
        return status

    return bounded(main()), told


def test_an_echo_that_is_whole() -> None:
    status, [(report, error)] = run(echo, octets=3_000_001, expect_echo=True)
    assert (status, error) == (0, None)
    assert report["role"] == "connect"


def test_nothing_can_be_sent_too() -> None:
    assert run(echo, octets=0, expect_echo=True)[0] == 0


def test_an_echo_with_a_wrong_octet() -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        octets = bytearray(await reader.read(-1))
        octets[70_000] ^= 1
        writer.write(octets)
        await writer.drain()

    status, [(_, error)] = run(wrong, octets=100_000, expect_echo=True)
    assert (status, error) == (1, "octet 70000 of the echo is not the one that was sent")


def test_an_echo_that_is_short() -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1))[:-1])

    status, [(_, error)] = run(short, octets=1000, expect_echo=True)
    assert (status, error) == (1, "the echo ended after 999 of 1000 octets")


def test_an_echo_that_is_long() -> None:
    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.write(pattern(0, 1001))

    status, [(_, error)] = run(long, octets=1000, expect_echo=True)
    assert (status, error) == (1, "the echo is longer than the 1000 octets that were sent")


def test_what_comes_is_counted_without_expecting_an_echo() -> None:
    status, [(_, error)] = run(echo, octets=1000)
    assert (status, error) == (0, None)


def test_input_and_output() -> None:
    got: list[bytes] = []

    async def source() -> AsyncIterator[bytes]:
        yield b"one "
        await asyncio.sleep(0)
        yield b"two"

    async def output(data: bytes) -> None:
        got.append(data)

    status, _ = run(echo, source=source, sink=output)
    assert status == 0
    assert b"".join(got) == b"one two"


def test_input_goes_on_after_the_peers_end() -> None:
    """The peer's half-close says nothing about our direction."""
    received: list[bytes] = []
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        ended.set()
        received.append(await reader.read(-1))

    async def source() -> AsyncIterator[bytes]:
        await ended.wait()
        for _ in range(10):
            await asyncio.sleep(0)
            yield b"x"

    assert run(handler, source=source)[0] == 0
    assert received == [b"x" * 10]


def test_output_that_fails() -> None:
    async def output(data: bytes) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    async def source() -> AsyncIterator[bytes]:
        yield b"x"

    status, [(_, error)] = run(echo, source=source, sink=output)
    assert (status, error) == (1, "Broken pipe")


def test_a_peer_that_never_ends() -> None:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        await asyncio.get_running_loop().create_future()

    status, [(_, error)] = run(quiet, octets=10, patience=0.05)
    assert (status, error) == (1, "the peer did not end the connection within 0.05 s")


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    assert run(echo, octets=1_000_000, progress=lambda *state: seen.append(state))[0] == 0
    assert seen[-1] == (1_000_000, 1_000_000)


def test_nobody_there() -> None:
    told: Told = []

    class Refusing(Loopback):
        async def open_connection(self, host: str, port: int, *, started: Any = None, **_: Any) -> Any:
            started(Facts(f"{host}:{port}"))
            raise ConnectionRefusedError(111, "Connection refused")

    job = Job("10.0.0.1", 80, Security(), octets=1)
    status = bounded(connect(Refusing(), job, lambda report, error: told.append((report, error))))
    assert status == 1
    assert told[0][0]["error"] == "Connection refused"
    assert told[0][0]["peer"] == "10.0.0.1:80"


def test_no_way_there() -> None:
    told: Told = []

    class Unrouted(Loopback):
        async def open_connection(self, host: str, port: int, **_: Any) -> Any:
            raise OSError(97, "no address of that family")

    job = Job("fd00::1", 80, Security(), octets=1)
    assert bounded(connect(Unrouted(), job, lambda report, error: told.append((report, error)))) == 1
    assert told[0][0]["peer"] == "[fd00::1]:80"
    assert told[0][0]["error"] == "no address of that family"


def test_interrupted() -> None:
    told: Told = []

    async def main() -> None:
        network = Loopback()
        got = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            got.set()
            await sink(reader, writer)

        async def source() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.get_running_loop().create_future()

        await network.start_server(handler, 0)
        job = Job("127.0.0.1", network.port, Security(), source=source)
        task = asyncio.ensure_future(connect(network, job, lambda report, error: told.append((report, error))))
        await got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    bounded(main())
    assert [error for _, error in told] == ["interrupted"]
