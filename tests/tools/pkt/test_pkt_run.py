"""Running scripts: what is as expected passes, anything else fails with both told; nothing passes unseen."""

from __future__ import annotations

import pytest

from tools.pkt.run import Outcome, Result, run_text

# A passive open, octets both ways, and the end, under this stack's own profile.
SERVER = """--tolerance_usecs=1000
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32000 <mss 1000,sackOK,nop,nop>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,nop,nop>
+.1 < . 1:1(0) ack 1 win 32000
+0 accept(3, ..., ...) = 4
+.1 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 1 win 65535
+.1 < . 1:1(0) ack 101 win 32000
+.1 < P. 1:11(10) ack 101 win 32000
+.04 > . 101:101(0) ack 11
+.01 read(4, ..., 100) = 10
+.1 < F. 11:11(0) ack 101 win 32000
+0 > . 101:101(0) ack 12 <...>
+0 read(4, ..., 100) = 0
+.1 close(4) = 0
+0 > F. 101:101(0) ack 12
+.1 < . 12:12(0) ack 102 win 32000
"""
CLIENT = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 5840 <mss 1000>
+0 > . 1:1(0) ack 1
+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
"""


def run(text: str, profile: str | None = "own") -> Outcome:
    return run_text(text, "s.pkt", profile)


def changed(old: str, new: str, text: str = SERVER) -> Outcome:
    assert text.count(old) == 1, old
    return run(text.replace(old, new))


def test_a_script_that_is_right_passes() -> None:
    outcome = run(SERVER)
    assert outcome == Outcome("s.pkt", None, Result.PASSED, None, None, None, "own")
    assert run(CLIENT).result is Result.PASSED


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("> P. 1:101", "> . 1:101", 10, "flags"),
        ("> P. 1:101(100)", "> P. 2:102(100)", 10, "stream numbers"),
        ("> P. 1:101(100) ack 1 win 65535", "> P. 1:101(100) ack 2 win 65535", 10, "ack"),
        ("ack 1 win 65535\n+.1 < . 1:1(0) ack 101", "ack 1 win 65534\n+.1 < . 1:1(0) ack 101", 10, "window"),
        ("<mss 1460,sackOK,nop,nop>", "<mss 1459,sackOK,nop,nop>", 6, "options"),
        ("<mss 1460,sackOK,nop,nop>", "<mss 1460,nop,nop,sackOK>", 6, "options"),
        ("<mss 1460,sackOK,nop,nop>", "<mss 1460>", 6, "options"),
        ("+0 > P. 1:101", "+0 > [ect0] P. 1:101", 10, "ECN field noecn"),
        ("+0 > P. 1:101", "+0 > (ttl 3) P. 1:101", 10, "ttl 64"),
        ("+0 > P. 1:101", "+0 > (tos 0x20) P. 1:101", 10, "tos 0x00"),
        ("+0 > P. 1:101(100)", "+0 > 8081 > 50001 P. 1:101(100)", 10, "ports"),
    ],
)
def test_a_wrong_segment_fails_and_tells_both(old: str, new: str, line: int, reason: str) -> None:
    outcome = changed(old, new)
    assert (outcome.result, outcome.line) == (Result.FAILED, line)
    assert outcome.reason is not None
    assert reason in outcome.reason
    assert outcome.expected
    assert outcome.actual
    assert outcome.expected != outcome.actual


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("+.04 > . 101:101(0) ack 11", "+.03 > . 101:101(0) ack 11", "timed out waiting for a packet"),
        ("+.04 > . 101:101(0) ack 11", "+.05 > . 101:101(0) ack 11", "bad time of a packet"),
        ("+.04 > . 101:101(0) ack 11", "+.01~+.03 > . 101:101(0) ack 11", "timed out"),
        ("+.04 > . 101:101(0) ack 11", "+.05~+.09 > . 101:101(0) ack 11", "bad time of a packet"),
        ("+0 read(4, ..., 100) = 0", "+0 > . 101:101(0) ack 12", "timed out"),
    ],
)
def test_a_segment_at_the_wrong_time_fails(old: str, new: str, reason: str) -> None:
    outcome = changed(old, new)
    assert outcome.result is Result.FAILED
    assert outcome.reason is not None
    assert reason in outcome.reason


@pytest.mark.parametrize("time", ["*", "+.03~+.05", "0.440", "0.400~0.500", "+.0395", "+.0405"])
def test_times_of_every_form_are_held_against_the_clock(time: str) -> None:
    text = SERVER.replace("+.1 < S", "0.1 < S").replace("+.1 < . 1:1(0) ack 1 ", "0.2 < . 1:1(0) ack 1 ")
    text = text.replace("+.1 write", "0.25 write").replace("+.1 < . 1:1(0) ack 101", "0.3 < . 1:1(0) ack 101")
    text = text.replace("+.1 < P. 1:11", "0.4 < P. 1:11")
    assert changed("+.04 >", f"{time} >", text).result is Result.PASSED


def test_without_a_tolerance_line_it_is_four_milliseconds() -> None:
    text = SERVER.replace("--tolerance_usecs=1000\n", "")
    assert changed("+.04 >", "+.043 >", text).result is Result.PASSED
    assert changed("+.04 >", "+.045 >", text).result is Result.FAILED


@pytest.mark.parametrize(
    ("old", "new", "expected", "actual"),
    [
        ("= 10\n", "= 11\n", "11", "10"),
        ("write(4, ..., 100) = 100", "write(4, ..., 100) = -1 EPIPE", "-1 EPIPE", "100"),
        ("+0 bind(3, ..., ...) = 0", "+0 bind(3, ..., ...) = -1 EADDRINUSE", "-1 EADDRINUSE", "0"),
    ],
)
def test_a_wrong_result_of_a_call_fails(old: str, new: str, expected: str, actual: str) -> None:
    outcome = changed(old, new)
    assert (outcome.result, outcome.expected, outcome.actual) == (Result.FAILED, expected, actual)


def test_the_wrong_error_of_a_call_fails() -> None:
    outcome = changed("-1 EINPROGRESS", "-1 ECONNREFUSED", CLIENT)
    assert (outcome.result, outcome.actual) == (Result.FAILED, "-1 EINPROGRESS")


def test_the_wrong_value_of_an_option_fails() -> None:
    outcome = changed("SO_ERROR, [0]", "SO_ERROR, [ECONNRESET]", CLIENT)
    assert (outcome.result, outcome.line, outcome.expected, outcome.actual) == (
        Result.FAILED,
        7,
        "ECONNRESET",
        "0",
    )


def test_octets_that_are_read_are_compared() -> None:
    assert changed("read(4, ..., 100) = 10", 'read(4, "\\0\\0"..., 100) = 10').result is Result.PASSED
    outcome = changed("read(4, ..., 100) = 10", 'read(4, "ab"..., 100) = 10')
    assert (outcome.result, outcome.reason) == (Result.FAILED, "bad octets read")


def test_an_assertion_that_does_not_hold_fails_and_tells_the_values() -> None:
    good = CLIENT + "+0 %{ assert tcpi_snd_mss == 1000 and state == 'ESTABLISHED' }%\n"
    assert run(good).result is Result.PASSED
    outcome = run(CLIENT + "+0 %{\nassert tcpi_snd_mss == 1001\n}%\n")
    assert (outcome.result, outcome.line) == (Result.FAILED, 8)
    assert outcome.reason == "assertion does not hold: assert tcpi_snd_mss == 1001, tcpi_snd_mss = 1000"


def test_a_count_of_connections_that_is_wrong_fails() -> None:
    line = "+0 `sockstat -4 -P tcp -s | grep -c ESTABLISHED | grep {}`\n"
    assert run(CLIENT + line.format(1)).result is Result.PASSED
    outcome = run(CLIENT + line.format(2))
    assert (outcome.result, outcome.expected, outcome.actual) == (Result.FAILED, "2", "1")


# --- calls that block ----------------------------------------------------------------------------------------

BLOCKING = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.100 connect(3, ..., ...) = 0
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 5840 <mss 1000>
+0 > . 1:1(0) ack 1
"""


def test_a_call_returns_when_the_script_says() -> None:
    assert run(BLOCKING).result is Result.PASSED
    assert run(BLOCKING + "+.1...0.200 read(3, ..., 10) = 4\n+.1 < P. 1:5(4) ack 1 win 5840\n").result is (
        Result.PASSED
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("...0.100 connect", "...0.200 connect", "bad time at which connect returns"),
        ("...0.100 connect", "...0.050 connect", "connect does not return"),
        ("connect(3, ..., ...) = 0", "connect(3, ..., ...) = -1 ECONNREFUSED", "bad result of connect"),
        ("+0...0.100 connect", "+0 connect", "connect blocks"),
    ],
)
def test_a_call_that_returns_otherwise_fails(old: str, new: str, reason: str) -> None:
    outcome = changed(old, new, BLOCKING)
    assert (outcome.result, outcome.line) == (Result.FAILED, 2)
    assert outcome.reason is not None
    assert reason in outcome.reason


def test_a_call_that_never_returns_fails_at_the_end_of_the_script() -> None:
    outcome = run(BLOCKING + "+.1...5.000 read(3, ..., 10) = 4\n")
    assert (outcome.result, outcome.reason) == (Result.FAILED, "read does not return")


# --- the first lines -----------------------------------------------------------------------------------------


def test_ip_version_mtu_and_addresses_of_the_first_lines() -> None:
    text = "--ip_version=ipv6\n--mtu=1300\n--remote_ip=fd00::9\n" + CLIENT.replace(
        "> S 0:0(0) <...>", "> S 0:0(0) win 65535 <mss 1240,wscale 8,sackOK,TS val 0 ecr 0,nop>"
    )
    assert run(text).result is Result.PASSED
    assert run(text.replace("--mtu=1300\n", "--mtu=1301\n")).result is Result.FAILED


def test_timestamps_are_compared_only_where_a_tick_is_told() -> None:
    text = """--tcp_ts_tick_usecs=1000
--tolerance_usecs=5000
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) win 65535 <mss 1460,wscale 8,sackOK,TS val 100 ecr 0,nop>
+1 > S 0:0(0) win 65535 <mss 1460,wscale 8,sackOK,TS val 1100 ecr 0,nop>
"""
    assert run(text).result is Result.PASSED
    assert changed("TS val 1100", "TS val 1200", text).result is Result.FAILED
    assert changed("TS val 1100", "TS val ...", text).result is Result.PASSED
    assert changed("--tcp_ts_tick_usecs=1000\n", "", text.replace("1100", "1200")).result is Result.PASSED


def test_an_echo_stands_for_the_timestamp_that_the_script_named() -> None:
    text = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32000 <mss 1000,nop,nop,TS val 7 ecr 0>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,TS val 500 ecr 7,nop,nop>
+.1 < . 1:1(0) ack 1 win 32000 <nop,nop,TS val 8 ecr 500>
+0 accept(3, ..., ...) = 4
+.1 < P. 1:11(10) ack 1 win 32000 <nop,nop,TS val 9 ecr 500>
+.04 > . 1:1(0) ack 11 <...>
+.1 < P. 11:12(1) ack 1 win 32000 <nop,nop,TS val 10 ecr 600>
+.04 > . 1:1(0) ack 12 <nop,nop,TS val 880 ecr 10>
"""
    assert run(text).result is Result.PASSED
    assert changed("ecr 10>", "ecr 9>", text).reason == "bad outbound packet: timestamp's echo"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("--nonsense=1\n0 close(3) = 0", 1, "unknown option --nonsense"),
        ("--ip_version=ipv5\n0 close(3) = 0", 1, "--ip_version=ipv5"),
        ("--mtu=big\n0 close(3) = 0", 1, "--mtu=big"),
        ("--udp_encapsulation=tcp\n0 close(3) = 0", 1, "not supported: encapsulation in UDP"),
        ("0 frobnicate(3) = 0", 1, "unknown system call frobnicate"),
        ("0 close(3, 4) = 0", 1, "close with 2 arguments"),
        ("0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3", 1, "SOCK_DGRAM"),
        ("0 setsockopt(3, SOL_SOCKET, SO_FROB, [1], 4) = 0", 1, "unknown constant SO_FROB"),
        ("0 close(3) = -1 ENONSENSE", 1, "unknown error ENONSENSE"),
        ("0 %{ assert tcpi_nonsense == 1 }%", 1, "nothing is known of 'tcpi_nonsense'"),
        ("0 `sysctl -w net.inet.tcp.nonsense=1`", 1, "setting net.inet.tcp.nonsense: not known"),
        ("0 `sockstat -s | grep -c NONSENSE | grep 1`", 1, "unknown state NONSENSE"),
        ("0 > icmp unreachable port_unreachable [0:0(0)]", 1, "expected of the stack"),
        ("0 < icmp unreachable nonsense [0:0(0)]", 1, "unknown code 'nonsense'"),
        ("0 < icmp nonsense [0:0(0)]", 1, "unknown type 'nonsense'"),
        ("0 < S 0:0(0) win 9 <mss 1460,sackOK>", 1, "no multiple of 4"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_runs(text: str, line: int, reason: str) -> None:
    # The first event would fail, if it ran.
    outcome = run(text + "\n0 close(77) = 0" if text.startswith("--") else text)
    assert (outcome.result, outcome.line) == (Result.REFUSED, line)
    assert outcome.reason is not None
    assert reason in outcome.reason
    later = run("0 close(77) = 0\n" + text) if not text.startswith("--") else outcome
    assert later.result is Result.REFUSED


# --- runs of segments ----------------------------------------------------------------------------------------

LONG = SERVER.replace("write(4, ..., 100) = 100", "write(4, ..., 2500) = 2500").split("+0 > P.")[0]


def test_a_segment_longer_than_the_mss_stands_for_the_run_that_makes_it_up() -> None:
    assert run(LONG + "+0 > P. 1:2501(2500) ack 1\n").result is Result.PASSED
    assert run(LONG + "+0 > . 1:2001(2000) ack 1\n+0 > P. 2001:2501(500) ack 1\n").result is Result.PASSED
    assert run(LONG + "+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:2501(1500) ack 1\n").result is Result.PASSED
    assert run(LONG + "+0 > P. 1:2502(2501) ack 1\n").result is Result.FAILED
    assert run(LONG + "+0 > . 1:2501(2500) ack 1\n").result is Result.FAILED


def test_what_the_stack_sends_and_the_script_does_not_expect_is_the_next_packet() -> None:
    outcome = run(LONG + "+0 > . 1:1001(1000) ack 1\n+0 > P. 2001:2501(500) ack 1\n")
    assert (outcome.result, outcome.reason) == (Result.FAILED, "bad outbound packet: flags")
    assert outcome.actual == ". 1001:2001(1000) ack 1 win 65535"


def test_two_conversations_are_told_apart_by_ports() -> None:
    text = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 5) = 0
+0 < 1000 > 8080 S 10:10(0) win 32000 <mss 1000>
+0 > 8080 > 1000 S. 5:5(0) ack 11 win 65535 <mss 1460>
+0 < 1001 > 8080 S 20:20(0) win 32000 <mss 1000>
+0 > 8080 > 1001 S. 7:7(0) ack 21 win 65535 <mss 1460>
+0 < 1000 > 8080 . 1:1(0) ack 1 win 32000
+0 < 1001 > 8080 . 1:1(0) ack 1 win 32000
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 10) = 10
+0 > 8080 > 1000 P. 1:11(10) ack 1
"""
    assert run(text).result is Result.PASSED
    assert changed("> 8080 > 1000 P.", "> 8080 > 1001 P.", text).result is Result.FAILED


@pytest.mark.parametrize("text", ["\\x", "\\xg", "\\u1234", "\\N{DASH}"])
def test_a_string_with_an_escape_that_is_not_of_c_is_refused(text: str) -> None:
    outcome = run(SERVER + f'+0 setsockopt(3, IPPROTO_TCP, TCP_CONGESTION, "{text}", 4) = 0\n')
    assert outcome.result is Result.REFUSED
    assert outcome.line is not None
    assert outcome.reason is not None
    assert text in outcome.reason
