"""Range set, buffers, scoreboard, estimator and controllers, each against a simple model of what it is for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.buffers import ReceiveBuffer, SendBuffer
from stack.config import TcpConfig
from stack.congestion import CONTROLLERS, find, register
from stack.congestion.cubic import Cubic
from stack.congestion.reno import Reno
from stack.connection import Connection
from stack.rangeset import RangeSet
from stack.rtt import RttEstimator
from stack.scoreboard import Scoreboard
from stack.states import TRANSITIONS, State, Trigger, after

BASE = (1 << 32) - 50
small_ranges = st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30)), max_size=40)


# --- range set ---------------------------------------------------------------------------------------------


@given(small_ranges)
def test_range_set_is_a_set(ranges: list[tuple[int, int]]) -> None:
    subject = RangeSet()
    model: set[int] = set()
    for start, length in ranges:
        subject.add(start, start + length)
        model |= set(range(start, start + length))
        assert {n for left, right in subject for n in range(left, right)} == model
        edges = [edge for pair in subject for edge in pair]
        assert edges == sorted(set(edges)), "in order, disjoint, not adjacent"
    for number in range(140):
        assert (subject.find(number) >= 0) == (number in model)


# --- buffers -----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=3000), max_size=12), st.data())
def test_send_buffer_by_position(writes: list[bytes], data: st.DataObject) -> None:
    buffer = SendBuffer(BASE)
    stream = b""
    base = 0
    for write in writes:
        buffer.append(write)
        stream += write
        assert buffer.end == BASE + len(stream)
        if base < len(stream):
            start = data.draw(st.integers(base, len(stream) - 1))
            end = data.draw(st.integers(start + 1, len(stream)))
            views = buffer.peek(BASE + start, BASE + end)
            assert b"".join(views) == stream[start:end]
            base = data.draw(st.integers(base, start))
            buffer.release(BASE + base)
            assert buffer.base == BASE + base
            assert b"".join(views) == stream[start:end], "views outlive the release"


def test_send_buffer_gathers_small_writes_and_frees() -> None:
    buffer = SendBuffer(0)
    for _ in range(10_000):
        buffer.append(b"z")
    assert len(buffer._chunks) < 10
    buffer.release(9_999)
    assert len(buffer._chunks) == 1
    buffer.release(10_001)
    assert buffer._chunks == []


class Shift:
    """A cipher by position: octet n is moved by n."""

    def apply(self, position: int, data: bytes | bytearray | memoryview, /) -> bytes:
        return bytes((octet + position + n) & 255 for n, octet in enumerate(data))


def payload(octets: bytes, cuts: int) -> list[memoryview]:
    size = max(len(octets) // cuts, 1)
    return [memoryview(octets[i : i + size]) for i in range(0, len(octets), size)]


@given(small_ranges, st.integers(1, 3), st.booleans(), st.lists(st.integers(-1, 40), max_size=40))
def test_receive_buffer_keeps_first_octets(
    ranges: list[tuple[int, int]], cuts: int, encrypted: bool, limits: list[int]
) -> None:
    """Each arrival carries octets of its own, so that it shows which of two stands."""
    buffer = ReceiveBuffer(1000)
    cipher = Shift() if encrypted else None
    model: dict[int, int] = {}
    nxt = 0
    read = b""
    for mark, (start, length) in enumerate(ranges):
        octets = bytes([mark + 1]) * length
        wire = bytes((mark + 1 - n) & 255 for n in range(start, start + length)) if encrypted else octets
        known = sorted(n for n in range(max(start, nxt), start + length) if n in model)
        for n in range(max(start, nxt), start + length):
            model.setdefault(n, mark + 1)
        if start + length > nxt:
            again = buffer.insert(payload(wire, cuts), start, max(start, nxt), start + length, cipher)
            assert again is not None
            assert (again[0] if again[0] < again[1] else None) == (known[0] if known else None)
            nxt = buffer.advance(nxt)
        expected = nxt
        while expected in model:
            expected += 1
        assert expected == nxt
        assert buffer.held == sum(1 for n in model if n >= nxt)
        if limits:
            before = buffer.octets
            limit = limits.pop()
            piece = buffer.read(limit)
            assert len(piece) == (before if limit < 0 else min(limit, before))
            read += piece
    read += buffer.read(-1)
    assert read == bytes(model[n] for n in range(nxt))
    assert buffer.octets == 0


def test_receive_buffer_has_a_bounded_number_of_ranges() -> None:
    buffer = ReceiveBuffer(10)
    view = [memoryview(b"x")]
    taken = [buffer.insert(view, n, n, n + 1, None) for n in range(2, 60, 2)]
    assert sum(entry is not None for entry in taken) == 10
    assert buffer.held == 10


def test_receive_buffer_gathers_small_pieces() -> None:
    buffer = ReceiveBuffer(10)
    for n in range(20_000):
        buffer.append([memoryview(b"x")], 1, n, None)
    assert buffer._chunks is not None
    assert len(buffer._chunks) < 10
    assert buffer.read(3) == b"xxx"
    buffer.append([memoryview(b"y")], 1, 20_000, None)
    assert buffer.read(-1) == b"x" * 19_997 + b"y"


def test_many_small_reads_of_one_large_chunk() -> None:
    buffer = ReceiveBuffer(10)
    data = random.Random(1).randbytes(50_000)
    for n in range(0, 50_000, 1000):
        buffer.append([memoryview(data[n : n + 1000])], 1000, n, None)
    read = b"".join(buffer.read(7) for _ in range(8000))
    assert read == data


# --- scoreboard --------------------------------------------------------------------------------------------

SMSS = 10
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("ack"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("sack"), st.integers(0, 200), st.integers(1, 40)),
        st.tuples(st.just("lost"), st.just(0), st.just(0)),
        st.tuples(st.just("resend"), st.integers(1, 30), st.just(0)),
        st.tuples(st.just("timeout"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


def is_lost(number: int, sacked: set[int]) -> bool:
    """IsLost() of RFC 6675 §4, octet by octet."""
    above = sorted(n for n in sacked if n > number)
    ranges = sum(1 for n in above if n - 1 not in sacked)
    return ranges >= 3 or len(above) > 2 * SMSS


@given(steps)
def test_scoreboard_against_octets(script: list[tuple[str, int, int]]) -> None:
    board = Scoreboard()
    una = nxt = 100
    sacked: set[int] = set()
    lost: set[int] = set()
    again: set[int] = set()
    for what, one, two in script:
        if what == "send":
            board.sent(nxt, nxt + one, 1.0)
            nxt += one
        elif what == "ack":
            una = min(una + one, nxt)
            board.acknowledge(una)
        elif what == "sack":
            left, right = max(una, min(una + one, nxt)), min(una + one + two, nxt)
            if left < right:
                fresh = board.mark_sacked(left, right)
                news = set(range(left, right)) - sacked
                assert fresh == len(news)
                sacked |= news
        elif what == "lost":
            edge = board.lost_edge(SMSS)
            for number in range(una, nxt):
                if number not in sacked:
                    assert (number < edge) == is_lost(number, sacked)
            board.mark_lost(edge)
            lost |= {n for n in range(una, edge) if n not in sacked}
        elif what == "timeout":
            board.mark_all_lost()
            lost = {n for n in range(una, nxt) if n not in sacked}
            again = set()
        elif (index := board.next_waiting()) >= 0:
            record = board.records[index]
            waiting = sorted(n for n in lost - again - sacked if n >= una)
            assert record.start == waiting[0]
            if record.end - record.start > one:
                board.cut(index, record.start + one)
            board.resend(index, 2.0)
            again |= set(range(record.start, record.end))
        else:
            assert not {n for n in lost - again - sacked if n >= una}
        sacked = {n for n in sacked if n >= una}
        lost = {n for n in lost - sacked if n >= una}
        again = {n for n in again - sacked if n >= una}
        assert board.sacked == len(sacked)
        assert board.waiting == len(lost - again)
        assert [r.start for r in board.records] == board.starts
        if board.records:
            assert board.records[0].start == una
            assert board.records[-1].end == nxt
            assert all(a.end == b.start for a, b in zip(board.records, board.records[1:], strict=False))


def test_measurements_leave_out_what_was_sent_again() -> None:
    """Karn's algorithm, RFC 6298 §3."""
    board = Scoreboard()
    board.sent(0, 100, 1.0)
    board.sent(100, 200, 2.0)
    board.sent(200, 300, 3.0)
    board.acknowledge(50)
    assert board.acked_sent_at == 1.0
    board.acknowledge(200)
    assert board.acked_sent_at == 1.0
    board.mark_all_lost()
    board.resend(0, 9.0)
    board.acknowledge(300)
    assert board.acked_sent_at == -1.0
    assert board.records == []
    board.sent(300, 400, 4.0)
    board.sent(400, 500, 5.0)
    board.mark_head_lost(100)
    board.resend(0, 9.0)
    board.acknowledge(500)
    assert board.acked_sent_at == -1.0, "an acknowledgment that covers both tells nothing"


def test_whole_segments_of_a_range() -> None:
    board = Scoreboard()
    board.sent(0, 3000, 1.0)
    board.sent(3000, 3500, 1.0)
    board.sent(3500, 4500, 1.0)
    assert board.whole(0, 4500, 1000) == (0, 4500)
    assert board.whole(1, 2999, 1000) == (1000, 2000)
    assert board.whole(1000, 2000, 1000) == (1000, 2000)
    assert board.whole(2500, 3500, 1000) == (3000, 3500), "a last segment may be short"
    assert board.whole(3000, 3400, 1000) == (3000, 3000)
    left, right = board.whole(3600, 4400, 1000)
    assert left >= right
    assert Scoreboard().whole(5, 10, 1000) == (5, 10)


def test_every_other_segment_of_a_large_window_can_be_sacked() -> None:
    """What a peer says octet by octet is bounded by what is outstanding, not what it says segment by segment."""
    board = Scoreboard()
    for n in range(4000):
        board.sent(n * 2000, (n + 1) * 2000, float(n))
    assert sum(board.mark_sacked(n * 2000, n * 2000 + 1000) for n in range(4000)) == 4_000_000
    records = len(board.records)
    for n in range(0, 8_000_000, 100):
        board.mark_sacked(n, n + 1)
    assert len(board.records) <= 1025 + (8_000_000 >> 9)
    assert records == 8000


def test_octets_of_a_syn_that_go_again_are_no_measure() -> None:
    board = Scoreboard()
    board.sent(0, 100, 1.0, again=True)
    board.acknowledge(100)
    assert board.acked_sent_at == -1.0


def test_a_peer_cannot_split_records_without_end() -> None:
    board = Scoreboard()
    board.sent(0, 1_000_000, 1.0)
    for n in range(0, 60_000, 2):
        board.mark_sacked(n, n + 1)
    assert len(board.records) <= 4098


# --- estimator ---------------------------------------------------------------------------------------------


def test_rfc_6298_by_hand() -> None:
    rtt = RttEstimator(1.0, 0.2, 60.0)
    assert rtt.rto == 1.0
    rtt.sample(0.4)
    assert (rtt.srtt, rtt.rttvar) == (0.4, 0.2)
    assert rtt.rto == pytest.approx(0.4 + 4 * 0.2)
    rtt.sample(0.8)
    assert rtt.rttvar == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert rtt.srtt == pytest.approx(0.875 * 0.4 + 0.125 * 0.8)
    before = rtt.rto
    rtt.back_off()
    assert rtt.rto == pytest.approx(2 * before)
    for _ in range(20):
        rtt.back_off()
    assert rtt.rto == 60.0
    for _ in range(300):
        rtt.sample(0.0)
    assert rtt.rto == 0.2


def test_many_samples_of_one_window_weigh_as_one() -> None:
    """RFC 7323 appendix G."""
    one, many = RttEstimator(1.0, 0.2, 60.0), RttEstimator(1.0, 0.2, 60.0)
    for rtt in (one, many):
        rtt.sample(0.1)
    one.sample(0.5)
    for _ in range(50):
        many.sample(0.5, 50)
    assert many.srtt == pytest.approx(one.srtt, rel=0.05)


# --- congestion --------------------------------------------------------------------------------------------


def test_controllers_are_found_by_name() -> None:
    assert find("cubic") is Cubic
    assert set(CONTROLLERS) >= {"cubic", "reno"}
    with pytest.raises(ValueError, match="'fast' is not one of cubic, reno"):
        find("fast")
    with pytest.raises(ValueError, match="exists"):
        register("reno", Reno)
    with pytest.raises(ValueError, match="is not one of"):
        Connection(TcpConfig(congestion="fast"), 1)


def test_reno() -> None:
    """RFC 5681 §3.1: doubling below ssthresh, one segment per window above."""
    control = Reno(10_000)
    for _ in range(10):
        control.on_ack(1000, 1000, 0.0, 0.1)
    assert control.cwnd == 20_000
    control.on_loss(20_000, 1000, 0.0)
    assert control.cwnd == control.ssthresh == 10_000
    for _ in range(10):
        control.on_ack(1000, 1000, 0.0, 0.1)
    assert control.cwnd == 11_000
    control.on_rto(11_000, 1000, 0.0, first=True)
    assert (control.cwnd, control.ssthresh) == (1000, 5500)
    control.on_loss(1000, 1000, 0.0)
    assert control.ssthresh == 2000


def test_one_acknowledgment_does_not_open_the_window_without_limit() -> None:
    control = Reno(10_000)
    control.on_ack(1_000_000, 1000, 0.0, 0.1)
    assert control.cwnd == 18_000


def grow(control: Cubic, seconds: float, rtt: float, start: float = 0.0) -> list[int]:
    """Acknowledge a window per round trip; return the window after each."""
    now = start
    windows = []
    for _ in range(round(seconds / rtt)):
        for _ in range(max(control.cwnd // 1000, 1)):
            control.on_ack(1000, 1000, now, rtt)
        now += rtt
        windows.append(control.cwnd)
    return windows


def test_cubic_returns_to_the_old_maximum_and_beyond() -> None:
    """RFC 9438 §4.2: K = cbrt((W_max - cwnd) / C) seconds to reach W_max, flat there, convex after."""
    control = Cubic(1_000_000)
    control.on_loss(1_000_000, 1000, 0.0)
    assert control.cwnd == 700_000
    k = (300 / 0.4) ** (1 / 3)
    windows = grow(control, 2 * k, 0.1)
    at_k = windows[int(k / 0.1)]
    assert at_k == pytest.approx(1_000_000, rel=0.01)
    first, middle = windows[10] - windows[0], windows[int(k / 0.1) + 5] - windows[int(k / 0.1) - 5]
    last = windows[-1] - windows[-11]
    assert first > 5 * middle
    assert last > 5 * middle
    assert windows[-1] == pytest.approx(1_300_000, rel=0.03)


def test_cubic_is_not_slower_than_reno() -> None:
    """RFC 9438 §4.3: small windows and short round trips."""
    control = Cubic(20_000)
    control.on_loss(20_000, 1000, 0.0)
    windows = grow(control, 1.0, 0.01)
    # alpha = 9/17 of a segment per round trip at first, then one.
    assert windows[-1] > 14_000 + 50 * 1000


def test_cubic_fast_convergence() -> None:
    """RFC 9438 §4.7."""
    control = Cubic(100_000)
    control.on_loss(100_000, 1000, 0.0)
    control.on_loss(70_000, 1000, 0.0)
    grow(control, 0.1, 0.1)
    assert control._w_max == pytest.approx(70 * 0.85)


def test_cubic_leaves_out_idle_times() -> None:
    """RFC 9438 §4.2: the time in which the application was the limit does not count."""
    busy, idle = Cubic(1_000_000), Cubic(1_000_000)
    for control in (busy, idle):
        control.on_loss(1_000_000, 1000, 0.0)
        grow(control, 1.0, 0.1)
    idle.on_unused(1.0)
    idle.on_unused(50.0)
    assert grow(idle, 1.0, 0.1, 101.0)[-1] == pytest.approx(grow(busy, 1.0, 0.1, 1.0)[-1], rel=0.001)


def test_cubic_after_a_timeout() -> None:
    """RFC 9438 §4.8."""
    control = Cubic(100_000)
    control.on_rto(100_000, 1000, 0.0, first=True)
    assert (control.cwnd, control.ssthresh) == (1000, 70_000)
    grow(control, 1.0, 0.1)
    assert control.cwnd >= 70_000
    assert control._k == 0.0


# --- states ------------------------------------------------------------------------------------------------


def test_transitions_of_figure_5() -> None:
    """RFC 9293 §3.3.2."""
    assert after(State.CLOSED, Trigger.ACTIVE_OPEN) is State.SYN_SENT
    assert after(State.FIN_WAIT_1, Trigger.FIN) is State.CLOSING
    assert all(after(state, Trigger.DELETE) is State.CLOSED for state in State)
    reachable = {State.CLOSED}
    for _ in State:
        reachable |= {to for (state, _), to in TRANSITIONS.items() if state in reachable}
    assert reachable == set(State)
    with pytest.raises(KeyError):
        after(State.TIME_WAIT, Trigger.FIN)


def test_a_large_piece_is_read_as_it_came_where_all_need_not_come_together() -> None:
    chance = random.Random(4)
    buffer = ReceiveBuffer(100)
    written = read = b""
    uncopied = 0
    for _ in range(400):
        octets = chance.randbytes(chance.choice((1, 300, 20_000)))
        buffer.append([memoryview(octets)], len(octets), len(written), None)
        written += octets
        while chance.random() < 0.6:
            before = buffer.octets
            data = buffer.read(chance.choice((100, 30_000, 1 << 20)), whole=False)
            read += data
            uncopied += len(data) == 20_000
            assert bool(data) == bool(before)
            assert buffer.octets == before - len(data)
    read += buffer.read(-1)
    assert read == written
    assert uncopied > 20
    assert buffer.footprint == 0
