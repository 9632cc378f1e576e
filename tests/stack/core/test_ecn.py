"""ECN (RFC 3168 §6.1) by hand: who agrees to it, who echoes what, and how often the window answers."""

from __future__ import annotations

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.congestion import CongestionControl
from stack.events import Closed, Established
from stack.run import ACK, CWR, ECE, FIN, RST, SYN, Run
from stack.states import State
from tests.stack.core.script import IRS, ISS, PLAIN, Script
from tests.stack.core.tcp_world import World

OFFER, ACCEPT, OFF = (TcpConfig(ecn=ecn, timestamps=False, delayed_ack=0.0) for ecn in ("offer", "accept", "off"))
CE = 3


def active(config: TcpConfig = OFFER, flags: int = ECE) -> Script:
    """An active open, answered by a SYN-ACK with ``flags``."""
    s = Script(config, establish=False)
    s.c.connect(s.now)
    s.take()
    s.now += 0.1
    s.c.receive([Run(IRS, ISS + 1, SYN | ACK | flags, 65535, PLAIN)], s.now)
    s.take()
    return s


def passive(config: TcpConfig = ACCEPT, flags: int = ECE | CWR) -> tuple[Script, Run]:
    """A passive open by a SYN with ``flags``, and the SYN-ACK."""
    s = Script(config, establish=False)
    s.c.accept(Run(IRS, 0, SYN | flags, 65535, PLAIN), s.now)
    (answer,) = s.take()
    s.now += 0.1
    s.seg(1, 1)
    assert s.state() is State.ESTABLISHED
    return s, answer


def capable(s: Script) -> bool:
    """Whether new octets go out as ECN-capable."""
    (run,) = s.write(b"x" * 100)
    assert run.ecn in (0, 2), "ECT(0) where one codepoint is enough, §6.1.2"
    return run.ecn == 2


# --- agreement, §6.1.1 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "flags"), [(OFFER, ECE | CWR), (ACCEPT, 0), (OFF, 0)])
def test_the_syn_offers_by_both_flags(config: TcpConfig, flags: int) -> None:
    s = Script(config, establish=False)
    s.c.connect(s.now)
    (syn,) = s.take()
    assert (syn.flags, syn.ecn) == (SYN | flags, 0)


@pytest.mark.parametrize(
    ("config", "flags", "agreed"),
    [
        (OFFER, ECE, True),
        (OFFER, 0, False),
        (OFFER, ECE | CWR, False),  # reflected, §6.1.1.2
        (OFFER, CWR, False),
        (ACCEPT, ECE, False),
    ],
)
def test_the_syn_ack_accepts_by_ece_alone(config: TcpConfig, flags: int, agreed: bool) -> None:
    assert capable(active(config, flags)) == agreed


@pytest.mark.parametrize(
    ("config", "flags", "agreed"),
    [
        (ACCEPT, ECE | CWR, True),
        (OFFER, ECE | CWR, True),
        (OFF, ECE | CWR, False),
        (ACCEPT, ECE, False),
        (ACCEPT, CWR, False),
        (ACCEPT, 0, False),
    ],
)
def test_the_passive_side_accepts(config: TcpConfig, flags: int, agreed: bool) -> None:
    s, answer = passive(config, flags)
    assert answer.flags == SYN | ACK | (ECE if agreed else 0)
    assert answer.ecn == 0
    assert capable(s) == agreed


@pytest.mark.parametrize(("config", "agreed"), [(OFFER, True), (ACCEPT, False)])
def test_crossed_syns(config: TcpConfig, agreed: bool) -> None:
    """Who has sent a SYN without the offer does not use ECN (§6.1.1)."""
    s = Script(config, establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.receive([Run(IRS, 0, SYN | ECE | CWR, 65535, PLAIN)], s.now)
    (answer,) = s.take()
    assert answer.flags == SYN | ACK | (ECE if agreed else 0)
    s.c.receive([Run(IRS, ISS + 1, SYN | ACK | (ECE if agreed else 0), 65535, PLAIN)], s.now)
    s.take()
    assert s.state() is State.ESTABLISHED
    assert capable(s) == agreed


def test_an_unanswered_offer_is_not_repeated() -> None:
    """§6.1.1.1: the SYN again without the flags, and then a late acceptance does not count either."""
    s = Script(OFFER, establish=False)
    s.c.connect(s.now)
    s.take()
    (again,) = s.wait(1.5)
    assert again.flags == SYN
    s.c.receive([Run(IRS, ISS + 1, SYN | ACK | ECE, 65535, PLAIN)], s.now)
    s.take()
    assert not capable(s)


def test_a_refused_offer_is_withdrawn_at_once() -> None:
    """§6.1.1.1: a RST may be for the flags; the one that answers the plain SYN is for the connection."""
    s = Script(OFFER, establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.receive([Run(0, ISS + 1, RST | ACK, 0, Options())], s.now)
    (again,) = s.take()
    assert (again.flags, again.seq) == (SYN, ISS)
    assert s.state() is State.SYN_SENT
    s.c.receive([Run(0, ISS + 1, RST | ACK, 0, Options())], s.now)
    assert s.state() is State.CLOSED
    assert isinstance(s.events()[-1], Closed)


def test_after_a_refused_offer_the_plain_syn_opens() -> None:
    s = Script(OFFER, establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.receive([Run(0, ISS + 1, RST | ACK, 0, Options())], s.now)
    s.take()
    s.now += 0.1
    s.c.receive([Run(IRS, ISS + 1, SYN | ACK, 65535, PLAIN)], s.now)
    s.take()
    assert s.events() == [Established()]
    assert s.c.rtt.srtt == pytest.approx(0.1)
    assert not capable(s)


def test_a_syn_that_comes_again_without_the_offer_ends_it() -> None:
    """§6.1.1.1, the scenario: neither end may set ECT then."""
    s = Script(ACCEPT, establish=False)
    s.c.accept(Run(IRS, 0, SYN | ECE | CWR, 65535, PLAIN), s.now)
    s.take()
    s.c.receive([Run(IRS, 0, SYN, 65535, PLAIN)], s.now)
    (answer,) = s.take()
    assert answer.flags == SYN | ACK
    s.seg(1, 1)
    assert not capable(s)


# --- what is ECN-capable, §6.1.4-6.1.6 ----------------------------------------------------------------------


def test_only_new_octets_are_ecn_capable() -> None:
    s = active()
    (ack,) = s.seg(1, 1, b"data" * 500)
    assert ack.ecn == 0, "§6.1.4: a pure ACK"
    (first,) = s.write(b"x" * 100)
    assert first.ecn == 2
    again = s.wait(5.0)
    assert again
    assert all(run.ecn == 0 for run in again), "§6.1.5: a retransmission"
    s.seg(2001, 101)
    s.c.write_eof()
    (fin,) = s.take()
    assert fin.flags & FIN
    assert fin.ecn == 0


def test_a_window_probe_is_not_ecn_capable() -> None:
    """§6.1.6."""
    s = active()
    s.seg(1, 1, window=0)
    s.write(b"x" * 100)
    probes = [run for run in s.wait(5.0) if run.length]
    assert probes
    assert all(run.ecn == 0 for run in probes)


def test_who_does_not_heed_marks_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CongestionControl, "heeds_marks", False)
    assert not capable(active())


# --- the receiver, §6.1.3 ----------------------------------------------------------------------------------


def test_a_mark_is_echoed_until_the_peer_has_reduced() -> None:
    s = active()
    assert [run.flags for run in s.seg(1, 1, b"a" * 100)] == [ACK]
    assert [run.flags for run in s.seg(101, 1, b"b" * 100, ecn=CE)] == [ACK | ECE]
    assert [run.flags for run in s.seg(201, 1, b"c" * 100, ecn=2)] == [ACK | ECE]
    assert s.write(b"own octets")[0].flags & ECE, "data segments echo too"
    s.seg(301, 11)
    assert [run.flags for run in s.seg(301, 11, b"d" * 100, ACK | CWR, ecn=2)] == [ACK]
    assert [run.flags for run in s.seg(401, 11, b"e" * 100, ACK | CWR, ecn=CE)] == [ACK | ECE], "marked anew"
    assert s.c.read() == b"a" * 100 + b"b" * 100 + b"c" * 100 + b"d" * 100 + b"e" * 100


def test_marks_that_mean_nothing() -> None:
    s = active()
    s.seg(1, 1, ecn=CE)
    assert [run.flags for run in s.seg(1, 1, b"a" * 100)] == [ACK], "§6.1.4: on a pure ACK"
    s.seg(1, 1, b"a" * 100, ecn=CE)
    assert [run.flags for run in s.seg(101, 1, b"b" * 100)] == [ACK], "§6.1.5: outside of the window"
    s = active(flags=0)
    assert [run.flags for run in s.seg(1, 1, b"a" * 100, ecn=CE)] == [ACK], "not agreed"


# --- the sender, §6.1.2 ------------------------------------------------------------------------------------


def loaded() -> Script:
    """Ten segments are in flight, the rest waits."""
    s = active()
    s.write(b"x" * 200_000)
    assert s.c.snd_nxt - s.c.snd_una == 14_600
    return s


def test_one_reaction_for_each_window() -> None:
    s = loaded()
    cwnd = s.c.control.cwnd
    assert s.seg(1, 1461, flags=ACK | ECE) == []
    assert s.c.control.cwnd == int(14_600 * 0.7)
    for ack in range(2921, 14_601, 1460):
        s.seg(1, ack, flags=ACK | ECE)
    assert s.c.control.cwnd == int(14_600 * 0.7), "neither again nor growth"
    s.seg(1, 14_601, flags=ACK | ECE)
    assert s.c.control.cwnd == int(14_600 * 0.7)
    flight = s.c.snd_nxt - s.c.snd_una
    s.seg(1, 16_061, flags=ACK | ECE)
    assert s.c.control.cwnd == int(flight * 0.7), "octets sent after the reaction were marked"
    assert s.c.retransmissions == 0
    assert cwnd == 14_600


def test_cwr_on_the_first_new_octets_only() -> None:
    s = loaded()
    s.seg(1, 1461, flags=ACK | ECE)
    sent = []
    for ack in range(2921, 14_602, 1460):
        sent += s.seg(1, ack, flags=ACK)
    assert len(sent) > 2
    assert sent[0].flags & CWR
    assert not any(run.flags & CWR for run in sent[1:])


def test_echoes_are_ignored_where_not_agreed() -> None:
    s = active(flags=0)
    s.write(b"x" * 200_000)
    s.seg(1, 1461, flags=ACK | ECE)
    assert s.c.control.cwnd > 14_600


def test_a_timeout_is_told_too() -> None:
    """§6.1.2: CWR for whatever reason, never on a retransmission."""
    s = loaded()
    again = s.wait(2.0)
    assert again
    assert not any(run.flags & CWR for run in again)
    new = [run for run in s.seg(1, 14_601) if s.rel(run)[0] >= 14_601]
    assert new[0].flags & CWR


def test_losses_and_marks_of_one_window_are_one_event() -> None:
    s = loaded()
    s.seg(1, 1461, flags=ACK | ECE)
    cwnd = s.c.control.ssthresh
    for _ in range(3):
        s.seg(1, 1461)
    assert s.c.retransmissions == 1
    assert s.c.control.ssthresh == cwnd


def test_octets_cross_a_marking_channel() -> None:
    """Both ends together: every reaction is answered by CWR, and the echo stops."""
    config = TcpConfig(ecn="offer")
    world = World(config).establish()
    marked = []

    def mark(run: Run, count: int) -> bool:
        if run.ecn == 2 and run.length and count % 50 == 0:
            run.ecn = CE
            marked.append(run)
        return True

    world.filter[0] = mark
    world.write(0, bytes(1_000_000))
    world.run(until=lambda: len(world.got[1]) == 1_000_000)
    assert marked
    cwr = [run for _, run in world.sent[0] if run.flags & CWR and not run.flags & SYN]
    assert 0 < len(cwr) <= len(marked)
    assert world.a.retransmissions == 0
    world.run(5.0)
    last = world.sent[1][-1][1]
    assert bool(last.flags & ECE) == bool(world.b.ece)


def test_with_a_window_of_one_segment_the_next_waits_for_the_retransmission_timer() -> None:
    """RFC 3168 §6.1.2: a sender that can reduce no further sends once in that time."""
    s = active()
    s.c.control.cwnd = 1460
    (first,) = s.write(bytes(5000))
    assert s.rel(first) == (1, 1461)
    s.now += 0.05
    assert [run for run in s.seg(1, 1461, flags=ACK | ECE) if run.length] == []
    rto = s.c.rtt.rto
    assert [run for run in s.wait(rto - 0.01) if run.length] == []
    (second,) = [run for run in s.wait(0.02) if run.length]
    assert s.rel(second)[0] == 1461
