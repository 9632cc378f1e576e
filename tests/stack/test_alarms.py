"""The heap of deadlines: nothing late, and nothing left behind by deadlines that moved."""

from __future__ import annotations

import random

from stack.alarms import Alarms


class Thing:
    """Something with deadlines, in order; each is served once."""

    over = False

    def __init__(self) -> None:
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
