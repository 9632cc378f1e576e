"""The asyncio API over an Attempt that is played by hand: every event happens where the test says so."""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from stack.aio import open_connection, start_server
from stack.aio_transport import AttemptTransport, drain_closing
from stack.events import Closed, Established, Event, Readable, TcpError, Writable
from stack.security import Security

SEND_BUFFER = 1 << 18


class FakeAttempt:
    """What the application sees of an Attempt, and the peer's side as methods."""

    def __init__(self, runner: "FakeRunner", peer: tuple[str, int] = ("10.0.0.1", 80)) -> None:
        self.runner = runner
        self.peer = peer
        self.local = ("10.0.0.2", 40000)
        self.owner: Any = None
        self.events: deque[Event] = deque()
        self.incoming = bytearray()
        self.reads: list[int] = []
        self.written = bytearray()
        self.unsent = 0
        self.eof = False
        self.send_buffer = SEND_BUFFER
        self.calls: list[str] = []

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        self.written += data
        self.unsent += len(data)

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def read(self, limit: int = -1) -> bytes:
        self.reads.append(limit)
        data = bytes(self.incoming[:limit])
        del self.incoming[:limit]
        return data

    def read_some(self, limit: int) -> bytes:
        return self.read(limit)

    @property
    def readable(self) -> int:
        return len(self.incoming)

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def next_event(self) -> Event | None:
        return self.events.popleft() if self.events else None

    def report(self) -> dict[str, object]:
        return {"octets_out": len(self.written)}

    def security(self) -> dict[str, object]:
        return {"mode": "none"}

    # --- the peer and the network ---

    def happen(self, *events: Event) -> None:
        self.events.extend(events)
        self.owner.on_ready()

    def arrive(self, data: bytes) -> None:
        self.incoming += data
        self.happen(Readable())

    def end(self) -> None:
        self.eof = True
        self.happen(Readable())

    def acknowledge(self, octets: int) -> None:
        self.unsent -= octets
        self.happen(Writable())

    def fail(self, code: int, text: str) -> None:
        self.happen(Closed(TcpError(code, text), self.unsent))


class FakeListener:
    def __init__(self) -> None:
        self.address: bytes | None = bytes((10, 0, 0, 2))
        self.port = 7
        self.owner: Any = None
        self.queue: deque[FakeAttempt] = deque()
        self.closed = False

    def accept(self) -> FakeAttempt | None:
        return self.queue.popleft() if self.queue else None

    def close(self) -> None:
        self.closed = True


class FakeRunner:
    """Runner and stack in one."""

    def __init__(self) -> None:
        self.stack = self
        self.attempts: list[FakeAttempt] = []
        self.listener = FakeListener()
        self.asked: list[dict[str, Any]] = []
        self.wakes = 0
        self.refuse: OSError | None = None
        self.addresses = (bytes((10, 0, 0, 2)), bytes(16))

    def now(self) -> float:
        return 5.0

    def wake(self) -> None:
        self.wakes += 1

    def connect(self, remote: tuple[str, int], **options: Any) -> FakeAttempt:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(options)
        self.attempts.append(FakeAttempt(self, remote))
        return self.attempts[-1]

    def listen(self, port: int, **options: Any) -> FakeListener:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append({"port": port, **options})
        return self.listener


def play(main: Callable[[FakeRunner], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await main(FakeRunner())

    asyncio.run(run())


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def opened(
    runner: FakeRunner, **options: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, FakeAttempt]:
    task = asyncio.ensure_future(open_connection(runner, "10.0.0.1", 80, **options))  # type: ignore[arg-type]
    await turns()
    runner.attempts[-1].happen(Established())
    reader, writer = await task
    return reader, writer, runner.attempts[-1]


# --- connecting ------------------------------------------------------------------------------------------------


def test_connect_passes_everything_on() -> None:
    async def main(runner: FakeRunner) -> None:
        started: list[Any] = []
        security = Security(policy="prefer")
        task = asyncio.ensure_future(
            open_connection(
                runner,  # type: ignore[arg-type]
                "10.0.0.1",
                80,
                security=security,
                local_port=99,
                local_address="10.0.0.2",
                started=started.append,
            )
        )
        await turns()
        [attempt] = runner.attempts
        assert attempt.peer == ("10.0.0.1", 80)
        asked = {"local_port": 99, "local_address": "10.0.0.2", "security": security, "now": 5.0}
        assert runner.asked == [{**asked, "fast_open": None}]
        assert started == [attempt]
        assert runner.wakes == 1
        assert not task.done()
        attempt.happen(Established())
        _, writer = await task
        assert writer.get_extra_info("peername") == ("10.0.0.1", 80)
        assert writer.get_extra_info("sockname") == ("10.0.0.2", 40000)
        assert writer.get_extra_info("security") == {"mode": "none"}
        assert writer.get_extra_info("report") == {"octets_out": 0}
        assert writer.get_extra_info("nothing", 3) == 3

    play(main)


def test_ipv6_names_are_a_sockets() -> None:
    async def main(runner: FakeRunner) -> None:
        task = asyncio.ensure_future(open_connection(runner, "fd00::1", 80))  # type: ignore[arg-type]
        await turns()
        runner.attempts[0].happen(Established())
        _, writer = await task
        assert writer.get_extra_info("peername") == ("fd00::1", 80, 0, 0)

    play(main)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ECONNREFUSED, ConnectionRefusedError),
        (errno.ETIMEDOUT, TimeoutError),
        (errno.ECONNRESET, ConnectionResetError),
        (errno.EHOSTUNREACH, OSError),
    ],
)
def test_connect_failures_are_the_built_in_ones(code: int, kind: type[OSError]) -> None:
    async def main(runner: FakeRunner) -> None:
        task = asyncio.ensure_future(open_connection(runner, "10.0.0.1", 80))  # type: ignore[arg-type]
        await turns()
        runner.attempts[0].fail(code, "the stack's text")
        with pytest.raises(kind, match="the stack's text") as caught:
            await task
        assert type(caught.value) is kind
        assert caught.value.errno == code

    play(main)


def test_what_cannot_be_tried_is_an_oserror_too() -> None:
    async def main(runner: FakeRunner) -> None:
        runner.refuse = TcpError(errno.EADDRINUSE, "taken")
        with pytest.raises(OSError, match="taken") as caught:
            await open_connection(runner, "10.0.0.1", 80)  # type: ignore[arg-type]
        assert type(caught.value) is OSError
        with pytest.raises(OSError, match="taken"):
            await start_server(lambda r, w: None, runner, 7)  # type: ignore[arg-type]

    play(main)


def test_cancelled_connect_aborts() -> None:
    async def main(runner: FakeRunner) -> None:
        task = asyncio.ensure_future(open_connection(runner, "10.0.0.1", 80))  # type: ignore[arg-type]
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert runner.attempts[0].calls == ["abort"]
        # Too late: nobody is there to be told.
        runner.attempts[0].happen(Established())

    play(main)


# --- reading ---------------------------------------------------------------------------------------------------


def test_octets_and_end() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        wakes = runner.wakes
        attempt.arrive(b"hello ")
        attempt.arrive(b"world")
        assert runner.wakes == wakes + 2, "the window opens: the runner has to know"
        assert await reader.readexactly(11) == b"hello world"
        attempt.end()
        assert await reader.read() == b""
        assert all(limit > 0 for limit in attempt.reads)
        # The other direction stays open.
        assert not writer.is_closing()
        writer.write(b"x")
        assert attempt.written == b"x"

    play(main)


def test_data_and_end_with_the_handshake() -> None:
    async def main(runner: FakeRunner) -> None:
        task = asyncio.ensure_future(open_connection(runner, "10.0.0.1", 80))  # type: ignore[arg-type]
        await turns()
        attempt = runner.attempts[0]
        attempt.incoming += b"early"
        attempt.eof = True
        attempt.happen(Established(), Readable(), Closed(None, 0))
        reader, _ = await task
        assert await reader.read() == b"early"

    play(main)


def test_reader_that_does_not_read_closes_the_window() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, _, attempt = await opened(runner, limit=1000)
        attempt.arrive(bytes(2001))
        attempt.arrive(bytes(5000))
        attempt.end()
        assert attempt.readable == 5000, "left in the receive buffer"
        assert len(await reader.readexactly(2001)) == 2001
        await turns()
        assert attempt.readable == 0
        assert len(await reader.read(10_000)) == 5000
        await turns()
        assert await reader.read() == b""

    play(main)


def test_reset_after_data_with_a_paused_reader() -> None:
    """As from a socket: what came is read first, then the error."""

    async def main(runner: FakeRunner) -> None:
        reader, _, attempt = await opened(runner, limit=10)
        attempt.arrive(b"a" * 30)
        attempt.arrive(b"b" * 20)
        attempt.fail(errno.ECONNRESET, "reset by the peer")
        await turns()
        assert await reader.read(30) == b"a" * 30
        await turns(6)
        assert reader.exception() is not None
        with pytest.raises(ConnectionResetError):
            await reader.read(5)

    play(main)


def test_reset_is_told_to_both() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        writer.write(b"12345")
        attempt.fail(errno.ECONNRESET, "reset by the peer")
        with pytest.raises(ConnectionResetError, match="reset by the peer; 5 octets were not acknowledged"):
            await reader.read()
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        assert writer.is_closing()
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()
        assert attempt.calls == []

    play(main)


# --- writing ---------------------------------------------------------------------------------------------------


def test_drain_waits_for_acknowledgments() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        writer.write(bytes(SEND_BUFFER + (1 << 16)))
        await writer.drain()
        writer.write(memoryview(b"1"))
        draining = asyncio.ensure_future(writer.drain())
        await turns()
        assert not draining.done()
        attempt.acknowledge((1 << 16) - (1 << 14))
        await turns()
        assert not draining.done()
        attempt.acknowledge(1)
        await draining

    play(main)


def test_own_limits() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        transport = writer.transport
        transport.set_write_buffer_limits(high=0)
        assert transport.get_write_buffer_limits() == (0, 0)
        writer.write(bytes(SEND_BUFFER + 5))
        assert transport.get_write_buffer_size() == 5
        draining = asyncio.ensure_future(writer.drain())
        await turns()
        assert not draining.done()
        attempt.acknowledge(5)
        await draining
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match="high"):
            transport.set_write_buffer_limits(high=1, low=2)

    play(main)


def test_a_lost_connection_ends_drain() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        writer.write(bytes(2 * SEND_BUFFER))
        draining = asyncio.ensure_future(writer.drain())
        await turns()
        attempt.fail(errno.ETIMEDOUT, "no answer")
        with pytest.raises(TimeoutError):
            await draining
        with pytest.raises(TimeoutError, match=f"no answer; {2 * SEND_BUFFER} octets"):
            await writer.drain()

    play(main)


def test_half_close() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        assert writer.can_write_eof()
        writer.write_eof()
        writer.write_eof()
        assert attempt.calls == ["write_eof"]
        with pytest.raises(RuntimeError, match="write_eof"):
            writer.write(b"x")
        attempt.arrive(b"still")
        attempt.end()
        assert await reader.read() == b"still"

    play(main)


def test_a_write_that_the_connection_refuses_is_its_loss() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)

        def refuse(data: bytes) -> None:
            raise TcpError(errno.EPIPE, "over")

        attempt.write = refuse  # type: ignore[method-assign]
        writer.write(b"x")
        with pytest.raises(BrokenPipeError, match="over"):
            await reader.read()

    play(main)


def test_only_octets_can_be_written() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, _ = await opened(runner)
        with pytest.raises(TypeError, match="bytes-like"):
            writer.write("text")  # type: ignore[arg-type]

    play(main)


# --- closing ---------------------------------------------------------------------------------------------------


def test_close_waits_for_what_is_unsent() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        writer.write(b"1234")
        wakes = runner.wakes
        writer.close()
        assert runner.wakes == wakes + 1
        assert attempt.calls == ["close"]
        waiting = asyncio.ensure_future(writer.wait_closed())
        await turns()
        assert not waiting.done()
        attempt.acknowledge(4)
        await waiting
        assert writer.transport.is_closing()
        writer.close()
        assert attempt.calls == ["close"]

    play(main)


def test_close_tells_what_was_lost() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        writer.write(b"1234")
        writer.close()
        attempt.fail(errno.ECONNRESET, "reset by the peer")
        with pytest.raises(ConnectionResetError, match="4 octets were not acknowledged"):
            await writer.wait_closed()

    play(main)


def test_nothing_is_delivered_after_close() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        writer.close()
        attempt.arrive(b"late")
        await writer.wait_closed()
        assert await reader.read() == b""
        writer.write(b"x")
        assert attempt.written == b""

    play(main)


def test_both_ends_written_still_needs_close() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        writer.write_eof()
        attempt.end()
        attempt.happen(Closed(None, 0))
        assert await reader.read() == b""
        assert not writer.is_closing()
        writer.close()
        await writer.wait_closed()
        assert attempt.calls == ["write_eof"]

    play(main)


def test_abort() -> None:
    async def main(runner: FakeRunner) -> None:
        reader, writer, attempt = await opened(runner)
        writer.write(b"1234")
        wakes = runner.wakes
        writer.transport.abort()
        writer.transport.abort()
        assert runner.wakes == wakes + 1
        assert attempt.calls == ["abort"]
        assert await reader.read() == b""
        await writer.wait_closed()

    play(main)


def test_the_program_can_wait_for_the_last_fin() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, attempt = await opened(runner)
        writer.close()
        await writer.wait_closed()
        waiting = asyncio.ensure_future(drain_closing(runner, 10))  # type: ignore[arg-type]
        await turns()
        assert not waiting.done()
        attempt.happen(Closed(None, 0))
        assert await waiting == 0

    play(main)


def test_waiting_for_the_last_fin_is_bounded() -> None:
    async def main(runner: FakeRunner) -> None:
        _, writer, _ = await opened(runner)
        writer.close()
        assert await drain_closing(runner, 0) == 1  # type: ignore[arg-type]
        assert await drain_closing(runner, 10) == 0, "given up once and for all"  # type: ignore[arg-type]

    play(main)


# --- protocols -------------------------------------------------------------------------------------------------


class Recorder(asyncio.Protocol):
    def __init__(self, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.seen: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen.append("made")

    def data_received(self, data: bytes) -> None:
        if data == b"bug":
            raise LookupError("in the protocol")
        self.seen.append(data)

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append(exc)


def accepted(
    runner: FakeRunner, protocol: asyncio.BaseProtocol, **options: Any
) -> tuple[FakeAttempt, AttemptTransport]:
    attempt = FakeAttempt(runner)
    loop = asyncio.get_running_loop()
    transport = AttemptTransport(runner, attempt, protocol, loop, **options)  # type: ignore[arg-type]
    transport.on_ready()
    return attempt, transport


@pytest.mark.parametrize("keep_open", [True, False])
def test_eof_closes_unless_the_protocol_wants_more(keep_open: bool) -> None:
    """asyncio: a false value from eof_received() closes the transport."""

    async def main(runner: FakeRunner) -> None:
        protocol = Recorder(keep_open)
        attempt, transport = accepted(runner, protocol)
        attempt.end()
        await turns()
        assert transport.is_closing() is not keep_open
        assert protocol.seen == (["made", "eof"] if keep_open else ["made", "eof", None])

    play(main)


def test_a_protocols_bug_ends_its_connection() -> None:
    async def main(runner: FakeRunner) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        protocol = Recorder()
        attempt, _ = accepted(runner, protocol)
        attempt.arrive(b"bug")
        await turns()
        assert attempt.calls == ["abort"]
        assert protocol.seen == ["made", None]
        assert isinstance(told[0]["exception"], LookupError)

    play(main)


def test_buffered_protocol() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.space = bytearray(4)
            self.got = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.space

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.space[:nbytes]

    async def main(runner: FakeRunner) -> None:
        protocol = Buffered()
        attempt, _ = accepted(runner, protocol)
        attempt.arrive(b"0123456789")
        assert protocol.got == b"0123456789"
        assert attempt.reads == [4, 4, 4]

    play(main)


def test_protocol_can_be_replaced() -> None:
    async def main(runner: FakeRunner) -> None:
        first, second = Recorder(), Recorder()
        attempt, transport = accepted(runner, first)
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        attempt.arrive(b"x")
        assert (first.seen, second.seen) == (["made"], [b"x"])

    play(main)


def test_pausing_is_seen() -> None:
    async def main(runner: FakeRunner) -> None:
        attempt, transport = accepted(runner, Recorder())
        assert transport.is_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        attempt.arrive(b"x")
        assert attempt.readable == 1
        transport.resume_reading()
        await turns()
        assert attempt.readable == 0

    play(main)


# --- servers ---------------------------------------------------------------------------------------------------


def test_server_hands_connections_to_tasks() -> None:
    async def main(runner: FakeRunner) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read())
            writer.close()

        server = await start_server(echo, runner, 7, address="10.0.0.2", backlog=5)  # type: ignore[arg-type]
        asked = {"port": 7, "address": "10.0.0.2", "security": Security(), "backlog": 5}
        assert runner.asked[0] == {**asked, "config": None}
        assert server.is_serving()
        assert server.local == ("10.0.0.2", 7)
        assert [item.getsockname() for item in server.sockets] == [("10.0.0.2", 7)]
        one, two = FakeAttempt(runner), FakeAttempt(runner)
        for attempt, data in ((one, b"one"), (two, b"two")):
            # The data may be there before the connection is accepted.
            attempt.incoming += data
            attempt.eof = True
            attempt.events.extend((Established(), Readable()))
            runner.listener.queue.append(attempt)
        runner.listener.owner.on_ready()
        await turns(6)
        assert (one.written, two.written) == (b"one", b"two")
        assert one.calls == ["close"]

        server.close()
        assert runner.listener.closed
        assert not server.is_serving()
        assert server.sockets == ()
        waiting = asyncio.ensure_future(server.wait_closed())
        await turns()
        assert not waiting.done()
        one.acknowledge(3)
        two.acknowledge(3)
        await waiting

    play(main)


def test_server_on_every_address_names_none() -> None:
    async def main(runner: FakeRunner) -> None:
        runner.listener.address = None
        server = await start_server(lambda r, w: None, runner, 7)  # type: ignore[arg-type]
        assert [item.getsockname() for item in server.sockets] == [("::", 7, 0, 0)]
        runner.addresses = runner.addresses[:1]
        server = await start_server(lambda r, w: None, runner, 7)  # type: ignore[arg-type]
        assert server.local == ("0.0.0.0", 7)

    play(main)


def test_server_as_context() -> None:
    async def main(runner: FakeRunner) -> None:
        async with await start_server(lambda r, w: None, runner, 7):  # type: ignore[arg-type]
            pass
        assert runner.listener.closed

    play(main)


def test_serve_forever_until_cancelled() -> None:
    async def main(runner: FakeRunner) -> None:
        server = await start_server(lambda r, w: None, runner, 7)  # type: ignore[arg-type]
        task = asyncio.ensure_future(server.serve_forever())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert runner.listener.closed
        with pytest.raises(RuntimeError, match="closed"):
            await server.serve_forever()

    play(main)


def test_clients_can_be_closed_and_aborted() -> None:
    async def main(runner: FakeRunner) -> None:
        server = await start_server(lambda r, w: None, runner, 7)  # type: ignore[arg-type]
        attempts = [FakeAttempt(runner), FakeAttempt(runner)]
        runner.listener.queue.extend(attempts)
        runner.listener.owner.on_ready()
        attempts[0].unsent = attempts[1].unsent = 1
        server.close_clients()
        assert [attempt.calls for attempt in attempts] == [["close"], ["close"]]
        server.abort_clients()
        assert [attempt.calls for attempt in attempts] == [["close", "abort"], ["close", "abort"]]

    play(main)
