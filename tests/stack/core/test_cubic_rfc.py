"""CUBIC against RFC 9438, by a straight computation in segments and seconds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stack.congestion.cubic import Cubic

SMSS = 1000
C, BETA = 0.4, 0.7
ALPHA = 3 * (1 - BETA) / (1 + BETA)


class Straight:
    """§4.2-4.5, one segment acknowledged at a time, from the start of a stage of congestion avoidance."""

    def __init__(self, cwnd: float, w_max: float, prior: float, start: float) -> None:
        self.cwnd, self.w_max, self.prior, self.start = cwnd, w_max, prior, start
        self.w_est = cwnd
        self.k = ((w_max - cwnd) / C) ** (1 / 3) if w_max > cwnd else 0.0

    def w_cubic(self, t: float) -> float:
        return C * (t - self.k) ** 3 + self.w_max

    def ack(self, now: float, srtt: float) -> None:
        t = now - self.start
        alpha = 1.0 if self.w_est >= self.prior else ALPHA
        self.w_est += alpha / self.cwnd
        if self.w_cubic(t) < self.w_est:
            self.cwnd = max(self.w_est, self.cwnd)
            return
        target = self.w_cubic(t + srtt)
        if target < self.cwnd:
            target = self.cwnd
        elif target > 1.5 * self.cwnd:
            target = 1.5 * self.cwnd
        self.cwnd += (target - self.cwnd) / self.cwnd


def grow(control: Cubic, straight: Straight, now: float, rtt: float, trips: int) -> float:
    """A window acknowledged per round trip, evenly; both compared after each; returns the time."""
    for _ in range(trips):
        count = int(straight.cwnd)
        for n in range(count):
            at = now + rtt * n / count
            control.on_ack(SMSS, SMSS, at, rtt)
            straight.ack(at, rtt)
        now += rtt
        assert control.cwnd / SMSS == pytest.approx(straight.cwnd, rel=0.01)
    return now


@pytest.mark.parametrize("rtt", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("window", [20, 200, 1500])
def test_growth_after_a_loss(rtt: float, window: int) -> None:
    control = Cubic(window * SMSS)
    control.on_loss(window * SMSS, SMSS, 5.0)
    straight = Straight(window * BETA, window, window, 5.0)
    grow(control, straight, 5.0, rtt, min(int(20 / rtt), 300_000 // (2 * window), 120))


def test_the_formulas_by_hand() -> None:
    """§4.2: from 700 to 1000 segments K = cbrt(300 / 0.4) = 9.0856 s; at K the window is W_max."""
    straight = Straight(700.0, 1000.0, 1000.0, 0.0)
    assert straight.k == pytest.approx(9.0856, abs=1e-4)
    assert straight.w_cubic(0.0) == pytest.approx(700.0)
    assert pytest.approx(9 / 17) == ALPHA


def test_a_step_is_never_more_than_half_the_window() -> None:
    """§4.2: target is held to 1.5 cwnd, also long after K."""
    control = Cubic(100 * SMSS)
    control.on_loss(100 * SMSS, SMSS, 0.0)
    control.on_ack(SMSS, SMSS, 0.0, 0.1)
    before = control.cwnd
    control.on_ack(SMSS, SMSS, 1000.0, 0.1)
    assert control.cwnd - before == pytest.approx(0.5 * SMSS, abs=1)


def test_alpha_is_one_beyond_the_window_before_the_reduction() -> None:
    """§4.3: with a round trip of 1 ms only W_est counts, 9/17 per round trip and then 1."""
    control = Cubic(20 * SMSS)
    control.on_loss(20 * SMSS, SMSS, 0.0)
    windows = []
    now = 0.0
    for _ in range(40):
        for _ in range(max(control.cwnd // SMSS, 1)):
            control.on_ack(SMSS, SMSS, now, 0.001)
        now += 0.001
        windows.append(control.cwnd / SMSS)
    slow = [b - a for a, b in pairwise(windows) if b < 20]
    fast = [b - a for a, b in pairwise(windows) if a > 21]
    assert sum(slow) / len(slow) == pytest.approx(9 / 17, abs=0.05)
    assert sum(fast) / len(fast) == pytest.approx(1.0, abs=0.08)


def test_reduction() -> None:
    """§4.6: ssthresh from what is in flight, at least two segments; cwnd two on loss, one on ECE."""
    control = Cubic(100 * SMSS)
    control.on_loss(50 * SMSS, SMSS, 0.0)
    assert (control.cwnd, control.ssthresh) == (35 * SMSS, 35 * SMSS)
    control.on_loss(SMSS, SMSS, 0.0)
    assert (control.cwnd, control.ssthresh) == (2 * SMSS, 2 * SMSS)
    control = Cubic(100 * SMSS)
    control.on_ecn(100 * SMSS, SMSS, 0.0)
    assert (control.cwnd, control.ssthresh) == (70 * SMSS, 70 * SMSS)
    control.on_ecn(SMSS, SMSS, 0.0)
    assert (control.cwnd, control.ssthresh) == (SMSS, 2 * SMSS)


def test_fast_convergence() -> None:
    """§4.7: a window that falls short of W_max gives up (1 + beta) / 2 of itself; a larger one does not."""
    control = Cubic(100 * SMSS)
    control.on_loss(100 * SMSS, SMSS, 0.0)
    grow(control, Straight(70.0, 100.0, 100.0, 0.0), 0.0, 0.05, 20)
    cwnd = control.cwnd / SMSS
    assert cwnd < 100
    control.on_loss(control.cwnd, SMSS, 1.0)
    grow(control, Straight(cwnd * BETA, cwnd * 0.85, cwnd, 1.0), 1.0, 0.05, 60)


def test_after_a_timeout() -> None:
    """§4.8: K = 0, W_max = W_est = cwnd at the start of the first stage, also with slow start in between."""
    control = Cubic(100 * SMSS)
    control.on_rto(100 * SMSS, SMSS, 0.0, first=True)
    while control.cwnd < control.ssthresh:
        control.on_ack(SMSS, SMSS, 1.0, 0.1)
    straight = Straight(70.0, 70.0, 100.0, 2.0)
    grow(control, straight, 2.0, 0.1, 30)


def test_a_loss_after_a_timeout_begins_a_stage_of_its_own() -> None:
    """§4.8 speaks of the first stage after a timeout: when a loss comes before it, W_max is that loss's."""
    control = Cubic(100 * SMSS)
    control.on_rto(100 * SMSS, SMSS, 0.0, first=True)
    while control.cwnd < 50 * SMSS:
        control.on_ack(SMSS, SMSS, 1.0, 0.1)
    control.on_loss(50 * SMSS, SMSS, 2.0)
    grow(control, Straight(35.0, 42.5, 50.0, 2.0), 2.0, 0.1, 30)


def test_after_slow_start_without_a_congestion_event() -> None:
    """§4.10: K = 0 and W_max = cwnd."""
    control = Cubic(80 * SMSS)
    control.ssthresh = 80 * SMSS
    grow(control, Straight(80.0, 80.0, 0.0, 3.0), 3.0, 0.1, 40)


def test_idle_time_is_not_growth() -> None:
    """§4.2: after a restart from idle (RFC 5681 §4.1) another stage begins."""
    control = Cubic(100 * SMSS)
    control.on_loss(100 * SMSS, SMSS, 0.0)
    grow(control, Straight(70.0, 100.0, 100.0, 0.0), 0.0, 0.1, 5)
    control.on_idle(10 * SMSS)
    assert control.cwnd == 10 * SMSS
    while control.cwnd < control.ssthresh:
        control.on_ack(SMSS, SMSS, 100.0, 0.1)
    grow(control, Straight(70.0, 100.0, 100.0, 100.0), 100.0, 0.1, 30)


def test_unused_time_is_left_out() -> None:
    """§4.2: t stands still while the application is the limit."""
    control = Cubic(100 * SMSS)
    control.on_loss(100 * SMSS, SMSS, 0.0)
    straight = Straight(70.0, 100.0, 100.0, 0.0)
    now = grow(control, straight, 0.0, 0.1, 10)
    control.on_unused(now)
    control.on_unused(now + 20.0)
    straight.start += 30.0
    grow(control, straight, now + 30.0, 0.1, 30)


@pytest.mark.parametrize("timeout", [False, True])
def test_a_spurious_event_is_taken_back(timeout: bool) -> None:
    """§4.9: all that the reduction changed is as before, and growth goes on along the old curve."""
    control = Cubic(100 * SMSS)
    control.on_loss(100 * SMSS, SMSS, 0.0)
    straight = Straight(70.0, 100.0, 100.0, 0.0)
    now = grow(control, straight, 0.0, 0.1, 10)
    if timeout:
        control.on_rto(control.cwnd, SMSS, now, first=True)
        control.on_rto(control.cwnd, SMSS, now, first=False)
        assert control.cwnd == SMSS
    else:
        control.on_loss(control.cwnd, SMSS, now)
    control.on_spurious()
    assert control.cwnd / SMSS == pytest.approx(straight.cwnd, rel=0.01)
    now = grow(control, straight, now, 0.1, 30)
    before = control.cwnd
    control.on_spurious()
    assert control.cwnd == before, "once only"


def test_a_window_that_has_grown_beyond_is_not_taken_back() -> None:
    """§4.9: restored only where cwnd is below what it was."""
    control = Cubic(10 * SMSS)
    control.on_loss(10 * SMSS, SMSS, 0.0)
    control.cwnd = 12 * SMSS
    control.on_spurious()
    assert (control.cwnd, control.ssthresh) == (12 * SMSS, 7 * SMSS)


def test_a_mark_is_not_spurious() -> None:
    """An echoed mark is the word of the path (RFC 3168 §6.1.2): nothing takes it back."""
    control = Cubic(10 * SMSS)
    control.on_ecn(10 * SMSS, SMSS, 0.0)
    control.on_spurious()
    assert control.cwnd == 7 * SMSS
