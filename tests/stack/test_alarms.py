"""The heap of deadlines: nothing late, and nothing left behind by deadlines that moved."""

from __future__ import annotations

import random

from stack.alarms import Alarms
from stack.config import TcpConfig
from tests.stack.wire import Wire


class Thing:
    """Something with deadlines, in order; each is served once."""

    def __init__(self) -> None:
        self.over = False
        self.scheduled: float | None = None
        self.deadlines: list[float] = []
        self.served: list[tuple[float, float]] = []
        self.asked = 0

    @property
    def next_deadline(self) -> float | None:
        """The earliest."""
        self.asked += 1
        return min(self.deadlines, default=None)

    def advance(self, now: float) -> None:
        """Serve what is due."""
        self.served += [(now, at) for at in self.deadlines if at <= now]
        self.deadlines = [at for at in self.deadlines if at > now]


def test_nothing_is_late() -> None:
    chance = random.Random(5)
    alarms = Alarms()
    things = [Thing() for _ in range(20)]
    for step in range(2000):
        now = step / 100
        while (at := alarms.next_deadline) is not None and at <= now:
            alarms.advance(at)
        thing = chance.choice(things)
        thing.deadlines.append(now + chance.random())
        alarms.arm(thing)
    served = [pair for thing in things for pair in thing.served]
    assert len(served) > 1500
    assert all(now == at for now, at in served)


def test_an_earlier_deadline_leaves_nothing_behind() -> None:
    # As with pacing: a far timer that moves on with each acknowledgment, and a near one again and again.
    alarms = Alarms()
    thing = Thing()
    for step in range(1000):
        now = float(step)
        alarms.advance(now)
        thing.deadlines = [now + 200.0]
        alarms.arm(thing)
        thing.deadlines.append(now + 0.5)
        alarms.arm(thing)
        alarms.advance(now + 0.5)
    # What was overtaken goes when its time comes, and is not looked at again and again until then.
    assert thing.asked < 6 * 1000


def test_the_heap_grows_no_longer_than_what_is_armed() -> None:
    # As with delayed acknowledgments before a keepalive: what was overtaken is hours away.
    alarms = Alarms()
    things = [Thing() for _ in range(50)]
    for step in range(2000):
        now = float(step)
        for thing in things[step % 50 :: 10]:
            thing.deadlines = [now + 7200.0]
            alarms.arm(thing)
            thing.deadlines.append(now + 0.5)
            alarms.arm(thing)
        alarms.advance(now + 0.5)
    assert len(alarms._heap) < 2 * len(things) + 130
    assert all(thing.served for thing in things)


def test_who_is_over_is_not_kept_for_its_time() -> None:
    alarms = Alarms()
    for step in range(1000):
        thing = Thing()
        thing.deadlines = [step + 7200.0]
        alarms.arm(thing)
        thing.over = True
        alarms.disarm(thing)
    assert len(alarms._heap) < 130
    last = Thing()
    last.deadlines = [5000.0]
    alarms.arm(last)
    alarms.advance(5000.0)
    assert last.served == [(5000.0, 5000.0)]


def test_a_stack_lets_go_of_connections_whose_next_keepalive_is_hours_away() -> None:
    wire = Wire(config=TcpConfig(keepalive=True))
    for port in range(1000, 1300):
        attempt, listener = wire.open(port=port)
        assert wire.run(5.0, lambda listener=listener: listener.waiting > 0)  # type: ignore[misc]
        attempt.abort()
        listener.close()
        wire.run(1.0)
    for stack in (wire.client, wire.server):
        assert not stack.flows
        assert len(stack._alarms._heap) < 200
