"""Failures, keepalives and what the application is told of them: RFC 9293 §3.8.3, §3.8.4, §3.9.1.8, §3.9.2.2."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6
from scapy.packet import Packet, Raw

from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.events import Closed, SoftError
from stack.host import Stack
from stack.run import ACK, SYN
from stack.states import State
from tests.conformance.peer import ROUTER, THEM, US, Peer, icmp
from tests.stack.core.script import ISS, Script


def soft(s: Script) -> list[int | None]:
    return [event.error.errno for event in s.events() if isinstance(event, SoftError)]


def told(attempt: Attempt) -> list[int | None]:
    """The codes of the soft errors that the application is told."""
    codes = []
    while (event := attempt.next_event()) is not None:
        if isinstance(event, SoftError):
            codes.append(event.error.errno)
    return codes


def test_the_application_is_told_at_r1_and_the_connection_ends_at_r2() -> None:
    """MUST-20, SHLD-9, SHLD-10, SHLD-11, MUST-47."""
    s = Script()
    s.write(b"anyone?")
    begun = s.now
    codes: list[int | None] = []
    while not codes and s.now - begun < 60.0:
        s.wait(0.1)
        codes = soft(s)
    assert codes == [errno.ETIMEDOUT]
    assert len(s.out) == 1 + 3, "at the third retransmission"
    while s.state() is State.ESTABLISHED:
        s.wait(1.0)
    assert s.now - begun > 100.0
    assert s.c.error is not None
    assert s.c.error.errno == errno.ETIMEDOUT


def test_r1_is_told_once_and_again_after_progress() -> None:
    """SHLD-9."""
    s = Script(TcpConfig(report_retries=2, data_retries=6, timestamps=False))
    s.write(b"one")
    s.wait(2.5)
    assert soft(s) == [errno.ETIMEDOUT]
    s.seg(1, 4)
    assert s.c.softly is None
    s.write(b"two")
    s.wait(30.0)
    assert soft(s) == [errno.ETIMEDOUT]


def test_r1_and_r2_of_a_syn() -> None:
    """MUST-22."""
    s = Script(TcpConfig(report_retries=2, syn_retries=4), establish=False)
    s.c.connect(s.now)
    s.take()
    assert [run.flags for run in s.wait(3.5)] == [SYN, SYN], "after 1 and 3 seconds"
    assert soft(s) == [errno.ETIMEDOUT]
    assert len(s.wait(60.0)) == 2, "after 7 and 15 seconds, and given up after 31"
    assert [event.error.errno for event in s.events() if isinstance(event, Closed) and event.error] == [
        errno.ETIMEDOUT
    ]


def test_the_application_sets_r2() -> None:
    """MUST-21: as a number of retransmissions or as a time."""
    for config, timeout, longest in ((TcpConfig(data_retries=2), 0.0, 2.2), (TcpConfig(), 0.7, 0.75)):
        s = Script(config)
        s.c.user_timeout = timeout
        s.write(b"x")
        s.wait(longest)
        assert s.c.error is not None


def test_reports_can_be_turned_off() -> None:
    """SHLD-20."""
    s = Script(TcpConfig(reports=False, data_retries=6))
    s.write(b"anyone?")
    s.wait(1000.0)
    assert soft(s) == []
    assert s.c.error is not None
    peer = Peer(TcpConfig(reports=False))
    attempt, syn = peer.dialled()
    peer.send(icmp(3, 1, syn))
    assert told(attempt) == []


# --- ICMP --------------------------------------------------------------------------------------------------

SOFT = {(3, 0): errno.ENETUNREACH, (3, 1): errno.EHOSTUNREACH, (3, 5): errno.EOPNOTSUPP}
SOFT |= {(11, 0): errno.EHOSTUNREACH, (11, 1): errno.EHOSTUNREACH, (12, 0): errno.EPROTO}
HARD = {(3, 2): errno.ENOPROTOOPT, (3, 3): errno.ECONNREFUSED, (3, 13): errno.EHOSTUNREACH}


@pytest.mark.parametrize("error", SOFT)
def test_soft_errors_are_told_and_end_nothing(error: tuple[int, int]) -> None:
    """MUST-54, MUST-56, MUST-47, SHLD-25: neither an attempt nor a connection."""
    peer = Peer()
    attempt, syn = peer.dialled()
    peer.send(icmp(*error, syn))
    assert told(attempt) == [SOFT[error]]
    (again,) = peer.wait(1.0)
    (ack,) = peer.send(peer.segment("SA"))
    peer.seq += 1
    attempt.write(b"data")
    (data,) = peer.take()
    peer.send(icmp(*error, data))
    assert told(attempt) == [SOFT[error]]
    peer.ack += 4
    peer.send(peer.segment(data=b"goes on"))
    assert attempt.read() == b"goes on"
    assert attempt.unsent == 0
    assert attempt.error is None
    assert again.dst == ack.dst == THEM


@pytest.mark.parametrize("error", HARD)
def test_hard_errors_end_an_attempt_and_not_a_connection_that_stands(error: tuple[int, int]) -> None:
    """SHLD-26, with RFC 5927 §5.2 for the synchronized states."""
    peer = Peer()
    attempt, syn = peer.dialled()
    peer.send(icmp(*error, syn))
    assert attempt.error is not None
    assert attempt.error.errno == HARD[error]
    assert peer.wait(10.0) == []
    peer = Peer()
    attempt = peer.opened()
    attempt.write(b"data")
    (data,) = peer.take()
    peer.send(icmp(*error, data))
    assert told(attempt) == [HARD[error]]
    assert attempt.error is None


def test_the_last_soft_error_names_the_failure() -> None:
    """RFC 1122 §4.2.3.9: what was learned on the way is worth more than that nobody answered."""
    peer = Peer(TcpConfig(syn_retries=2))
    attempt, syn = peer.dialled()
    peer.send(icmp(3, 1, syn))
    peer.wait(60.0)
    assert attempt.error is not None
    assert attempt.error.errno == errno.EHOSTUNREACH


def test_soft_errors_may_be_made_to_end_an_attempt() -> None:
    """RFC 5461 §4.1: off unless it is asked for."""
    peer = Peer(TcpConfig(soft_errors_end_opening=True))
    attempt, syn = peer.dialled()
    peer.send(icmp(3, 0, syn))
    assert attempt.error is not None
    assert attempt.error.errno == errno.ENETUNREACH


def test_errors_go_to_the_connection_that_they_quote() -> None:
    """MUST-54; a number that is not under way says that it is forged (RFC 5927 §4)."""
    peer = Peer()
    one, _ = peer.dialled()
    two, syn = peer.dialled()
    peer.send(icmp(3, 3, syn))
    assert one.error is None
    assert two.error is not None
    peer = Peer()
    attempt, syn = peer.dialled()
    forged = IP(bytes(syn))
    forged.payload.seq = (forged.payload.seq + 1000) & 0xFFFFFFFF
    peer.send(icmp(3, 3, forged))
    assert attempt.error is None
    assert told(attempt) == []
    assert attempt.report()["drops"] == {"icmp_out_of_window": 1}


def test_source_quench_is_dropped_silently() -> None:
    """MUST-55."""
    peer = Peer()
    attempt = peer.opened()
    attempt.write(b"data")
    (data,) = peer.take()
    window = attempt.flow.connection.control.cwnd
    assert peer.send(icmp(4, 0, data)) == []
    assert attempt.flow.connection.control.cwnd == window
    assert told(attempt) == []


@pytest.mark.parametrize(
    ("header", "code", "hard"),
    [
        (ICMPv6DestUnreach(code=0), errno.ENETUNREACH, False),
        (ICMPv6DestUnreach(code=3), errno.EHOSTUNREACH, False),
        (ICMPv6TimeExceeded(code=0), errno.EHOSTUNREACH, False),
        (ICMPv6ParamProblem(code=1), errno.EPROTO, False),
        (ICMPv6DestUnreach(code=1), errno.EACCES, True),
        (ICMPv6DestUnreach(code=4), errno.ECONNREFUSED, True),
    ],
)
def test_errors_of_icmpv6(header: Packet, code: int, hard: bool) -> None:
    """MUST-54, MUST-56, SHLD-25, SHLD-26."""
    stack = Stack(["fd00::2/64"], random=bytes)
    attempt = stack.connect(("fd00::9", 80), now=1.0)
    (syn,) = stack.take_output(1.0).packets
    error = IPv6(src="fd00::fe", dst="fd00::2") / header / Raw(bytes(syn))
    stack.receive(Batch([bytes(error)]), 2.0)
    if hard:
        assert attempt.error is not None
        assert attempt.error.errno == code
    else:
        assert attempt.error is None
        assert told(attempt) == [code]


# --- keepalives --------------------------------------------------------------------------------------------


def test_keepalives_are_off_and_wait_two_hours_once_they_are_on() -> None:
    """MAY-5, MUST-24, MUST-25, MUST-27, MUST-28, SHLD-12."""
    assert not TcpConfig().keepalive
    assert Script().wait(1e6) == []
    s = Script(TcpConfig(keepalive=True))
    assert s.wait(7199.0) == []
    (probe,) = s.wait(1.0)
    assert (probe.flags, probe.seq, probe.length) == (ACK, ISS, 0)
    early = Script(TcpConfig(keepalive=True, keepalive_idle=60.0))
    assert len(early.wait(60.0)) == 1
    with pytest.raises(ValueError, match="keepalive_idle"):
        TcpConfig(keepalive=True, keepalive_idle=0.0)


def test_one_lost_answer_to_a_keepalive_is_not_the_end() -> None:
    """MUST-29."""
    s = Script(TcpConfig(keepalive=True, keepalive_idle=60.0, keepalive_interval=10.0, keepalive_probes=3))
    assert len(s.wait(81.0)) == 3
    s.seg(1, 1)
    assert len(s.wait(81.0)) == 3
    assert s.state() is State.ESTABLISHED


def test_keepalives_come_at_the_interval_that_was_asked_for() -> None:
    """MUST-27."""
    s = Script(TcpConfig(keepalive=True, keepalive_idle=60.0, keepalive_interval=10.0))
    assert len(s.wait(60.0)) == 1
    assert s.wait(9.9) == []
    assert len(s.wait(0.1)) == 1


def test_keepalives_of_any_segment_that_comes_wait_anew() -> None:
    """MUST-26: data and acknowledgments count alike."""
    for data in (b"", b"data"):
        s = Script(TcpConfig(keepalive=True, keepalive_idle=60.0))
        s.wait(59.0)
        s.seg(1, 1, data)
        s.wait(1.0)
        assert s.wait(58.0) == []
        assert len(s.wait(1.1)) == 1


def test_a_router_is_not_the_peer() -> None:
    """The error comes from elsewhere than where the segment went (RFC 792)."""
    peer = Peer()
    _, syn = peer.dialled()
    error = icmp(3, 1, syn)
    assert (error.src, error.dst) == (ROUTER, US)
    assert peer.send(error) == []
