"""SYN cookies: a full backlog costs no service and no memory (RFC 4987 §3.6)."""

from __future__ import annotations

import random

import pytest
from scapy.layers.inet import IP, TCP

from ao.mkt import Mkt, MktTable
from edo.negotiation import EdoState
from edo.options import Options
from stack.batch import Batch
from stack.config import TcpConfig
from stack.cookies import Cookies, stamp, unstamp
from stack.security import Security
from tests.stack.wire import Wire, transfer

KEY = (b"\x0a\0\0\2", 80, b"\x0a\0\0\1", 4000)


def flood(wire: Wire, count: int, seed: int = 0) -> None:
    """SYNs from addresses that answer nothing."""
    source = random.Random(seed)
    packets = [
        bytes(
            IP(src=f"192.0.2.{source.randrange(1, 255)}", dst="10.0.0.2")
            / TCP(sport=source.randrange(1024, 65536), dport=80, seq=source.randrange(2**32), flags="S")
        )
        for _ in range(count)
    ]
    wire.server.receive(Batch(packets), wire.now)
    wire.server.take_output(wire.now)


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_connection_is_made_and_carries_data_during_a_flood(timestamps: bool) -> None:
    wire = Wire(config=TcpConfig(timestamps=timestamps))
    listener = wire.server.listen(80, backlog=16)
    flood(wire, 200)
    assert len(wire.server.half_open) == 16
    attempt = wire.client.connect(("10.0.0.2", 80), now=wire.now)
    ends = transfer(wire, attempt, listener, b"u" * 200_000, b"d" * 300_000, 60.0)
    assert bytes(ends[1].received) == b"u" * 200_000
    assert bytes(ends[0].received) == b"d" * 300_000
    assert wire.server.counters["cookies_good"] == 1
    # Window scale and SACK survive with timestamps, and only then.
    server = ends[1].attempt.flow.connection
    assert (server.snd_wscale > 0) is timestamps
    assert server.sack_ok is timestamps


def test_without_cookies_a_full_backlog_drops_and_nothing_is_taken_for_one() -> None:
    wire = Wire(config=TcpConfig(syn_cookies=False))
    wire.server.listen(80, backlog=4)
    flood(wire, 50)
    assert wire.server.counters["cookies_sent"] == 0
    assert len(wire.server.half_open) == 4
    seq = wire.server.cookies.make(KEY, 1, Options(), wire.now)
    packet = bytes(
        IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4000, dport=80, seq=2, ack=(seq + 1) & 0xFFFFFFFF, flags="A")
    )
    wire.server.receive(Batch([packet]), wire.now)
    assert wire.server.counters["cookies_good"] == 0


def test_a_flood_holds_no_more_than_the_backlog() -> None:
    wire = Wire()
    wire.server.listen(80, backlog=8)
    for round_ in range(20):
        flood(wire, 100, round_)
        assert len(wire.server.half_open) <= 8


def test_a_guessed_or_old_cookie_makes_nothing() -> None:
    wire = Wire()
    wire.server.listen(80, backlog=1)
    flood(wire, 5)
    source = random.Random(5)
    for _ in range(300):
        guess = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(
            sport=4000, dport=80, seq=1, ack=source.randrange(2**32), flags="A"
        )
        wire.server.receive(Batch([bytes(guess)]), wire.now)
    assert len(wire.server.half_open) == 1
    assert not wire.server.counters["cookies_good"]


def test_without_a_recent_cookie_none_is_good() -> None:
    cookies = Cookies(b"s" * 32)
    cookie = cookies.make(KEY, 1000, Options(mss=1460), 500.0)
    assert cookies.check(KEY, 1000, cookie, 500.0) == 1460
    assert cookies.check(KEY, 1000, cookie, 560.0) == 1460
    assert cookies.check(KEY, 1001, cookie, 500.0) is None
    assert cookies.check((b"\x0a\0\0\2", 80, b"\x0a\0\0\1", 4001), 1000, cookie, 500.0) is None
    assert cookies.check(KEY, 1000, cookie ^ 1, 500.0) is None
    assert cookies.check(KEY, 1000, cookie, 700.0) is None
    cookies.make(KEY, 5, Options(), 700.0)
    assert cookies.check(KEY, 1000, cookie, 700.0) is None


@pytest.mark.parametrize(("mss", "kept"), [(None, 536), (100, 536), (1459, 1440), (1460, 1460), (65535, 8940)])
def test_the_mss_is_never_rounded_up(mss: int | None, kept: int) -> None:
    cookies = Cookies(b"s" * 32)
    assert cookies.check(KEY, 7, cookies.make(KEY, 7, Options(mss=mss), 1.0), 1.0) == kept


@pytest.mark.parametrize("wscale", [None, 0, 7, 14])
@pytest.mark.parametrize("sack", [True, False])
@pytest.mark.parametrize("ecn", [True, False])
@pytest.mark.parametrize("ts_val", [0, 63, 64, 12345, 2**32 - 1])
def test_options_ride_in_the_timestamp(wscale: int | None, sack: bool, ecn: bool, ts_val: int) -> None:
    stamped = stamp(ts_val, Options(wscale=wscale, sack_permitted=sack), ecn=ecn)
    assert unstamp(stamped) == (wscale, sack, ecn)
    assert 0 <= (ts_val - stamped) & 0xFFFFFFFF < 128


def test_a_cookie_that_finds_the_queue_full_is_not_reset_and_comes_again() -> None:
    wire = Wire()
    listener = wire.server.listen(80, backlog=1)
    flood(wire, 5)
    attempts = [wire.client.connect(("10.0.0.2", 80), now=wire.now) for _ in range(2)]
    for attempt in attempts:
        attempt.write(b"hello")
    wire.run(0.5)
    first = listener.accept()
    assert first is not None
    assert first.read() == b"hello"
    assert listener.waiting == 0
    assert wire.server.drops["accept_queue_full"] >= 1
    # The other's octets are sent again, and bring its cookie back.
    wire.run(10.0)
    second = listener.accept()
    assert second is not None
    assert second.read() == b"hello"
    assert all(attempt.error is None for attempt in attempts)


def keyed() -> tuple[Security, Security]:
    tables = [MktTable([Mkt("key", *ids, b"secret")]) for ids in ((1, 2), (2, 1))]
    return Security("ao", keys=tables[0], edo="strict"), Security("ao", keys=tables[1], edo="strict")


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("offered", ["strict", "off"])
@pytest.mark.parametrize("policy", ["strict", "lenient", "off"])
def test_a_cookie_remembers_that_edo_was_offered(timestamps: bool, offered: str, policy: str) -> None:
    """The offer bit is in the cookie (draft-ietf-tcpm-tcp-edo, SYN cookies): nothing else is kept of the SYN."""
    wire = Wire(config=TcpConfig(timestamps=timestamps))
    listener = wire.server.listen(80, backlog=16, security=Security(edo=policy))
    flood(wire, 50)
    attempt = wire.client.connect(("10.0.0.2", 80), now=wire.now, security=Security(edo=offered))
    ends = transfer(wire, attempt, listener, b"u" * 50_000, b"d" * 50_000, 60.0)
    assert (len(ends[1].received), len(ends[0].received)) == (50_000, 50_000)
    assert wire.server.counters["cookies_good"] == 1
    both = offered == "strict" and policy != "off"
    assert {end.attempt.flow.edo.state for end in ends} == {EdoState.CONFIRMED if both else EdoState.OFF}
    assert not wire.client.drops + wire.server.drops


def test_a_cookie_under_a_key_remembers_edo_too() -> None:
    wire = Wire()
    client, server = keyed()
    listener = wire.server.listen(80, backlog=1, security=server)
    for port in (0, 0, 0):
        attempt = wire.client.connect(("10.0.0.2", 80), now=wire.now, security=client, local_port=port)
    ends = transfer(wire, attempt, listener, b"u" * 50_000, b"d" * 50_000, 60.0)
    assert wire.server.counters["cookies_good"] >= 1
    assert {end.attempt.flow.edo.state for end in ends} == {EdoState.CONFIRMED}


def test_a_cookie_of_an_offer_is_none_without_it() -> None:
    cookies = Cookies(b"s" * 32)
    for edo in (True, False):
        cookie = cookies.make(KEY, 1000, Options(mss=1460), 500.0, edo=edo)
        assert cookies.check(KEY, 1000, cookie, 500.0, edo=edo) == 1460
        assert cookies.check(KEY, 1000, cookie, 500.0, edo=not edo) is None
