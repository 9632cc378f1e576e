"""A congestion controller, a loss recovery and a pacer from outside: a file each, an entry in a registry each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack import congestion, pacing, recovery
from stack.congestion.base import CongestionControl
from stack.pacing.even import Even
from stack.recovery.rack import Rack
from stack.tcb import Tcb
from tools.sim.scenario import Scenario, run

WINDOW = 20 * 1448


class Fixed(CongestionControl):
    """A window that never changes."""

    __slots__ = ()

    def __init__(self, initial_window: int) -> None:
        super().__init__(WINDOW)
        self.ssthresh = WINDOW

    def avoid(self, acked: int, smss: int, now: float, srtt: float) -> None:
        self.cwnd = WINDOW

    def on_loss(self, flight: int, smss: int, now: float) -> None:
        self.cwnd = WINDOW


class Counting(Rack):
    """RACK that counts its recoveries."""

    __slots__ = ()
    began = 0

    def enter(self, tcb: Tcb, now: float) -> None:
        Counting.began += 1
        super().enter(tcb, now)


class Slow(Even):
    """A pacer that spends twice what was sent."""

    __slots__ = ()
    spent = 0

    def spend(self, octets: int, now: float) -> None:
        Slow.spent += octets
        super().spend(2 * octets, now)


@pytest.fixture
def registered() -> Iterator[None]:
    congestion.register("fixed", Fixed)
    recovery.register("counting", Counting)
    pacing.register("slow", Slow)
    yield
    del congestion.CONTROLLERS["fixed"], recovery.RECOVERIES["counting"], pacing.PACERS["slow"]


@pytest.mark.usefixtures("registered")
def test_they_carry_a_transfer() -> None:
    scenario = Scenario(rate=10e6, rtt=0.1, loss=0.01, seconds=10.0, controller="fixed", recovery="counting")
    fixed = run(scenario)
    # Twenty segments a round trip of 0.1 s are 2.3 Mbit/s; recovery takes some of it.
    assert 1.6e6 < fixed.goodput[0] < 2.4e6
    assert Counting.began > 5
    assert fixed.retransmissions >= Counting.began
    halved = run(Scenario(rate=10e6, rtt=0.1, seconds=10.0, controller="fixed", recovery="counting", pacing="slow"))
    # A fixed window is paced at 1.2 windows a round trip, and the pacer makes that 0.6.
    assert halved.goodput[0] == pytest.approx(0.6 * WINDOW * 8 / 0.1, rel=0.15)
    assert Slow.spent > 500_000


def test_names_are_taken_once() -> None:
    with pytest.raises(ValueError, match="'cubic' exists"):
        congestion.register("cubic", Fixed)
    with pytest.raises(ValueError, match="'vegas' is not one of cubic, reno, bbr"):
        congestion.find("vegas")
