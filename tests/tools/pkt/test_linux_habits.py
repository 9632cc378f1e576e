"""Linux's habits as settings of the stack, seen by scripts of the Linux profile."""

from __future__ import annotations

import pytest

from tools.pkt.run import Outcome, Result, run_text

_OPEN = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.02 < . 1:1(0) ack 1 win 400
+0 accept(3, ..., ...) = 4
"""


def _run(events: str, head: str = "", shell: str = "") -> Outcome:
    return run_text(f"{head}\n`sysctl -q net.ipv4.tcp_timestamps=1\n{shell}`\n{_OPEN}{events}", "t.pkt")


def _passes(events: str, head: str = "", shell: str = "") -> None:
    outcome = _run(events, head, shell)
    assert outcome.result is Result.PASSED, outcome
    assert outcome.profile == "linux"


def test_first_segments_are_acknowledged_at_once_and_a_fin_with_what_is_sent() -> None:
    _passes("""
+0 < P. 1:1001(1000) ack 1 win 400
+0 > . 1:1(0) ack 1001
+0 < F. 1001:1001(0) ack 1 win 400
+.04 > . 1:1(0) ack 1002
""")


def test_acknowledgment_of_an_answered_request_waits() -> None:
    _passes("""
+0 < P. 1:101(100) ack 1 win 400
+0 > . 1:1(0) ack 101
+0 read(4, ..., 1000) = 100
+.01 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 101
+.02 < P. 101:201(100) ack 11 win 400
+.04 > . 11:11(0) ack 201
""")


def test_bursts_of_two_segments_and_writes_end_with_psh() -> None:
    _passes("""
+0 write(4, ..., 5500) = 5500
+0 > . 1:1001(1000) ack 1
+0 > P. 1001:2001(1000) ack 1
+0 > . 2001:3001(1000) ack 1
+0 > P. 3001:4001(1000) ack 1
+0 > . 4001:5001(1000) ack 1
+0 > P. 5001:5501(500) ack 1
""")


def test_long_segment_stands_for_bursts_and_has_the_flags_of_the_last() -> None:
    _passes("""
+0 write(4, ..., 3000) = 3000
+0 > P. 1:3001(3000) ack 1
+.02 < . 1:1(0) ack 3001 win 400
+0 send(4, ..., 3000, MSG_MORE) = 3000
+0 > . 3001:6001(3000) ack 1
""")


def test_window_grows_in_slow_start_while_half_of_it_is_used() -> None:
    _passes("""
+0 write(4, ..., 6000) = 6000
+0 > P. 1:6001(6000) ack 1
+.02 < . 1:1(0) ack 6001 win 400
+0 %{ assert tcpi_snd_cwnd == 16, 'cwnd=%d' % tcpi_snd_cwnd }%
+0 write(4, ..., 2000) = 2000
+0 > P. 6001:8001(2000) ack 1
+.02 < . 1:1(0) ack 8001 win 400
+0 %{ assert tcpi_snd_cwnd == 16, tcpi_snd_cwnd }%
""")


@pytest.mark.parametrize(("on", "window"), [("1", 10), ("0", 16)])
def test_window_after_a_pause(on: str, window: int) -> None:
    _passes(
        f"""
+0 write(4, ..., 6000) = 6000
+0 > P. 1:6001(6000) ack 1
+.02 < . 1:1(0) ack 6001 win 400
+1 write(4, ..., 1000) = 1000
+0 > P. 6001:7001(1000) ack 1
+0 %{{ assert tcpi_snd_cwnd == {window}, tcpi_snd_cwnd }}%
""",
        shell=f"sysctl -q net.ipv4.tcp_slow_start_after_idle={on}",
    )


def test_timeout_lies_a_fifth_of_a_second_above_the_round_trip() -> None:
    _passes("""
+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
+0 %{ assert 219000 <= tcpi_rto <= 221000, tcpi_rto }%
+0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 40}], msg_flags=0}, MSG_MORE) = 40
+.22 > P. 1:41(40) ack 1
""")


def test_recovery_catches_up_with_care() -> None:
    """RFC 6937 §3: no slow start on acknowledgments that only tell of what arrived beyond the hole."""
    _passes("""
+0 write(4, ..., 10000) = 10000
+0 > P. 1:10001(10000) ack 1
+.02 < . 1:1(0) ack 1 win 400 <sack 4001:7001,nop,nop>
+0 > . 1:3001(3000) ack 1
+.001 < . 1:1(0) ack 1 win 400 <sack 4001:8001,nop,nop>
+0 > . 3001:4001(1000) ack 1
+.001 < . 1:1(0) ack 1 win 400 <sack 4001:9001,nop,nop>
+.001 < . 1:1(0) ack 1 win 400 <sack 4001:10001,nop,nop>
+0 %{ assert tcpi_snd_cwnd == 6, tcpi_snd_cwnd }%
""")


def test_overtaken_acknowledgment_still_tells_what_arrived() -> None:
    _passes("""
+0 write(4, ..., 4000) = 4000
+0 > P. 1:4001(4000) ack 1
+.02 < . 1:1(0) ack 2001 win 400
+0 < . 1:1(0) ack 1001 win 400 <sack 3001:4001,nop,nop>
+0 %{ assert tcpi_sacked == 1, tcpi_sacked }%
""")


def test_ends_of_records_share_no_segment() -> None:
    _passes("""
+0 send(4, ..., 400, MSG_EOR) = 400
+0 > P. 1:401(400) ack 1
+0 send(4, ..., 300, MSG_EOR) = 300
+0 > P. 401:701(300) ack 1
+0 write(4, ..., 200) = 200
+.02 < . 1:1(0) ack 701 win 400
+0 > P. 701:901(200) ack 1
""")


def test_nodelay_pushes_what_a_cork_holds() -> None:
    _passes("""
+0 setsockopt(4, SOL_TCP, TCP_CORK, [1], 4) = 0
+0 write(4, ..., 40) = 40
+.01 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
+0 > P. 1:41(40) ack 1
+0 write(4, ..., 40) = 40
+.02 < . 1:1(0) ack 41 win 400
+.1 setsockopt(4, SOL_TCP, TCP_CORK, [0], 4) = 0
+0 > P. 41:81(40) ack 1
""")


def test_long_payload_arrives_in_segments_of_the_size_that_is_given() -> None:
    events = """
+0 < P. 2001:5001(3000) ack 1 win 400
+0 > . 1:1(0) ack 1 <nop,nop,sack 2001:5001>
"""
    check = "+0 %{ assert tcpi_rcv_mss == 1000, tcpi_rcv_mss }%"
    assert _run(events + check).result is Result.FAILED
    _passes(events + check, head="--mss=1000")


def test_table_of_connections_is_asked() -> None:
    _passes('+0 `grep " 0A " /proc/net/tcp /proc/net/tcp6 | grep ":1F90"`')
    _passes('+0 `grep " 01 " /proc/net/tcp | grep ":1F90"`')
    outcome = _run('+0 `grep " 06 " /proc/net/tcp | grep ":1F90"`')
    assert outcome.result is Result.FAILED
    assert outcome.reason == "no socket of port 8080 is in TIME_WAIT"


def test_fq_paces_and_a_queue_that_takes_nothing_is_refused() -> None:
    _passes(
        """
+0 write(4, ..., 6000) = 6000
+0 > P. 1:2001(2000) ack 1
+.001~+.005 > P. 2001:4001(2000) ack 1
""",
        shell="tc qdisc replace dev tun0 root fq",
    )
    refused = _run("+0 `tc qdisc add dev tun0 root pfifo limit 0`")
    assert refused.result is Result.REFUSED
    assert refused.reason == "not understood: a line for a shell with 'tc'"


def test_format_of_a_message_cannot_be_wide() -> None:
    outcome = _run("+0 %{ assert tcpi_snd_cwnd == 1, '%999999999d' % tcpi_snd_cwnd }%")
    assert outcome.result is not Result.PASSED
    assert "no format that is understood" in str(outcome.reason)


_TIME_WAIT = """
0 socket(..., SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_IP, IP_LOCAL_PORT_RANGE, [0xdeaddead], 4) = 0
+0 getsockopt(3, SOL_IP, IP_LOCAL_PORT_RANGE, [0xdeaddead], [4]) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > 57005 > 8080 S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 8>
+0 < S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 3001 ecr 1000>
+0 > . 1:1(0) ack 1 <...>
+0 close(3) = 0
+0 > F. 1:1(0) ack 1 <...>
+0 < F. 1:1(0) ack 2 win 65535 <nop,nop,TS val 3002 ecr 1002>
+0 > . 2:2(0) ack 2 <...>
+0 socket(..., SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_IP, IP_LOCAL_PORT_RANGE, [0xdeaddead], 4) = 0
"""


@pytest.mark.parametrize(
    ("on", "after", "result"),
    [("1", "1.001", "EINPROGRESS"), ("1", ".99", "EADDRNOTAVAIL"), ("0", "2", "EADDRNOTAVAIL")],
)
def test_pair_in_time_wait_is_taken_again_after_the_delay(on: str, after: str, result: str) -> None:
    outcome = run_text(
        f"`sysctl -q net.ipv4.tcp_tw_reuse={on} net.ipv4.tcp_tw_reuse_delay=1000`\n{_TIME_WAIT}"
        f"+{after} connect(3, ..., ...) = -1 {result}\n",
        "t.pkt",
    )
    assert outcome.result is Result.PASSED, outcome


def test_bursts_before_any_round_trip_was_measured() -> None:
    """A SYN-ACK that had to go again measures nothing (RFC 6298 §3): bursts are half the window."""
    outcome = run_text(
        """`sysctl -q net.ipv4.tcp_timestamps=0`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+1 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 400
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 10000) = 10000
+0 > P. 1:5001(5000) ack 1
+0 > P. 5001:10001(5000) ack 1
""",
        "t.pkt",
    )
    assert outcome.result is Result.PASSED, outcome
