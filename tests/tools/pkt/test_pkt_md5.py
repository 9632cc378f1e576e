"""TCP-MD5 in packet scripts: keys by setkey, TCP_MD5SIG, and digests that are valid or not."""

from __future__ import annotations

import pytest

from tools.pkt.run import Outcome, Result, run_text

HEAD = "--tcp_md5_secret=secret\n--tolerance_usecs=1000\n"
KEYS = """0 `kldload -n tcpmd5
setkey -c << EOF
flush ;
add 192.168.0.1 192.0.2.1 tcp 0x1000 -A tcp-md5 "secret" ;
add -4 192.0.2.1 192.168.0.1 tcp 0x1001 -A tcp-md5 "secret" ;   # the other direction
EOF`
"""
LISTENER = """+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
"""
OPENING = """+.1 < S 0:0(0) win 32000 <mss 1000,md5 valid,nop,nop>
+0 > S. 0:0(0) ack 1 win 65535 <md5 valid,mss 1460,eol,eol>
+.1 < . 1:1(0) ack 1 win 32000 <md5 valid,nop,nop>
+0 accept(3, ..., ...) = 4
+.1 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 1 <md5 valid,nop,nop>
+.1 < . 1:1(0) ack 101 win 32000 <nop,nop,md5 valid>
"""
SERVER = HEAD + KEYS + LISTENER + OPENING
FORGED = """+.1 < P. 1:11(10) ack 101 win 32000 <md5 invalid,nop,nop>
+.1 < P. 1:11(10) ack 101 win 32000
+.3 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 read(4, ..., 100) = -1 EAGAIN (nothing is there)
+.1 < P. 1:11(10) ack 101 win 32000 <md5 valid,nop,nop>
+.04~+.1 > . 101:101(0) ack 11 <md5 valid,nop,nop>
+0 read(4, ..., 100) = 10
"""


def run(text: str, profile: str = "freebsd") -> Outcome:
    return run_text(text, "s.pkt", profile)


def test_a_server_signs_and_takes_only_what_is_signed() -> None:
    outcome = run(SERVER + FORGED)
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("--tcp_md5_secret=secret", "--tcp_md5_secret=another", "timed out waiting"),
        ("100) ack 1 <md5 valid", "100) ack 1 <md5 invalid", "TCP-MD5 digest"),
        ("100) ack 1 <md5 valid", "100) ack 1 <md5 00112233445566778899aabbccddeeff", "options"),
        ("TCP_MD5SIG, [1]", "TCP_MD5SIG, [0]", "options"),
    ],
)
def test_what_is_not_as_expected_fails(old: str, new: str, reason: str) -> None:
    assert SERVER.count(old) == 1
    outcome = run(SERVER.replace(old, new))
    assert outcome.result is Result.FAILED
    assert reason in str(outcome.reason), outcome


def test_a_client_signs() -> None:
    script = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 5840 <mss 1000>
+.1 < S. 0:0(0) ack 1 win 5840 <mss 1000,md5 valid,nop,nop>
+0 > . 1:1(0) ack 1 <md5 valid,nop,nop>
+0 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [0], 4) = -1 EISCONN (too late)
"""
    outcome = run(HEAD + KEYS + script)
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize(
    "keys",
    [
        """0 `echo 'add 192.168.0.1 192.0.2.1 tcp 0x1000 -A tcp-md5 "secret";
add 192.0.2.1 192.168.0.1 tcp 0x1001 -A tcp-md5 0x736563726574;' | /sbin/setkey -c`
""",
        KEYS.replace("flush ;", "add 192.168.0.1 192.0.2.1 tcp 1 -A tcp-md5 old;\nflush; spdflush;"),
        """0 `setkey -c <<'EOF'
add 192.168.0.1 192.0.2.1 tcp 9 -m any -A tcp-md5 secret;
add 192.0.2.1 192.168.0.1 tcp 9 -m any -A tcp-md5 other;
delete 192.0.2.1 192.168.0.1 tcp 9;
EOF
echo "add 192.0.2.1 192.168.0.1 tcp 9 -A tcp-md5 \\"secret\\";" | setkey -c; sysctl net.inet.tcp.sack.enable=1`
""",
    ],
)
def test_keys_are_written_in_several_ways(keys: str) -> None:
    outcome = run(HEAD + keys + LISTENER + OPENING)
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (HEAD + LISTENER, "TCP_MD5SIG needs the same key for both directions"),
        (HEAD + KEYS.replace('0x1001 -A tcp-md5 "secret"', '0x1001 -A tcp-md5 "other"') + LISTENER, "the same key"),
        (HEAD + KEYS + "+0 `setkey -F`\n" + LISTENER, "TCP_MD5SIG needs the same key"),
        (KEYS + LISTENER + OPENING, "md5 valid and md5 invalid need --tcp_md5_secret"),
        (HEAD + KEYS.replace("tcp-md5", "hmac-sha1"), "a key of setkey that is not one of TCP-MD5"),
        (HEAD + KEYS.replace("flush ;", "spdadd 10.0.0.1 10.0.0.2 any -P out ipsec;"), "not understood: setkey"),
        (HEAD + KEYS.replace('-A tcp-md5 "secret"', "-A tcp-md5 0xzz"), "setkey: a key that is not in hexadecimal"),
        (HEAD.replace("=secret", ""), "a secret of 1 octet or more"),
    ],
)
def test_what_cannot_be_is_refused_by_name(script: str, reason: str) -> None:
    outcome = run(script)
    assert outcome.result is Result.REFUSED, outcome
    assert reason in str(outcome.reason)


def test_linuxes_option_takes_a_key_that_no_script_can_write() -> None:
    outcome = run(HEAD + LISTENER, "linux")
    assert outcome.result is Result.REFUSED
    assert "TCP_MD5SIG" in str(outcome.reason)
