"""What peers can make a stack hold: never more than its limit, and an honest connection gets through.

The account is compared with what Python really allocates: an account that forgets something would bound nothing.
"""

from __future__ import annotations

import errno
import gc
import random
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.events import TcpError
from stack.host import Stack
from stack.listener import Listener
from stack.memory import CONNECTION, MEMORY, Memory
from stack.run import ACK
from tests.stack.flood import Flooder, accepted
from tests.stack.wire import CLIENT, SERVER, Wire, transfer

LIMIT = 4 << 20
CONFIG = TcpConfig(receive_buffer=1 << 18, send_buffer=1 << 18)


def server(config: TcpConfig = CONFIG, limit: int = LIMIT) -> tuple[Stack, Listener]:
    stack = Stack(SERVER, random=random.Random(5).randbytes, config=config, memory=limit)
    return stack, stack.listen(80)


@contextmanager
def measured(stack: Stack, *, slack: float = 1.0) -> Iterator[None]:
    """What is allocated within may not exceed the limit by more than ``slack`` says, nor the account the limit."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        gc.collect()
        really = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert stack.memory.peak <= stack.memory.limit
    assert really <= slack * stack.memory.limit, f"{really} octets, of which {stack.memory.held} are known"


def honest(stack: Stack, listener: Listener, octets: int = 60_000) -> float:
    """A connection of another peer, whose application reads; it must come through. Returns the seconds it took."""
    wire = Wire(seed=9, config=CONFIG)
    wire.server = stack
    wire.now = 200.0
    data = random.Random(3).randbytes(octets)
    attempt = wire.client.connect((SERVER[0], 80), now=wire.now)
    ours, theirs = transfer(wire, attempt, listener, data, data[:1000])
    assert bytes(theirs.received) == data
    assert bytes(ours.received) == data[:1000]
    return wire.now - 200.0


def flood(stack: Stack, count: int, now: float = 100.0) -> list[Flooder]:
    return [flooder for n in range(count) if (flooder := Flooder(stack, n, now)).stands]


# --- attacks -----------------------------------------------------------------------------------------------


def test_octets_beyond_holes() -> None:
    stack, listener = server()
    with measured(stack):
        flooders = flood(stack, 60)
        held = accepted(listener)
        for flooder in flooders:
            segments = [flooder.segment(2 + 1400 * n, 1, bytes(1400)) for n in range(45)]
            flooder.send(segments)
    assert stack.memory.held > 0.9 * stack.memory.pressure
    assert sum(a.flow.connection.drops["no_memory"] for a in held) > 0
    assert honest(stack, listener) < 5.0


def test_single_octets_beyond_holes_each() -> None:
    """One octet in two arrives: every one is a range with its own objects."""
    stack, listener = server()
    with measured(stack):
        flooders = flood(stack, 8)
        held = accepted(listener)
        for flooder in flooders:
            flooder.send([flooder.segment(2 + 2 * n, 1, b"x") for n in range(200)])
    assert len(held) == len(flooders)
    assert honest(stack, listener) < 5.0


def test_single_octets_whose_holes_are_filled() -> None:
    """Ranges that become one leave small pieces behind, which must be gathered."""
    stack, listener = server()
    with measured(stack):
        (flooder,) = flood(stack, 1)
        (attempt,) = accepted(listener)
        for block in range(0, 2000, 1000):
            odd = [flooder.segment(2 + block + n, 1, b"x") for n in range(0, 1000, 2)]
            even = [flooder.segment(2 + block + n, 1, b"y") for n in range(1, 1000, 2)]
            flooder.send(odd + even)
        incoming = attempt.flow.connection.incoming
        assert incoming.held == 2000
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        incoming.drop_ranges()
        really = before - tracemalloc.get_traced_memory()[0]
    assert really < 8_000, "two thousand octets do not take two thousand objects"
    assert honest(stack, listener) < 5.0


def test_octets_that_nobody_reads() -> None:
    stack, listener = server()
    with measured(stack):
        flooders = flood(stack, 40)
        held = accepted(listener)
        for _ in range(3):
            for flooder in flooders:
                start = max(flooder.acked, 1)
                end = min(flooder.offered, start + 60_000)
                flooder.send([flooder.segment(at, 1, bytes(min(1400, end - at))) for at in range(start, end, 1400)])
                flooder.acked = end
    assert stack.memory.held > stack.memory.pressure
    assert sum(a.readable for a in held) > 0
    assert honest(stack, listener) < 60.0


def test_single_octets_that_nobody_reads() -> None:
    """And whose events nobody takes: an event for each would be a hundred times the octet."""
    stack, listener = server()
    with measured(stack, slack=0.5):
        (flooder,) = flood(stack, 1)
        (attempt,) = accepted(listener)
        for at in range(3000):
            stack.receive(Batch([flooder.segment(1 + at, 1, b"z")]), 100.0)
        stack.take_output(100.0)
    assert attempt.readable == 3000
    events = 0
    while attempt.next_event() is not None:
        events += 1
    assert events <= 3


def test_overlapping_pieces() -> None:
    """Each octet is held once, however often and in whatever pieces it comes."""
    stack, listener = server()
    source = random.Random(8)
    with measured(stack):
        flooders = flood(stack, 30)
        held = accepted(listener)
        for flooder in flooders:
            segments = []
            for _ in range(100):
                start = source.randrange(2, 60_000)
                segments.append(flooder.segment(start, 1, bytes(source.randrange(1, 1400))))
            flooder.send(segments)
    for attempt in held:
        assert attempt.flow.connection.incoming.held <= 62_000
    assert honest(stack, listener) < 5.0


def test_a_promised_window_is_more_than_there_is() -> None:
    """What was advertised before memory became short is not taken back, and not held either: it is sent again."""
    stack, listener = server(limit=1 << 20)
    with measured(stack, slack=1.1):
        flooders = flood(stack, 20)
        held = accepted(listener)
        for flooder in flooders:
            flooder.send([flooder.segment(at, 1, bytes(1400)) for at in range(1, 64_000, 1400)])
    assert sum(a.flow.connection.drops["no_memory"] for a in held) > 0
    assert all(a.readable > 0 for a in held), "each has its reserve"


def test_what_lies_beyond_holes_goes_first() -> None:
    """RFC 2018 §8: it may be dropped; octets in order were acknowledged and may not."""
    stack, listener = server(limit=1 << 20)
    holders = flood(stack, 12)
    accepted(listener)
    for flooder in holders:
        flooder.send([flooder.segment(2 + 1400 * n, 1, bytes(1400)) for n in range(40)])
    before = stack.memory.held
    assert before > 0.9 * stack.memory.pressure
    others = [Flooder(stack, 100 + n, 101.0) for n in range(4)]
    attempts = accepted(listener)
    for flooder in others:
        flooder.send([flooder.segment(at, 1, bytes(1400)) for at in range(1, 40_000, 1400)])
    assert stack.memory.pruned > 0
    assert all(attempt.readable > 35_000 for attempt in attempts)


def test_a_peer_that_never_reads() -> None:
    """The application writes as long as it may: that ends, and the window's probes go on (RFC 9293 §3.8.6.1)."""
    stack, listener = server()
    with measured(stack):
        flooders = [Flooder(stack, n, 100.0, window=0) for n in range(40)]
        attempts = accepted(listener)
        assert len(attempts) == len(flooders)
        for attempt in attempts:
            while room := attempt.flow.connection.send_room:
                attempt.write(bytes(min(room, 16_384)))
        stack.take_output(100.0)
    assert stack.memory.held > stack.memory.pressure
    with pytest.raises(TcpError, match="memory is used up") as caught:
        attempts[0].write(bytes(1 << 20))
    assert caught.value.errno == errno.ENOBUFS
    assert honest(stack, listener) < 60.0


def test_many_connections() -> None:
    """Each is paid for; when they are too many, SYNs are answered with cookies, then not at all."""
    stack, listener = server(limit=1 << 20)
    with measured(stack):
        flooders = [Flooder(stack, n, 100.0) for n in range(200)]
        attempts = accepted(listener)
    assert len(attempts) <= stack.memory.limit // CONNECTION < len(flooders)
    assert stack.counters["cookies_sent"] > 0
    with pytest.raises(OSError, match="memory is used up") as caught:
        stack.connect((CLIENT[0], 9), now=100.0)
    assert caught.value.errno == errno.ENOBUFS
    for attempt in attempts[: len(attempts) // 2]:
        attempt.abort()
    stack.take_output(101.0)
    assert honest(stack, listener) < 5.0


def test_syns_alone_cost_little() -> None:
    """Of a half-open connection a record is kept (RFC 4987 §3.3)."""
    stack, listener = server(limit=1 << 20)
    with measured(stack, slack=0.3):
        flooders = [Flooder(stack, n, 100.0, silent=True) for n in range(200)]
    assert 0 < stack.memory.held < len(flooders) * 1024
    assert honest(stack, listener) < 5.0


def test_many_that_answer_at_the_same_time() -> None:
    """SYNs cost little, so all are taken; their connections are made as long as there is memory."""
    stack, listener = server(limit=1 << 20)
    with measured(stack):
        flooders = [Flooder(stack, n, 100.0, silent=True) for n in range(200)]
        for flooder in flooders:
            flooder.send([flooder.segment(1, 1)])
        attempts = accepted(listener)
    assert len(attempts) < 100
    assert stack.drops["no_memory"] > 0
    for attempt in attempts[:20]:
        attempt.abort()
    stack.take_output(100.0)
    assert honest(stack, listener) < 5.0


def test_time_wait_gives_way_to_who_comes() -> None:
    """A server that closes first keeps every connection for 2 MSL, the oldest ones no longer than there is room."""
    stack, listener = server(limit=1 << 20)
    for n in range(150):
        flooder = Flooder(stack, n, 100.0)
        assert flooder.stands
        (attempt,) = accepted(listener)
        attempt.close()
        flooder.send([])
        flooder.send([flooder.segment(1, 2, flags=ACK | 1)])
    assert stack.memory.evicted > 40
    assert {flow.connection.state.name for flow in stack.flows.values()} == {"TIME_WAIT"}
    assert stack.memory.peak <= stack.memory.limit
    assert honest(stack, listener) < 5.0


def test_fragments_are_counted() -> None:
    """Eight octets each, with their objects; no datagram is ever whole."""
    stack, listener = server(limit=1 << 20)
    header = bytes.fromhex("4500001c000020004006000000000000")
    with measured(stack):
        for n in range(12_000):
            offset = (n >> 8) % 100 + 1
            packet = bytearray(header)
            packet[4:6] = (n & 0xFF).to_bytes(2)
            packet[6:8] = (0x2000 | offset).to_bytes(2)
            packet[12:20] = bytes((10, 9, 9, 9, 10, 0, 0, 2))
            packet += bytes(8)
            stack.receive(Batch([bytes(packet)]), 100.0)
    assert honest(stack, listener) < 5.0
    stack.advance(1000.0)
    assert stack.memory.held <= 2 * CONNECTION, "their time is over"


# --- the scoreboard ----------------------------------------------------------------------------------------


def lines_of(call: object, *arguments: object) -> int:
    """How many lines of Python a call takes: work that does not depend on the machine."""
    count = 0

    def local(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        count += event == "line"
        return local

    # Who measures what tests reach goes on with it behind this.
    before = sys.gettrace()
    sys.settrace(local)
    try:
        call(*arguments)  # type: ignore[operator]
    finally:
        sys.settrace(before)
    return count


def sack_blocks(*blocks: tuple[int, int]) -> bytes:
    octets = b"".join(left.to_bytes(4) + right.to_bytes(4) for left, right in blocks)
    return bytes((1, 1, 5, 2 + len(octets))) + octets


@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
def test_sack_bombs(recovery: str) -> None:
    """A SACK block for each second octet: bounded records, and bounded work for each acknowledgment."""
    stack, listener = server(TcpConfig(recovery=recovery, send_buffer=1 << 20, initial_window=500))
    flooder = Flooder(stack, 1, 100.0)
    (attempt,) = accepted(listener)
    attempt.write(bytes(500_000))
    flooder.now = 100.1
    flooder.send([flooder.segment(1, 1)])
    base = flooder.irs
    connection = attempt.flow.connection
    in_flight = connection.snd_nxt - connection.snd_una
    assert in_flight > 100_000
    work = []
    with measured(stack):
        for n in range(0, 6_000, 6):
            flooder.now += 0.0001
            at = base + 20_001 + 2 * n
            blocks = [((at + k) & 0xFFFFFFFF, (at + k + 1) & 0xFFFFFFFF) for k in (0, 2, 4)]
            packet = flooder.segment(1, 1, options=sack_blocks(*blocks))
            if n % 600 == 0:
                work.append(lines_of(flooder.send, [packet]))
            else:
                flooder.send([packet])
    assert len(connection.scoreboard.records) <= 1025 + in_flight // 512
    print(max(work))
    assert max(work) < 40_000, work


# --- the account -------------------------------------------------------------------------------------------


def test_an_idle_connection_is_small() -> None:
    """What CONNECTION is charged for: objects are made when they are used first."""
    wire = Wire()
    wire.server.listen(81)
    pairs: list[tuple[Attempt, Attempt]] = []

    def open_one(port: int) -> None:
        attempt, listener = wire.open(port=port)
        assert wire.run(5.0, lambda: listener.waiting > 0)
        other = listener.accept()
        assert other is not None
        pairs.append((attempt, other))

    for port in range(1000, 1005):
        open_one(port)
    gc.collect()
    tracemalloc.start()
    try:
        wire.sent.clear()
        before = tracemalloc.get_traced_memory()[0]
        for port in range(2000, 2050):
            open_one(port)
        wire.sent.clear()
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
    assert each < 7168
    assert wire.server.memory.held == len(pairs) * CONNECTION


@pytest.mark.parametrize("seed", range(3))
def test_everything_is_given_back(seed: int) -> None:
    """After transfers over a bad network, TIME-WAIT and the end of the objects, nothing is held."""
    source = random.Random(seed)

    def lossy(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        return [] if source.random() < 0.05 else [(source.random() * 0.01, packet)]

    wire = Wire(seed=seed, tap=lossy)
    for port in (80, 81, 82):
        attempt, listener = wire.open(port=port)
        transfer(wire, attempt, listener, bytes(200_000), bytes(50_000))
        del attempt, listener
    wire.run(200.0)
    gc.collect()
    assert (wire.client.memory.held, wire.server.memory.held) == (0, 0), f"seed {seed}"


def test_unread_octets_of_an_ended_connection_count_until_they_are_gone() -> None:
    stack, listener = server()
    (flooder,) = flood(stack, 1)
    flooder.send([flooder.segment(1, 1, bytes(1400)), flooder.segment(1401, 1, bytes(1400))])
    flooder.send([flooder.segment(2801, 1, flags=4)])
    (attempt,) = accepted(listener)
    assert not stack.flows
    assert stack.memory.held >= 2800
    assert len(attempt.read()) == 2800
    assert stack.memory.held == 0


def test_pressure_shrinks_what_is_offered_and_ends() -> None:
    """The window grows less, and never goes back (RFC 9293 §3.8.6)."""
    stack, listener = server()
    (flooder,) = flood(stack, 1)
    (attempt,) = accepted(listener)
    connection = attempt.flow.connection
    edge = connection.rcv_adv
    others = int(stack.memory.high - stack.memory.held - 160_000)
    stack.memory.charge(others)
    flooder.send([flooder.segment(1, 1, bytes(1400))])
    attempt.read()
    stack.take_output(100.0)
    assert connection.receive_buffer < CONFIG.receive_buffer // 8
    assert connection.rcv_adv >= edge
    stack.memory.charge(-others)
    flooder.send([flooder.segment(1401, 1, bytes(1400))])
    assert connection.receive_buffer == CONFIG.receive_buffer


def test_a_limit_has_to_be_reasonable() -> None:
    with pytest.raises(ValueError, match="at least 1048576"):
        Memory(1000)
    assert Stack(SERVER, random=random.Random(5).randbytes).memory.limit == MEMORY
