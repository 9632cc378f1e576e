"""Pacers by themselves, and what a paced sender puts on the wire."""

from __future__ import annotations

import itertools

import pytest

from stack.config import TcpConfig
from stack.pacing import OFF, PACERS, Pacer, find, register
from stack.pacing.even import Even
from stack.pacing.quantum import Quantum
from tests.stack import bottleneck
from tests.stack.core.script import SACK, Script

MSS = 1000


def moments(pacer: Pacer, rate: float, seconds: float) -> list[tuple[float, int]]:
    """(time, octets) of what a sender without end sends."""
    now = 0.0
    sent = []
    pacer.rate = rate
    while now < seconds:
        if pacer.open(now, MSS):
            while pacer.credit >= MSS:
                pacer.spend(MSS, now)
                sent.append((now, MSS))
        now = max(pacer.next_at, now + 1e-9)
    return sent


@pytest.mark.parametrize("name", list(PACERS))
@pytest.mark.parametrize("rate", [20_000.0, 1e6, 50e6])
def test_the_rate_is_kept(name: str, rate: float) -> None:
    sent = moments(find(name)(), rate, 2.0)
    assert sum(octets for _, octets in sent) == pytest.approx(2 * rate, rel=0.05, abs=3 * MSS)


def test_a_quantum_is_a_millisecond_but_two_segments_at_least() -> None:
    for rate, together in ((20_000.0, 2), (5e6, 5), (1e9, 65)):
        groups = [len(list(group)) for _, group in itertools.groupby(moments(Quantum(), rate, 0.5), lambda s: s[0])]
        assert max(groups[1:]) == together


def test_a_quantum_is_no_more_than_a_part_of_the_window() -> None:
    """Where a round trip takes a millisecond or less, that is more than any queue on the path takes at once."""
    pacer = Quantum()
    pacer.rate = 125e6
    pacer.window = 320 * MSS
    assert pacer.open(0.0, MSS)
    assert pacer.credit == 10 * MSS


def test_a_timer_that_is_a_millisecond_late_costs_no_rate() -> None:
    pacer = Quantum()
    pacer.window = 160 * MSS
    pacer.rate = 125e6
    sent = 0
    for n in range(1000):
        now = n / 1000
        while pacer.open(now, MSS):
            while pacer.credit >= MSS:
                pacer.spend(MSS, now)
                sent += MSS
    assert sent == pytest.approx(125e6, rel=0.05)


def test_even_sends_one_segment_at_a_time() -> None:
    times = [now for now, _ in moments(Even(), 100_000.0, 1.0)]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) == pytest.approx(0.01, rel=1e-3)
    assert max(gaps) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("pacer", [Quantum, Even])
def test_nothing_goes_while_it_is_held(pacer: type[Pacer]) -> None:
    paced = pacer()
    paced.hold(5.0)
    assert not paced.open(4.9, MSS)
    assert paced.credit == 0
    assert paced.open(5.0, MSS)
    assert paced.credit > 1 << 40, "without a rate there is no limit"


def test_time_that_was_not_used_is_lost() -> None:
    pacer = Quantum()
    pacer.rate = 100_000.0
    assert pacer.open(0.0, MSS)
    pacer.spend(2 * MSS, 0.0)
    assert pacer.open(100.0, MSS)
    assert pacer.credit == 2 * MSS


def test_a_pacer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'magic' is not one of off, quantum, even"):
        Script(TcpConfig(pacing="magic"))
    for name in ("even", OFF):
        with pytest.raises(ValueError, match="exists"):
            register(name, Even)


def test_an_unpaced_sender_has_no_pacer() -> None:
    assert Script(TcpConfig(), SACK).c.pacer is None
    assert isinstance(Script(TcpConfig(pacing="even"), SACK).c.pacer, Even)
    assert isinstance(Script(TcpConfig(congestion="bbr"), SACK).c.pacer, Quantum)


def test_bursts_are_spread() -> None:
    """RFC 5681 lets the window go at once; paced, no moment has more than a quantum and one that comes late."""
    worst = {}
    for pacing in (OFF, "quantum", "even"):
        outcome = bottleneck.run(TcpConfig(pacing=pacing), rate=5e6, rtt=0.1, seconds=4.0, warm=2.0)
        moments = [when for when, octets in outcome.arrivals if octets > 500]
        worst[pacing] = max(len(list(group)) for _, group in itertools.groupby(moments))
        assert outcome.shares[0] > 0.9
    assert worst[OFF] >= 10
    assert worst["quantum"] <= 4
    assert worst["even"] == 1
