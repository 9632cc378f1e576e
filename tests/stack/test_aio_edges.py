"""asyncio's rules at the edges: names, protocols that fail, calls that come too late."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from stack.aio import open_connection, start_server
from stack.events import Closed, Established
from tests.stack.test_aio import FakeRunner, Recorder, accepted, play, turns


def resolving(*addresses: str) -> Any:
    """A stand-in for the loop's look-up of names."""

    async def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def test_a_name_is_tried_address_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(runner: FakeRunner) -> None:
        monkeypatch.setattr(
            asyncio.get_running_loop(), "getaddrinfo", resolving("10.0.0.8", "10.0.0.8", "10.0.0.9")
        )
        task = asyncio.ensure_future(open_connection(runner, "two.example", 80))  # type: ignore[arg-type]
        await turns(5)
        runner.attempts[0].fail(errno.ECONNREFUSED, "connection refused")
        await turns(5)
        runner.attempts[1].happen(Established())
        _, writer = await task
        assert [attempt.peer for attempt in runner.attempts] == [("10.0.0.8", 80), ("10.0.0.9", 80)]
        assert writer.get_extra_info("peername") == ("10.0.0.9", 80)

    play(main)


@pytest.mark.parametrize(
    ("second", "kind", "text"),
    [
        (errno.ECONNREFUSED, ConnectionRefusedError, r"refused$"),
        (errno.ETIMEDOUT, OSError, r"refused; .*timed out"),
    ],
)
def test_where_every_address_fails_each_reason_is_told_once(
    monkeypatch: pytest.MonkeyPatch, second: int, kind: type[OSError], text: str
) -> None:
    async def main(runner: FakeRunner) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolving("10.0.0.8", "10.0.0.9"))
        task = asyncio.ensure_future(open_connection(runner, "two.example", 80))  # type: ignore[arg-type]
        for index, code in enumerate((errno.ECONNREFUSED, second)):
            await turns(5)
            name = "connection refused" if code == errno.ECONNREFUSED else "connection timed out"
            runner.attempts[index].fail(code, name)
        with pytest.raises(kind, match=text):
            await task

    play(main)


def test_a_connection_closed_while_it_opens_is_an_error() -> None:
    async def main(runner: FakeRunner) -> None:
        task = asyncio.ensure_future(open_connection(runner, "10.0.0.1", 80))  # type: ignore[arg-type]
        await turns()
        runner.attempts[0].happen(Closed(None, 0))
        with pytest.raises(ConnectionAbortedError, match="before it was established"):
            await task

    play(main)


class Spoilt(asyncio.BufferedProtocol):
    """``buffers`` are what get_buffer() returns, or raises."""

    def __init__(self, *buffers: bytearray | Exception) -> None:
        self.buffers = list(buffers)
        self.lost: list[Exception | None] = []

    def get_buffer(self, sizehint: int) -> bytearray:
        buffer = self.buffers.pop(0)
        if isinstance(buffer, Exception):
            raise buffer
        return buffer

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


@pytest.mark.parametrize("buffer", [bytearray(), KeyError("no buffer")], ids=["empty", "raised"])
def test_a_buffer_that_cannot_be_had_ends_the_connection(buffer: bytearray | Exception) -> None:
    async def main(runner: FakeRunner) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        protocol = Spoilt(buffer)
        attempt, _ = accepted(runner, protocol)
        attempt.arrive(b"x")
        await turns()
        assert (attempt.calls, protocol.lost) == (["abort"], [None])
        assert told[0]["message"] == "protocol.get_buffer() failed"
        assert attempt.readable == 1

    play(main)


def test_a_bug_at_the_end_of_the_stream_ends_the_connection() -> None:
    class Ending(Recorder):
        def eof_received(self) -> bool:
            raise LookupError

    async def main(runner: FakeRunner) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        protocol = Ending()
        attempt, _ = accepted(runner, protocol)
        attempt.end()
        await turns()
        assert attempt.calls == ["abort"]
        assert told[0]["message"] == "protocol.eof_received() failed"

    play(main)


def test_a_protocol_that_cannot_begin_fails_the_opening() -> None:
    class Beginning(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise LookupError("not today")

    async def main(runner: FakeRunner) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        attempt, transport = accepted(runner, Beginning(), opened=waiting)
        attempt.happen(Established())
        with pytest.raises(LookupError, match="not today"):
            await waiting
        assert transport.is_closing()
        assert attempt.calls == ["abort"]

    play(main)


def test_what_comes_too_late_is_nothing() -> None:
    async def main(runner: FakeRunner) -> None:
        protocol = Recorder()
        attempt, transport = accepted(runner, protocol)
        transport.begin()
        assert protocol.seen == ["made"]
        transport.resume_reading()
        transport.write_eof()
        transport.write_eof()
        assert attempt.calls == ["write_eof"]
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.write(b"more")
        transport.close()
        transport.write_eof()
        transport.pause_reading()
        transport.resume_reading()
        await turns()
        transport.abort()
        transport.abort()
        await turns()
        assert attempt.calls == ["write_eof", "close"]
        assert protocol.seen == ["made", None]

    play(main)


def test_a_write_to_a_connection_that_has_ended_is_its_loss() -> None:
    async def main(runner: FakeRunner) -> None:
        protocol = Recorder()
        attempt, transport = accepted(runner, protocol)
        transport.pause_reading()
        attempt.incoming += b"unread"
        attempt.fail(errno.ECONNRESET, "connection reset by peer")
        transport.write(b"too late")
        await turns()
        assert attempt.written == b""
        assert isinstance(protocol.seen[-1], ConnectionResetError)

    play(main)


def test_a_server_has_an_asyncio_servers_calls() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return None

    async def main(runner: FakeRunner) -> None:
        server = await start_server(ignore, runner, 7)  # type: ignore[arg-type]
        assert server.get_loop() is asyncio.get_running_loop()
        await server.start_serving()
        serving = asyncio.ensure_future(server.serve_forever())
        await turns()
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        server.close()
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await server.wait_closed()
        assert server.sockets == ()
        assert not server.is_serving()

    play(main)
