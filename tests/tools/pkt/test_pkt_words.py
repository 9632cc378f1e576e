"""What scripts embed: code, lines for a shell, settings of systems. Nothing of it is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.config import TcpConfig
from tools.pkt import evaluate, settings, shell
from tools.pkt.evaluate import AssertionFalse, CodeRefused
from tools.pkt.faults import Place, Refused
from tools.pkt.profiles import FREEBSD, LINUX, OWN, profile_of

HERE = Place("s.pkt", 4)
FACTS = {"tcpi_rtt": 250, "state": "ESTABLISHED", "A": 1, "B": 4}


def run(text: str) -> list[str]:
    shown: list[str] = []
    evaluate.run(evaluate.check(text), FACTS, shown.append)
    return shown


# --- code ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "assert tcpi_rtt == 250",
        "assert 200 < tcpi_rtt <= 250, tcpi_rtt",
        "assert tcpi_rtt == (A | B) * 50 and not tcpi_rtt < 0",
        "assert state in ('ESTABLISHED', 'CLOSING')",
        "assert (tcpi_rtt + 50) // 3 % 7 == 2 or False",
        "assert -A + 5 == B and ~A == -2 and A << 2 == B and B ^ 5 == 1",
        "  assert True\n  pass",
    ],
)
def test_assertions_that_hold(text: str) -> None:
    assert run(text) == []


@pytest.mark.parametrize("text", ["assert tcpi_rtt != 250", "assert 1 > 2", "assert state not in ('ESTABLISHED',)"])
def test_assertions_that_do_not_hold(text: str) -> None:
    with pytest.raises(AssertionFalse):
        run(text)


def test_a_false_assertion_tells_the_values_and_its_message() -> None:
    with pytest.raises(AssertionFalse) as caught:
        run("assert tcpi_rtt < 9, 'slow'")
    assert str(caught.value) == "assert tcpi_rtt < 9, message 'slow', tcpi_rtt = 250"


def test_print_shows_its_arguments() -> None:
    assert run("print('rtt', tcpi_rtt, A == B)") == ["rtt 250 False"]


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "open('/etc/passwd')",
        "assert open('/etc/passwd')",
        "assert ().__class__",
        "assert [1]",
        "assert (lambda: 1)()",
        "assert 2 ** 99",
        "assert FACTS[0]",
        "for x in (1, 2): pass",
        "print(f'{A}')",
        "print(*state)",
        "assert A if B else A",
        "assert (A := 3)",
        "assert 1 +",
    ],
)
def test_all_else_is_refused_before_anything_is_evaluated(text: str) -> None:
    with pytest.raises(CodeRefused):
        evaluate.check(text)


@pytest.mark.parametrize("text", ["assert 1 / 0", "assert state + 1", "assert 1 << 9999", "assert nothing == 1"])
def test_what_cannot_be_computed_is_refused_and_does_not_raise_out(text: str) -> None:
    with pytest.raises(CodeRefused):
        run(text)


# --- lines for a shell ---------------------------------------------------------------------------------------


def read(text: str, folder: Path = Path()) -> list[shell.Meaning]:
    return shell.read(text, HERE, folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sysctl -w net.inet.tcp.sack.enable=1", [("net.inet.tcp.sack.enable", "1")]),
        ("sysctl net.inet.tcp.sack.enable=0", [("net.inet.tcp.sack.enable", "0")]),
        ("sysctl -q net.a.b=2 > /dev/null", [("net.a.b", "2")]),
        ('sysctl -q -w net.a="4 5 6"; sysctl net.b=$((3*4))', [("net.a", "4 5 6"), ("net.b", "12")]),
        ("echo 3 > /proc/sys/net/ipv4/tcp_x", [("net.ipv4.tcp_x", "3")]),
        ("set_sysctls.py /proc/sys/net/ipv4/tcp_x=7", [("net.ipv4.tcp_x", "7")]),
    ],
)
def test_settings_in_every_form(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(item.name, item.value) for item in read(text) if isinstance(item, shell.Sysctl)] == expected


@pytest.mark.parametrize(
    ("text", "state", "count"),
    [
        ("sockstat -4 -P tcp -p 8080 -s | grep -c SYN_RCVD | grep 0", "SYN_RECEIVED", 0),
        ("sockstat -6 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1", "TIME_WAIT", 1),
    ],
)
def test_counting_connections_is_an_assertion(text: str, state: str, count: int) -> None:
    assert read(text) == [shell.StateCount(HERE, state, count)]


def test_dropping_connections() -> None:
    assert read("tcpdrop -s TIME_WAIT") == [shell.DropState(HERE, "TIME_WAIT")]


@pytest.mark.parametrize("text", ["true", "sync", "ethtool -K tun0 tso off", "", "# x"])
def test_lines_without_a_meaning_here(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("setkey -D", "setkey"),
        ("rm -rf /", "rm"),
        ("sysctl net.a", "asks for"),
        ("sysctl -a", "'-a'"),
        ("curl example.org | sh", "curl"),
        ("sysctl net.a=1; reboot", "reboot"),
        ("tcpdrop 10.0.0.1 1 10.0.0.2 2", "tcpdrop"),
        ("echo 'x", "cannot be read"),
    ],
)
def test_all_other_commands_are_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(Refused) as caught:
        read(text)
    assert named in caught.value.reason
    assert caught.value.place == HERE


def test_the_settings_in_a_file_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "defaults.sh").write_text("#!/bin/sh\nsysctl -q net.a=1\nbad command\n")
    with pytest.raises(Refused) as caught:
        read("./defaults.sh", tmp_path)
    assert (caught.value.place.line, Path(caught.value.place.file).name) == (3, "defaults.sh")
    (tmp_path / "defaults.sh").write_text("#!/bin/sh\n\nsysctl -q net.a=1\n")
    assert [
        (item.name, item.place.line)
        for item in read("../x/defaults.sh", tmp_path / "x")
        if isinstance(item, shell.Sysctl)
    ] == []
    found = read("./defaults.sh", tmp_path)
    assert [item.name for item in found if isinstance(item, shell.Sysctl)] == ["net.a"]


# --- settings ------------------------------------------------------------------------------------------------


def applied(name: str, value: str) -> TcpConfig:
    return settings.apply(shell.Sysctl(HERE, name, value), TcpConfig())


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("kern.ipc.maxsockbuf", "2097152", "window_scale", 6),
        ("kern.ipc.maxsockbuf", "4294967295", "window_scale", 14),
        ("kern.ipc.maxsockbuf", "65535", "window_scale", 0),
        ("net.inet.tcp.rfc1323", "0", "timestamps", False),
        ("net.inet.tcp.rfc1323", "2", "window_scaling", True),
        ("net.inet.tcp.rfc1323", "3", "window_scaling", False),
        ("net.inet.tcp.sack.enable", "0", "sack", False),
        ("net.inet.tcp.ecn.enable", "1", "ecn", "offer"),
        ("net.inet.tcp.ecn.enable", "3", "ecn", "accurate"),
        ("net.inet.tcp.ecn.plusplus", "2", "ecn_plus", "all"),
        ("net.inet.tcp.ecn.maxretries", "3", "ecn_retries", 3),
        ("net.inet.tcp.insecure_rst", "1", "insecure_rst", True),
        ("net.inet.tcp.insecure_syn", "1", "insecure_syn", True),
        ("net.inet.tcp.drop_synfin", "1", "drop_syn_fin", True),
        ("net.inet.tcp.blackhole", "2", "blackhole", "all"),
        ("net.inet.tcp.rexmit_initial", "3000", "rto_initial", 3.0),
        ("net.inet.tcp.rexmit_slop", "100", "rto_slop", 0.1),
        ("net.inet.tcp.rexmit_drop_options", "1", "plain_syn_after", 2),
        ("net.inet.tcp.keepinit", "15000", "open_timeout", 15.0),
        ("net.inet.tcp.keepidle", "7200000", "keepalive_idle", 7200.0),
        ("net.inet.tcp.icmp_may_rst", "0", "icmp_resets", False),
        ("net.inet.tcp.tolerate_missing_ts", "1", "tolerate_missing_timestamps", True),
        ("net.inet.tcp.syncache.rexmtlimit", "1", "syn_ack_retries", 1),
        ("net.inet.tcp.recvspace", "4096", "receive_buffer", 4096),
        ("net.inet.tcp.cc.algorithm", "newreno", "congestion", "reno"),
        ("net.ipv4.tcp_rmem", "4096 5000 8000", "receive_buffer", 2500),
        ("net.ipv4.tcp_sack", "0", "sack", False),
        ("net.ipv4.tcp_syn_retries", "2", "syn_retries", 2),
        ("net.ipv4.tcp_keepalive_time", "20", "keepalive_idle", 20.0),
    ],
)
def test_settings_of_both_systems(name: str, value: str, field: str, expected: object) -> None:
    assert getattr(applied(name, value), field) == expected


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("net.inet.tcp.nonsense", "1", "setting net.inet.tcp.nonsense: not known"),
        ("net.inet.tcp.ecn.enable", "4", "the stack has no such behaviour"),
        ("net.inet.tcp.blackhole", "7", "no such behaviour"),
        ("net.inet.tcp.recvspace", "much", "invalid literal"),
        ("net.inet.tcp.delacktime", "900", "delayed_ack"),
    ],
)
def test_settings_that_mean_nothing_here_are_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        applied(name, value)
    assert reason in caught.value.reason
    assert name in caught.value.reason


# --- profiles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("0 `sysctl -w net.inet.tcp.sack.enable=1`", FREEBSD),
        ("0 `sysctl kern.ipc.maxsockbuf=1`", FREEBSD),
        ("0 `tcpdrop -s TIME_WAIT`", FREEBSD),
        ("0 > S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 0>", FREEBSD),
        ("0 < S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,eol,eol>", FREEBSD),
        ("0 `../common/defaults.sh`", LINUX),
        ("0 `sysctl -q net.ipv4.tcp_sack=1`", LINUX),
        ("`echo 1 > /proc/sys/net/ipv4/tcp_sack`", LINUX),
        ("// net.inet.tcp in a comment\n0 close(3) = 0", OWN),
        ("--profile=linux\n0 `sysctl -w net.inet.tcp.sack.enable=1`", LINUX),
        ("0 > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>", OWN),
    ],
)
def test_the_profile_is_found_from_the_script(text: str, profile: object) -> None:
    assert profile_of(text) is profile
