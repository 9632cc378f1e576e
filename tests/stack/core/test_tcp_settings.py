"""Settings that change while a connection runs (RFC 9293 §3.9.1), and what the window's edges ask of a sender."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from stack.config import TcpConfig
from stack.congestion import CONTROLLERS, CongestionControl, find, register
from stack.congestion.reno import Reno
from stack.run import FIN
from stack.states import State
from tests.stack.core.script import SACK, Script


def test_a_user_timeout_counts_from_the_moment_it_is_set() -> None:
    s = Script()
    s.write(b"anyone?")
    s.now += 0.05
    s.c.configure(TcpConfig(user_timeout=0.1), s.now)
    s.wait(0.04)
    assert s.state() is State.ESTABLISHED
    s.wait(0.02)
    assert s.state() is State.CLOSED
    assert s.c.error is not None
    assert s.c.error.errno == errno.ETIMEDOUT


def test_who_wants_no_delayed_acknowledgments_has_the_one_that_waits_at_once() -> None:
    s = Script()
    assert s.seg(1, 1, b"x") == []
    s.c.configure(TcpConfig(delayed_ack=0.0), s.now)
    (answer,) = s.take()
    assert s.ack(answer) == 2
    (answer,) = s.seg(2, 1, b"y")
    assert s.ack(answer) == 3


def test_another_controller_begins_where_the_first_has_led() -> None:
    s = Script(TcpConfig(congestion="cubic"))
    s.write(bytes(30_000))
    s.seg(1, 14_601)
    window = s.c.control.cwnd
    assert window > 14_600
    s.c.control.ssthresh = 12_345
    s.c.configure(TcpConfig(congestion="reno"), s.now)
    assert isinstance(s.c.control, Reno)
    assert (s.c.control.cwnd, s.c.control.ssthresh) == (window, 12_345)


def test_a_controller_has_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="'cubic' exists"):
        register("cubic", Reno)
    with pytest.raises(ValueError, match="'vegas' is not one of cubic, reno"):
        find("vegas")
    with pytest.raises(ValueError, match="'vegas' is not one of"):
        Script(TcpConfig(congestion="vegas"))

    class Vegas(CongestionControl):
        pass

    register("vegas", Vegas)
    try:
        assert find("vegas") is Vegas
    finally:
        del CONTROLLERS["vegas"]


def test_the_mss_may_be_chosen_before_the_syn_and_not_after() -> None:
    s = Script(establish=False)
    s.c.configure(TcpConfig(mss=700), s.now)
    s.c.connect(s.now)
    (syn,) = s.take()
    assert syn.options.mss == 700
    s.c.configure(TcpConfig(mss=900), s.now)
    s.wait(1.5)
    assert s.out[-1].options.mss == 700


def test_keepalives_that_are_turned_off_stop_between_two_probes() -> None:
    on = TcpConfig(keepalive=True, keepalive_idle=10.0, keepalive_interval=5.0)
    s = Script(on)
    assert len(s.wait(16.0)) == 2
    s.c.configure(replace(on, keepalive=False), s.now)
    assert s.wait(100.0) == []
    assert s.state() is State.ESTABLISHED
    # Turned on again, the silence until now counts, and the probes from the first.
    s.c.configure(on, s.now)
    assert len(s.wait(0.1)) == 1


# --- a window that is closed -------------------------------------------------------------------------------


def test_an_octet_that_probed_a_closed_window_is_not_sent_twice() -> None:
    """RFC 9293 §3.8.6.1: the peer took the probe's octet, and the stream goes on behind it."""
    s = Script()
    s.window = 0
    s.seg(1, 1)
    assert s.write(b"abcdef") == []
    probe = s.wait(5.0)[-1]
    assert s.rel(probe) == (1, 2)
    s.window = 100
    (rest,) = s.seg(1, 2)
    assert s.rel(rest) == (2, 7)
    assert b"".join(bytes(view) for view in rest.payload) == b"bcdef"


def test_a_fin_probes_a_closed_window_too() -> None:
    s = Script()
    s.window = 0
    s.seg(1, 1)
    s.c.close()
    assert s.take() == []
    probe = s.wait(5.0)[-1]
    assert probe.flags & FIN
    assert s.rel(probe) == (1, 1)
    s.window = 100
    s.seg(1, 2)
    assert s.state() is State.FIN_WAIT_2


def test_a_connection_that_was_idle_begins_with_its_initial_window() -> None:
    """RFC 5681 §4.1."""
    s = Script(offer=SACK)
    s.write(bytes(100_000))
    while s.c.unsent:
        s.seg(1, s.c.snd_nxt - s.iss)
    assert s.c.control.cwnd > 2 * 14_600
    s.wait(10.0)
    sent = s.write(bytes(60_000))
    assert sum(run.length for run in sent) == 14_600


def test_half_of_a_small_window_is_worth_a_segment() -> None:
    """RFC 9293 §3.8.6.2.1 rule 3: at least half of the largest window that the peer has offered."""
    s = Script(window=1000)
    assert sum(run.length for run in s.write(bytes(5000))) == 1000
    (more,) = s.seg(1, 1001, window=600)
    assert more.length == 600
    s.seg(1, 1601, window=400)
    assert s.c.snd_nxt - s.iss == 1601


# --- a peer that takes back what it has selectively acknowledged -------------------------------------------


def test_what_was_sacked_is_sent_again_to_a_peer_that_has_thrown_it_away() -> None:
    """RFC 2018 §8: SND.UNA reaches octets that were SACKed and stays there; a timeout forgets the SACKs."""
    s = Script(offer=SACK)
    s.write(bytes(7300))
    s.seg(1, 1, sack=[(1461, 7301)])
    s.wait(0.3)
    s.seg(1, 1461)
    assert s.c.scoreboard.sacked == 5840
    s.out.clear()
    s.wait(3.0)
    assert s.c.scoreboard.sacked == 0
    for acknowledged in (2921, 5841, 7301):
        s.seg(1, acknowledged)
        s.wait(0.01)
    again = {octet for run in s.out for octet in range(*s.rel(run))}
    assert again == set(range(1461, 7301))
    assert s.c.unsent == 0
