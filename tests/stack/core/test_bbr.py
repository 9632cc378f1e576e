"""BBR's model, fed by hand: what it makes of delivery, round trips and losses (constants as in Linux)."""

from __future__ import annotations

import pytest

from stack.congestion.bbr import DRAIN, PROBE_BW, PROBE_RTT, STARTUP, Bbr
from stack.congestion.delivery_rate import RateSample

MSS = 1000
RTT = 0.1


class Path:
    """Rounds of one sample each: ``round`` delivers ``segments`` segments at ``rate`` segments a second."""

    def __init__(self) -> None:
        self.control = Bbr(10 * MSS)
        self.control.start(RTT, 1)
        self.now = 1.0
        self.delivered = 0
        self.lost = 0

    def sample(
        self,
        rate: float,
        segments: int = 10,
        *,
        rtt: float = RTT,
        flying: int = 10,
        lost: int = 0,
        recovering: bool = False,
        limited: bool = False,
        prior: int | None = None,
    ) -> None:
        self.lost += lost * MSS
        before = self.delivered
        self.delivered += segments * MSS
        sample = RateSample(
            self.now, segments * MSS, self.delivered, flying * MSS, self.lost, MSS, recovering=recovering
        )
        sample.rate = rate * MSS
        sample.rtt = rtt
        sample.app_limited = limited
        sample.prior_delivered = before if prior is None else prior
        self.control.on_delivered(sample)

    def round(self, rate: float, segments: int = 10, **more: object) -> None:
        self.now += RTT
        self.sample(rate, segments, **more)  # type: ignore[arg-type]

    def fill(self, rate: float = 1000.0) -> None:
        """STARTUP until the pipe is full, then DRAIN until it is not too full."""
        for _ in range(4):
            self.round(rate, 100, flying=250)
        assert self.control.mode == DRAIN
        self.round(rate, 100, flying=50)
        assert self.control.mode == PROBE_BW


def test_startup_ends_when_three_rounds_bring_less_than_a_quarter() -> None:
    path = Path()
    for rate in (100, 200, 400, 480, 490):
        path.round(rate)
        assert path.control.mode == STARTUP
    path.round(495, flying=250)
    assert path.control.mode == DRAIN
    assert path.control.pacing_gain < 1


def test_rounds_in_which_the_application_was_the_limit_say_nothing() -> None:
    path = Path()
    path.round(400)
    for _ in range(5):
        path.round(100, limited=True)
    assert path.control.mode == STARTUP
    assert path.control.bandwidth == 400 * MSS


def test_a_round_of_losses_without_growth_ends_startup() -> None:
    """Before two more rounds fill the queue again (the end of STARTUP by losses in draft-ietf-ccwg-bbr)."""
    path = Path()
    path.round(1000, 100)
    path.round(1000, 10, lost=3, recovering=True)
    for _ in range(7):
        path.sample(1000, 10, lost=3, recovering=True, prior=0)
    assert path.control.mode == STARTUP
    path.round(1000, 100, lost=3, recovering=True, flying=250)
    assert path.control.mode == DRAIN


@pytest.mark.parametrize("loses", [0, 1])
def test_few_losses_do_not_end_startup(loses: int) -> None:
    path = Path()
    path.round(1000, 100)
    path.round(1000, 100, lost=loses, recovering=True)
    path.round(1000, 100, lost=loses, recovering=True)
    assert path.control.mode == STARTUP


def test_the_rate_is_the_bandwidth_with_a_cycle_of_gains() -> None:
    path = Path()
    path.fill()
    seen = set()
    for _ in range(16):
        path.round(1000, 100, flying=130)
        path.round(1000, 100, flying=90)
        seen.add(path.control.pacing_gain)
        assert path.control.pacing_rate == pytest.approx(path.control.pacing_gain * 1000 * MSS * 0.99)
    assert seen == {1.25, 0.75, 1.0}


def test_the_bandwidth_is_forgotten_after_ten_rounds() -> None:
    path = Path()
    path.fill(1000)
    for _ in range(9):
        path.round(500, 50)
    assert path.control.bandwidth == 1000 * MSS
    path.round(500, 50)
    path.round(500, 50)
    assert path.control.bandwidth == 500 * MSS


def test_the_window_is_twice_the_product() -> None:
    path = Path()
    path.fill()
    for _ in range(8):
        path.round(1000, 100, flying=100)
    room = 3 * max(int(path.control.pacing_rate * 0.001), 2 * MSS)
    assert path.control.cwnd == pytest.approx(2 * 100 * MSS + room, abs=2 * MSS)


def test_what_was_lost_makes_no_room() -> None:
    """A queue that overflows is not filled again by what the losses took out of the flight."""
    path = Path()
    path.fill()
    for _ in range(8):
        path.round(1000, 100, flying=100)
    control = path.control
    window = control.cwnd
    control.on_loss(window, MSS, path.now)
    path.sample(1000, 1, flying=150, lost=50, recovering=True, prior=0)
    assert control.cwnd == 151 * MSS
    path.sample(1000, 1, flying=100, lost=50, recovering=True, prior=0)
    assert control.cwnd <= 102 * MSS
    # In the next round it opens again, and after the recovery it is what it was.
    path.round(1000, 100, flying=100, recovering=True)
    assert control.cwnd > 150 * MSS
    path.round(1000, 100, flying=100)
    assert control.cwnd == pytest.approx(window, abs=2 * MSS)


def test_losses_that_never_cease_are_one_recovery() -> None:
    """Held back is the first round; were it every second, BBR would find no bandwidth where losses are random."""
    path = Path()
    path.round(1000, 100, flying=100)
    control = path.control
    control.on_loss(100 * MSS, MSS, path.now)
    path.sample(1000, 1, flying=100, recovering=True, prior=0)
    assert control.cwnd == 101 * MSS
    path.round(1000, 10, flying=100, recovering=True)
    # A recovery ends, and at once or in the next round another begins: the window grows as if there were none.
    for again in (False, True):
        if again:
            path.sample(1000, 1, flying=100, prior=0)
        before = control.cwnd
        control.on_loss(100 * MSS, MSS, path.now)
        path.sample(1000, 10, flying=100, recovering=True, prior=0)
        assert control.cwnd == before + 10 * MSS
    path.sample(1000, 1, flying=100, prior=0)
    for _ in range(2):
        path.round(1000, 10, flying=100)
    control.on_loss(100 * MSS, MSS, path.now)
    path.sample(1000, 1, flying=100, recovering=True, prior=0)
    assert control.cwnd == 101 * MSS


def test_a_round_that_was_held_back_does_not_count_as_one_without_growth() -> None:
    path = Path()
    path.round(1000, 100, flying=100)
    path.control.on_loss(100 * MSS, MSS, path.now)
    path.round(1000, 100, recovering=True, flying=100)
    # Two that count and the one that was held back.
    path.round(1000, 100, recovering=True, flying=100)
    path.round(1000, 100, recovering=True, flying=100)
    assert path.control.mode == STARTUP
    path.round(1000, 100, recovering=True, flying=250)
    assert path.control.mode == DRAIN


def test_an_old_round_trip_is_measured_anew_with_an_empty_queue() -> None:
    path = Path()
    path.fill()
    path.now += 10.1
    path.sample(1000, 100, rtt=0.15, flying=100)
    control = path.control
    assert control.mode == PROBE_RTT
    assert control.cwnd == 4 * MSS
    path.round(1000, 4, rtt=0.12, flying=4)
    for _ in range(4):
        path.round(40, 4, rtt=0.12, flying=4)
    assert control.mode == PROBE_BW
    assert control.min_rtt == 0.12
    assert control.cwnd > 100 * MSS


def test_a_timeout_begins_with_one_segment_and_keeps_the_model() -> None:
    path = Path()
    path.fill()
    control = path.control
    for _ in range(8):
        path.round(1000, 100, flying=100)
    window = control.cwnd
    control.on_rto(100 * MSS, MSS, path.now, first=True)
    assert control.cwnd == MSS
    assert control.bandwidth == 1000 * MSS
    control.on_spurious()
    assert control.cwnd == window
