"""How Linux opens connections, and which of several sockets its scripts are about."""

from __future__ import annotations

from stack.config import FastOpen, TcpConfig
from tools.pkt.run import Outcome, Result, run_text

_DIAL = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
"""
_WAITING = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = 0
"""


def _run(events: str, timestamps: int = 0) -> Outcome:
    return run_text(f"`sysctl -q net.ipv4.tcp_timestamps={timestamps}`\n{events}", "t.pkt")


def _passes(events: str, timestamps: int = 0) -> None:
    outcome = _run(events, timestamps)
    assert outcome.result is Result.PASSED, outcome
    assert outcome.profile == "linux"


def test_what_connections_of_earlier_sockets_send_is_not_looked_at() -> None:
    events = f"""{_WAITING}
* > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>
0.1 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,nop,nop>
+0 > . 1:1(0) ack 1
+0 write(3, ..., 100) = 100
+0 > P. 1:101(100) ack 1
+0 close(3) = 0
+0 > F. 101:101(0) ack 1
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+5 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(4, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>
"""
    # The first is repeating what was not acknowledged.
    _passes(events)
    assert run_text(f"--profile=own\n{events}", "t.pkt").result is Result.FAILED


def test_syn_ack_that_echoes_no_timestamp_of_ours_is_reset() -> None:
    assert not TcpConfig().check_echo
    syn = "+0 > S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 8>\n"
    _passes(
        f"{_DIAL}{syn}"
        "+0.1 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,TS val 7 ecr 900,nop,wscale 8>\n"
        "+0 > R 1:1(0)\n"
        "+0.1 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,TS val 7 ecr 1000,nop,wscale 8>\n"
        "+0 > . 1:1(0) ack 1 <nop,nop,TS val 1200 ecr 7>\n",
        timestamps=1,
    )


def test_text_of_a_syn_that_crosses_ours_is_left_out() -> None:
    assert TcpConfig().crossed_text
    _passes(
        f"{_DIAL}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
        "+0.1 < S 0:100(100) win 5000 <mss 1000,sackOK,nop,nop>\n"
        "+0 > S. 0:0(0) ack 1 <...>\n"
    )


def test_first_octets_after_a_waiting_write_are_part_of_a_dialogue() -> None:
    answered = """
* > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>
0.1 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,nop,nop>
"""
    # Nothing waited to be written: what comes is acknowledged at once.
    _passes(
        f"{_WAITING}{answered}+0 > . 1:1(0) ack 1\n+0.1 < P. 1:101(100) ack 1 win 5000\n+0 > . 1:1(0) ack 101\n"
    )


def test_sack_blocks_count_for_whole_segments() -> None:
    assert not TcpConfig().whole_sacks
    events = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.02 < . 1:1(0) ack 1 win 400
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 4000) = 4000
+0 > P. 1:4001(4000) ack 1
+.02 < . 1:1(0) ack 1 win 400 <sack 1501:3501,nop,nop>
"""
    _passes(f"{events}+0 %{{ assert tcpi_sacked == 1, tcpi_sacked }}%\n")


def test_no_address_is_no_peer_of_a_fast_open() -> None:
    outcome = _run("""
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 sendto(3, ..., 100, MSG_FASTOPEN, AF_UNSPEC, ...) = -1 EOPNOTSUPP
""")
    assert outcome.result is Result.PASSED, outcome


def test_syn_that_met_a_narrow_path_goes_again_with_the_mss_of_the_path() -> None:
    assert TcpConfig().path_mss == "off"
    _passes(
        f"{_DIAL}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
        "+.1 < icmp unreachable frag_needed mtu 840 [0:0(0)]\n"
        "+.9 > S 0:0(0) <mss 800,nop,nop,sackOK,nop,wscale 8>\n"
    )


def test_reading_tells_no_window_that_a_syn_had_no_room_for() -> None:
    """RFC 7323 §2.2: a SYN's window has no scale; that more was free all along is no reason for an update."""
    _passes("""
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_TCP, TCP_QUICKACK, [0], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 40000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.02 < P. 1:11(10) ack 1 win 400
+0 > . 1:1(0) ack 11 win 1054
+0 accept(3, ..., ...) = 4
+0 read(4, ..., 100) = 10
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 11
""")


def test_initial_window_is_not_reduced_for_one_repetition_of_a_syn() -> None:
    """RFC 6928 §2 allows it."""
    assert not TcpConfig().forgive_syn
    syn = "> S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
    answer = "+.1 < S. 0:0(0) ack 1 win 9000 <mss 1000,sackOK,nop,nop>\n+0 > . 1:1(0) ack 1\n"
    asked = "+0 %{ assert tcpi_snd_cwnd == N, tcpi_snd_cwnd }%\n"
    _passes(f"{_DIAL}+0 {syn}+1 {syn}{answer}{asked.replace('N', '10')}")
    _passes(f"{_DIAL}+0 {syn}+1 {syn}+2 {syn}{answer}{asked.replace('N', '1')}")


def test_fin_where_no_text_ever_came_waits_a_tick() -> None:
    _passes(
        f"{_DIAL}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
        "+.1 < S. 0:0(0) ack 1 win 9000 <mss 1000,sackOK,nop,nop>\n+0 > . 1:1(0) ack 1\n"
        "+.1 < F. 1:1(0) ack 1 win 9000\n+.001 > . 1:1(0) ack 2\n",
    )


def test_server_without_a_cookie_is_asked_by_the_other_form_of_the_option() -> None:
    assert not FastOpen().try_experimental
    plain = "<mss 1460,nop,nop,sackOK,nop,wscale 8,FO,nop,nop>"
    other = "<mss 1460,nop,nop,sackOK,nop,wscale 8,FOEXP>"

    def once(descriptor: int, options: str, answer: str = "") -> str:
        return f"""+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = {descriptor}
+0 fcntl({descriptor}, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 sendto({descriptor}, ..., 100, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) {options}
+.1 < S. 9:9(0) ack 1 win 9000 <mss 1000,sackOK,nop,nop{answer}>
+0 > . 1:1(0) ack 1
+0 close({descriptor}) = 0
+0 > F. 1:1(0) ack 1
+.1 < R. 1:1(0) ack 2 win 9000
"""

    _passes(once(3, plain) + once(4, other) + once(5, plain))
    _passes(once(3, plain) + "+0 `ip tcp_metrics flush all > /dev/null 2>&1`\n" + once(4, plain))
    _passes(
        once(3, plain)
        + once(4, other, ",FOEXP 0102030405060708")
        + """+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5
+0 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 sendto(5, ..., 100, MSG_FASTOPEN, ..., ...) = 100
+0 > S 0:100(100) <mss 1460,nop,nop,sackOK,nop,wscale 8,FOEXP 0102030405060708>
"""
    )


def test_narrow_path_is_remembered_for_later_connections() -> None:
    """RFC 1191 §6.3: for ten minutes."""
    assert not TcpConfig().remember_path_mtu
    first, later = (
        f"""+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = {descriptor}
+0 fcntl({descriptor}, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect({descriptor}, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss {{mss}},nop,nop,sackOK,nop,wscale 8>
+.1 < S. 0:0(0) ack 1 win 9000 <mss 1460,sackOK,nop,nop>
+0 > . 1:1(0) ack 1
+0 write({descriptor}, ..., 1460) = 1460
"""
        for descriptor in (3, 4)
    )
    narrowed = "+0 > . 1:1161(1160) ack 1\n+0 > P. 1161:1461(300) ack 1\n"
    known = (
        first.format(mss=1460)
        + "+0 > P. 1:1461(1460) ack 1\n"
        + "+.1 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]\n"
        + narrowed
        + "+.1 < R. 1:1(0) ack 1461 win 0\n+0 close(3) = 0\n"
    )
    _passes(known + "+590" + later.format(mss=1460).removeprefix("+0") + narrowed)
    _passes(known + "+601" + later.format(mss=1460).removeprefix("+0") + "+0 > P. 1:1461(1460) ack 1\n")


def test_syn_ack_that_is_not_acknowledged_takes_nothing_of_the_window() -> None:
    _passes("""+0 `sysctl -q net.ipv4.tcp_fastopen=0x202`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0
+0 < S 0:100(100) win 32792 <mss 1000,sackOK,nop,nop>
+0 > S. 0:0(0) ack 101 <mss 1460,nop,nop,sackOK>
+0 accept(3, ..., ...) = 4
+.01 write(4, ..., 20000) = 20000
+0 > P. 1:5001(5000) ack 101
+0 > P. 5001:10001(5000) ack 101
""")
