"""The profile freebsd: each habit shown by a script, and that without its setting the RFC's behaviour holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.pkt.faults import Failed
from tools.pkt.interpreter import Interpreter
from tools.pkt.parser import parse
from tools.pkt.profiles import FREEBSD
from tools.pkt.run import Result, run_text

DIAL = """--tolerance_usecs=20000
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], [4]) = 0
"""
CONNECT = "+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)\n"
SYN = "> S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>\n"
OPEN = (
    DIAL
    + CONNECT
    + "+0 "
    + SYN
    + """+.1 < S. 0:0(0) ack 1 win 32767 <mss 1460,sackOK,eol,eol>
+0 > . 1:1(0) ack 1 win 65535
+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0
"""
)
LISTEN = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 2) = 0
"""
HALF_CLOSED = OPEN + "+.1 shutdown(3, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1 win 65535\n"
CLOSING = HALF_CLOSED + "+.1 < F. 1:1(0) ack 1 win 32767\n+0 > F. 1:1(0) ack 2 win 65535\n"
TIME_WAIT = HALF_CLOSED + "+.1 < F. 1:1(0) ack 2 win 32767\n+0 > . 2:2(0) ack 2 win 65535\n"
ERROR = "+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [{}], [4]) = 0\n"
PROBE = "+.1 < . 1:1(0) ack 2 win 32767\n+0 > . 2:2(0) ack 2 win 65535\n"
STILL = "+0 `sockstat -s | grep -c TIME_WAIT | grep 1`\n"


def shows(text: str, **other: object) -> None:
    """The script passes, and fails where the settings ``other`` take the habit away."""
    outcome = run_text(text, "s.pkt", "freebsd")
    assert outcome.result is Result.PASSED, outcome
    if other:
        without = replace(FREEBSD, config=replace(FREEBSD.config, **other))  # type: ignore[arg-type]
        with pytest.raises(Failed):
            Interpreter(parse(text, "s.pkt"), without).run()


def test_the_order_of_options_and_the_window_of_a_syn() -> None:
    shows(OPEN)


def test_buffers_are_rounded_up_to_whole_segments() -> None:
    shows(OPEN, round_buffers=False)


def test_buffers_are_rounded_up_where_syns_have_crossed() -> None:
    crossed = DIAL + CONNECT + "+0 " + SYN + "+.1 < S 0:0(0) win 32767 <mss 1460,sackOK,eol,eol>\n"
    rounded = "+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0\n"
    shows(crossed + "+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,eol,eol>\n" + rounded, round_buffers=False)


def test_a_window_that_the_field_cannot_tell_is_accepted_all_the_same() -> None:
    # RCV.NXT + 65700 - 1 is within, one more is not: only the first is challenged (RFC 5961 §3.2).
    shows(
        OPEN + "+.1 < R 65700:65700(0) win 9\n+0 > . 1:1(0) ack 1 win 65535\n" + ERROR.format(0), whole_window=False
    )
    shows(OPEN + "+.1 < R 65701:65701(0) win 9\n+.1 < S 1:1(0) win 9\n+0 > . 1:1(0) ack 1 win 65535\n")


def test_a_fin_takes_nothing_of_the_window() -> None:
    shows(OPEN + "+.1 < F. 1:1(0) ack 1 win 32767\n+0 > . 1:1(0) ack 2 win 65535\n", whole_window=False)


def test_the_window_closes_below_a_segment() -> None:
    small = LISTEN.replace("bind", "setsockopt(3, SOL_SOCKET, SO_RCVBUF, [3000], 4) = 0\n+0 bind")
    text = (
        small
        + """+0 < S 0:0(0) win 32767 <mss 1000>
+0 > S. 0:0(0) ack 1 win 3000 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32767
+0 accept(3, ..., ...) = 4
+0 < P. 1:1001(1000) ack 1 win 32767
+0 < P. 1001:2001(1000) ack 1 win 32767
+0 > . 1:1(0) ack 2001 win 1000
+0 < P. 2001:2801(800) ack 1 win 32767
+.04 > . 1:1(0) ack 2801 win 200
+0 read(4, ..., 5000) = 2800
+0 > . 1:1(0) ack 2801 win 3000
"""
    )
    shows(text)


def test_the_fin_is_repeated_with_what_it_acknowledges() -> None:
    shows(CLOSING, repeat_fin=False)


@pytest.mark.parametrize("insecure", [0, 1])
def test_a_reset_within_the_window_counts_only_where_that_is_asked_for(insecure: int) -> None:
    line = f"+0 `sysctl net.inet.tcp.insecure_rst={insecure}`\n"
    answer = ERROR.format("ECONNRESET") if insecure else "+0 > . 1:1(0) ack 1 win 65535\n" + ERROR.format(0)
    shows(DIAL + line + OPEN.removeprefix(DIAL) + "+.1 < R 500:500(0) win 9\n" + answer)


def test_a_syn_within_the_window_resets_where_that_is_asked_for() -> None:
    line = "+0 `sysctl net.inet.tcp.insecure_syn=1`\n"
    text = DIAL + line + OPEN.removeprefix(DIAL) + "+.1 < S 1:1(0) win 9\n+0 > R. 1:1(0) ack 1 win 0\n"
    shows(text + ERROR.format("ECONNRESET"))


def test_a_late_reset_is_an_error_too() -> None:
    shows(CLOSING + "+.1 < R 2:2(0) win 9\n" + ERROR.format("ECONNRESET"), late_resets=False)


def test_time_wait_ignores_resets_and_what_has_no_ack() -> None:
    shows(TIME_WAIT + "+.1 < R 2:2(0) win 9\n" + PROBE + STILL, bsd_time_wait=False)
    shows(TIME_WAIT + "+.1 < F 2:2(0) win 9\n" + PROBE + STILL)
    shows(TIME_WAIT + "+.1 < S 2:2(0) win 9\n" + PROBE + STILL, bsd_time_wait=False)


def test_time_wait_acknowledges_all_but_the_last_acknowledgment() -> None:
    shows(TIME_WAIT + "+.1 < . 3:3(0) ack 2 win 9\n+0 > . 2:2(0) ack 2 win 65535\n", bsd_time_wait=False)
    shows(TIME_WAIT + "+.1 < . 2:2(0) ack 2 win 9\n" + PROBE)
    shows(TIME_WAIT + "+.1 < F. 1:1(0) ack 2 win 9\n+0 > . 2:2(0) ack 2 win 65535\n")


def test_the_peers_fin_begins_time_wait_anew() -> None:
    text = TIME_WAIT + "+50 < F. 1:1(0) ack 2 win 9\n+0 > . 2:2(0) ack 2 win 65535\n+59 < . 1:1(0) ack 2 win 9\n"
    shows(text + "+0 > . 2:2(0) ack 2 win 65535\n")


def test_a_syn_ends_time_wait_only_where_somebody_listens() -> None:
    text = (
        LISTEN
        + """+0 < S 0:0(0) win 32767 <mss 1460>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32767
+0 accept(3, ..., ...) = 4
+0 shutdown(4, SHUT_WR) = 0
+0 > F. 1:1(0) ack 1 win 65535
+.1 < F. 1:1(0) ack 2 win 32767
+0 > . 2:2(0) ack 2 win 65535
+.1 < S 900:900(0) win 32767 <mss 1460>
+0 > S. ...(0) ack 901 win 65535 <mss 1460>
"""
    )
    shows(text)


def test_connections_can_be_dropped_by_their_state() -> None:
    gone = "+0 `tcpdrop -s TIME_WAIT`\n+0 `sockstat -s | grep -c TIME_WAIT | grep 0`\n"
    shows(TIME_WAIT + STILL + gone)


@pytest.mark.parametrize("drop", [0, 1])
def test_segments_with_syn_and_fin_are_dropped_where_that_is_asked_for(drop: int) -> None:
    line = f"+0 `sysctl net.inet.tcp.drop_synfin={drop}`\n"
    text = line + "0 " + LISTEN.removeprefix("0 ") + "+0 < SF 10:10(0) win 32767 <mss 1460>\n"
    if not drop:
        text += "+0 > S. 0:0(0) ack 11 win 65535 <mss 1460>\n"
    else:
        text += "+.1 < S 20:20(0) win 32767 <mss 1460>\n+0 > S. 0:0(0) ack 21 win 65535 <mss 1460>\n"
    shows(text)


@pytest.mark.parametrize(("value", "syn", "ack"), [(0, True, True), (1, False, True), (2, False, False)])
def test_a_black_hole_answers_nothing(value: int, syn: bool, ack: bool) -> None:
    text = f"+0 `sysctl net.inet.tcp.blackhole={value}`\n+0 < S 5:5(0) win 9\n"
    text += "+0 > R. 0:0(0) ack 6 win 0\n" if syn else ""
    text += "+0 < . 5:5(0) ack 77 win 9\n" + ("+0 > R 77:77(0) win 0\n" if ack else "")
    text += "+0 `sysctl net.inet.tcp.blackhole=0`\n+0 < . 5:5(0) ack 99 win 9\n+0 > R 99:99(0) win 0\n"
    shows(text)


def test_syns_are_repeated_with_a_slop_that_is_not_doubled() -> None:
    text = DIAL + CONNECT + "+0 " + SYN + "+1 > S 0:0(0) <...>\n+2.2 > S 0:0(0) <...>\n+4.2 > S 0:0(0) <...>\n"
    shows(text, rto_slop=0.0)


def test_an_open_is_given_up_after_keepinit() -> None:
    text = DIAL + "+0 setsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [5], 4) = 0\n" + CONNECT + "+0 " + SYN
    shows(text + ERROR.format(0).replace("+0", "+4.9") + ERROR.format("ETIMEDOUT").replace("+0", "+.2"))


def test_options_are_dropped_from_repeated_syns_where_that_is_asked_for() -> None:
    text = "+0 `sysctl net.inet.tcp.rexmit_drop_options=1`\n" + DIAL.replace("--tolerance_usecs=20000\n0", "+0")
    text += CONNECT + "+0 " + SYN + "* > S 0:0(0) win 65535 <...>\n" * 2 + "* > S 0:0(0) win 65535 <mss 1460>\n"
    shows("--tolerance_usecs=20000\n" + text)


def test_a_socket_without_options() -> None:
    text = DIAL + "+0 setsockopt(3, IPPROTO_TCP, TCP_NOOPT, [1], 4) = 0\n" + CONNECT + "+0 > S 0:0(0) win 65535\n"
    text += "+.1 < S. 0:0(0) ack 1 win 32767 <mss 1460,sackOK,eol,eol>\n+0 > . 1:1(0) ack 1\n"
    shows(text + "+0 %{ assert tcpi_options == 0 and tcpi_snd_mss == 536 and tcpi_state == TCPI_ESTABLISHED }%\n")


@pytest.mark.parametrize(("retries", "flags"), [(0, "S"), (1, "SEW")])
def test_how_often_a_syn_offers_ecn(retries: int, flags: str) -> None:
    text = f"+0 `sysctl net.inet.tcp.ecn.enable=1 net.inet.tcp.ecn.maxretries={retries}`\n+0 "
    text += DIAL.split("\n0 ")[1] + CONNECT + "+0 " + SYN.replace("S 0", "SEW 0")
    shows(text + f"+1 > {flags} 0:0(0) <...>\n+2.2 > S 0:0(0) <...>\n")


def test_the_text_of_a_syn_is_acknowledged_later_and_kept_where_syns_cross() -> None:
    text = DIAL + CONNECT + "+0 " + SYN + "+.1 < S 0:3(3) win 32767 <mss 1460>\n"
    text += "+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>\n+0 read(3, ..., 9) = -1 EWOULDBLOCK\n"
    shows(text + "+.1 < . 4:4(0) ack 1 win 32767\n+0 read(3, ..., 9) = 3\n", hold_syn_text=False)
    shows(LISTEN + "+0 < S 7:10(3) win 9 <mss 1460>\n+0 > S. 0:0(0) ack 8 <...>\n", hold_syn_text=False)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("unreachable net_unreachable", "0"),
        ("unreachable port_unreachable", "ECONNREFUSED"),
        ("unreachable protocol_unreachable", "ECONNREFUSED"),
        ("unreachable packet_filtered", "ECONNREFUSED"),
        ("time_exceeded ttl_exceeded_in_transit", "EHOSTUNREACH"),
        ("time_exceeded frag_reass_exceeded", "0"),
        ("parameter_problem code_0", "0"),
        ("source_quench", "0"),
        ("redirect", "0"),
    ],
)
def test_which_icmp_errors_end_an_open(message: str, error: str) -> None:
    text = DIAL + CONNECT + "+0 " + SYN
    # A stream number that is not outstanding is not believed (RFC 5927 §4.1).
    for number in (4294967295, 1):
        text += f"+.1 < icmp {message} [{number}:{number}(0)]\n" + ERROR.format(0)
    shows(text + f"+.1 < icmp {message} [0:0(0)]\n" + ERROR.format(error))
    may_not = text.replace("0 socket", "0 `sysctl net.inet.tcp.icmp_may_rst=0`\n+0 socket", 1)
    shows(may_not + f"+.1 < [0:0(0)]icmp {message}\n" + ERROR.format(0))


def test_closing_with_unread_octets_sends_a_fin() -> None:
    text = OPEN + "+.1 < P. 1:11(10) ack 1 win 32767\n+.04 > . 1:1(0) ack 11 <...>\n+0 close(3) = 0\n"
    shows(text + "+0 > F. 1:1(0) ack 11 <...>\n", close_forgets=False)


def test_a_retransmission_tells_of_a_smaller_window() -> None:
    text = (
        LISTEN
        + """+0 < SEW 0:0(0) win 65535 <mss 1000,sackOK,eol,eol>
+0 > SE. 0:0(0) ack 1 win 65535 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 5000) = 5000
+0 > [ect0] P. 1:5001(5000) ack 1
+.1 < . 1:1(0) ack 1 win 65535 <sack 1001:2001,eol,nop>
+0 < . 1:1(0) ack 1 win 65535 <sack 1001:3001,eol,nop>
+0 < . 1:1(0) ack 1 win 65535 <sack 1001:4001,eol,nop>
+0 > [noecn] W. 1:1001(1000) ack 1
"""
    )
    shows(text, cwr_on_resent=False)


def test_a_syn_ack_is_repeated_three_times() -> None:
    text = LISTEN + "+0 < S 0:0(0) win 65535 <mss 1000>\n+0 > S. 0:0(0) ack 1 <...>\n"
    text += "+1 > S. 0:0(0) ack 1 <...>\n+2.2 > S. 0:0(0) ack 1 <...>\n+4.2 > S. 0:0(0) ack 1 <...>\n"
    shows("--tolerance_usecs=20000\n" + text + "+20 `sockstat -s | grep -c SYN_RCVD | grep 0`\n", syn_ack_retries=4)


ECN = (
    LISTEN
    + """+0 < [noecn] SEW 0:0(0) win 65535 <mss 1000,sackOK,eol,eol>
+0 > [{}] SE. 0:0(0) ack 1 win 65535 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
+.1 < [ce] . 1:1(0) ack 1 win 65535
+0 < [ect0] . 1:1001(1000) ack 1 win 65535
+0 < [ect0] . 1001:1002(1) ack 1 win 65535
+0 > [{}] E. 1:1(0) ack 1002
"""
)


def test_a_mark_on_a_segment_without_octets_is_echoed_too() -> None:
    shows(ECN.format("noecn", "noecn"), marks_on_acks=False)


def test_of_two_segments_the_second_is_acknowledged_however_small() -> None:
    shows(ECN.format("noecn", "noecn"), ack_second=False)


@pytest.mark.parametrize(
    ("value", "answer", "others"), [(0, "noecn", "noecn"), (1, "ect0", "noecn"), (2, "ect0", "ect0")]
)
def test_which_segments_are_ecn_capable(value: int, answer: str, others: str) -> None:
    line = f"0 `sysctl net.inet.tcp.ecn.plusplus={value}`\n+"
    shows(line + ECN.format(answer, others))


def test_reading_sends_a_window_update_after_a_quarter_of_the_buffer() -> None:
    text = OPEN + "".join(f"+0 < . {n}:{n + 1000}(1000) ack 1 win 9\n" for n in range(1, 20001, 1000))
    text += "+0 > . 1:1(0) ack 2001 <...>\n" + "* > . 1:1(0) ack {} <...>\n" * 9
    text = (
        text.format(*range(4001, 20002, 2000)) + "+0 read(3, ..., 10000) = 10000\n+0 read(3, ..., 10000) = 10000\n"
    )
    shows(text + "+0 > . 1:1(0) ack 20001 win 65535\n", bsd_updates=False)


def test_a_repeated_syn_announces_what_the_path_takes_over_ipv6() -> None:
    text = "--ip_version=ipv6\n" + DIAL + CONNECT + "+0 " + SYN.replace("1460", "1440")
    text += "+.1 < [0:0(0)]icmp packet_too_big mtu 1300\n"
    shows(text + "+.9 > S 0:0(0) win 65535 <mss 1240,nop,wscale 6,sackOK,TS val 1100 ecr 0>\n", path_mss="off")


SCALED = (
    DIAL
    + CONNECT
    + "+0 "
    + SYN
    + """+.1 < S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 7 ecr 100>
+0 > . 1:1(0) ack 1 win {} <nop,nop,TS val 200 ecr 7>
"""
)


def test_a_window_is_rounded_down_as_before_version_13_or_up_as_since() -> None:
    shows(SCALED.format(65700 // 64))
    shows(SCALED.format(65700 // 64 + 1))
    for window in (65700 // 64 - 1, 65700 // 64 + 2):
        outcome = run_text(SCALED.format(window), "s.pkt", "freebsd")
        assert outcome.result is Result.FAILED, outcome
        assert outcome.actual is not None
        assert f"win {65700 // 64}" in outcome.actual


@pytest.mark.parametrize(("after", "holds"), [(".04", True), (".1", True), (".06", False), (".2", False)])
def test_acknowledgments_are_delayed_as_one_of_the_versions_does(after: str, holds: bool) -> None:
    text = OPEN + f"+.1 < P. 1:101(100) ack 1 win 32767\n+{after} > . 1:1(0) ack 101 win 65535\n"
    outcome = run_text(text.replace("=20000", "=4000"), "s.pkt", "freebsd")
    assert (outcome.result is Result.PASSED) is holds, outcome


def test_a_raised_window_is_kept_open_in_whole_units() -> None:
    raised = replace(FREEBSD, config=replace(FREEBSD.config, raise_window=True), versions=())
    Interpreter(
        parse(
            SCALED.format(1027) + "+.1 < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 8 ecr 200>\n"
            "+.04 > . 1:1(0) ack 101 win 1026 <nop,nop,TS val 300 ecr 8>\n",
            "s.pkt",
        ),
        raised,
    ).run()


@pytest.mark.parametrize("line", ["./setkey", "if [ ! -e ./setkey ]; then cc -o setkey setkey.c;fi; ./setkey"])
def test_the_program_that_sets_the_key_of_fast_open(line: str) -> None:
    text = (
        "0 `sysctl -w net.inet.tcp.fastopen.server_enable=1 net.inet.tcp.syncookies=0`\n+0 `"
        + line
        + "`\n+"
        + LISTEN.replace("+0 listen", "+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0\n+0 listen")
        + "+0 < S 0:0(0) win 65535 <mss 1460,FO,eol,eol>\n"
        "+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,FO 2069a359c930dba9,eol,eol>\n"
    )
    shows(text)
    assert run_text(text.replace("2069a359", "2069a358"), "s.pkt").result is Result.FAILED


def test_options_that_say_where_packetdrill_runs_mean_nothing_here() -> None:
    names = ("tun_dev=tun0", "persistent_tun_dev", "wire_server_ip=192.0.2.7", "is_anyip", "code_command=python")
    shows("".join(f"--{name}\n" for name in names) + OPEN)
