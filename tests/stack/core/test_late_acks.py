"""A timeout during fast recovery, while segments and acknowledgments are late and not lost (RFC 8985 §6.3)."""

from __future__ import annotations

import pytest

from stack.config import TcpConfig
from stack.recovery import FAST, LOSS, OPEN
from tests.stack.core.script import SACK, Script
from tests.stack.core.test_tcp_recovery import octet, sender, spans

TOTAL = 40

each = pytest.mark.parametrize("controller", ["bbr", "cubic", "reno"])


def timed_out(controller: str) -> Script:
    """The first of 40 segments is lost, five are SACKed, and then nothing comes until the timer has expired."""
    s = sender(TOTAL, SACK, TcpConfig(congestion=controller))
    s.wait(0.1)
    assert s.c.snd_nxt - s.iss == octet(TOTAL)
    s.seg(1, 1, sack=[(octet(1), octet(6))])
    assert s.c.recovery == FAST
    s.wait(s.c.rtt.rto + 0.001)
    assert s.c.recovery == LOSS
    s.out.clear()
    return s


def numbers(s: Script) -> list[int]:
    """The segments that were sent."""
    return [n for first, count in spans(s.out, s) for n in range(first, first + count)]


@each
def test_what_arrives_late_is_not_sent_again(controller: str) -> None:
    s = timed_out(controller)
    for n in range(6, TOTAL):
        s.seg(1, 1, sack=[(octet(1), octet(n + 1))])
        s.wait(0.0005)
    assert set(numbers(s)) <= {0}
    s.seg(1, octet(TOTAL))
    assert s.c.recovery == OPEN


@each
def test_what_is_lost_is_sent_again_though_one_came_late(controller: str) -> None:
    """The acknowledgment of the first segment, which went last, shows that nothing else is on its way."""
    s = timed_out(controller)
    s.seg(1, 1, sack=[(octet(1), octet(7))])
    assert not numbers(s)
    s.wait(0.11)
    timeouts = s.c.retries
    s.seg(1, octet(7))
    for n in range(7, TOTAL):
        s.wait(0.01)
        s.seg(1, octet(n + 1))
    assert numbers(s) == list(range(7, TOTAL))
    assert s.c.retries <= timeouts
    assert s.c.recovery == OPEN


@each
def test_what_is_lost_is_sent_again(controller: str) -> None:
    s = timed_out(controller)
    s.wait(0.11)
    s.seg(1, octet(6))
    for n in range(6, TOTAL):
        s.wait(0.01)
        s.seg(1, octet(n + 1))
    assert numbers(s) == list(range(6, TOTAL))
    assert s.c.recovery == OPEN
