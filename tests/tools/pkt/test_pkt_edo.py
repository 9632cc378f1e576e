"""EDO in packet scripts: the ways of two other implementations, each under its system's profile."""

from __future__ import annotations

import pytest

from tools.pkt.run import Result, run_text

_ACCEPTED = """+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
"""
_LISTEN = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
"""
_BSD_SYNS = """+0 < S 0:0(0) win 65535 <mss 1460,sackOK,edoOK>
+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,edoOK>
"""
_BSD = _LISTEN + _BSD_SYNS + _ACCEPTED
_READ = "+0 read(4, ..., 1000) = 100\n"

FREEBSD = {
    "agreed without an Extension in the third segment": _BSD + "+0 %{ assert state == 'ESTABLISHED' }%\n",
    "short form, data behind options that fill the space": _BSD
    + "+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1 <edo 25,76*nop>\n",
    "options behind Data Offset": _BSD + "+0 < P. 1:101(100) ack 1 win 65535 <edo 16,40*nop>\n" + _READ,
    "an Extension that was not agreed": _LISTEN
    + "+0 < S 0:0(0) win 65535 <mss 1460,sackOK,nop,nop>\n+0 > S. 0:0(0) ack 1 win 65535 <...>\n"
    + _ACCEPTED
    + "+0 < P. 1:101(100) ack 1 win 65535 <edo 6>\n"
    + _READ
    + "+.04 > . 1:1(0) ack 101\n+.1 close(4) = 0\n+0 > F. 1:1(0) ack 101\n",
    "a header longer than its segment": _BSD
    + "+0 < P. 1:101(100) ack 1 win 65535 <edo 60,40*nop>\n+.1 < P. 1:101(100) ack 1 win 65535\n"
    + _READ,
    "a header shorter than Data Offset": _BSD
    + "+0 < P. 1:101(100) ack 1 win 65535 <edo 4,40*nop>\n+.1 < P. 1:101(100) ack 1 win 65535\n"
    + _READ,
}

_ON = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 setsockopt(3, IPPROTO_TCP, 44, [2], 4) = 0\n"
_SERVE = _ON + "+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n"
_DIAL = (
    _ON
    + """+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <edoOK,mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>
"""
)
_PLAIN = "+0 write({}, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n"

_HOLES = """+0 < S 0:0(0) win 65535 <edoOK,mss 1000,sackOK,nop,nop>
+0 > S. 0:0(0) ack 1 <edoOK,mss 1460,nop,nop,sackOK>
+.1 < . 1:1(0) ack 1 win 65535 <edo 28 28>
+0 accept(3, ..., ...) = 4
+0 < P. 13:14(1) ack 1 win 65535 <edo 28 29>
+0 > . 1:1(0) ack 1 <edo 40 40,nop,nop,sack 13:14>
+0 < P. 11:12(1) ack 1 win 65535 <edo 28 29>
+0 > . 1:1(0) ack 1 <edo 48 48,nop,nop,sack 11:12 13:14>
+0 < P. 9:10(1) ack 1 win 65535 <edo 28 29>
+0 > . 1:1(0) ack 1 <edo 56 56,nop,nop,sack 9:10 11:12 13:14>
+0 < P. 7:8(1) ack 1 win 65535 <edo 28 29>
+0 > . 1:1(0) ack 1 <edo 64 64,nop,nop,sack 7:8 9:10 11:12 13:14>
+0 < P. 5:6(1) ack 1 win 65535 <edo 28 29>
+0 > . 1:1(0) ack 1 <edo 64 64,nop,nop,sack 5:6 7:8 9:10 11:12>
"""

LINUX = {
    "the answer offers nothing": _DIAL
    + "+.1 < S. 0:0(0) ack 1 win 65535 <mss 1000>\n+0 > . 1:1(0) ack 1\n"
    + _PLAIN.format(3),
    "the opener offers nothing": _SERVE
    + "+0 < S 0:0(0) win 65535 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n"
    + _ACCEPTED
    + _PLAIN.format(4),
    "the third segment lacks the Extension": _SERVE
    + "+0 < S 0:0(0) win 65535 <edoOK,mss 1000>\n+0 > S. 0:0(0) ack 1 <edoOK,mss 1460>\n"
    + _ACCEPTED
    + _PLAIN.format(4),
    "the SYN that crosses offers nothing": _DIAL
    + "+.1 < S 0:0(0) win 65535 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n",
    "the SYN-ACK after crossed SYNs offers nothing": _DIAL
    + "+.1 < S 0:0(0) win 65535 <edoOK,mss 1000>\n+0 > S. 0:0(0) ack 1 <edoOK,mss 1460>\n"
    + "+.1 < S. 0:0(0) ack 1 win 65535 <mss 1000>\n+0 > . 1:1(0) ack 1\n"
    + _PLAIN.format(3),
    "four blocks of SACK behind Data Offset": _SERVE + _HOLES,
}


@pytest.mark.parametrize("name", FREEBSD)
def test_as_the_implementation_for_freebsd(name: str) -> None:
    outcome = run_text(FREEBSD[name], "edo.pkt", "freebsd")
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize("name", LINUX)
def test_as_the_implementation_for_linux(name: str) -> None:
    outcome = run_text(LINUX[name], "edo.pkt", "linux")
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("edo 40 40,nop,nop,sack 13:14", "nop,nop,sack 13:14"),
        ("edo 48 48,nop,nop,sack 11:12 13:14", "edo 48 48,nop,nop,sack 9:12 13:14"),
        ("edo 56 56", "edo 56 57"),
        ("sack 5:6 7:8 9:10 11:12", "sack 5:6 7:8 9:10"),
    ],
)
def test_options_behind_data_offset_are_looked_at(right: str, wrong: str) -> None:
    text = _SERVE + _HOLES
    assert right in text
    outcome = run_text(text.replace(right, wrong, 1), "edo.pkt", "linux")
    assert outcome.result is Result.FAILED, outcome
