"""The asyncio API over two stacks in virtual time: nothing is played, only the network is."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from stack.aio import open_connection, start_server
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, World
from stack.simulator.world import Stalled

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Client = Callable[[Any], Awaitable[None]]


def play(client: Client, handler: Handler | None, security: Security | None = None, *, fast_open: int = 0) -> None:
    """Run ``client(runner)`` at 10.0.0.1 against ``handler`` on port 7 of 10.0.0.2, 10 ms away."""

    async def run() -> None:
        world = World(Random(1))
        near = world.add(Stack(["10.0.0.1/24"], random=world.octets))
        far = world.add(Stack(["10.0.0.2/24"], random=world.octets))
        world.link(near, far, Delay(0.01))
        if handler is not None:
            await start_server(handler, far, 7, security=security, fast_open=fast_open)
        task = asyncio.ensure_future(client(near))
        while not task.done():
            # One event, then everybody who waits for it.
            steps = world.steps + 1
            try:
                world.run(stop=lambda steps=steps: world.steps >= steps)
            except Stalled:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        await task

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await run()

    asyncio.run(bounded())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_a_megabyte_and_back(protect: str) -> None:
    octets = Random(2).randbytes(1_000_000)
    security = Security(protect=protect)

    async def client(runner: Any) -> None:
        reader, writer = await open_connection(runner, "10.0.0.2", 7, security=security)
        assert writer.get_extra_info("security")["mode"] == protect
        writer.write(octets)
        writer.write_eof()
        assert await reader.read(-1) == octets
        writer.close()
        await writer.wait_closed()
        report = writer.get_extra_info("report")
        assert (report["octets_in"], report["octets_out"]) == (len(octets), len(octets))

    play(client, echo, security)


def test_with_fast_open_the_answer_comes_after_one_round_trip() -> None:
    """RFC 7413: the first connection gets the cookie, the second is answered before its handshake ends."""

    async def client(runner: Any) -> None:
        taken = []
        for _ in range(2):
            began = runner.now()
            reader, writer = await open_connection(runner, "10.0.0.2", 7, fast_open=b"question")
            assert await reader.readexactly(8) == b"question"
            taken.append(runner.now() - began)
            writer.close()
            await writer.wait_closed()
        assert taken == pytest.approx([0.04, 0.02])

    play(client, echo, fast_open=8)


def test_a_closed_port_refuses() -> None:
    async def client(runner: Any) -> None:
        with pytest.raises(ConnectionRefusedError):
            await open_connection(runner, "10.0.0.2", 7)

    play(client, None)


def test_silence_times_out() -> None:
    async def client(runner: Any) -> None:
        with pytest.raises(TimeoutError):
            await open_connection(runner, "10.0.0.99", 7)

    play(client, None)


def test_abort_is_a_reset() -> None:
    told: list[BaseException] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(-1)
        except OSError as error:
            told.append(error)

    async def client(runner: Any) -> None:
        _, writer = await open_connection(runner, "10.0.0.2", 7)
        writer.write(b"x")
        writer.transport.abort()
        await writer.wait_closed()
        while not told:
            await asyncio.sleep(0)

    play(client, handler)
    assert isinstance(told[0], ConnectionResetError)


def test_a_reader_that_waits_holds_the_writer() -> None:
    """The receive window closes; the writer's drain() returns when it opens again, and no octet is lost."""
    total = 8 << 20
    go = asyncio.Event()
    got: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        count = 0
        while data := await reader.read(1 << 18):
            count += len(data)
        got.append(count)
        writer.close()

    async def client(runner: Any) -> None:
        reader, writer = await open_connection(runner, "10.0.0.2", 7)
        sent = 0

        async def fill() -> None:
            nonlocal sent
            async with asyncio.timeout(1):
                while sent < total:
                    writer.write(bytes(1 << 18))
                    sent += 1 << 18
                    await writer.drain()

        with pytest.raises(TimeoutError):
            await fill()
        assert sent < total
        assert writer.get_extra_info("unsent") > 0
        go.set()
        while sent < total:
            await writer.drain()
            writer.write(bytes(1 << 18))
            sent += 1 << 18
        writer.write_eof()
        assert await reader.read() == b""

    play(client, handler)
    assert got == [total]
