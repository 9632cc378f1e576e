"""The language of packet scripts: what is understood becomes values, what is not is refused with its place."""

from __future__ import annotations

import pytest

from tools.pkt.conditions import select
from tools.pkt.faults import Refused
from tools.pkt.parser import parse
from tools.pkt.syntax import (
    Action,
    Anything,
    CallSpec,
    CodeSpec,
    CommandSpec,
    Ecn,
    IcmpSpec,
    Integer,
    Items,
    Name,
    Struct,
    TcpSpec,
    Text,
    When,
)


def action(line: str) -> Action:
    """The only event's action of a script of one line."""
    (event,) = parse(line, "one.pkt").events
    return event.action


def packet(line: str) -> TcpSpec:
    spec = action(line)
    assert isinstance(spec, TcpSpec)
    return spec


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        parse(text, "bad.pkt")
    return str(caught.value)


# --- times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "when", "seconds", "until"),
    [
        ("0.250 ", When.ABSOLUTE, 0.25, None),
        ("+.5 ", When.RELATIVE, 0.5, None),
        ("+ 2.20 ", When.RELATIVE, 2.2, None),
        ("+0 ", When.RELATIVE, 0.0, None),
        ("* ", When.ANY, 0.0, None),
        ("1.0~1.5 ", When.ABSOLUTE, 1.0, 1.5),
        ("+0.1~+0.2 ", When.RELATIVE, 0.1, 0.2),
    ],
)
def test_times_of_every_form(written: str, when: When, seconds: float, until: float | None) -> None:
    (event,) = parse(written + "> . 1:1(0) ack 1").events
    assert (event.time.when, event.time.seconds, event.time.until) == (when, seconds, until)


def test_a_blocking_call_has_the_time_of_its_return() -> None:
    call = action("1.00...6.00 connect(3, ..., ...) = -1 ETIMEDOUT (Operation timed out)")
    assert isinstance(call, CallSpec)
    assert (call.name, call.end, call.error, call.result) == ("connect", 6.0, "ETIMEDOUT", Integer(-1, "-1"))


@pytest.mark.parametrize(
    "text",
    ["* < . 1:1(0) ack 1 win 9", "+0~+1 close(3) = 0", "* `true`"],
)
def test_times_without_a_moment_are_for_outbound_packets_alone(text: str) -> None:
    assert "outbound packets only" in refusal(text)


def test_a_range_of_time_does_not_go_backwards() -> None:
    assert refusal("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n2~1 > . 1:1(0) ack 1").startswith("bad.pkt:2:1:")


# --- packets -------------------------------------------------------------------------------------------------


def test_a_segment_with_everything() -> None:
    spec = packet("+0 > (tos 0x28, ttl 9) FSRPUEWA. 5:8(3) ack 7 win 1000 urg 2 <nop,eol,2*nop,mss 1460,wscale 7>")
    assert not spec.inbound
    assert spec.flags == 0x1FF
    assert (spec.seq, spec.length, spec.ack, spec.window, spec.urgent) == (5, 3, 7, 1000, 2)
    assert (spec.ip.tos, spec.ip.ttl) == (0x28, 9)
    assert spec.options is not None
    assert [option.word for option in spec.options] == ["nop", "eol", "nop", "nop", "mss", "wscale"]


@pytest.mark.parametrize(
    ("written", "word", "numbers", "octets"),
    [
        ("sackOK", "sackOK", (), None),
        ("sack 1:5 9:12", "sack", (1, 5, 9, 12), None),
        ("TS val 100 ecr 7", "TS", (100, 7), None),
        ("FO", "FO", (), None),
        ("FO 0102030405060708", "FO", (), bytes(range(1, 9))),
        ("FOEXP abcd", "FOEXP", (), b"\xab\xcd"),
        ("edoOK", "edoOK", (), None),
        ("edo 25", "edo", (25,), None),
        ("edo 28 29", "edo", (28, 29), None),
        ("ao 1 2 aabb", "ao", (1, 2), b"\xaa\xbb"),
        ("exp 0x0ed0 01", "exp", (0x0ED0,), b"\x01"),
        ("kind 200 0102", "kind", (200,), b"\x01\x02"),
    ],
)
def test_options_of_every_word(written: str, word: str, numbers: tuple[int, ...], octets: bytes | None) -> None:
    options = packet(f"+0 > S 0:0(0) <{written}>").options
    assert options is not None
    (option,) = options
    assert (option.word, option.numbers, option.octets) == (word, numbers, octets)


def test_marks_of_timestamps() -> None:
    options = packet("+0 > . 1:1(0) ack 1 <TS val ... ecr 5>").options
    assert options is not None
    assert options[0].any_value
    options = packet("+0 < . 1:1(0) ack 1 win 9 <TS val 3 ecr 5!>").options
    assert options is not None
    assert options[0].plain_echo


def test_wildcards_of_outbound_segments() -> None:
    assert packet("+0 > S. 0:0(0) ack 1 <...>").options is None
    assert packet("+0 > S. ...(0) ack 1").seq is None
    assert packet("+0 > . 1:1(0) ack 1").window is None
    assert packet("+0 > R. 0:0(0)! ack 1").plain_seq
    assert "expected FIRST:END(OCTETS)" in refusal("+0 < S ...(0) win 9")
    assert "an inbound segment needs a window" in refusal("+0 < . 1:1(0) ack 1")


def test_ecn_of_the_ip_header_and_the_counter_of_accurate_ecn() -> None:
    assert packet("+0 <[ect0] . 1:1(0) ack 1 win 9").ip.ecn is Ecn.ECT0
    assert packet("+0 > [ect01] . 1:1(0) ack 1").ip.ecn is Ecn.ECT01
    spec = packet("+0 > P5. 1:2(1) ack 1")
    assert spec.ace
    assert spec.flags == 0x10 | 0x08 | 0x40 | 0x100


def test_what_an_icmp_message_quotes_may_stand_before_or_behind() -> None:
    behind = action("+0 < icmp unreachable frag_needed mtu 1200 [1:1001(1000)]")
    before = action("+0 < [1:1001(1000)]icmp unreachable frag_needed mtu 1200")
    assert behind == before
    assert isinstance(behind, IcmpSpec)
    assert (behind.type, behind.code, behind.mtu) == ("unreachable", "frag_needed", 1200)
    assert (behind.seq, behind.length) == (1, 1000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("+0 < . 1:5(3) ack 1 win 9", "do not fit a length"),
        ("+0 < . 1:1(0) ack 1 win 70000", "not in 0-65535"),
        ("+0 < S 0:0(0) win 9 <mss 99999>", "mss 99999 is not in"),
        ("+0 < S 0:0(0) win 9 <frob>", "unknown TCP option 'frob'"),
        ("+0 < S 0:0(0) win 9 <mss 1460", "expected ','"),
        ("+0 < S 0:0(0) win 9 <FO 012>", "half an octet"),
        ("+0 < Q 0:0(0) win 9", "expected the flags"),
        ("+0 < udp (100)", "not supported: UDP"),
        ("+0 < F. 1:1(0) ack 1 win 9/udp(1 > 9811)", "encapsulation in UDP"),
        ("+0 < [0:0(0)] . 1:1(0) ack 1 win 9", "expected an ICMP message"),
        ("+0 < icmp unreachable port_unreachable [udp (1)]", "not supported: an ICMP message about"),
    ],
)
def test_packets_that_are_refused(text: str, reason: str) -> None:
    told = refusal("0 close(3) = 0\n\n" + text)
    assert told.startswith("bad.pkt:3:")
    assert reason in told


# --- calls, code, lines for a shell --------------------------------------------------------------------------


def test_arguments_and_results_of_calls() -> None:
    call = action('+0 send(3, "a\\"b"..., 3, MSG_MORE | MSG_OOB) = ... // comment')
    assert isinstance(call, CallSpec)
    assert call.arguments == (
        Integer(3, "3"),
        Text('a\\"b', open=True),
        Integer(3, "3"),
        Name(("MSG_MORE", "MSG_OOB")),
    )
    assert call.result == Anything()
    call = action("+0 poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, -1) = 1")
    assert isinstance(call, CallSpec)
    polled = call.arguments[0]
    assert isinstance(polled, Items)
    assert isinstance(polled.items[0], Struct)
    assert polled.items[0].get("events") == Name(("POLLIN",))


def test_a_note_behind_a_result_says_nothing() -> None:
    call = action("+0.00 fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)")
    assert isinstance(call, CallSpec)
    assert call.result == Integer(2, "0x02")
    assert call.error is None


def test_code_and_lines_for_a_shell() -> None:
    script = parse(
        "--tolerance_usecs=5\n`sysctl a=1`\n+0 %{\nassert a\n}%\n+0 `sysctl\n b=2`\n`sysctl c=3` /* end */", "x.pkt"
    )
    assert [(option.name, option.value) for option in script.options] == [("tolerance_usecs", "5")]
    assert script.init is not None
    assert script.init[1] == CommandSpec("sysctl a=1")
    assert script.cleanup is not None
    assert script.cleanup[1] == CommandSpec("sysctl c=3")
    assert [type(event.action) for event in script.events] == [CodeSpec, CommandSpec]
    assert [event.place.line for event in script.events] == [3, 6]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("close(3) = 0", "expected a time"),
        ("+0", "expected a packet, a system call"),
        ("+0 close(3)", "expected '='"),
        ("+0 close(3 = 0", "expected ','"),
        ('+0 write(3, "abc, 3) = 3', "a string that begins here does not end"),
        ("+0 `sysctl", "a line for a shell that begins here does not end"),
        ("+0 %{ assert 1", "code that begins here does not end"),
        ("/* +0 close(3) = 0", "a comment that begins here does not end"),
        ("`a`\n+0 close(3) = 0\n`b`\n+0 close(3) = 0", "comes last"),
    ],
)
def test_what_is_incomplete_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


# --- parts for one system ------------------------------------------------------------------------------------

_TWO = "a\n#ifdef FreeBSD\nb\n#else\nc\n#endif\n#ifndef FreeBSD\nd\n#endif\ne"


def test_parts_for_other_systems_are_left_out_and_lines_keep_their_numbers() -> None:
    assert select(_TWO, "x", {"FreeBSD"}).split("\n") == ["a", "", "b", "", "", "", "", "", "", "e"]
    assert select(_TWO, "x", {"STANDARD"}).split("\n") == ["a", "", "", "", "c", "", "", "d", "", "e"]


def test_a_part_within_a_part_that_is_left_out_is_left_out() -> None:
    text = "#ifdef A\n#ifdef B\nx\n#else\ny\n#endif\n#endif"
    assert "x" in select(text, "s", {"A", "B"})
    assert "y" in select(text, "s", {"A"})
    assert not select(text, "s", {"B"}).strip()


@pytest.mark.parametrize(
    ("text", "line"), [("\n#ifdef A", 2), ("#endif", 1), ("#else", 1), ("#ifdef", 1), ("#ifdef A\n#else\n#else", 3)]
)
def test_conditions_that_do_not_match_up_are_refused(text: str, line: int) -> None:
    with pytest.raises(Refused) as caught:
        select(text, "s.pkt", set())
    assert caught.value.place.line == line
