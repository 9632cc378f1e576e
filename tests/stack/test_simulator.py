"""The world: virtual time, links, runners, repeatable runs, stalls that are told."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

from stack import icmp
from stack.batch import Batch
from stack.ip import Ip, IpTemplate, address_octets, parse
from stack.simulator import Delay, Direction, Duplicate, Gather, Loss, Reorder, SimRunner, Stalled, Tap, World

A, B, C = (address_octets(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.1.3"))


@dataclass
class Teller:
    """What an owner is told."""

    owner: object | None = None
    told: int = 0

    def on_ready(self) -> None:
        self.told += 1


@dataclass
class Node:
    """Answers echo requests, keeps everything else with its time, sends what it is told to at given times."""

    plan: list[tuple[float, bytes]] = field(default_factory=list)
    got: list[tuple[float, bytes]] = field(default_factory=list)
    out: list[bytes] = field(default_factory=list)
    advanced: list[float] = field(default_factory=list)
    ready: list[Teller] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    @property
    def next_deadline(self) -> float | None:
        return self.plan[0][0] if self.plan else None

    def receive(self, batch: Batch, now: float) -> None:
        self.batches.append(len(batch))
        for packet in batch.packets:
            ip = parse(packet)
            assert isinstance(ip, Ip)
            reply = icmp.take(ip, packet) if ip.protocol == icmp.ICMP else None
            if isinstance(reply, bytes):
                self.out.append(reply)
            else:
                self.got.append((now, bytes(packet)))

    def advance(self, now: float) -> None:
        self.advanced.append(now)
        while self.plan and self.plan[0][0] <= now:
            self.out.append(self.plan.pop(0)[1])

    def take_output(self, now: float) -> Batch:
        out, self.out = self.out, []
        return Batch(out)

    def take_ready(self) -> list[Teller]:
        ready, self.ready = self.ready, []
        return ready


def packet(source: bytes, destination: bytes, number: int) -> bytes:
    return IpTemplate(source, destination, protocol=253).header(4) + number.to_bytes(4, "big")


def ping(number: int) -> bytes:
    return bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=8, seq=number) / Raw(b"ping"))


def pair(*boxes: object, plan: list[tuple[float, bytes]]) -> tuple[World, SimRunner[Node], SimRunner[Node]]:
    world = World(random.Random(1))
    a, b = world.add(Node(plan), "a"), world.add(Node(), "b")
    world.link(a, b, *boxes)  # type: ignore[arg-type]
    return world, a, b


def test_echo_over_a_delay() -> None:
    world, a, b = pair(Delay(0.05), plan=[(1.0, ping(1)), (3.0, ping(2))])
    world.run(stop=lambda: len(a.stack.got) == 2)
    assert [when for when, _ in a.stack.got] == pytest.approx([1.1, 3.1])
    assert a.stack.advanced == [1.0, 3.0]
    assert (a.packets_out, a.packets_in, b.packets_in) == (2, 2, 2)


def test_virtual_hours_cost_nothing() -> None:
    world, _, b = pair(plan=[(3600.0 * hour, packet(A, B, hour)) for hour in range(100)])
    world.run(until=3600.0 * 1000)
    assert len(b.stack.got) == 100
    assert world.now == 3600.0 * 1000
    assert world.steps < 500


def test_packets_of_one_moment_arrive_as_one_batch() -> None:
    world, _, b = pair(Delay(0.1), plan=[(1.0, packet(A, B, n)) for n in range(20)])
    world.run()
    assert b.stack.batches == [20]


def journal(seed: int) -> list[tuple[float, bytes]]:
    chance = random.Random(seed)
    world = World(chance)
    a = world.add(Node([(n / 100, packet(A, B, n)) for n in range(300)]))
    b = world.add(Node())
    boxes = [Loss(0.1, chance), Delay(0.02, 0.05, chance), Reorder(0.3, 0.1, chance), Duplicate(0.1, chance, 0.01)]
    world.link(a, b, *boxes)
    world.run()
    return b.stack.got


def test_runs_repeat_by_seed() -> None:
    first = journal(7)
    assert first == journal(7)
    assert first != journal(8)
    numbers = [got[-4:] for _, got in first]
    assert numbers != sorted(numbers)
    assert 250 < len(numbers) < 330
    assert len(set(numbers)) < len(numbers)


def test_random_octets_repeat() -> None:
    assert World(random.Random(3)).octets(16) == World(random.Random(3)).octets(16)


def test_links_are_chosen_by_the_longest_prefix() -> None:
    world = World(random.Random(1))
    a = world.add(Node([(0.0, packet(A, B, 1)), (0.0, packet(A, C, 2)), (0.0, packet(A, bytes([8, 8, 8, 8]), 3))]))
    b, c = world.add(Node()), world.add(Node())
    world.link(a, b, to_second=["10.0.0.0/16"])
    world.link(a, c, to_second=["10.0.1.0/24"])
    world.run()
    assert [got[-1] for _, got in b.stack.got] == [1]
    assert [got[-1] for _, got in c.stack.got] == [2]
    assert a.unrouted == 1


def test_inject_is_behind_the_boxes() -> None:
    world = World(random.Random(1))
    a, b = world.add(Node()), world.add(Node())
    seen: list[object] = []
    link = world.link(a, b, Tap(lambda *what: seen.append(what)))
    link.inject([packet(A, B, 1)], Direction.FORWARD)
    world.run()
    assert len(b.stack.got) == 1
    assert seen == []


def test_runner_calls_at_virtual_times() -> None:
    world, a, _ = pair(plan=[])
    calls: list[tuple[str, float]] = []
    a.call_at(2.0, lambda: calls.append(("two", a.now())))
    a.call_at(1.0, lambda: calls.append(("one", a.now())))
    a.call_at(1.5, lambda: calls.append(("never", a.now()))).cancel()
    a.call_at(-5.0, lambda: calls.append(("past", a.now())))
    world.run()
    assert calls == [("past", 0.0), ("one", 1.0), ("two", 2.0)]


def test_wake_flushes_once_for_many_calls() -> None:
    world, a, b = pair(plan=[])
    world.run()
    steps = world.steps
    a.stack.out = [packet(A, B, 1)]
    for _ in range(10):
        a.wake()
    world.run()
    assert len(b.stack.got) == 1
    assert world.steps == steps + 2  # one look, one delivery


def test_owners_are_told_before_output_is_taken() -> None:
    world, a, b = pair(plan=[(1.0, packet(A, B, 1))])

    class Answering(Teller):
        def on_ready(self) -> None:
            super().on_ready()
            b.stack.out.append(packet(B, A, 2))

    item = Teller(owner=Answering())
    silent = Teller(owner=None)
    b.stack.ready = [item, silent]
    world.run()
    assert isinstance(item.owner, Answering)
    assert item.owner.told == 1
    assert a.stack.got == [(0.0, packet(B, A, 2))]


def test_nothing_left_to_do_is_a_stall_where_something_is_awaited() -> None:
    world, _, _ = pair(plan=[(1.0, packet(A, B, 1))])
    with pytest.raises(Stalled, match=r"nothing left to do at 1.000000 s.*a: next deadline None, 1 packets out"):
        world.run(stop=lambda: False)


def test_time_over_is_a_stall_where_something_is_awaited() -> None:
    world, _, _ = pair(plan=[(100.0, packet(A, B, 1))])
    with pytest.raises(Stalled, match=r"the time is over \(5.0 s\)"):
        world.run(until=5.0, stop=lambda: False)


def test_a_deadline_that_does_not_move_is_a_stall() -> None:
    class Stuck(Node):
        @property
        def next_deadline(self) -> float | None:
            return 1.0

    world = World(random.Random(1))
    world.add(Stuck(), "stuck").wake()
    with pytest.raises(Stalled, match=r"without the time moving on at 1.000000 s.*stuck: next deadline 1.0"):
        world.run()


def test_steps_are_bounded() -> None:
    world, a, _ = pair(plan=[])

    def again() -> None:
        a.call_at(a.now() + 1.0, again)

    again()
    with pytest.raises(Stalled, match="not done after 100 events"):
        world.run(most_steps=100)


def test_a_later_deadline_does_not_advance_early() -> None:
    world, a, _ = pair(plan=[(1.0, packet(A, B, 1))])
    world.run(until=0.5)
    a.stack.plan = [(2.0, packet(A, B, 1))]
    world.run()
    assert a.stack.advanced == [2.0]


def test_single_steps() -> None:
    world, _, b = pair(plan=[(1.0, packet(A, B, 1))])
    times = []
    while world.step():
        times.append(world.now)
    assert times == [0.0, 0.0, 1.0, 1.0]  # both look once, then one sends and the other receives
    assert len(b.stack.got) == 1
    assert not world.step()


def test_gathered_packets_arrive_together() -> None:
    """At the end of the interval that they fall into, in one batch though they were sent one by one."""
    world = World(random.Random(1))
    node = Node()
    first = world.add(Node())
    link = world.link(first, world.add(node), Gather(0.001))
    for moment in (0.0101, 0.0104, 0.0109, 0.0111, 0.013):
        world.call_at(moment, lambda: link.send([packet(A, B, 1)], Direction.FORWARD))
    world.run(1.0)
    assert node.batches == [3, 1, 1]
    assert sorted({round(when, 6) for when, _ in node.got}) == [0.011, 0.012, 0.013]


def test_gathering_takes_some_time() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Gather(0.0)
