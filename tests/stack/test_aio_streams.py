"""Streams with less memory beside asyncio's own: the same calls have the same results."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from stack.aio_streams import LIMIT, StreamProtocol, StreamReader, StreamWriter

SEEDS = range(60)


class Transport(asyncio.Transport):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")

    def is_closing(self) -> bool:
        return "close" in self.asked

    def close(self) -> None:
        self.asked.append("close")


def run(main: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20.0):
            await main(asyncio.get_running_loop())

    asyncio.run(bounded())


async def outcome(reading: Coroutine[Any, Any, bytes]) -> object:
    """What a call returned, or the exception with what was read until then."""
    task = asyncio.create_task(reading)
    await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
        return "waits"
    try:
        return task.result()
    except asyncio.IncompleteReadError as error:
        return ("incomplete", error.partial, error.expected)
    except (asyncio.LimitOverrunError, ValueError, ConnectionError) as error:
        return (type(error).__name__, str(error))


async def play(reader: asyncio.StreamReader, seed: int, scale: int = 1) -> list[object]:
    """Feed and read at random; readers that would wait are cancelled."""
    chance = random.Random(seed)
    transport = Transport()
    reader.set_transport(transport)
    found: list[object] = []
    ended = False
    for _ in range(60):
        deed = chance.randrange(10)
        if deed < 4 and not ended:
            reader.feed_data(chance.randbytes(chance.choice((0, 1, 30, 200 * scale))).replace(b"\x00", b"\n"))
        elif deed == 4 and chance.random() < 0.1:
            ended = True
            reader.feed_eof()
        elif deed == 5 and chance.random() < 0.05:
            reader.set_exception(ConnectionResetError("reset"))
        elif deed == 6:
            found.append(await outcome(reader.readexactly(chance.randrange(80 * scale))))
        elif deed == 7:
            found.append(await outcome(reader.readline()))
        elif deed == 8:
            found.append(await outcome(reader.readuntil(b"\n\x01")))
        else:
            found.append(await outcome(reader.read(chance.choice((0, 1, 7, 100, 1000)))))
        found.append((reader.at_eof(), repr(reader.exception()), tuple(transport.asked)))
    if ended:
        found.append(await outcome(reader.read()))
    return found


@pytest.mark.parametrize(("limit", "scale"), [(50, 1), (LIMIT, 1), (20_000, 100)])
def test_a_reader_does_what_asyncios_does(limit: int, scale: int) -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        kinds: set[object] = set()
        for seed in SEEDS:
            ours = await play(StreamReader(limit, loop), seed, scale)
            theirs = await play(asyncio.StreamReader(limit, loop), seed, scale)
            assert ours == theirs, f"seed {seed}"
            kinds |= {item[0] if isinstance(item, tuple) else item for item in ours if item}
        assert {True, False, "waits", "incomplete", "ConnectionResetError"} <= kinds
        assert limit != 50 or {"ValueError", "LimitOverrunError"} <= kinds

    run(main)


def test_small_pieces_behind_a_large_one_do_not_cost_an_object_each() -> None:
    """A peer that sends two octets at a time to who does not read would have had twenty times the memory."""

    async def main(loop: asyncio.AbstractEventLoop) -> None:
        reader = StreamReader(LIMIT, loop)
        sent = [bytes(20_000), *(index.to_bytes(2) for index in range(50_000)), bytes(20_000), b"last"]
        gc.collect()
        tracemalloc.start()
        for data in sent:
            # Each of its own, as it comes from a connection.
            reader.feed_data(bytes(bytearray(data)))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 2 * sum(map(len, sent))
        reader.feed_eof()
        got = [await reader.read(1 << 20)]
        assert got[0].__class__ is bytes
        while not reader.at_eof():
            got.append(await reader.read(30_000))
            assert got[-1].__class__ is bytes
        assert b"".join(got) == b"".join(sent)

    run(main)


def test_large_pieces_are_handed_over_as_they_came() -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        reader, transport = StreamReader(LIMIT, loop), Transport()
        reader.set_transport(transport)
        pieces = [bytes([number]) * 50_000 for number in range(3)]
        waiting = asyncio.create_task(reader.read(1 << 20))
        await asyncio.sleep(0)
        reader.feed_data(pieces[0])
        assert await waiting is pieces[0]
        for piece in pieces:
            reader.feed_data(piece)
        assert transport.asked == ["pause"]
        reader.feed_data(b"last")
        reader.feed_eof()
        assert not reader.at_eof()
        assert await reader.read(1 << 20) is pieces[0]
        assert transport.asked == ["pause"]
        assert await reader.read(50_000) is pieces[1]
        assert transport.asked == ["pause", "resume"]
        # Less than a piece: from here on as any reader.
        assert await reader.read(49_999) == pieces[2][1:]
        assert await reader.read(49_999) == b"\x02last"
        assert reader.at_eof()
        assert await reader.read(1) == b""

    run(main)


def test_a_reader_that_waits_gets_what_comes_and_a_second_one_is_refused() -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        reader = StreamReader(LIMIT, loop)
        for call in (reader.read(10), reader.readline()):
            waiting = asyncio.create_task(call)
            await asyncio.sleep(0)
            for second in (reader.read(1), reader.readexactly(1)):
                with pytest.raises(RuntimeError, match="while another coroutine"):
                    await second
            reader.feed_data(b"one\n")
            assert await waiting == b"one\n"
        with pytest.raises(ValueError, match="cannot be"):
            StreamReader(0, loop)

    run(main)


def test_an_empty_reader_holds_no_buffer_and_readers_share_none() -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        first, second = StreamReader(LIMIT, loop), StreamReader(LIMIT, loop)
        first.feed_data(b"mine")
        assert "_buffer" not in vars(second)
        assert await outcome(second.read(4)) == "waits"
        assert await first.read(4) == b"mine"
        assert vars(first)["_buffer"] is StreamReader._buffer
        first.feed_data(b"a\nb\n")
        assert [await first.readline(), await first.readline()] == [b"a\n", b"b\n"]
        # Given back when somebody waits again.
        assert await outcome(first.readline()) == "waits"
        assert vars(first)["_buffer"] is StreamReader._buffer
        assert StreamReader._buffer == b""

    run(main)


def test_drain_waits_while_writing_is_paused_and_learns_of_the_end() -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        protocol, transport = StreamProtocol(StreamReader(LIMIT, loop), loop), Transport()
        protocol.connection_made(transport)
        writer = StreamWriter(transport, protocol, StreamReader(LIMIT, loop), loop)
        await writer.drain()
        protocol.pause_writing()
        draining = [asyncio.create_task(writer.drain()) for _ in range(3)]
        await asyncio.sleep(0)
        draining[1].cancel()
        await asyncio.sleep(0)
        assert not draining[0].done()
        protocol.resume_writing()
        await asyncio.gather(draining[0], draining[2])
        # Who gave up waiting leaves nothing behind.
        assert protocol._drain_waiters is None
        protocol.pause_writing()
        last = asyncio.create_task(writer.drain())
        await asyncio.sleep(0)
        protocol.connection_lost(ConnectionResetError("reset"))
        with pytest.raises(ConnectionResetError, match="reset"):
            await last
        with pytest.raises(ConnectionResetError, match="Connection lost"):
            await writer.drain()
        transport.close()

    run(main)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("error", [None, OSError("gone")])
def test_who_waits_for_the_end_gets_its_error_whenever_he_asks(early: bool, error: OSError | None) -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        protocol, transport = StreamProtocol(StreamReader(LIMIT, loop), loop), Transport()
        protocol.connection_made(transport)
        writer = StreamWriter(transport, protocol, StreamReader(LIMIT, loop), loop)
        waiting = asyncio.create_task(writer.wait_closed()) if early else None
        await asyncio.sleep(0)
        transport.close()
        protocol.connection_lost(error)
        for wait in (waiting, writer.wait_closed(), writer.wait_closed()):
            if wait is None:
                continue
            if error is None:
                await wait
            else:
                with pytest.raises(OSError, match="gone"):
                    await wait
        del protocol, writer, waiting
        assert complaints == []

    run(main)


def test_a_server_s_task_that_fails_or_is_cancelled_closes_its_connection() -> None:
    async def main(loop: asyncio.AbstractEventLoop) -> None:
        complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.read(1) == b"f":
                raise ArithmeticError("wrong")

        for octet, closes in ((b"f", True), (b"-", False), (b"", True)):
            complaints.clear()
            protocol, transport = StreamProtocol(StreamReader(LIMIT, loop), loop, serve), Transport()
            protocol.connection_made(transport)
            await asyncio.sleep(0)
            if octet:
                protocol.data_received(octet)
            else:
                task = protocol._task
                assert task is not None
                task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            assert transport.is_closing() is closes
            assert [context["message"] for context in complaints] == (
                ["Unhandled exception in client_connected_cb"] if octet == b"f" else []
            )
            transport.close()

    run(main)
