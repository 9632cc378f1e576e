"""RACK-TLP, step by step (RFC 8985)."""

from __future__ import annotations

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.recovery import FAST, LOSS, OPEN, RECOVERIES, LossRecovery, find, register
from stack.recovery.newreno import NewReno
from stack.recovery.rack import Rack
from tests.stack.core.script import PLAIN, SACK, Script
from tests.stack.core.test_tcp_recovery import MSS, octet, spans

RTT = 0.1


def sender(segments: int, *, apart: float = 0.0, more: int = 0, offer: Options = SACK) -> Script:
    """A connection with RTT 0.1 s that has sent ``segments`` full segments, ``apart`` seconds after each other."""
    s = Script(TcpConfig(congestion="reno", initial_window=max(segments, 2), nagle=False), offer)
    if apart:
        for _ in range(segments):
            s.write(bytes(MSS))
            s.now += apart
    else:
        s.write(bytes(MSS * (segments + more)))
    s.out.clear()
    return s


def rack(s: Script) -> Rack:
    assert isinstance(s.c.loss, Rack)
    return s.c.loss


def test_it_is_the_default_and_needs_sack() -> None:
    assert isinstance(Script(offer=SACK).c.loss, Rack)
    assert isinstance(Script(offer=PLAIN).c.loss, NewReno)
    assert find("rack") is Rack


def test_a_recovery_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="not one of rack, rfc6675"):
        Script(TcpConfig(recovery="magic"))
    with pytest.raises(ValueError, match="exists"):
        register("rack", Rack)


def test_another_recovery_can_be_registered() -> None:
    class Mine(Rack):
        __slots__ = ()

    register("mine", Mine)
    try:
        loss: LossRecovery = Script(TcpConfig(recovery="mine"), SACK).c.loss
        assert isinstance(loss, Mine)
    finally:
        del RECOVERIES["mine"]


def test_what_was_delivered_last_and_how_long_it_took() -> None:
    """§6.2 steps 1, 2: RACK.xmit_ts, end_seq, rtt, min_RTT."""
    s = sender(4, apart=0.01)
    sent = s.now - 0.04
    s.now = sent + RTT
    s.seg(1, octet(1))
    r = rack(s)
    assert r.xmit_ts == pytest.approx(sent)
    assert r.end_seq == s.iss + octet(1)
    assert r.rtt == pytest.approx(RTT)
    s.now = sent + 0.03 + 0.08
    s.seg(1, octet(1), sack=[(octet(3), octet(4))])
    assert r.xmit_ts == pytest.approx(sent + 0.03)
    assert r.end_seq == s.iss + octet(4)
    assert r.rtt == r.min_rtt == pytest.approx(0.08)


def test_three_sacked_segments_end_the_patience() -> None:
    """§6.2 step 4: without reordering seen the window is 0 from DupThresh on."""
    s = sender(6)
    s.now += RTT
    assert s.seg(1, 1, sack=[(octet(1), octet(3))]) == []
    assert s.c.recovery == OPEN
    assert spans(s.seg(1, 1, sack=[(octet(1), octet(4))]), s) == [(0, 1)]
    assert s.c.recovery == FAST


def test_the_reordering_timer_finds_what_too_few_acknowledgments_tell() -> None:
    """§6.2 step 5: one SACKed segment, and a quarter of the least round trip later the first is lost."""
    s = sender(2)
    s.now += RTT
    began = s.now
    assert s.seg(1, 1, sack=[(octet(1), octet(2))]) == []
    assert s.c.next_deadline == pytest.approx(began + RTT / 4)
    assert spans(s.wait(RTT / 4 + 0.001), s) == [(0, 1)]
    assert s.c.recovery == FAST


def test_reordering_within_the_window_retransmits_nothing() -> None:
    """§6.2 steps 3, 5; the late segment shows reordering."""
    s = sender(10)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(3))])
    s.now += RTT / 5
    s.seg(1, octet(3))
    assert rack(s).reordering_seen
    assert s.c.recovery == OPEN
    # From now on three SACKed segments alone mean nothing.
    s.seg(1, octet(3), sack=[(octet(4), octet(9))])
    s.now += RTT / 5
    s.seg(1, octet(10))
    assert s.c.retransmissions == 0


def test_reordering_beyond_the_window_retransmits() -> None:
    s = sender(10)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(3))])
    s.wait(RTT / 2)
    assert s.c.retransmissions == 1


def test_a_lost_retransmission_is_found_without_a_timeout() -> None:
    """§9.1 example 2; the case for which RFC 6675 needs a timeout."""
    s = sender(10, more=10)
    s.now += RTT
    first = spans(s.seg(1, 1, sack=[(octet(1), octet(4))]), s)
    assert first[0] == (0, 1)
    s.now += 0.01
    s.seg(1, 1, sack=[(octet(1), octet(10))])
    sent_later = s.c.snd_nxt - s.iss
    assert sent_later > octet(10)
    s.now += RTT
    runs = s.seg(1, 1, sack=[(octet(1), sent_later)])
    assert spans(runs, s)[0] == (0, 1), "sent before what has arrived by now"
    assert s.c.retries == 0
    assert s.c.recovery == FAST


def dsack(s: Script, ack: int, left: int, right: int) -> None:
    s.seg(1, ack, sack=[(left, right)])


def test_the_window_grows_once_a_round_trip_with_dsack() -> None:
    """§6.2 step 4: reo_wnd_mult, dsack_round, and the bound by SRTT."""
    s = sender(10, more=40)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    s.now += RTT
    s.seg(1, octet(10))
    r = rack(s)
    assert r.reo_wnd_mult == 1
    at = octet(10)
    dsack(s, at, octet(0), octet(1))
    assert (r.reo_wnd_mult, r.reo_wnd_persist) == (2, 16)
    dsack(s, at, octet(0), octet(1))
    assert r.reo_wnd_mult == 2, "the same round trip"
    r.reordering_seen = True
    assert r.reo_wnd(s.c) == pytest.approx(2 * r.min_rtt / 4)
    r.reo_wnd_mult = 100
    assert r.reo_wnd(s.c) == s.c.rtt.srtt


def test_what_was_sent_again_in_vain_shows_reordering() -> None:
    """§6.2 step 3 does not see it: the segment was retransmitted before its first sending came."""
    s = sender(10, more=40)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    assert s.c.retransmissions == 1
    s.now += RTT / 5
    s.seg(1, octet(10))
    assert not rack(s).reordering_seen
    # The retransmission arrives as well (RFC 2883): nothing had been lost.
    dsack(s, octet(10), octet(0), octet(1))
    assert rack(s).reordering_seen
    s.now += RTT
    s.seg(1, octet(10), sack=[(octet(11), octet(15))])
    assert s.c.retransmissions == 1, "now a quarter of the round trip has to pass"


def test_the_reordering_timer_looks_at_so_many_records_and_no_more() -> None:
    """Beyond 256 candidates the timer is set for the newest that arrived, which was sent later than all of them."""
    s = Script(TcpConfig(congestion="reno", initial_window=100, nagle=False), SACK)
    for _ in range(600):
        s.write(bytes(100))
        s.now += 0.00002
    s.now += RTT
    r = rack(s)
    r.reordering_seen = True
    # What was sent later cannot have been overtaken; 200 candidates, and the timer is the last one's.
    s.seg(1, 1, sack=[(20_001, 20_101)])
    assert r.reorder_at == pytest.approx(r.xmit_ts - 0.00002 + r.rtt + r.reo_wnd(s.c), abs=1e-6, rel=0)
    s.seg(1, 1, sack=[(50_001, 50_101)])
    assert r.reorder_at == pytest.approx(r.xmit_ts + r.rtt + r.reo_wnd(s.c), abs=1e-6, rel=0)
    s.wait(RTT)
    assert s.c.retransmissions > 0


def test_sixteen_recoveries_reset_the_window() -> None:
    """§6.2 step 4: RACK.reo_wnd_persist."""
    s = sender(10, more=1000)
    r = rack(s)
    r.reo_wnd_mult, r.reo_wnd_persist = 5, 16
    for n in range(16):
        assert r.reo_wnd_mult == 5, n
        at = s.c.snd_una - s.iss
        s.c.control.cwnd = 10 * MSS
        s.take()
        s.now += RTT
        s.seg(1, at, sack=[(at + MSS, at + 4 * MSS)])
        assert s.c.recovery == FAST
        s.now += RTT
        s.seg(1, s.c.snd_nxt - s.iss)
        assert s.c.recovery == OPEN
    assert r.reo_wnd_mult == 1


def test_after_a_timeout_only_what_is_old_is_lost() -> None:
    """§3.5, §6.3: a segment sent just before the timeout is not repeated with the first."""
    s = sender(1)
    s.wait(s.c.loss_at - s.now)
    deadline = s.c.rexmt_at
    s.now = deadline - 0.01
    s.c.write(bytes(MSS))
    s.take()
    s.out.clear()
    s.wait(0.02)
    assert s.c.recovery == LOSS
    assert spans(s.out, s) == [(0, 1)]
    assert s.c.scoreboard.waiting == 0


def test_the_age_decides_what_a_timeout_loses() -> None:
    """§6.3: Segment.xmit_ts + RACK.rtt + RACK.reo_wnd - Now() <= 0."""
    s = sender(4, apart=0.05)
    s.c.loss.lose_after_timeout(s.c, s.c.snd_nxt, s.now)
    assert s.c.scoreboard.waiting == 2 * MSS, "sent 0.2 and 0.15 s ago, not 0.1 and 0.05"


def test_an_acknowledgment_too_soon_is_of_the_first_sending() -> None:
    """§6.2 step 2, condition 2."""
    s = sender(10)
    sent = s.now
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    s.now += RTT / 10
    s.seg(1, octet(4))
    assert rack(s).rtt == pytest.approx(RTT)
    assert rack(s).xmit_ts == pytest.approx(sent)


def test_a_lost_retransmission_without_prr_is_congestion_again() -> None:
    """§9.3: after a timeout there is no PRR."""
    s = sender(10)
    while s.c.recovery != LOSS:
        s.wait(s.c.rtt.rto)
    s.now += RTT
    assert spans(s.seg(1, octet(1)), s) == [(1, 2)]
    assert s.c.control.ssthresh == 5 * MSS
    s.now += RTT
    s.seg(1, octet(1), sack=[(octet(2), octet(3))])
    assert s.c.control.ssthresh < 5 * MSS


# --- TLP ---------------------------------------------------------------------------------------------------


def test_the_probe_repeats_the_last_segment_after_two_round_trips() -> None:
    """§7.2, §7.3: PTO = 2 SRTT; one probe, then the RTO from there."""
    s = sender(4)
    began, srtt = s.now, s.c.rtt.srtt
    assert s.c.next_deadline == pytest.approx(began + 2 * srtt)
    assert spans(s.wait(2 * srtt + 0.001), s) == [(3, 1)]
    assert s.c.recovery == OPEN
    assert s.c.next_deadline == pytest.approx(began + 2 * srtt + s.c.rtt.rto)


def test_one_segment_waits_for_a_delayed_acknowledgment() -> None:
    """§7.2, third; never beyond the RTO."""
    s = sender(1)
    assert s.c.next_deadline == pytest.approx(s.now + min(2 * s.c.rtt.srtt + 0.2, s.c.rtt.rto))


def test_the_probe_is_new_octets_where_there_are_any() -> None:
    """§7.3: beyond the congestion window."""
    s = sender(4, more=4)
    assert spans(s.wait(2 * s.c.rtt.srtt + 0.001), s) == [(4, 1)]
    assert s.c.retransmissions == 0


def test_a_lost_tail_is_repaired_without_a_timeout() -> None:
    """§3.4, figure 1."""
    s = sender(4)
    s.now += RTT
    s.seg(1, octet(1))
    s.out.clear()
    assert spans(s.wait(s.c.loss_at - s.now), s) == [(3, 1)]
    s.now += RTT
    runs = s.seg(1, octet(1), sack=[(octet(3), octet(4))])
    assert spans(runs, s)[0][0] == 1
    assert s.c.recovery == FAST
    assert s.c.retries == 0


def test_a_loss_that_the_probe_repaired_is_a_congestion_event() -> None:
    """§7.4.2: ACK beyond TLP.end_seq without a D-SACK."""
    s = sender(4)
    s.wait(s.c.loss_at - s.now)
    s.now += RTT
    s.seg(1, octet(4))
    before = s.c.control.cwnd
    s.write(bytes(MSS))
    s.now += RTT
    s.seg(1, octet(5))
    assert s.c.control.ssthresh < before
    assert rack(s).tlp_end_seq == -1


@pytest.mark.parametrize("sack", [[(octet(3), octet(4))], []])
def test_a_probe_that_was_not_needed_costs_nothing(sack: list[tuple[int, int]]) -> None:
    """§7.4.2 cases 1 (D-SACK) and 2 (duplicate ACK without SACK)."""
    s = sender(4)
    s.wait(s.c.loss_at - s.now)
    s.seg(1, octet(4))
    s.now += RTT
    s.seg(1, octet(4), sack=sack)
    assert rack(s).tlp_end_seq == -1
    assert rack(s).reo_wnd_mult == 1, "the probe says nothing about reordering"
    s.write(bytes(MSS))
    s.now += RTT
    s.seg(1, octet(5))
    assert s.c.control.ssthresh > 1 << 40


def test_there_is_one_probe_for_a_tail() -> None:
    """§7.3: the retransmission timeout comes next."""
    s = sender(4)
    s.wait(s.c.loss_at - s.now)
    s.out.clear()
    s.wait(s.c.rtt.rto)
    assert s.c.recovery == LOSS
    assert spans(s.out, s)[0] == (0, 1)
