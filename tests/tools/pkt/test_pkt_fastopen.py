"""Fast Open in scripts of both dialects (RFC 7413): its calls, its options, its settings."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tools.pkt.fastopen import freebsd_tag, linux_keys, linux_tag, siphash
from tools.pkt.run import Result, run_text

LINUX = """`sysctl -q net.ipv4.tcp_fastopen=0x403 net.ipv4.tcp_timestamps=0`
"""
SERVER = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 2) = 0
"""
# A client of Linux that has asked for a cookie.
KNOWN = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 sendto(3, ..., 500, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO,nop,nop>
+.01 < S. 700:700(0) ack 1 win 5840 <mss 940,nop,nop,sackOK,FO 0a0b0c0d,nop,nop>
+0 > . 1:1(0) ack 1
+0 close(3) = 0
+0 > F. 1:1(0) ack 1
+.01 < F. 1:1(0) ack 2 win 92
+0 > . 2:2(0) ack 2
"""
FREEBSD = """
 0 `sysctl -w net.inet.tcp.fastopen.client_enable=1`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0
+0 sendto(3, ..., 50, 0, ..., ...) = 50
+0 > S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 0 ecr 0,FO,eol,eol>
+.05 < S. 0:0(0) ack 1 win 65535 <mss 1460,COOKIE>
+0 > P. 1:51(50) ack 1 win 65535
+.05 < R. 1:1(0) ack 51 win 65535
+0 close(3) = 0
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0
+0 sendto(3, ..., 50, 0, ..., ...) = 50
"""


def run(text: str) -> None:
    outcome = run_text(text, "script")
    assert outcome.result is Result.PASSED, outcome


def test_siphash_of_the_papers_example() -> None:
    # Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A.
    assert siphash(bytes(range(16)), bytes(range(15)))[::-1].hex() == "a129ca6149be45e5"


def test_the_cookies_are_those_of_both_kernels() -> None:
    us, them = ip_address("192.168.0.1").packed, ip_address("192.0.2.1").packed
    # The Linux kernel's tools/testing/selftests/net/packetdrill: ksft_runner.sh and defaults.sh.
    (key,) = linux_keys("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4")
    assert linux_tag(key, them, us).hex() == "3021b9d889017eeb"
    assert linux_tag(bytes(16), them, us).hex() == "b7c12350a90dc8f5"
    # FreeBSD's, as its test suite has it for a key of zeros.
    assert freebsd_tag(bytes(16), them, us).hex() == "2069a359c930dba9"


def test_a_key_has_four_words_of_either_end() -> None:
    first, second = linux_keys("1-2-3-4,ffffffff-0-0-a0b0c0d")
    assert first == bytes.fromhex("01000000 02000000 03000000 04000000")
    assert second == bytes.fromhex("ffffffff 00000000 00000000 0d0c0b0a")
    for wrong in ("", "1-2-3", "1-2-3-4,", "1-2-3-g", "1-2-3-123456789", "1-1-1-1,1-1-1-1,1-1-1-1"):
        with pytest.raises(ValueError, match="keys of four words"):
            linux_keys(wrong)


def test_a_server_of_linux_takes_text_and_answers_before_it_is_acknowledged() -> None:
    run(
        LINUX
        + SERVER
        + """
+0 < S 0:10(10) win 32792 <mss 1460,sackOK,nop,nop,FO 3021b9d889017eeb,nop,nop>
+0 > S. 0:0(0) ack 11 <mss 1460,nop,nop,sackOK>
+0 accept(3, ..., ...) = 4
+0 %{ assert tcpi_state == TCP_SYN_RECV; assert tcpi_options & TCPI_OPT_SYN_DATA }%
+0 read(4, ..., 512) = 10
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 11
+.1 < . 11:11(0) ack 101 win 32792
+0 %{ assert tcpi_state == TCP_ESTABLISHED }%
"""
    )


def test_both_forms_of_the_option_ask_and_are_answered_alike() -> None:
    for word, option in (("FO", "FO 3021b9d889017eeb,nop,nop"), ("FOEXP", "FOEXP 3021b9d889017eeb")):
        asked = f"{word},nop,nop" if word == "FO" else word
        run(
            LINUX
            + SERVER
            + f"""
+0 < S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,{asked}>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,{option}>
"""
        )


def test_a_listener_has_keys_of_its_own() -> None:
    run(
        LINUX
        + SERVER
        + """
+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0", 16) = 0
+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "\\1\\2\\3", 3) = -1 EINVAL (Invalid argument)
+0 < S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,FO,nop,nop>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,FO b7c12350a90dc8f5,nop,nop>
"""
    )


def test_without_its_bits_the_option_is_ignored() -> None:
    run(
        LINUX.replace("0x403", "0x1")
        + SERVER
        + """
+0 < S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,FO,nop,nop>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>
"""
    )
    run(
        LINUX.replace("0x403", "0x2")
        + """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 sendto(3, ..., 500, MSG_FASTOPEN, ..., ...) = -1 EOPNOTSUPP (Operation not supported)
"""
    )


def test_a_client_of_linux_sends_what_fits_the_mss_that_it_knows() -> None:
    run(
        LINUX
        + KNOWN
        + """
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 sendto(4, ..., 2000, MSG_FASTOPEN, ..., ...) = 900
+0 > S 0:900(900) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO 0a0b0c0d,nop,nop>
+.01 < S. 44:44(0) ack 901 win 5840 <mss 940,nop,nop,sackOK>
+0 > . 901:901(0) ack 1
+0 %{ assert tcpi_options & TCPI_OPT_SYN_DATA }%
"""
    )


def test_a_call_that_blocks_returns_when_the_connection_stands_and_all_is_taken() -> None:
    run(
        LINUX
        + KNOWN
        + """
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0...0.010 sendto(4, ..., 1200, MSG_FASTOPEN, ..., ...) = 1200
+0 > S 0:900(900) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO 0a0b0c0d,nop,nop>
+.01 < S. 44:44(0) ack 901 win 5840 <mss 940,nop,nop,sackOK>
+0 > P. 901:1201(300) ack 1
"""
    )


def test_connect_waits_for_the_first_octets_where_a_cookie_is_known() -> None:
    run(
        LINUX
        + KNOWN
        + """
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 setsockopt(4, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0
+0 connect(4, ..., ...) = 0
+1 write(4, ..., 100) = 100
+0 > S 0:100(100) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO 0a0b0c0d,nop,nop>
+.01 < S. 44:44(0) ack 101 win 5840 <mss 940,nop,nop,sackOK>
+0 > . 101:101(0) ack 1
"""
    )


def test_a_socket_of_freebsd_connects_by_sending() -> None:
    run(
        FREEBSD.replace("COOKIE", "FO 01020304,nop,nop")
        + """
+0 > S 0:50(50) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 0 ecr 0,FO 01020304,eol,eol>
+.05 < S. 0:0(0) ack 51 win 65535 <mss 1460>
+0 > . 51:51(0) ack 1 win 65535
"""
    )


def test_a_cookie_of_three_octets_is_none() -> None:
    run(
        FREEBSD.replace("COOKIE", "nop,nop,nop,FO 010203")
        + """
+0 > S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 0 ecr 0>
"""
    )


def test_switching_clients_off_forgets_cookies() -> None:
    again = FREEBSD.replace("COOKIE", "FO 01020304,nop,nop").rsplit("+0 socket", 1)
    run(
        again[0]
        + "+0 `sysctl -w net.inet.tcp.fastopen.client_enable=0`\n"
        + "+0 `sysctl -w net.inet.tcp.fastopen.client_enable=1`\n+0 socket"
        + again[1]
        + """
+0 > S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 0 ecr 0,FO,eol,eol>
"""
    )


def test_numbers_of_the_peer_count_from_its_own_beginning() -> None:
    """Of SYNs they are those on the wire; all others count from the peer's first, once a connection began."""
    run(
        LINUX
        + SERVER
        + """
+0 < S 5000:5000(0) win 32792 <mss 1460,sackOK,nop,nop>
+0 > S. 0:0(0) ack 5001 <mss 1460,nop,nop,sackOK>
+.01 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
+0 < P. 11:21(10) ack 1 win 32792
+0 > . 1:1(0) ack 1 <nop,nop,sack 11:21>
+0 < P. 1:11(10) ack 1 win 32792
+0 > . 1:1(0) ack 21
+0 close(4) = 0
* > R. 1:1(0) ack 21
"""
    )
