"""The driver between a stand-in stack and a stand-in device, in virtual time."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from stack.batch import Batch, Octets
from stack.box import Direction, Emission
from stack.simulator import Delay, Filter
from tun.capture import Capture
from tun.driver import Driver
from tun.errors import TunError

from .virtual_loop import VirtualLoop, run


@dataclass
class Node:
    """Keeps what comes; sends what it is told to, at once or at given times."""

    plan: list[tuple[float, bytes]] = field(default_factory=list)
    got: list[tuple[float, bytes]] = field(default_factory=list)
    out: list[bytes] = field(default_factory=list)
    advanced: list[float] = field(default_factory=list)
    ready: list[Item] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    looks: int = 0

    @property
    def next_deadline(self) -> float | None:
        return self.plan[0][0] if self.plan else None

    def receive(self, batch: Batch, now: float) -> None:
        self.batches.append(len(batch))
        self.got += [(round(now, 6), bytes(packet)) for packet in batch.packets]

    def advance(self, now: float) -> None:
        self.advanced.append(round(now, 6))
        while self.plan and self.plan[0][0] <= now:
            self.out.append(self.plan.pop(0)[1])

    def take_output(self, now: float) -> Batch:
        self.looks += 1
        out, self.out = self.out, []
        return Batch(out)

    def take_ready(self) -> list[Item]:
        ready, self.ready = self.ready, []
        return ready


@dataclass
class Item:
    """Something with an owner; the owner does what it is made to do."""

    owner: Any


@dataclass
class Owner:
    act: Callable[[], None]

    def on_ready(self) -> None:
        self.act()


class Wire:
    """A device made of a socket pair: each datagram a packet. ``far`` is the other end."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.waiting: list[Octets] = []
        self.full = False
        self.gone = False
        self.reads = 0

    @property
    def pending(self) -> int:
        return len(self.waiting)

    def fileno(self) -> int:
        return self.near.fileno()

    def use_offload(self) -> bool:
        return False

    def read_batch(self, limit: int = 64) -> Batch:
        self.reads += 1
        if self.gone:
            raise TunError("device w is gone", 77)
        packets: list[bytes] = []
        try:
            while len(packets) < limit:
                packets.append(self.near.recv(65536))
        except BlockingIOError:
            pass
        return Batch(packets)

    def write(self, packets: Sequence[Octets]) -> None:
        if self.gone:
            raise TunError("device w is gone", 77)
        self.waiting += packets
        if not self.full:
            self.flush()

    def flush(self) -> None:
        while self.waiting:
            self.near.send(self.waiting.pop(0))

    def sent(self) -> list[bytes]:
        packets = []
        try:
            while True:
                packets.append(self.far.recv(65536))
        except BlockingIOError:
            return packets


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_packets_go_in_as_batches_and_out() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        node.out = [b"first"]
        with Driver(node, wire):
            for number in range(5):
                wire.far.send(bytes([number]))
            await turns()
            assert node.batches == [5]
            assert [packet for _, packet in node.got] == [bytes([number]) for number in range(5)]
            assert wire.sent() == [b"first"]

    assert run(main()).problems == []


def test_one_turn_reads_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tun.driver._BATCH", 2)

    async def main() -> None:
        wire, node = Wire(), Node()
        driver = Driver(node, wire)
        for number in range(9):
            wire.far.send(bytes([number]))
        driver._readable()
        assert node.batches == [2, 2, 2, 2]
        await turns()
        assert node.batches == [2, 2, 2, 2, 1]
        driver.close()

    assert run(main()).problems == []


def test_deadlines_are_kept_and_the_timer_is_lazy() -> None:
    async def main() -> None:
        wire, node = Wire(), Node([(0.5, b"a"), (0.75, b"b"), (2.0, b"c")])
        with Driver(node, wire) as driver:
            await asyncio.sleep(1.0)
            assert node.advanced == [0.5, 0.75]
            assert wire.sent() == [b"a", b"b"]
            # Later than the timer that is set: it comes early, looks, and is set again.
            node.plan = [(3.0, b"later")]
            driver.wake()
            await asyncio.sleep(1.5)
            assert node.advanced == [0.5, 0.75]
            # Earlier than the timer that is set.
            node.plan = [(2.75, b"sooner")]
            driver.wake()
            await asyncio.sleep(0.3)
            assert node.advanced == [0.5, 0.75, 2.75]
            assert wire.sent() == [b"sooner"]

    assert run(main()).problems == []


def test_wake_looks_once_for_many_calls() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        with Driver(node, wire) as driver:
            await turns()
            looks = node.looks
            node.out = [b"x"]
            for _ in range(10):
                driver.wake()
            await turns()
            assert node.looks == looks + 1
            assert wire.sent() == [b"x"]

    assert run(main()).problems == []


def test_call_at_uses_the_drivers_clock() -> None:
    async def main() -> None:
        times: list[float] = []
        with Driver(Node(), Wire()) as driver:
            driver.call_at(driver.now() + 1.0, lambda: times.append(driver.now()))
            driver.call_at(driver.now() + 0.5, lambda: times.append(-1.0)).cancel()
            await asyncio.sleep(2.0)
        assert times == pytest.approx([1.0])

    run(main())


def test_owners_are_told_and_their_output_leaves_at_once() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        told: list[str] = []

        def act() -> None:
            told.append("owner")
            node.out.append(b"answer")

        with Driver(node, wire) as driver:
            await turns()
            node.ready = [Item(None), Item(Owner(act))]
            wire.far.send(b"question")
            driver._readable()
            assert told == ["owner"]
            assert wire.sent() == [b"answer"]

    assert run(main()).problems == []


def test_an_owners_failure_is_reported_and_stops_nobody_else() -> None:
    told: list[str] = []

    async def main() -> None:
        wire, node = Wire(), Node()
        with Driver(node, wire) as driver:
            node.ready = [Item(Owner(lambda: 1 // 0)), Item(Owner(lambda: told.append("second")))]
            driver.wake()
            await turns()
            wire.far.send(b"still there")
            await turns()
            assert node.batches == [1]

    (problem,) = run(main()).problems
    assert isinstance(problem["exception"], ZeroDivisionError)
    assert told == ["second"]


def test_what_the_device_cannot_take_goes_when_it_can() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        with Driver(node, wire) as driver:
            wire.full = True
            node.out = [b"x", b"y"]
            driver.wake()
            await turns(1)
            assert wire.sent() == []
            await turns()
            assert wire.sent() == [b"x", b"y"]
            assert wire.pending == 0

    assert run(main()).problems == []


def test_boxes_stand_in_both_directions() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        drop = Filter(lambda packet, direction, now: packet != b"bad", only=Direction.BACKWARD)
        with Driver(node, wire, boxes=[Delay(0.25), drop]) as driver:
            node.out = [b"out", b"bad"]
            driver.wake()
            wire.far.send(b"bad")
            wire.far.send(b"in")
            await asyncio.sleep(0.2)
            assert wire.sent() == []
            await asyncio.sleep(0.1)
            assert wire.sent() == [b"out", b"bad"]
            assert node.got == [(0.25, b"in")]
            assert drop.lost == 1

    assert run(main()).problems == []


def test_the_last_boxs_delay_is_kept_too() -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        with Driver(node, wire, boxes=[Delay(0.1), Delay(0.2)]) as driver:
            node.out = [b"out"]
            driver.wake()
            await asyncio.sleep(0.29)
            assert wire.sent() == []
            await asyncio.sleep(0.02)
            assert wire.sent() == [b"out"]

    assert run(main()).problems == []


def test_a_box_that_answers_the_stack_gets_its_reply() -> None:
    class Answering:
        next_deadline = None

        def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
            return [(now, direction.reverse if packet == b"too big" else direction, packet) for packet in packets]

    class Correcting(Node):
        def receive(self, batch: Batch, now: float) -> None:
            super().receive(batch, now)
            self.out.append(b"smaller")

    async def main() -> None:
        wire, node = Wire(), Correcting()
        with Driver(node, wire, boxes=[Answering()]) as driver:
            node.out = [b"too big"]
            driver.wake()
            await turns()
            assert [packet for _, packet in node.got] == [b"too big"]
            assert wire.sent() == [b"smaller"]

    assert run(main()).problems == []


def test_capture_sees_both_directions_and_may_fail() -> None:
    class Recorder(Capture):
        seen: list[tuple[bool, bytes]]

        def add(self, packets: Sequence[Octets], when: float, *, outgoing: bool, comments: object = None) -> None:
            if len(self.seen) == 2:
                raise OSError(28, "No space left on device")
            self.seen += [(outgoing, bytes(packet)) for packet in packets]

    async def main() -> None:
        wire, node = Wire(), Node()
        recorder = Recorder(io.BytesIO())
        recorder.seen = []
        with Driver(node, wire, capture=recorder) as driver:
            node.out = [b"out"]
            driver.wake()
            await turns()
            for packet in (b"in", b"more", b"and more"):
                wire.far.send(packet)
                await turns()
            assert recorder.seen == [(True, b"out"), (False, b"in")]
            assert [packet for _, packet in node.got] == [b"in", b"more", b"and more"]

    (problem,) = run(main()).problems
    assert "capture" in problem["message"]


def test_close_sends_what_is_left_and_stops_everything() -> None:
    async def main() -> None:
        wire, node = Wire(), Node([(5.0, b"never")])
        driver = Driver(node, wire)
        await turns()
        node.out = [b"last"]
        driver.close()
        driver.close()
        driver.wake()
        assert wire.sent() == [b"last"]
        wire.far.send(b"too late")
        await asyncio.sleep(10.0)
        assert (node.got, node.advanced, wire.reads) == ([], [], 0)
        await driver.wait()

    assert run(main()).problems == []


@pytest.mark.parametrize("way", ["in", "out", "close"])
def test_a_device_that_is_gone_stops_the_driver(way: str) -> None:
    async def main() -> None:
        wire, node = Wire(), Node()
        driver = Driver(node, wire)
        await turns()
        wire.gone = True
        if way == "in":
            wire.far.send(b"x")
        else:
            node.out = [b"x"]
            driver.wake()
            if way == "close":
                driver.close()
        with pytest.raises(TunError, match="device w is gone"):
            await driver.wait()
        assert isinstance(driver.error, TunError)
        await asyncio.sleep(1.0)

    assert run(main()).problems == []


def test_the_loop_may_be_given() -> None:
    loop = VirtualLoop()
    wire, node = Wire(), Node([(1.0, b"x")])
    driver = Driver(node, wire, loop=loop)
    loop.call_later(2.0, loop.stop)
    loop.run_forever()
    driver.close()
    loop.close()
    assert node.advanced == [1.0]
