"""Sending: RFC 9293 §3.7.4, §3.8.1, §3.8.6, §3.9.1.2."""

from __future__ import annotations

import itertools

from scapy.layers.inet import TCP

from edo.options import Options
from stack.config import TcpConfig
from stack.run import ACK, PSH
from stack.states import State
from tests.conformance.peer import Peer
from tests.stack.core.script import Script

MSS = 1460


def shrunk(window: int, **more: object) -> Script:
    """Four segments are under way and the peer takes back what it offered, down to ``window`` octets."""
    s = Script(TcpConfig(**more), window=10 * MSS)  # type: ignore[arg-type]
    s.write(bytes(4 * MSS))
    s.c.write(bytes(20 * MSS))
    assert s.take() != []
    s.c.take_output(s.now)
    s.out.clear()
    s.seg(1, 1, window=window)
    return s


def test_nothing_new_goes_into_a_window_that_shrank() -> None:
    """MUST-34, SHLD-15: the usable window is negative."""
    s = shrunk(2 * MSS)
    assert s.c.snd_una + s.c.snd_wnd < s.c.snd_nxt
    before = s.c.snd_nxt
    for n in range(1, 3):
        s.seg(1, 1 + n * MSS, window=(2 - n) * MSS)
    assert s.c.snd_nxt == before
    assert all(s.rel(run)[1] <= before - s.iss for run in s.out)
    s.seg(1, 1 + 2 * MSS, window=40 * MSS)
    assert s.c.snd_nxt > before


def test_old_octets_within_a_shrunken_window_are_repeated() -> None:
    """SHLD-16, MAY-7: what lies beyond the edge waits, but the first segment goes even so."""
    s = shrunk(2 * MSS)
    s.wait(s.c.rtt.rto)
    assert s.out
    assert {s.rel(run)[0] for run in s.out} == {1}
    s.out.clear()
    s.seg(1, 1 + MSS, window=MSS)
    assert [s.rel(run) for run in s.out] == [(1 + MSS, 1 + 2 * MSS)]
    closed = shrunk(0)
    closed.wait(closed.c.rtt.rto)
    assert [closed.rel(run) for run in closed.out] == [(1, 1 + MSS)]


def test_a_connection_lives_on_while_a_shrunken_window_is_answered() -> None:
    """SHLD-17, MUST-35: octets beyond the edge are not acknowledged for hours, and then are."""
    s = shrunk(0, data_retries=4)
    begun = s.now
    while s.now - begun < 7200.0:
        if s.wait(1.0):
            s.seg(1, 1, window=0)
    assert s.state() is State.ESTABLISHED
    assert len(s.out) > 100
    s.out.clear()
    s.seg(1, 1, window=40 * MSS)
    s.wait(s.c.rtt.rto + 60.0)
    assert (1, 1 + MSS) in [s.rel(run) for run in s.out] or s.out[0].seq == s.iss + 1


def test_what_is_written_goes_without_being_asked_to() -> None:
    """MUST-60, MUST-61: no push is needed, and the last segment of what is queued has PSH."""
    s = Script()
    (run,) = s.write(b"small")
    assert run.flags == ACK | PSH
    s.seg(1, 6)
    peer = Peer(TcpConfig(initial_window=20))
    attempt = peer.opened()
    attempt.write(bytes(10 * MSS + 5))
    pushed = [bool(packet[TCP].flags.P) for packet in peer.take()]
    assert pushed == [False] * 10 + [True]


def test_many_writes_make_few_segments_with_one_push() -> None:
    """SHLD-27, SHLD-28, MAY-16: what waited goes in segments as large as they may be."""
    s = Script(TcpConfig(nagle=False))
    for _ in range(100):
        s.c.write(b"x" * 73)
    (run,) = s.take()
    assert (run.length, run.segment_size) == (7300, MSS)
    assert run.flags == ACK | PSH


def test_a_window_closed_for_a_day_is_no_reason_to_give_up() -> None:
    """MUST-36, MUST-37, SHLD-29, SHLD-30: probes at doubled intervals, as long as they are answered."""
    s = Script(TcpConfig(data_retries=3), window=0)
    s.c.write(b"abc")
    s.take()
    times = [s.now]
    while s.now < 86_400.0:
        if s.wait(0.05 if s.now < 100.0 else 5.0):
            times.append(s.now)
            s.seg(1, 1, window=0)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert s.state() is State.ESTABLISHED
    assert abs(gaps[0] - s.c.rtt.rto) < 0.11
    assert all(1.5 < b / a < 2.6 for a, b in itertools.pairwise(gaps[:5]))
    assert max(gaps) <= 70.0
    (data,) = s.seg(1, 1, window=100)
    assert data.length == 3


def test_our_window_may_stay_closed() -> None:
    """MAY-8, SHLD-14: nobody reads for a day; each probe is answered, the right edge stays where it is."""
    s = Script(TcpConfig(receive_buffer=3000))
    s.seg(1, 1, b"x" * 3000)
    for _ in range(24):
        s.wait(3600.0)
        (answer,) = s.seg(3001, 1, b"p")
        assert (s.ack(answer), answer.window) == (3001, 0)
    assert s.state() is State.ESTABLISHED
    assert len(s.c.read()) == 3000


def test_of_the_packets_of_one_write_the_last_is_pushed() -> None:
    """SHLD-27, MUST-61: as they are on the wire."""
    peer = Peer()
    attempt = peer.opened()
    attempt.write(bytes(5000))
    assert [str(packet[TCP].flags) for packet in peer.take()] == ["A", "A", "A", "PA"]


def test_a_repeated_packet_has_the_same_identification() -> None:
    """MAY-4: it is 0 always, which a packet that is never fragmented may have (RFC 6864 §4.1)."""
    peer = Peer()
    attempt = peer.opened()
    attempt.write(b"again")
    sent = peer.wait(3.0)
    assert len(sent) > 1
    assert {(packet.id, str(packet.flags)) for packet in sent} == {(0, "DF")}


def test_slow_start_then_avoidance_then_backoff() -> None:
    """MUST-19, for both controllers that go by RFC 5681 (MAY-18)."""
    for name in ("cubic", "reno"):
        s = Script(TcpConfig(congestion=name, timestamps=False), Options(mss=MSS, wscale=8))
        s.seg(1, 1, window=60_000)
        s.c.write(bytes(3_000_000))
        s.take()
        first = s.c.control.cwnd
        s.seg(1, 1 + 2 * MSS, window=60_000)
        assert s.c.control.cwnd == first + 2 * MSS, name
        rto = s.c.rtt.rto
        s.wait(rto)
        assert s.c.control.cwnd == MSS, name
        assert s.c.rtt.rto == 2 * rto
        lossy = Script(TcpConfig(congestion=name, timestamps=False), Options(mss=MSS, wscale=8))
        lossy.seg(1, 1, window=60_000)
        lossy.c.write(bytes(3_000_000))
        lossy.take()
        for _ in range(3):
            lossy.seg(1, 1, window=60_000)
        lossy.now += 0.1
        lossy.seg(1, lossy.c.snd_nxt - lossy.iss, window=60_000)
        half = lossy.c.control.ssthresh
        assert half < first, name
        for _ in range(20):
            if lossy.c.control.cwnd >= half:
                break
            lossy.now += 0.001
            lossy.seg(1, lossy.c.snd_una - lossy.iss + MSS, window=60_000)
        reduced = lossy.c.control.cwnd
        assert reduced >= half, name
        for _ in range(8):
            lossy.now += 0.001
            lossy.seg(1, lossy.c.snd_una - lossy.iss + MSS, window=60_000)
        assert lossy.c.control.cwnd - reduced <= 4 * MSS, name


def test_the_controller_is_the_one_that_was_named() -> None:
    """MAY-18: after a loss CUBIC keeps 0.7 of what was in flight (RFC 9438 §4.6), Reno half; BBR paces."""
    for name, share in (("cubic", 0.7), ("reno", 0.5)):
        s = Script(TcpConfig(congestion=name, timestamps=False), Options(mss=1000))
        assert sum(run.length for run in s.write(bytes(10_000))) == 10_000
        s.now += 0.1
        for _ in range(3):
            s.seg(1, 1)
        assert s.c.retransmissions == 1, name
        assert s.c.control.ssthresh == 10_000 * share, name
    s = Script(TcpConfig(congestion="bbr", timestamps=False), Options(mss=1000))
    assert 0 < sum(run.length for run in s.write(bytes(10_000))) < 10_000
