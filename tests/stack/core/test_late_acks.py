"""A timeout during fast recovery, while segments and acknowledgments are late and not lost (RFC 8985 §6.3)."""

from __future__ import annotations

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.recovery import FAST, LOSS, OPEN
from tests.stack.core.script import SACK, Script
from tests.stack.core.test_tcp_recovery import octet, sender, spans

TOTAL = 40
# Timestamps take 12 octets of it.
STAMPED = Options(mss=1472, sack_permitted=True, ts_val=7000)

each = pytest.mark.parametrize("controller", ["bbr", "cubic", "reno"])


def timed_out(controller: str, offer: Options = SACK) -> tuple[Script, int]:
    """The first of 40 segments is lost, five are SACKed, and then nothing comes until the timer has expired.

    Returns the TSval of the retransmission that fast recovery began with, too.
    """
    s = sender(TOTAL, offer, TcpConfig(congestion=controller, timestamps=offer is STAMPED, mtu=1512))
    s.wait(0.1)
    acknowledge(s, 0, (1, 6), echo=1)
    assert s.c.recovery == FAST
    (again,) = (run for run in s.out if run.seq == s.c.snd_una)
    s.wait(s.c.rtt.rto + 0.001)
    assert s.c.recovery == LOSS
    s.out.clear()
    return s, again.options.ts_val or 0


def acknowledge(s: Script, first: int, *blocks: tuple[int, int], echo: int = 0) -> None:
    """All segments below ``first`` have arrived, and the ``blocks``; ``echo`` is TSecr."""
    ends = tuple((s.iss + octet(left), s.iss + octet(right)) for left, right in blocks)
    s.seg(1, octet(first), options=Options(sack=ends, ts_val=7001 if echo else None, ts_ecr=echo))


def numbers(s: Script) -> list[int]:
    """The segments that were sent."""
    return [n for first, count in spans(s.out, s) for n in range(first, first + count)]


@each
def test_what_arrives_late_is_not_sent_again(controller: str) -> None:
    s, _ = timed_out(controller)
    for n in range(6, TOTAL):
        acknowledge(s, 0, (1, n + 1))
        s.wait(0.0005)
    assert set(numbers(s)) <= {0}
    acknowledge(s, TOTAL)
    assert s.c.recovery == OPEN


@each
def test_timestamps_show_that_the_first_retransmission_was_late_too(controller: str) -> None:
    """Nothing that was sent once is newly acknowledged, but it is the retransmission before the timeout that is."""
    s, stamp = timed_out(controller, STAMPED)
    acknowledge(s, 6, echo=stamp)
    for n in range(7, TOTAL):
        s.wait(0.0005)
        acknowledge(s, 6, (7, n + 1), echo=stamp)
    s.wait(0.15)
    assert set(numbers(s)) == {6}


@each
def test_what_is_lost_is_sent_again_though_one_came_late(controller: str) -> None:
    """The acknowledgment of the first segment, which went last, shows that nothing else is on its way."""
    s, _ = timed_out(controller)
    acknowledge(s, 0, (1, 7))
    assert not numbers(s)
    s.wait(0.11)
    timeouts = s.c.retries
    for n in range(7, TOTAL + 1):
        acknowledge(s, n)
        s.wait(0.01)
    assert numbers(s) == list(range(7, TOTAL))
    assert s.c.retries <= timeouts
    assert s.c.recovery == OPEN


@each
@pytest.mark.parametrize("offer", [SACK, STAMPED], ids=["plain", "timestamps"])
def test_what_is_lost_is_sent_again(controller: str, offer: Options) -> None:
    s, _ = timed_out(controller, offer)
    s.wait(0.11)
    for n in range(6, TOTAL + 1):
        acknowledge(s, n, echo=int(s.now * 1000) if offer is STAMPED else 0)
        s.wait(0.01)
    assert numbers(s) == list(range(6, TOTAL))
    assert s.c.recovery == OPEN
