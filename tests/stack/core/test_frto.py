"""Spurious timeouts and retransmissions: F-RTO (RFC 5682), timestamps (RFC 3522), D-SACK (RFC 2883)."""

from __future__ import annotations

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.recovery import FAST, LOSS, OPEN
from tests.stack.core.script import PLAIN, SACK, Script
from tests.stack.core.test_tcp_recovery import MSS, octet, spans

BOTH = pytest.mark.parametrize("offer", [PLAIN, SACK])


def timed_out(offer: Options, *, segments: int = 10, more: int = 20) -> Script:
    """Ten segments are out, none is acknowledged, the timer has expired."""
    config = TcpConfig(congestion="reno", initial_window=segments, recovery="rfc6675")
    s = Script(config, offer)
    s.write(bytes(MSS * (segments + more)))
    s.out.clear()
    assert spans(s.wait(s.c.rtt.rto), s) == [(0, 1)]
    assert s.c.recovery == LOSS
    return s


@BOTH
def test_two_new_segments_then_a_spurious_timeout_is_undone(offer: Options) -> None:
    """§2.1, §3.1 steps 1, 2b, 3b; RFC 4015: the window is given back."""
    s = timed_out(offer)
    late = s.c.rtt.rto / 2
    assert spans(s.seg(1, octet(1)), s) == [(10, 2)]
    s.seg(1, octet(2))
    assert s.c.rtt.srtt >= late, "RFC 4015 §3.2 step 8"
    assert s.c.recovery == OPEN
    assert s.c.retransmissions == 1, "the rest was not repeated"
    assert s.c.control.cwnd >= 10 * MSS
    assert s.c.control.ssthresh > 1 << 40


@BOTH
def test_a_genuine_timeout_goes_on_conventionally(offer: Options) -> None:
    """Step 3a: a duplicate for a new segment; three segments at most."""
    s = timed_out(offer)
    s.seg(1, octet(1))
    runs = s.seg(1, octet(1), sack=[(octet(10), octet(11))] if offer is SACK else [])
    assert spans(runs, s)[0][0] == 1
    assert s.c.recovery == LOSS
    assert s.c.control.cwnd <= 3 * MSS
    assert s.c.control.ssthresh == 5 * MSS


def test_without_sack_a_duplicate_first_ends_it() -> None:
    """§2.1 step 2a."""
    s = timed_out(PLAIN)
    s.seg(1, 1)
    assert spans(s.seg(1, octet(1)), s)[0][0] == 1


def test_with_sack_duplicates_are_waited_out() -> None:
    """§3.1 steps 2, 3b: what was SACKed next was sent before the timeout."""
    s = timed_out(SACK)
    s.seg(1, 1, sack=[(octet(3), octet(4))])
    assert spans(s.seg(1, octet(1), sack=[(octet(3), octet(4))]), s) == [(10, 2)]
    s.seg(1, octet(1), sack=[(octet(3), octet(5))])
    assert s.c.recovery == OPEN


@BOTH
def test_without_new_octets_it_is_not_tried(offer: Options) -> None:
    """Step 2b, last paragraph."""
    s = timed_out(offer, more=0)
    assert spans(s.seg(1, octet(1)), s) == [(1, 2)]


@BOTH
def test_everything_acknowledged_at_once_tells_nothing(offer: Options) -> None:
    """Step 2a: the acknowledgment covers recover."""
    s = timed_out(offer)
    s.seg(1, octet(10))
    assert s.c.recovery == OPEN
    assert s.c.control.ssthresh == 5 * MSS
    assert s.c.control.cwnd <= 2 * MSS


def test_not_during_another_recovery() -> None:
    """Step 1; §6: nothing is undone then."""
    config = TcpConfig(congestion="reno", initial_window=10, recovery="rfc6675")
    s = Script(config, SACK)
    s.write(bytes(MSS * 30))
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    assert s.c.recovery == FAST
    s.wait(s.c.rtt.rto)
    assert s.c.recovery == LOSS
    assert s.c.loss.frto is None
    assert s.c.loss.undo is None


def stamped(recovery: str) -> tuple[Script, int]:
    offer = Options(mss=1460, sack_permitted=True, ts_val=7000)
    s = Script(TcpConfig(congestion="reno", initial_window=10, recovery=recovery), offer)
    first = s.write(bytes(s.c.segment_size * 30))[0].options.ts_val
    assert first is not None
    s.out.clear()
    return s, first


@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
@pytest.mark.parametrize("spurious", [True, False])
def test_timestamps_tell_at_the_first_acknowledgment(recovery: str, spurious: bool) -> None:
    """RFC 3522 §3.2 steps 2-5: TSecr of before the retransmission."""
    s, first = stamped(recovery)
    while s.c.recovery != LOSS:
        s.wait(s.c.rtt.rto)
    again = s.out[-1].options.ts_val
    assert again is not None
    s.now += 0.05
    ack = 1 + s.c.segment_size
    s.seg(1, ack, options=Options(ts_val=7200, ts_ecr=first if spurious else again))
    assert (s.c.recovery == OPEN) == spurious
    assert (s.c.control.ssthresh > 1 << 40) == spurious


@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
def test_a_dsack_for_all_that_was_repeated_undoes_the_reduction(recovery: str) -> None:
    s = Script(TcpConfig(congestion="reno", initial_window=10, recovery=recovery), SACK)
    s.write(bytes(MSS * 10))
    s.now += 0.1
    s.seg(1, 1, sack=[(octet(1), octet(5))])
    assert s.c.recovery == FAST
    assert s.c.control.ssthresh == 5 * MSS
    s.now += 0.01
    s.seg(1, octet(10))
    s.seg(1, octet(10), sack=[(octet(0), octet(1))])
    assert s.c.control.ssthresh >= 10 * MSS


def test_an_acknowledgment_of_an_earlier_retransmission_tells_nothing() -> None:
    """RFC 3522 compares with the first sending: what was sent again before cannot show that the loss was none."""
    s = Script(TcpConfig(congestion="reno"), Options(mss=1460, sack_permitted=True, ts_val=7000))
    size = s.c.segment_size
    s.write(bytes(size))
    probe = s.wait(0.45)
    assert [s.rel(run) for run in probe] == [(1, 1 + size)], "the loss probe repeats it"
    s.now += 0.01
    s.write(bytes(4 * size))
    s.now += 0.1
    blocks = tuple((s.iss + 1 + size, s.iss + 1 + n * size) for n in (2, 3, 4, 5))
    again = [s.seg(1, 1, options=Options(ts_val=7100, ts_ecr=0, sack=(block,))) for block in blocks]
    assert s.c.recovery == FAST
    ssthresh = s.c.control.ssthresh
    stamp = next(run.options.ts_val for runs in again for run in runs if s.rel(run)[0] == 1)
    earlier = probe[0].options.ts_val
    assert stamp is not None
    assert earlier is not None
    assert earlier < stamp
    s.now += 0.02
    s.seg(1, 1 + 5 * size, options=Options(ts_val=7120, ts_ecr=earlier))
    assert s.c.control.ssthresh == ssthresh < 1 << 40
