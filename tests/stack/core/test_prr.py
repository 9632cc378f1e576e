"""Proportional Rate Reduction (RFC 9937)."""

from __future__ import annotations

from stack.recovery import OPEN, in_flight
from stack.recovery.prr import Prr
from tests.stack.core.test_rack import RTT, rack, sender
from tests.stack.core.test_tcp_recovery import MSS, octet


def test_the_budget_is_proportional_while_the_pipe_is_above_the_target() -> None:
    """§6.2: SndCnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out, in whole segments as in the examples."""
    prr = Prr(10_000, 20_000)
    sent = []
    for n in range(8):
        budget = prr.budget(1000, 19_000 - 500 * n, 1000, safe=True)
        prr.out += budget
        sent.append(budget)
    assert sent == [1000, 0, 1000, 0, 1000, 0, 1000, 0]


def test_the_first_retransmission_waits_for_nothing() -> None:
    """§6.2: where prr_out and SndCnt are 0, SndCnt is SMSS."""
    assert Prr(1000, 20_000).budget(0, 19_000, 1000, safe=False) == 1000


def test_the_pipe_grows_only_while_nothing_more_is_lost() -> None:
    """§6.2: below ssthresh what was delivered (PRR-CRB), one segment more on a SafeACK (PRR-SSRB)."""
    prr = Prr(10_000, 20_000)
    assert prr.budget(1000, 4000, 1000, safe=False) == 1000
    prr.out += 1000
    assert prr.budget(1000, 4000, 1000, safe=True) == 2000
    prr.out += 2000
    assert prr.budget(1000, 9500, 1000, safe=True) == 500


def test_banked_octets_are_sent_later() -> None:
    """§6.2: MAX(prr_delivered - prr_out, DeliveredData)."""
    prr = Prr(10_000, 20_000)
    prr.budget(6000, 4000, 1000, safe=False)
    assert prr.budget(1000, 2000, 1000, safe=False) == 7000


def test_what_was_delivered_before_does_not_count() -> None:
    """§6.1: RecoverFS is without what was SACKed before the recovery, but with what this acknowledgment covers."""
    s = sender(20)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(10), octet(11))])
    s.seg(1, 1, sack=[(octet(10), octet(12))])
    s.seg(1, 1, sack=[(octet(10), octet(14))])
    prr = rack(s).prr
    assert prr is not None
    assert prr.recover_fs == 18 * MSS


def test_losses_beyond_the_path_are_not_repeated_beyond_it() -> None:
    """Retransmissions that are lost again show that the path has no room: the pipe does not grow (PRR-CRB)."""
    s = sender(40)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(30), octet(33))])
    pipe = in_flight(s.c)
    assert pipe < s.c.control.ssthresh
    for n in range(33, 38):
        s.now += 0.001
        s.seg(1, 1, sack=[(octet(30), octet(n + 1))])
        assert in_flight(s.c) <= pipe


def test_one_loss_ends_at_the_target_without_silence() -> None:
    """§3.1, single loss: every other acknowledgment sends, from the first on; the end is ssthresh."""
    s = sender(20, more=200)
    s.now += RTT
    sent = []
    for n in range(2, 21):
        before = s.c.retransmissions * MSS + s.c.snd_nxt
        s.seg(1, 1, sack=[(octet(1), octet(n))])
        sent.append((s.c.retransmissions * MSS + s.c.snd_nxt - before) // MSS)
    assert sent[:3] == [1, 1, 1], "limited transmit twice, then the retransmission"
    assert max(sent[3:]) == 1
    gaps = "".join(map(str, sent[3:]))
    assert "000" not in gaps, "no half window of silence"
    assert in_flight(s.c) <= s.c.control.ssthresh + 2 * MSS
    s.now += RTT
    s.seg(1, s.c.snd_nxt - s.iss)
    assert s.c.recovery == OPEN
    assert s.c.control.cwnd == s.c.control.ssthresh == 10 * MSS


def test_the_end_is_what_the_controller_asked_for() -> None:
    """However far the reduction had come when everything is acknowledged at once."""
    s = sender(20)
    s.now += RTT
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    assert s.c.control.cwnd > 10 * MSS
    s.now += RTT
    s.seg(1, octet(20))
    assert s.c.control.cwnd == 10 * MSS
