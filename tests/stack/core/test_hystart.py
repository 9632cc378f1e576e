"""HyStart++ against RFC 9406: a straight reading of its pseudocode, scenes by hand, and a queue that fills."""

from __future__ import annotations

import math
import random

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.congestion.cubic import Cubic
from stack.congestion.hystart import HyStart
from tests.stack.core.script import Script


class Reference:
    """RFC 9406 §4.2 and §4.3 line by line, with its names."""

    def __init__(self) -> None:
        self.last_round_min_rtt = math.inf
        self.current_round_min_rtt = math.inf
        self.rtt_sample_count = 0
        self.window_end: int | None = None
        self.css_baseline_min_rtt = math.inf
        self.css = False
        self.css_rounds = 0

    def ack(self, curr_rtt: float, una: int, nxt: int) -> bool:
        if self.window_end is None:
            self.window_end = nxt
        self.current_round_min_rtt = min(self.current_round_min_rtt, curr_rtt)
        self.rtt_sample_count += 1
        if not self.css:
            valid = math.inf not in (self.current_round_min_rtt, self.last_round_min_rtt)
            if self.rtt_sample_count >= 8 and valid:
                rtt_thresh = max(0.004, min(self.last_round_min_rtt / 8, 0.016))
                if self.current_round_min_rtt >= self.last_round_min_rtt + rtt_thresh:
                    self.css_baseline_min_rtt = self.current_round_min_rtt
                    self.css = True
                    self.css_rounds = 0
        elif self.rtt_sample_count >= 8 and self.current_round_min_rtt < self.css_baseline_min_rtt:
            self.css_baseline_min_rtt = math.inf
            self.css = False
        if una >= self.window_end:
            self.window_end = nxt
            self.last_round_min_rtt = self.current_round_min_rtt
            self.current_round_min_rtt = math.inf
            self.rtt_sample_count = 0
            if self.css:
                self.css_rounds += 1
                return self.css_rounds == 5
        return False


@pytest.mark.parametrize("seed", range(200))
def test_it_does_what_the_pseudocode_does(seed: int) -> None:
    source = random.Random(seed)
    ours, theirs = HyStart(), Reference()
    una, nxt = 0, 10_000
    level = source.uniform(0.002, 0.3)
    for _ in range(400):
        if source.random() < 0.03:
            level *= source.choice([0.9, 1.08, 1.3])
        una = min(una + source.randrange(1, 3000), nxt)
        nxt = max(nxt, una + source.randrange(8000, 30_000))
        rtt = level * source.uniform(1.0, 1.02)
        over = ours.sample(rtt, una, nxt)
        assert over == theirs.ack(rtt, una, nxt)
        assert ours.divisor == (4 if theirs.css else 1)
        if over:
            break


def primed(rtt: float = 0.1) -> HyStart:
    """One whose first round, eight acknowledgments to number 8, is over; the second goes to 16."""
    hystart = HyStart()
    for n in range(8):
        hystart.sample(rtt, n + 1, 8 if n < 7 else 16)
    return hystart


def test_five_rounds_of_conservative_growth_end_slow_start() -> None:
    """RFC 9406 §4.2: one RTT of +12.5 % is CSS; the fifth round of it, the partial one included, is the last."""
    hystart = primed()
    found = []
    una = 8
    for rtt in [0.1, 0.113, 0.113, 0.113, 0.113, 0.113]:
        over = False
        for n in range(8):
            over = hystart.sample(rtt, una + n + 1, una + 16)
        una += 8
        found.append((hystart.divisor, over))
    assert found == [(1, False), (4, False), (4, False), (4, False), (4, False), (4, True)]


@pytest.mark.parametrize(
    ("base", "step", "css"),
    [
        (0.010, 0.0039, False),  # MIN_RTT_THRESH 4 ms
        (0.010, 0.0041, True),
        (0.080, 0.0099, False),  # an eighth
        (0.080, 0.0101, True),
        (0.400, 0.0159, False),  # MAX_RTT_THRESH 16 ms
        (0.400, 0.0161, True),
    ],
)
def test_thresholds(base: float, step: float, css: bool) -> None:
    hystart = primed(base)
    for n in range(8):
        hystart.sample(base + step, 9 + n, 32)
    assert hystart.divisor == (4 if css else 1)


def test_less_than_eight_samples_say_nothing() -> None:
    hystart = primed()
    for n in range(7):
        hystart.sample(0.3, 9 + n, 32)
    assert hystart.divisor == 1
    hystart.sample(0.3, 16, 32)
    assert hystart.divisor == 4


def test_a_delay_that_goes_away_was_no_queue() -> None:
    hystart = primed()
    for n in range(8):
        hystart.sample(0.2, 9 + n, 32)
    assert hystart.divisor == 4
    for n in range(8):
        hystart.sample(0.19, 17 + n, 64)
    assert hystart.divisor == 1


def test_growth_is_a_quarter_in_css_and_ssthresh_is_the_window_after_it() -> None:
    control = Cubic(10_000)
    nxt = 0
    rtt = 0.1
    windows = []
    for _ in range(8):
        una, nxt = nxt, nxt + control.cwnd
        before = control.cwnd
        while una < nxt and control.cwnd < control.ssthresh:
            una += 1000
            if control.wants_rtt:
                control.on_round_trip(rtt, una, nxt + control.cwnd)
            if control.cwnd < control.ssthresh:
                control.on_ack(1000, 1000, 0.0, rtt)
        windows.append((before, control.cwnd))
        rtt = 0.13
        if control.cwnd >= control.ssthresh:
            break
    assert windows[0] == (10_000, 20_000)
    assert windows[-2][1] / windows[-2][0] == pytest.approx(1.25, abs=0.05)
    assert control.ssthresh == control.cwnd < 130_000
    assert not control.wants_rtt


def test_only_the_first_slow_start_is_watched() -> None:
    """RFC 9406 §4.2: a loss ends it, later slow starts are as RFC 5681 has them."""
    control = Cubic(10_000)
    assert control.wants_rtt
    control.on_rto(10_000, 1000, 0.0, first=True)
    assert not control.wants_rtt
    control.on_ack(1000, 1000, 0.0, 0.1)
    assert control.cwnd == 2000


def test_who_paces_needs_no_limit() -> None:
    """RFC 9406 §4.3: L = infinity for paced TCP, 8 otherwise."""
    burst, paced = Cubic(10_000), Cubic(10_000)
    paced.paced = True
    for control in (burst, paced):
        control.on_ack(30_000, 1000, 0.0, 0.1)
    assert (burst.cwnd, paced.cwnd) == (18_000, 40_000)


@pytest.mark.parametrize("growing", [False, True])
def test_a_connection_leaves_slow_start_when_its_round_trips_grow(growing: bool) -> None:
    """RTT samples reach the controller: a queue that builds up ends slow start without a loss."""
    offer = Options(mss=1460, wscale=10)
    s = Script(TcpConfig(timestamps=False), offer=offer)
    s.c.write(bytes(20_000_000))
    flying = [s.rel(run) for run in s.take()]
    rtt = 0.1
    for _ in range(9):
        s.now += rtt
        edges = []
        for start, end in flying:
            edges += [*range(start + 1460, end, 1460), end]
        flying = []
        for edge in edges:
            flying += [s.rel(run) for run in s.seg(1, edge)]
        rtt += 0.02 * growing
    control = s.c.control
    assert (control.ssthresh < 1 << 40) == growing
    if growing:
        assert control.cwnd < 150 * 1460
    else:
        assert control.cwnd > 4000 * 1460
