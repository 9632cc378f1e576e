"""What scripts for Linux say: code with names of its own, counters, definitions, facts of a connection."""

from __future__ import annotations

from tools.pkt.run import Outcome, Result, run_text

_OPEN = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 400
+0 accept(3, ..., ...) = 4
"""


def _run(events: str, head: str = "", shell: str = "", opening: str = _OPEN) -> Outcome:
    return run_text(f"{head}\n`sysctl -q net.ipv4.tcp_timestamps=1\n{shell}`\n{opening}{events}", "t.pkt")


def _passes(events: str, head: str = "", shell: str = "", opening: str = _OPEN) -> None:
    outcome = _run(events, head, shell, opening)
    assert outcome.result is Result.PASSED, outcome


def test_code_gives_names_values_that_stay() -> None:
    _passes("""
+0 %{ wanted = 9; wanted += 1 }%
+0 %{ assert tcpi_snd_cwnd == wanted, 'cwnd=%d' % tcpi_snd_cwnd;\\
}%
""")
    outcome = _run("+0 %{ assert tcpi_snd_cwnd == wanted }%")
    assert (outcome.result, outcome.reason) == (Result.REFUSED, "nothing is known of 'wanted'")
    assert _run("+0 %{ wanted.field = 1 }%").result is Result.REFUSED
    assert _run("+0 %{ wanted = open('x') }%").result is Result.REFUSED


def test_definitions_of_the_profile_and_of_the_script() -> None:
    outcome = _run("", opening="0 < S 0:0(0) win 1000 <mss 1000,FO TFO_COOKIE,nop,nop,nop>\n")
    assert "TFO_COOKIE" not in str(outcome.reason)
    _passes("+0 getsockopt(4, SOL_TCP, WHAT, [0], [4]) = 0", head="--define=WHAT=TCP_CORK")


def test_counters_of_drops() -> None:
    beyond = "+0 < . 900001:900101(100) ack 1 win 400\n+0 > . 1:1(0) ack 1\n"
    _passes(f'+0 `nstat -n`\n{beyond}{beyond}+0 `nstat | grep TcpExtBeyondWindow | grep -q " 2 "`')
    _passes(f"+0 `nstat > /dev/null`\n{beyond}+0 `nstat | grep TcpExtBeyondWindow > /dev/null`")
    outcome = _run("+0 `nstat | grep TcpExtBeyondWindow > /dev/null`")
    assert (outcome.result, outcome.expected, outcome.actual) == (Result.FAILED, "some", "0")
    assert _run("+0 `nstat | grep TcpExtOther`").result is Result.REFUSED


def test_strict_segments_are_not_put_together() -> None:
    events = "+0 write(4, ..., 2000) = 2000\n+0 > P. 1:2001(2000) ack 1\n"
    _passes(events)
    assert _run(events, head="--strict_segments").result is Result.FAILED
    _passes(
        "+0 write(4, ..., 2000) = 2000\n+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:2001(1000) ack 1\n",
        "--strict_segments",
    )


def test_facts_of_segments_in_flight() -> None:
    _passes("""
+0 write(4, ..., 6000) = 6000
+0 > P. 1:6001(6000) ack 1
+.1 < . 1:1(0) ack 1 win 400 <sack 4001:5001,nop,nop>
+0 %{ assert (tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans) == (6, 1, 0, 0) }%
+.025 > . 1:1001(1000) ack 1
+0 %{ assert (tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans) == (6, 1, 4, 1) }%
+0 %{ assert (tcpi_reordering, tcpi_reord_seen) == (3, 0) }%
+0 < . 1:1(0) ack 1 win 400 <sack 2001:3001 4001:5001,nop,nop>
+0 > . 1001:2001(1000) ack 1
+0 %{ assert (tcpi_reordering, tcpi_reord_seen) == (3, 1), tcpi_reordering }%
+.1 < . 1:1(0) ack 6001 win 400
+0 %{ assert (tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_delivered) == (0, 0, 0, 0, 7) }%
""")


def test_times_of_what_held_the_sender_back() -> None:
    _passes("""
+0 < . 1:1(0) ack 1 win 0
+0 write(4, ..., 1000) = 1000
+.1 < . 1:1(0) ack 1 win 400
+0 > P. 1:1001(1000) ack 1
+.03 < . 1:1(0) ack 1001 win 400
+.5 %{ assert (tcpi_rwnd_limited, tcpi_busy_time, tcpi_sndbuf_limited) == (100000, 130000, 0), tcpi_busy_time }%
""")


def test_closed_window_is_probed_below_what_was_acknowledged() -> None:
    _passes("""
+0 write(4, ..., 1000) = 1000
+0 > P. 1:1001(1000) ack 1
+.1 < . 1:1(0) ack 1001 win 0
+0 write(4, ..., 1000) = 1000
+.3 > . 1000:1000(0) ack 1
""")


def test_octets_from_nowhere_are_bad_addresses() -> None:
    _passes("""
+0 write(4, NULL, 10) = -1 EFAULT
+0 < P. 1:11(10) ack 1 win 400
+0 > . 1:1(0) ack 11
+0 read(4, NULL, 10) = -1 EFAULT
+0 read(4, ..., 10) = 10
""")


def test_recvmsg_tells_how_much_is_left() -> None:
    read = """
+0 recvmsg(4, {{msg_name(...)=..., msg_iov(1)=[{{..., {}}}], msg_flags=0,
   msg_control=[{{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data={}}}]}}, 0) = {}
"""
    start = """
+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
+0 < F. 1:101(100) ack 1 win 400
+.04 > . 1:1(0) ack 102
"""
    _passes(start + read.format(60, 40, 60) + read.format(60, 1, 40))
    assert _run(start + read.format(60, 39, 60)).result is Result.FAILED


def test_reset_of_a_late_close_has_the_time_of_the_close() -> None:
    _passes(
        """
+0 < . 1:101(100) ack 1 win 400 <nop,nop,TS val 201 ecr 100>
+0 > . 1:1(0) ack 101 <nop,nop,TS val 200 ecr 201>
+1 close(4) = 0
+0 > R. 1:1(0) ack 101 <nop,nop,TS val 1200 ecr 201>
""",
        head="--tcp_ts_tick_usecs=1000",
        opening="""
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,TS val 100 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 100>
+.1 < . 1:1(0) ack 1 win 4000 <nop,nop,TS val 200 ecr 100>
+0 accept(3, ..., ...) = 4
""",
    )


def test_first_window_of_a_small_buffer() -> None:
    _passes(
        "",
        opening="""
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [20000], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 win 18980 <mss 1460,nop,wscale 0>
""",
    )


def test_links_of_ipv6_take_segments_as_long_as_over_ipv4() -> None:
    opening = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss {},nop,nop,sackOK,nop,wscale 8>
"""
    _passes("", "--ip_version=ipv6", opening=opening.format(1460))
    _passes("", "--ip_version=ipv6\n--mtu=1500", opening=opening.format(1440))
    _passes("", "--ip_version=ipv4-mapped-ipv6", opening=opening.format(1460))
