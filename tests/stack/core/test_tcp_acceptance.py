"""What a segment must be to be taken: sequence, RST, SYN and ACK checks, PAWS (RFC 9293, RFC 5961, RFC 7323)."""

from __future__ import annotations

import errno

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.events import Closed
from stack.resets import reset_for
from stack.run import ACK, FIN, PSH, RST, SYN, URG
from stack.states import State
from tests.stack.core.script import IRS, ISS, SACK, STAMPS, Script


def stamp(value: int, echo: int = 0) -> Options:
    return Options(ts_val=value, ts_ecr=echo)


# --- RFC 5961 ----------------------------------------------------------------------------------------------


def test_only_the_exact_reset_resets() -> None:
    """RFC 5961 §3.2."""
    s = Script()
    (challenge,) = s.seg(2, 1, flags=RST)
    assert (challenge.flags, challenge.seq, challenge.ack) == (ACK, ISS + 1, IRS + 1)
    (challenge,) = s.seg(60_000, 1, flags=RST)
    assert challenge.flags == ACK
    assert s.seg(0, 1, flags=RST) == []
    edge = s.c.rcv_adv - IRS
    assert s.seg(edge, 1, flags=RST) == []
    assert s.state() is State.ESTABLISHED
    assert s.c.drops["out_of_window"] == 4
    assert s.seg(1, 1, flags=RST) == []
    assert s.state() is State.CLOSED
    (event,) = (e for e in s.events() if isinstance(e, Closed))
    assert event.error is not None
    assert event.error.errno == errno.ECONNRESET


def test_an_exact_reset_is_taken_with_a_closed_window() -> None:
    s = Script(TcpConfig(receive_buffer=2000))
    s.seg(1, 1, b"x" * 2000)
    s.seg(2001, 1, flags=RST)
    assert s.state() is State.CLOSED


@pytest.mark.parametrize("seq", [-5, 0, 1, 2, 30_000, 1 << 24])
def test_a_syn_is_challenged_whatever_its_number(seq: int) -> None:
    """RFC 5961 §4.2."""
    s = Script()
    (challenge,) = s.seg(seq, 1, flags=SYN)
    assert (challenge.flags, challenge.seq, challenge.ack) == (ACK, ISS + 1, IRS + 1)
    assert s.state() is State.ESTABLISHED


def test_ten_challenges_in_five_seconds() -> None:
    """RFC 5961 §7."""
    s = Script()
    assert sum(len(s.seg(1, 1, flags=SYN)) for _ in range(50)) == 10
    s.wait(5.0)
    assert sum(len(s.seg(1, 1, flags=SYN)) for _ in range(50)) == 10


def test_the_ack_must_be_near() -> None:
    """RFC 5961 §5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT, else an ACK and nothing taken."""
    s = Script(window=1000)
    s.write(b"x" * 500)
    s.seg(1, 501)
    for ack in (502, 501 - 1001):
        (answer,) = s.seg(1, ack, b"injected")
        assert (answer.flags, answer.length) == (ACK, 0)
        assert s.c.readable == 0
    assert s.c.drops["bad_ack"] == 2
    s.seg(1, 501 - 1000, b"old but taken")
    assert s.c.read() == b"old but taken"


def test_without_ack_nothing_is_taken() -> None:
    s = Script()
    assert s.seg(1, 0, b"no ack bit", flags=PSH) == []
    assert s.c.readable == 0


def test_urgent_data_is_data() -> None:
    s = Script()
    s.seg(1, 1, b"!", flags=ACK | URG | PSH)
    assert s.c.read() == b"!"


# --- sequence check ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seq", "data", "kept"),
    [
        (-3, b"abc", b""),
        (-3, b"abcd", b""),
        (-2, b"abcd", b"d"),
        (1, b"abcd", b"abcd"),
        (2, b"abcd", b""),
        (1, b"x" * 5000, b"x" * 4000),
        (4000, b"xy", b""),
        (4001, b"y", b""),
        (-4000, b"x" * 9000, b"x" * 4000),
    ],
)
def test_what_lies_in_the_window_is_kept(seq: int, data: bytes, kept: bytes) -> None:
    """RFC 9293 §3.10.7.4, table 6, with trimming to the window."""
    s = Script(TcpConfig(receive_buffer=4000))
    answer = s.seg(seq, 1, data)
    assert s.c.read() == kept
    assert s.c.incoming.held <= 4000
    if not kept:
        assert [s.ack(run) for run in answer] == [1]
    if seq == 4001:
        assert s.c.drops["out_of_window"] == 1


def test_first_octets_win() -> None:
    s = Script(offer=SACK)
    s.seg(4, 1, b"DEF")
    s.seg(8, 1, b"H")
    s.seg(2, 1, b"bcdefghi")
    s.seg(1, 1, b"abcdefghijk")
    assert s.c.read() == b"abcDEFgHijk"
    assert s.c.octets_in == 11


def test_the_peers_fin_is_the_end() -> None:
    s = Script()
    s.seg(4, 1, b"", ACK | FIN)
    s.seg(1, 1, b"abcdefgh")
    assert s.c.read() == b"abc"
    assert s.state() is State.CLOSE_WAIT
    s.seg(5, 1, b"more")
    assert s.c.read() == b""


# --- timestamps --------------------------------------------------------------------------------------------


def test_timestamps_are_milliseconds_with_an_offset_and_echo_the_latest() -> None:
    s = Script(offer=STAMPS)
    s.now = 12.345
    (ack,) = s.seg(1, 1, b"x" * 3000, options=stamp(7100))
    assert (ack.options.ts_val, ack.options.ts_ecr) == (12_345, 7100)


def test_the_echo_is_of_the_segment_that_moved_the_window() -> None:
    """RFC 7323 §4.3: SEG.SEQ <= Last.ACK.sent."""
    s = Script(TcpConfig(delayed_ack=0.4), offer=STAMPS)
    s.seg(1, 1, b"a" * 100, options=stamp(7001))
    s.seg(101, 1, b"b" * 100, options=stamp(7002))
    (ack,) = s.wait(0.4)
    assert ack.options.ts_ecr == 7001
    s.seg(301, 1, b"d" * 100, options=stamp(7004))
    assert s.out[-1].options.ts_ecr == 7001
    s.seg(201, 1, b"c" * 100, options=stamp(7003))
    assert s.out[-1].options.ts_ecr == 7003


def test_paws_drops_and_acknowledges() -> None:
    """RFC 7323 §5.3 step R1."""
    s = Script(offer=STAMPS)
    s.seg(1, 1, b"new", options=stamp(7010))
    s.wait(1.0)
    (ack,) = s.seg(4, 1, b"old", options=stamp(7009))
    assert s.ack(ack) == 4
    assert s.c.drops["paws"] == 1
    assert s.c.read() == b"new"
    s.seg(4, 1, b"equal", options=stamp(7010))
    assert s.c.read() == b"equal"


def test_paws_across_the_wrap_of_timestamps() -> None:
    s = Script(offer=Options(mss=1460, ts_val=(1 << 32) - 2))
    s.seg(1, 1, b"a", options=stamp(3))
    s.seg(2, 1, b"b", options=stamp((1 << 32) - 1))
    assert s.c.read() == b"a"


def test_a_segment_without_timestamps_is_dropped() -> None:
    """RFC 7323 §3.2."""
    s = Script(offer=STAMPS)
    assert s.seg(1, 1, b"bare", options=Options()) == []
    assert s.c.readable == 0
    assert s.c.drops["paws"] == 1


def test_paws_does_not_protect_from_resets() -> None:
    s = Script(offer=STAMPS)
    s.seg(1, 1, flags=RST, options=Options())
    assert s.state() is State.CLOSED


def test_after_24_days_any_timestamp_is_new() -> None:
    """RFC 7323 §5.5."""
    s = Script(offer=STAMPS)
    s.now += 24 * 86400
    s.seg(1, 1, b"after long", options=stamp(5))
    assert s.c.read() == b"after long"
    s.seg(11, 1, b"again", options=stamp(4))
    assert s.c.readable == 0


def test_round_trips_are_measured_by_echo_where_karn_forbids_the_clock() -> None:
    s = Script(TcpConfig(), offer=Options(mss=1460, ts_val=1))
    s.write(b"x" * 100)
    before = s.c.rtt.srtt
    s.wait(1.5)
    assert s.c.retransmissions >= 1
    last = s.out[-1].options.ts_val
    assert last is not None
    s.now += 0.1
    s.seg(1, 101, options=stamp(2, last))
    assert s.c.rtt.srtt != before
    assert s.c.rtt.srtt < 1.0


# --- resets of the host ------------------------------------------------------------------------------------


def test_reset_for() -> None:
    """RFC 9293 §3.10.7.1."""
    assert reset_for(100, 200, ACK, 10) == (200, 0, RST)
    assert reset_for(100, 0, SYN, 1) == (0, 101, RST | ACK)
    assert reset_for(100, 0, SYN | FIN, 9) == (0, 109, RST | ACK)
    assert reset_for(0xFFFFFFFF, 0, 0, 1) == (0, 0, RST | ACK)
    assert reset_for(100, 200, RST | ACK, 0) is None
