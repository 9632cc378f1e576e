"""Flow control, small segments and delayed acknowledgments (RFC 9293 §3.8.6)."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.events import Closed, Readable, Writable
from stack.run import ACK, FIN, PSH
from stack.states import State
from tests.stack.core.script import ISS, SACK, Script
from tests.stack.core.tcp_world import World

# --- what is sent ------------------------------------------------------------------------------------------


def test_one_long_run_with_push_on_its_end() -> None:
    s = Script(TcpConfig(initial_window=100))
    (run,) = s.write(b"x" * 50_000)
    assert run.length == 50_000
    assert run.segment_size == 1460
    assert run.flags == ACK | PSH
    assert b"".join(run.payload) == b"x" * 50_000


def test_runs_have_at_most_128_kib_of_whole_segments() -> None:
    s = Script(TcpConfig(initial_window=200), Options(mss=1460, wscale=4))
    s.seg(1, 1)
    runs = s.write(bytes(200_000))
    assert [run.length for run in runs] == [129_940, 200_000 - 129_940]
    assert [bool(run.flags & PSH) for run in runs] == [False, True]


def test_the_payload_is_the_written_object_itself() -> None:
    s = Script()
    data = b"y" * 5000
    (run,) = s.write(data)
    (view,) = run.payload
    assert view.obj is data


def test_segment_size_is_what_the_peer_and_the_path_take() -> None:
    """Eff.snd.MSS, RFC 9293 §3.7.1."""
    assert Script(offer=Options(mss=1000)).c.segment_size == 1000
    assert Script(offer=Options()).c.segment_size == 536
    assert Script(TcpConfig(ip_header=40), Options()).c.segment_size == 1220
    assert Script(TcpConfig(mtu=1400)).c.segment_size == 1360
    assert Script(offer=Options(mss=1460, ts_val=1)).c.segment_size == 1448
    assert Script(offer=Options(mss=0)).c.segment_size >= 16
    s = Script(offer=Options(mss=1460, ts_val=1))
    s.c.set_overhead(40)
    assert s.c.segment_size == 1420


def test_the_congestion_window_limits_then_acknowledgments_free() -> None:
    s = Script()
    assert sum(run.length for run in s.write(bytes(100_000))) == 14_600
    # Slow start: as many octets again as were acknowledged.
    assert sum(run.length for run in s.seg(1, 2921)) == 5840
    assert s.c.unacked == 14_600 + 2920
    assert s.c.unsent == 100_000 - 2920
    assert Writable() in s.events()


def test_the_peers_window_limits() -> None:
    s = Script(window=3000)
    assert [s.rel(run) for run in s.write(bytes(10_000))] == [(1, 2921)]
    # 80 octets are left of the window: too few for a segment (RFC 9293 §3.8.6.2.1).
    assert s.wait(0.1) == []


def test_the_peers_window_is_scaled() -> None:
    s = Script(TcpConfig(initial_window=1000), Options(mss=1460, wscale=3), window=1000)
    assert sum(run.length for run in s.write(bytes(100_000))) == 1000, "a SYN's window is not scaled"
    assert sum(run.length for run in s.seg(1, 1001, window=1000)) == 8000 - 8000 % 1460
    assert Script(TcpConfig(), Options(mss=1460, wscale=200)).c.snd_wscale == 14


def test_an_old_segment_does_not_set_the_window() -> None:
    """SND.WL1 and SND.WL2, RFC 9293 §3.10.7.4."""
    s = Script(window=5000)
    s.write(bytes(4000))
    s.seg(1, 3001, window=6000)
    s.seg(1, 2001, window=100)
    assert s.c.snd_wnd == 6000
    s.seg(1, 1, b"abc", window=7000)
    assert s.c.snd_wnd == 6000
    s.seg(4, 3001, window=8000)
    assert s.c.snd_wnd == 8000
    s.seg(1, 3001, b"abcde", window=100)
    assert s.c.snd_wnd == 8000, "it brings octets, but its window is older"


def test_nagle_holds_a_second_small_segment() -> None:
    """RFC 9293 §3.7.4, as modified in appendix A.3."""
    s = Script()
    assert len(s.write(b"first")) == 1
    assert s.write(b"second") == []
    (full,) = s.write(b"x" * 1454)
    assert full.length == 1460, "a full segment does not wait"
    assert s.write(b"third") == []
    (rest,) = s.seg(1, 1 + 5 + 1460)
    assert b"".join(rest.payload) == b"third"


def test_nagle_sends_the_end_of_a_large_write_at_once() -> None:
    s = Script()
    assert sum(run.length for run in s.write(b"x" * 2000)) == 2000


def test_without_nagle_everything_goes_at_once() -> None:
    s = Script(TcpConfig(nagle=False))
    assert len(s.write(b"first")) == 1
    assert len(s.write(b"second")) == 1


def test_a_fin_does_not_wait_for_nagle() -> None:
    s = Script()
    s.write(b"first")
    s.write(b"second")
    s.c.write_eof()
    (last,) = s.take()
    assert last.flags == ACK | PSH | FIN
    assert b"".join(last.payload) == b"second"


# --- zero windows ------------------------------------------------------------------------------------------


def test_a_closed_window_is_probed_with_the_next_octet() -> None:
    """RFC 9293 §3.8.6.1: the first probe after the RTO, intervals doubled, and never given up while answered."""
    s = Script(TcpConfig(data_retries=3, rto_max=8.0), window=0)
    s.c.write(b"abcdef")
    assert s.take() == []
    rto = s.c.rtt.rto
    start = s.now
    times = []
    for _ in range(12):
        while not (sent := s.wait(0.05)):
            pass
        (probe,) = sent
        times.append(s.now - start)
        assert b"".join(probe.payload) == b"a"
        assert s.rel(probe) == (1, 2)
        s.seg(1, 1)
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert gaps[0] == pytest.approx(rto, abs=0.06)
    assert gaps[1] == pytest.approx(2 * rto, abs=0.06)
    assert gaps[2] == pytest.approx(4 * rto, abs=0.06)
    assert gaps[-1] == pytest.approx(8.0, abs=0.06)
    (data,) = s.seg(1, 1, window=100)
    assert s.rel(data) == (1, 7)
    assert s.c.retransmissions == 0


def test_a_probe_that_was_taken_is_not_sent_again() -> None:
    s = Script(window=0)
    s.c.write(b"abcdef")
    s.take()
    s.wait(s.c.rtt.rto)
    assert s.seg(1, 2, window=0) == []
    assert s.c.drops["bad_ack"] == 0
    (data,) = s.seg(1, 2, window=100)
    assert s.rel(data) == (2, 7)


def test_unanswered_probes_end_the_connection() -> None:
    s = Script(TcpConfig(data_retries=3), window=0)
    s.c.write(b"abc")
    s.take()
    assert len(s.wait(1000.0)) == 3
    assert s.c.error is not None
    assert s.c.error.errno == errno.ETIMEDOUT


def test_a_fin_probes_a_closed_window() -> None:
    s = Script(window=0)
    s.c.write_eof()
    assert s.take() == []
    (probe,) = s.wait(s.c.rtt.rto)
    assert probe.flags & FIN
    s.seg(1, 2)
    assert s.state() is State.FIN_WAIT_2


def test_a_probe_from_the_peer_is_answered() -> None:
    s = Script(TcpConfig(receive_buffer=3000))
    s.seg(1, 1, b"x" * 1500)
    s.seg(1501, 1, b"x" * 1500)
    assert s.out[-1].window == 0
    (answer,) = s.seg(3001, 1, b"p")
    assert (s.ack(answer), answer.window) == (3001, 0)
    s.c.read()
    (update,) = s.take()
    assert update.window == 3000


def test_a_fin_behind_a_full_window() -> None:
    s = Script(TcpConfig(receive_buffer=1000))
    (ack,) = s.seg(1, 1, b"x" * 1000, ACK | FIN)
    assert (s.ack(ack), ack.window) == (1002, 0)
    assert s.state() is State.CLOSE_WAIT
    assert len(s.c.read()) == 1000


def test_acks_are_taken_while_our_window_is_closed() -> None:
    s = Script(TcpConfig(receive_buffer=1000))
    s.write(b"hello")
    s.seg(1, 1, b"x" * 1000)
    s.seg(1001, 6, b"y")
    assert s.c.unsent == 0


def test_both_windows_closed_do_not_lock() -> None:
    """RFC 9293 appendix A.2: probes must not make acknowledgments unacceptable."""
    world = World(TcpConfig(receive_buffer=5000))
    world.establish()
    world.reading = [False, False]
    for index in (0, 1):
        world.write(index, bytes(range(256)) * 80)
    world.run(30.0)
    assert [end.readable for end in world.ends] == [5000, 5000]
    world.reading = [True, True]
    for index in (0, 1):
        world.drain(index)
    world.flush()
    world.run(300.0)
    assert world.got[0] == world.got[1] == bytes(range(256)) * 80


# --- silly windows -----------------------------------------------------------------------------------------


def test_the_receiver_opens_its_window_in_steps() -> None:
    """RFC 9293 §3.8.6.2.2: by min(half the buffer, a segment), the right edge never taken back."""
    s = Script(TcpConfig(receive_buffer=4000))
    edges = []
    for start in range(1, 4001, 500):
        s.seg(start, 1, b"x" * 500)
    for _ in range(40):
        s.c.read(100)
        s.take()
    for run in s.out:
        edges.append(s.ack(run) + run.window)
    assert edges == sorted(edges)
    steps = {b - a for a, b in pairwise(edges)} - {0}
    assert min(steps) >= 1460
    assert s.out[-1].window >= 4000 - 1460


def test_acknowledgments_do_not_open_the_window_octet_by_octet() -> None:
    s = Script(TcpConfig(receive_buffer=4000, delayed_ack=0.0))
    (ack,) = s.seg(1, 1, b"x" * 2000)
    edge = s.ack(ack) + ack.window
    for n in range(14):
        s.c.read(100)
        (ack,) = s.seg(2001 + n, 1, b"y")
        assert s.ack(ack) + ack.window == edge
    s.c.read(100)
    (ack,) = s.seg(2015, 1, b"y")
    assert s.ack(ack) + ack.window == 1 + 1500 + 4000


def test_the_sender_waits_for_half_the_largest_window() -> None:
    """RFC 9293 §3.8.6.2.1 rule 3, and rule 4: the override timer."""
    s = Script(window=1000)
    s.write(bytes(1000))
    s.c.write(bytes(5000))
    assert s.seg(1, 1001, window=499) == []
    (half,) = s.seg(1, 1001, window=500)
    assert half.length == 500
    s.seg(1, 1501, window=100)
    (override,) = s.wait(s.c.rtt.rto)
    assert override.length == 100


# --- acknowledgments ---------------------------------------------------------------------------------------


def test_every_second_full_segment_is_acknowledged_at_once() -> None:
    """RFC 9293 §3.8.6.3, SHLD-19."""
    s = Script()
    assert s.seg(1, 1, b"x" * 1460) == []
    assert [s.ack(run) for run in s.seg(1461, 1, b"x" * 1460)] == [2921]
    assert s.seg(2921, 1, b"x" * 1460) == []
    assert [s.ack(run) for run in s.wait(0.04)] == [4381]


def test_a_full_segment_is_what_the_peer_sends_as_one() -> None:
    s = Script()
    s.seg(1, 1, b"x" * 1000)
    s.seg(1001, 1, b"x" * 1000)
    assert s.seg(2001, 1, b"x" * 1000) == []
    assert [s.ack(run) for run in s.seg(3001, 1, b"x" * 1000)] == [4001]


def test_small_segments_wait_for_the_delay() -> None:
    s = Script(TcpConfig(delayed_ack=0.1))
    assert s.seg(1, 1, b"a") == []
    assert s.seg(2, 1, b"b") == []
    assert s.wait(0.099) == []
    assert [s.ack(run) for run in s.wait(0.001)] == [3]
    assert s.c.next_deadline is None


def test_no_delay() -> None:
    s = Script(TcpConfig(delayed_ack=0.0))
    assert [s.ack(run) for run in s.seg(1, 1, b"a")] == [2]


def test_one_acknowledgment_for_a_batch() -> None:
    """RFC 9293 MUST-58, MUST-59."""
    s = Script()
    runs = s.batch(*(s.make(1 + i * 1460, 1, b"x" * 1460) for i in range(9)))
    assert [s.ack(run) for run in runs] == [1 + 9 * 1460]
    merged = s.make(1 + 9 * 1460, 1, b"x" * 1460 * 20, segments=20)
    assert [s.ack(run) for run in s.batch(merged)] == [1 + 29 * 1460]


def test_data_carries_the_acknowledgment() -> None:
    s = Script()
    s.seg(1, 1, b"question")
    (answer,) = s.write(b"answer")
    assert s.ack(answer) == 9
    assert s.wait(1.0) != []
    assert all(run.length for run in s.out)


def test_one_readable_event_for_a_batch() -> None:
    s = Script()
    s.batch(*(s.make(1 + i, 1, b"x") for i in range(9)))
    assert s.events() == [Readable()]


def test_a_duplicate_is_acknowledged_at_once() -> None:
    s = Script(offer=SACK)
    s.seg(1, 1, b"x" * 2920)
    (ack,) = s.seg(1, 1, b"x" * 1460)
    assert s.ack(ack) == 2921
    assert s.blocks(ack) == [(1, 1461)], "RFC 2883 §4.1"


# --- keepalive and user timeout ----------------------------------------------------------------------------


def test_keepalives_are_off_by_default() -> None:
    assert Script().c.next_deadline is None


def test_keepalives() -> None:
    """RFC 9293 §3.8.4."""
    s = Script(TcpConfig(keepalive=True, keepalive_idle=100.0, keepalive_interval=10.0, keepalive_probes=3))
    assert s.wait(99.0) == []
    s.seg(1, 1, b"not idle")
    s.c.read()
    s.wait(1.0)
    assert s.wait(98.0) == []
    (probe,) = s.wait(1.0)
    assert (probe.flags, probe.seq, probe.length) == (ACK, ISS, 0)
    s.seg(9, 1)
    assert s.wait(99.0) == []
    assert len(s.wait(25.0)) == 3
    assert s.state() is State.ESTABLISHED
    s.wait(10.0)
    (event,) = (e for e in s.events() if isinstance(e, Closed))
    assert event.error is not None
    assert event.error.errno == errno.ETIMEDOUT


def test_a_keepalive_of_the_peer_is_answered() -> None:
    s = Script()
    (answer,) = s.seg(0, 1)
    assert (answer.seq, s.ack(answer)) == (ISS + 1, 1)


def test_no_keepalive_while_something_is_outstanding() -> None:
    s = Script(TcpConfig(keepalive=True, keepalive_idle=0.1))
    s.write(b"anyone?")
    assert all(run.length == 7 for run in s.wait(3.0))


def test_user_timeout() -> None:
    """RFC 9293 §3.10.8, RFC 5482: the time that octets may stay unacknowledged."""
    s = Script()
    s.c.user_timeout = 5.0
    s.write(b"anyone?")
    s.wait(4.9)
    assert s.state() is State.ESTABLISHED
    s.wait(0.2)
    assert s.c.error is not None
    assert s.c.error.errno == errno.ETIMEDOUT


def test_progress_starts_the_count_of_retries_anew() -> None:
    s = Script(TcpConfig(data_retries=2, timestamps=False))
    for n in range(4):
        s.write(b"x")
        s.wait(s.c.rtt.rto)
        s.wait(s.c.rtt.rto)
        s.seg(1, 2 + n)
    assert s.state() is State.ESTABLISHED
    assert s.c.retransmissions == 8


def test_data_is_given_up_after_r2() -> None:
    s = Script(TcpConfig(data_retries=4))
    s.write(b"anyone?")
    sent = s.wait(1000.0)
    assert len(sent) == 4
    assert s.state() is State.CLOSED
    (event,) = (e for e in s.events() if isinstance(e, Closed))
    assert event.unsent == 7
