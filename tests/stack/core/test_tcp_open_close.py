"""Opening, closing and ending a connection (RFC 9293 §3.5, §3.6, §3.10)."""

from __future__ import annotations

import errno

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.connection import Connection
from stack.events import Closed, Established, Readable, TcpError
from stack.run import ACK, FIN, PSH, RST, SYN, Run
from stack.states import State
from tests.stack.core.script import IRS, ISS, PLAIN, SACK, STAMPS, Script
from tests.stack.core.tcp_world import World


def closed(script: Script) -> Closed:
    events = [event for event in script.events() if isinstance(event, Closed)]
    assert len(events) == 1
    return events[0]


# --- opening -----------------------------------------------------------------------------------------------


def test_the_syn_offers_what_the_configuration_allows() -> None:
    s = Script(TcpConfig(mtu=1500, receive_buffer=1 << 20), establish=False)
    s.c.connect(s.now)
    (syn,) = s.take()
    assert (syn.flags, syn.seq, syn.ack, syn.transmission) == (SYN, ISS, 0, 0)
    assert syn.window == 65535
    assert syn.options.mss == 1460
    # 2^20 octets need a shift of 5: 2^20 >> 4 is 65536, one too many (RFC 7323 §2.2).
    assert syn.options.wscale == 5
    assert syn.options.sack_permitted
    assert (syn.options.ts_val, syn.options.ts_ecr) == (10_000, 0)


def test_the_syn_offers_nothing_that_is_off() -> None:
    config = TcpConfig(timestamps=False, window_scaling=False, sack=False, ip_header=40, mtu=1280)
    s = Script(config, establish=False)
    s.c.connect(s.now)
    (syn,) = s.take()
    options = syn.options
    assert (options.mss, options.wscale, options.sack_permitted, options.ts_val) == (1220, None, False, None)


@pytest.mark.parametrize(
    "offer",
    [
        Options(),
        Options(mss=1000),
        Options(mss=1000, wscale=3),
        SACK,
        STAMPS,
        Options(wscale=0, sack_permitted=True),
    ],
)
def test_the_syn_ack_answers_only_what_the_syn_offered(offer: Options) -> None:
    s = Script(establish=False)
    s.c.accept(Run(IRS, 0, SYN, 4096, offer), s.now)
    (answer,) = s.take()
    assert (answer.flags, answer.seq, answer.ack) == (SYN | ACK, ISS, IRS + 1)
    options = answer.options
    assert options.mss == 1460
    assert (options.wscale is not None) == (offer.wscale is not None)
    assert options.sack_permitted == offer.sack_permitted
    assert (options.ts_val is not None) == (offer.ts_val is not None)
    assert options.ts_ecr == (offer.ts_val or 0)
    assert s.state() is State.SYN_RECEIVED


def test_three_way_handshake_both_ways() -> None:
    world = World().establish()
    assert world.events[0] == [Established()]
    assert world.events[1] == [Established()]
    assert [wire.flags for _, wire in world.sent[0]] == [SYN, ACK]
    assert [wire.flags for _, wire in world.sent[1]] == [SYN | ACK]
    assert world.a.next_deadline is None
    assert world.b.next_deadline is None


def test_a_connection_opens_once() -> None:
    s = Script()
    with pytest.raises(TcpError):
        s.c.connect(s.now)
    with pytest.raises(TcpError):
        s.c.accept(Run(IRS, 0, SYN, 1, PLAIN), s.now)


def test_simultaneous_open() -> None:
    """RFC 9293 §3.5, figure 7."""
    world = World(connect=False)
    world.a.connect(world.now)
    world.b.connect(world.now)
    world.flush()
    world.establish()
    world.a.write(b"ping")
    world.b.write(b"pong")
    world.flush()
    world.run(1.0)
    assert bytes(world.got[0]) == b"pong"
    assert bytes(world.got[1]) == b"ping"
    flags = [wire.flags for _, wire in world.sent[0]]
    assert flags[:2] == [SYN, SYN | ACK]
    assert world.a.timestamps
    assert world.a.sack_ok
    assert world.a.snd_wscale == 8, "for a window of 8 MiB"


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}])
def test_simultaneous_open_with_losses(lost: set[int]) -> None:
    world = World(connect=False)
    world.filter[0] = lambda wire, count: count - 1 not in lost
    world.a.connect(world.now)
    world.b.connect(world.now)
    world.flush()
    world.run(20.0, until=lambda: world.a.state is State.ESTABLISHED and world.b.state is State.ESTABLISHED)
    assert world.a.state is State.ESTABLISHED
    assert world.b.state is State.ESTABLISHED


def test_the_syn_is_repeated_with_doubled_intervals_and_then_given_up() -> None:
    s = Script(TcpConfig(syn_retries=3, rto_initial=1.0), establish=False)
    s.c.connect(10.0)
    s.take()
    start = s.now
    times = []
    while s.c.state is State.SYN_SENT:
        deadline = s.c.next_deadline
        assert deadline is not None
        s.now = deadline
        s.c.advance(s.now)
        times += [(s.now - start, run.transmission) for run in s.take()]
    assert times == [(1.0, 1), (3.0, 2), (7.0, 3)]
    assert s.now - start == 15.0
    assert closed(s).error is not None
    assert s.c.error is not None
    assert s.c.error.errno == errno.ETIMEDOUT
    assert s.c.next_deadline is None
    assert s.c.retransmissions == 3


def test_the_syn_ack_is_repeated() -> None:
    s = Script(establish=False)
    s.c.accept(Run(IRS, 0, SYN, 4096, SACK), s.now)
    s.take()
    (again,) = s.wait(1.0)
    assert (again.flags, again.transmission, again.options.sack_permitted) == (SYN | ACK, 1, True)
    (on_request,) = s.batch(Run(IRS, 0, SYN, 4096, SACK))
    assert (on_request.flags, on_request.transmission) == (SYN | ACK, 2)


def test_a_lost_syn_leaves_one_segment_of_window_and_three_seconds() -> None:
    """RFC 5681 §3.1 and RFC 6298 §5.7."""
    s = Script(TcpConfig(timestamps=False), establish=False)
    s.c.connect(s.now)
    s.wait(1.0)
    s.batch(Run(IRS, ISS + 1, SYN | ACK, 65535, PLAIN))
    assert s.c.control.cwnd == 1460
    assert s.c.rtt.rto == 3.0


def test_initial_window_of_rfc_6928() -> None:
    assert Script().c.control.cwnd == 14600
    # min(10 * MSS, max(2 * MSS, 14600)) with a large segment.
    large = Script(TcpConfig(mtu=9000), Options(mss=8960))
    assert large.c.control.cwnd == 2 * 8960


def test_syn_sent_wants_an_acceptable_ack() -> None:
    """RFC 9293 §3.10.7.3, first and second."""
    for bad in (ISS, ISS + 2):
        s = Script(establish=False)
        s.c.connect(s.now)
        s.take()
        (answer,) = s.batch(Run(IRS, bad, SYN | ACK, 65535, PLAIN))
        assert (answer.flags, answer.seq) == (RST, bad)
        assert s.batch(Run(IRS, bad, RST | ACK, 65535, PLAIN)) == []
        assert s.batch(Run(IRS, 0, RST, 65535, PLAIN)) == []
        assert s.batch(Run(IRS, ISS + 1, ACK, 65535, PLAIN)) == []
        assert s.state() is State.SYN_SENT
        assert s.c.drops["bad_ack"] == 3


def test_syn_sent_refused() -> None:
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    assert s.batch(Run(0, ISS + 1, RST | ACK, 0, Options())) == []
    error = closed(s).error
    assert error is not None
    assert error.errno == errno.ECONNREFUSED


def test_reset_in_syn_received() -> None:
    """RFC 9293 §3.10.7.4, second: a passive open is over silently, an active one is refused."""
    passive = Script(establish=False)
    passive.c.accept(Run(IRS, 0, SYN, 4096, PLAIN), passive.now)
    passive.take()
    assert passive.seg(2, 1, flags=RST)[0].flags == ACK
    assert passive.state() is State.SYN_RECEIVED
    assert passive.seg(1, 1, flags=RST) == []
    assert passive.state() is State.CLOSED
    active = Script(establish=False)
    active.c.connect(active.now)
    active.batch(Run(IRS, 0, SYN, 4096, PLAIN))
    assert active.state() is State.SYN_RECEIVED
    active.seg(1, 1, flags=RST)
    error = closed(active).error
    assert error is not None
    assert error.errno == errno.ECONNREFUSED


def test_syn_received_answers_a_bad_ack_with_a_reset() -> None:
    s = Script(establish=False)
    s.c.accept(Run(IRS, 0, SYN, 4096, PLAIN), s.now)
    s.take()
    (reset,) = s.seg(1, 2)
    assert (reset.flags, reset.seq) == (RST, ISS + 2)
    assert s.state() is State.SYN_RECEIVED
    s.seg(1, 1)
    assert s.state() is State.ESTABLISHED


def test_text_with_a_syn_is_read_after_establishment() -> None:
    """RFC 9293 §3.10.7.2, third."""
    s = Script(establish=False)
    s.c.accept(Run(IRS, 0, SYN, 4096, PLAIN, [memoryview(b"early")], 5), s.now)
    (answer,) = s.take()
    assert s.ack(answer) == 6
    assert s.c.readable == 0
    s.seg(6, 1)
    assert s.events() == [Established(), Readable()]
    assert s.c.read() == b"early"


def test_text_with_a_syn_ack() -> None:
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    (ack,) = s.batch(Run(IRS, ISS + 1, SYN | ACK, 4096, PLAIN, [memoryview(b"hi")], 2))
    assert s.ack(ack) == 3
    assert s.c.read() == b"hi"


def test_data_held_back_until_allowed() -> None:
    s = Script(establish=False)
    s.c.hold_data = True
    s.c.write(b"secret")
    s.c.write_eof()
    s.c.connect(s.now)
    s.take()
    (ack,) = s.batch(Run(IRS, ISS + 1, SYN | ACK, 65535, PLAIN))
    assert (ack.flags, ack.length) == (ACK, 0)
    assert s.wait(100.0) == []
    (ack,) = s.seg(1, 1, b"x" * 2920)
    assert (ack.length, s.ack(ack)) == (0, 2921)
    s.c.hold_data = False
    (data,) = s.take()
    assert (data.flags, data.length) == (ACK | PSH | FIN, 6)


def test_a_bare_segment_has_the_numbers_of_the_moment() -> None:
    s = Script()
    s.write(b"now")
    s.seg(1, 1, b"peer")
    bare = s.c.segment()
    assert (bare.flags, bare.seq, bare.ack, bare.length) == (ACK, ISS + 4, IRS + 5, 0)
    assert s.c.segment(RST, ISS).seq == ISS


# --- closing -----------------------------------------------------------------------------------------------


def test_half_close_and_orderly_end() -> None:
    s = Script()
    s.c.write(b"last words")
    s.c.write_eof()
    (fin,) = s.take()
    assert (fin.flags, fin.length) == (ACK | PSH | FIN, 10)
    assert s.state() is State.FIN_WAIT_1
    s.seg(1, 12)
    assert s.state() is State.FIN_WAIT_2
    s.seg(1, 12, b"still talking")
    assert s.c.read() == b"still talking"
    assert not s.c.eof
    (ack,) = s.seg(14, 12, flags=ACK | FIN)
    assert s.ack(ack) == 15
    assert s.state() is State.TIME_WAIT
    assert s.c.eof
    assert closed(s) == Closed(None, 0)
    assert s.c.next_deadline == s.now + 60.0
    s.wait(60.0)
    assert s.state() is State.CLOSED
    assert s.c.next_deadline is None
    assert s.events() == []


def test_passive_close() -> None:
    s = Script()
    (ack,) = s.seg(1, 1, b"bye", ACK | FIN)
    assert s.ack(ack) == 5
    assert s.state() is State.CLOSE_WAIT
    assert s.events() == [Readable()]
    assert not s.c.eof
    assert s.c.read() == b"bye"
    assert s.c.eof
    s.write(b"reply")
    s.c.close()
    (fin,) = s.take()
    assert fin.flags == ACK | FIN
    assert s.state() is State.LAST_ACK
    s.seg(5, 7)
    assert s.state() is State.CLOSED
    assert closed(s) == Closed(None, 0)


def test_simultaneous_close() -> None:
    """RFC 9293 §3.6, figure 13."""
    world = World().establish()
    world.a.close()
    world.b.close()
    world.flush()
    states: set[tuple[State, State]] = set()
    while world.step():
        states.add((world.a.state, world.b.state))
    assert (State.CLOSING, State.CLOSING) in states
    assert (State.TIME_WAIT, State.TIME_WAIT) in states
    assert world.a.state is State.CLOSED
    assert world.b.state is State.CLOSED


def test_time_wait_starts_again_when_the_fin_does() -> None:
    s = Script()
    s.c.close()
    s.take()
    s.seg(1, 2, flags=ACK | FIN)
    assert s.state() is State.TIME_WAIT
    s.wait(40.0)
    (ack,) = s.seg(1, 2, flags=ACK | FIN)
    assert s.ack(ack) == 2
    assert s.c.next_deadline == s.now + 60.0
    s.wait(59.0)
    assert s.state() is State.TIME_WAIT
    s.wait(1.0)
    assert s.state() is State.CLOSED


def test_a_fin_beyond_a_hole_waits_for_the_hole() -> None:
    s = Script(offer=SACK)
    s.seg(4, 1, b"def", ACK | FIN)
    assert s.state() is State.ESTABLISHED
    (ack,) = s.seg(1, 1, b"abc")
    assert s.ack(ack) == 8
    assert s.state() is State.CLOSE_WAIT
    assert s.c.read() == b"abcdef"


def test_the_fin_is_retransmitted() -> None:
    s = Script()
    s.c.write_eof()
    (first,) = s.take()
    (again,) = s.wait(s.c.rtt.rto)
    assert (again.flags, again.seq) == (first.flags, first.seq)


def test_text_after_close_is_answered_with_a_reset() -> None:
    """RFC 9293 §3.6.1 and RFC 2525 §2.17."""
    s = Script()
    s.c.close()
    s.take()
    s.seg(1, 2)
    (reset,) = s.seg(1, 2, b"nobody reads this")
    assert reset.flags & RST
    assert reset.seq == ISS + 2
    assert s.state() is State.CLOSED
    assert closed(s).error is not None


def test_close_with_unread_octets_is_a_reset() -> None:
    s = Script()
    s.seg(1, 1, b"unread")
    s.c.close()
    (reset,) = s.take()
    assert reset.flags & RST
    assert s.state() is State.CLOSED


def test_a_peer_that_never_closes_is_not_waited_for_after_close() -> None:
    s = Script()
    s.c.close()
    s.take()
    s.seg(1, 2)
    assert s.state() is State.FIN_WAIT_2
    s.wait(60.0)
    assert s.state() is State.CLOSED


def test_half_closed_waits_for_ever() -> None:
    s = Script()
    s.c.write_eof()
    s.take()
    s.seg(1, 2)
    assert s.c.next_deadline is None


def test_close_before_establishment() -> None:
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.close()
    assert s.state() is State.CLOSED
    assert s.take() == []
    early = Script(establish=False)
    early.c.accept(Run(IRS, 0, SYN, 4096, PLAIN), early.now)
    early.c.close()
    early.take()
    (fin,) = early.seg(1, 1)
    assert early.state() is State.FIN_WAIT_1
    assert fin.flags == ACK | FIN


@pytest.mark.parametrize("text", [b"", b"something"])
def test_abort_sends_a_reset(text: bytes) -> None:
    s = Script()
    if text:
        s.write(text)
    s.c.abort(s.now)
    (reset,) = s.take()
    assert reset.flags & RST
    assert reset.seq == ISS + 1 + len(text)
    assert s.state() is State.CLOSED
    assert closed(s).unsent == len(text)
    assert s.c.next_deadline is None
    s.c.abort(s.now)
    assert s.take() == []


def test_abort_without_a_reset_where_rfc_9293_sends_none() -> None:
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.abort(s.now)
    assert s.take() == []
    waiting = Script()
    waiting.c.close()
    waiting.take()
    waiting.seg(1, 2, flags=ACK | FIN)
    waiting.c.abort(waiting.now)
    assert waiting.take() == []


def test_writing_after_the_end_is_an_error() -> None:
    for end in ("write_eof", "close"):
        s = Script()
        getattr(s.c, end)()
        with pytest.raises(TcpError) as caught:
            s.c.write(b"late")
        assert caught.value.errno == errno.EPIPE
        assert "\n" not in str(caught.value)
    s = Script()
    s.c.abort(s.now)
    with pytest.raises(TcpError):
        s.c.write(b"late")


def test_a_reset_keeps_what_was_received_readable_and_counts_what_was_not_sent() -> None:
    s = Script()
    s.write(b"x" * 100)
    s.seg(1, 51, b"got this")
    s.seg(9, 51, flags=RST)
    event = closed(s)
    assert event.error is not None
    assert event.error.errno == errno.ECONNRESET
    assert event.unsent == 50
    assert s.c.read() == b"got this"


def test_nothing_is_answered_when_closed() -> None:
    s = Script()
    s.c.abort(s.now)
    s.take()
    assert s.seg(1, 1, b"hello") == []
    assert s.seg(1, 1, flags=SYN) == []
    fresh = Connection(TcpConfig(), ISS)
    fresh.receive([s.make(1, 1, b"x")], 1.0)
    assert fresh.take_output(1.0) == []


def test_events_come_in_order() -> None:
    world = World().establish()
    world.write(0, b"a" * 5000)
    world.a.write_eof()
    world.b.write_eof()
    world.run()
    for events in world.events:
        assert isinstance(events[0], Established)
        assert isinstance(events[-1], Closed)
        assert events[-1].error is None
