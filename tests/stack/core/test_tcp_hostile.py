"""Whatever arrives, nothing raises, nothing grows beyond the buffers, and the connection still works after it."""

from __future__ import annotations

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from edo.options import Options
from stack.config import TcpConfig
from stack.connection import Connection
from stack.run import ACK, SYN, Run
from stack.states import State
from tests.forms import slots_of
from tests.stack.core.script import IRS, ISS, SACK, Script

near = st.integers(-70_000, 70_000) | st.integers(-3, 3) | st.integers(-(1 << 33), 1 << 33)
word = st.integers(0, 0xFFFFFFFF)
options = st.builds(
    Options,
    mss=st.none() | st.integers(0, 65535),
    wscale=st.none() | st.integers(0, 255),
    sack_permitted=st.booleans(),
    ts_val=st.none() | word | st.integers(7000, 7100),
    ts_ecr=word | st.integers(10_000, 10_100),
    sack=st.lists(
        st.tuples(word | st.integers(ISS - 9, ISS + 20_000), word | st.integers(ISS, ISS + 20_000)), max_size=4
    ).map(tuple),
)
segment = st.tuples(near, near, st.integers(0, 255), st.integers(0, 65535), options, st.binary(max_size=3000))
action = st.one_of(
    st.tuples(st.just("segments"), st.lists(segment, min_size=1, max_size=4)),
    st.tuples(st.just("wait"), st.floats(0.0, 100.0)),
    st.tuples(st.just("write"), st.integers(1, 20_000)),
    st.tuples(st.just("read"), st.integers(-1, 2000)),
    st.tuples(st.sampled_from(["write_eof", "close", "mtu", "hold"]), st.integers(0, 9000)),
)
CONFIG = TcpConfig(receive_buffer=8000, keepalive=True, keepalive_idle=50.0, keepalive_probes=3)


def check(c: Connection) -> None:
    """Invariants of every state."""
    assert c.incoming.octets + c.incoming.held <= CONFIG.receive_buffer
    board = c.scoreboard
    assert board.sacked == sum(r.end - r.start for r in board.records if r.sacked)
    assert board.waiting == sum(r.end - r.start for r in board.records if r.waiting)
    assert board.extra == sum(r.end - r.start for r in board.records if r.extra)
    if board.records:
        assert board.records[0].start == c.snd_una
        assert board.records[-1].end == c.snd_nxt
        assert c.state in (State.CLOSED, State.TIME_WAIT) or c.rexmt_at < float("inf")
    assert c.rcv_nxt <= c.rcv_adv or c.state in (State.CLOSED, State.SYN_SENT)
    if c.state is State.CLOSED:
        assert c.next_deadline is None
    assert c.segment_size >= 16


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["active", "passive", "syn-sent", "syn-received"]), options, st.lists(action, max_size=25))
def test_anything_may_arrive(opening: str, offer: Options, script: list[tuple[str, object]]) -> None:
    s = Script(CONFIG, offer, passive=opening == "passive", establish=opening in ("active", "passive"))
    if opening == "syn-sent":
        s.c.connect(s.now)
    elif opening == "syn-received":
        s.c.accept(Run(IRS, 0, SYN, 1000, offer), s.now)
    s.take()
    for what, value in script:
        if what == "segments":
            assert isinstance(value, list)
            s.batch(
                *(
                    Run(
                        (s.c.rcv_nxt or IRS) + seq,
                        s.c.snd_nxt + ack,
                        flags,
                        window,
                        carried,
                        [memoryview(data)] if data else (),
                        len(data),
                    )
                    for seq, ack, flags, window, carried, data in value
                )
            )
        elif what == "wait":
            assert isinstance(value, float)
            s.wait(value)
        elif what == "write":
            assert isinstance(value, int)
            if not s.c.fin_queued and not s.c.read_closed and not s.c.closed_told:
                s.write(bytes(value))
        elif what == "read":
            assert isinstance(value, int)
            s.c.read(value)
        elif what == "mtu":
            assert isinstance(value, int)
            s.c.path_mtu(value, s.now)
        elif what == "hold":
            s.c.hold_data = not s.c.hold_data
        else:
            getattr(s.c, what)()
        s.take()
        check(s.c)
    s.c.abort(s.now)
    s.take()
    check(s.c)
    assert s.state() is State.CLOSED


def test_octets_beyond_holes_cost_no_more_than_the_buffer() -> None:
    s = Script(TcpConfig(receive_buffer=1 << 16), offer=SACK)
    for n in range(3, 60_000, 2):
        s.seg(n, 1, b"x")
        s.out.clear()
    assert s.c.incoming.held <= 1 << 16
    ranges = s.c.incoming.ranges
    assert ranges is not None
    assert len(ranges) <= 128
    assert s.c.drops["out_of_window"] > 0
    s.seg(1, 1, b"y" * 65_535)
    assert len(s.c.read()) == 65_535


def test_an_idle_connection_is_light() -> None:
    def size(item: object, seen: set[int]) -> int:
        if id(item) in seen or isinstance(item, type | TcpConfig) or callable(item):
            return 0
        seen.add(id(item))
        total = sys.getsizeof(item)
        if isinstance(item, list | tuple):
            return total + sum(size(part, seen) for part in item)
        for name in slots_of(type(item)):
            if hasattr(item, name):
                total += size(getattr(item, name), seen)
        return total

    s = Script()
    s.write(b"hello")
    s.seg(1, 6, b"x" * 5000)
    s.c.read()
    s.take()
    s.events()
    assert size(s.c, set()) < 4400


def test_a_half_open_flood_of_acks_gets_few_answers() -> None:
    """Two ends that believe in different numbers must not answer each other without end."""
    s = Script()
    answers = sum(len(s.seg(200_000_000, 1)) for _ in range(1000))
    assert answers == 10


def test_a_misbehaving_receiver_does_not_open_the_window_by_dividing_acks() -> None:
    s = Script(TcpConfig(initial_window=2))
    s.write(bytes(100_000))
    for n in range(2, 1462):
        s.seg(1, n)
    assert s.c.control.cwnd <= 2 * 1460 + 1460


def test_the_ack_of_a_syn_alone_is_enough() -> None:
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    s.c.receive([Run(IRS, ISS + 1, SYN | ACK, 0, Options())], s.now)
    assert s.state() is State.ESTABLISHED
