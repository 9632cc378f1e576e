"""Sending and receiving: what is taken, what is given, what has to wait; flags, marks and room."""

from __future__ import annotations

import errno

import pytest

from stack.config import TcpConfig
from stack.socket_core import FREEBSD, OWN, Event, Profile
from stack.socket_core.numbers import (
    IPPROTO_TCP,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    SHUT_RD,
    SHUT_WR,
    SIOCATMARK,
    SIOCINQ,
    SIOCOUTQ,
    SIOCOUTQNSD,
    SO_RCVLOWAT,
    SOL_SOCKET,
    TCP_CORK,
    TCP_NODELAY,
    TCP_NOTSENT_LOWAT,
)

from .bench import URG, Bench, fails, waits


def test_what_is_sent_is_received_and_peeked() -> None:
    bench = Bench()
    client, server = bench.pair()
    waits(server.recv(9, 0, bench.now), Event.READABLE)
    assert client.send(b"hello", 0, bench.now) == 5
    assert client.send(b"", 0, bench.now) == 0
    bench.run()
    assert server.readable == server.ioctl(SIOCINQ) == 5
    assert server.recv(3, MSG_PEEK, bench.now) == b"hel"
    assert server.recv(0, 0, bench.now) == b""
    assert server.recv(3, 0, bench.now) == b"hel"
    assert server.recv(99, MSG_PEEK, bench.now) == b"lo"
    assert server.recv(99, 0, bench.now) == b"lo"
    waits(server.recv(9, MSG_PEEK, bench.now), Event.READABLE)
    assert client.sendto(b"x", 0, "10.0.0.2", 80, bench.now) == 1
    fails(errno.EAFNOSUPPORT, client.sendto, b"x", 0, "fd00::2", 80, bench.now)


@pytest.mark.parametrize("profile", [OWN, FREEBSD])
def test_who_is_not_connected_neither_sends_nor_receives(profile: Profile) -> None:
    bench = Bench(profile=profile)
    for core in (bench.client(), bench.listener()):
        fails(profile.unconnected_send, core.send, b"x", 0, bench.now)
        fails(errno.ENOTCONN, core.recv, 1, 0, bench.now)
        fails(errno.EINVAL, core.recv, 1, MSG_OOB, bench.now)
    assert (OWN.unconnected_send, FREEBSD.unconnected_send) == (errno.EPIPE, errno.ENOTCONN)


def test_no_more_is_taken_than_the_buffer_holds() -> None:
    bench = Bench(config=TcpConfig(send_buffer=10_000, receive_buffer=20_000))
    client, server = bench.pair()
    assert client.send_room == 10_000
    assert client.send(bytes(25_000), 0, bench.now) == 10_000
    assert client.ioctl(SIOCOUTQ) == 10_000
    waits(client.send(b"x", 0, bench.now), Event.WRITABLE)
    assert not client.ready(bench.now) & Event.WRITABLE
    bench.run()
    # All was acknowledged, so there is room; the window takes the rest of what the buffers hold.
    assert client.ready(bench.now) & Event.WRITABLE
    assert client.ioctl(SIOCOUTQ) == 0
    total = 10_000
    while client.ready(bench.now) & Event.WRITABLE:
        answer = client.send(bytes(10_000), 0, bench.now)
        assert isinstance(answer, int)
        total += answer
        bench.run()
    got = 0
    while got < total:
        answer = server.recv(1 << 20, 0, bench.now)
        assert isinstance(answer, bytes)
        got += len(answer)
        bench.run(10, lambda: bool(server.readable) or not client.ioctl(SIOCOUTQ))
    assert got == total


def test_a_buffer_that_is_nearly_full_is_not_writable() -> None:
    """Poll says no while less than a third of it is free (Linux's rule); a call takes what fits all the same."""
    bench = Bench(config=TcpConfig(send_buffer=9000))
    client, _ = bench.pair()
    assert client.send(bytes(6000), 0, bench.now) == 6000
    assert client.ready(bench.now) & Event.WRITABLE
    assert client.send(b"x", 0, bench.now) == 1
    assert not client.ready(bench.now) & Event.WRITABLE
    assert client.send(bytes(5000), 0, bench.now) == 2999


def test_low_water_marks() -> None:
    bench = Bench()
    client, server = bench.pair()
    server.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 5)
    client.send(b"1234", 0, bench.now)
    bench.run()
    assert not server.ready(bench.now) & Event.READABLE
    # A call takes what is there all the same.
    assert server.recv(1, 0, bench.now) == b"1"
    client.send(b"56", 0, bench.now)
    bench.run()
    assert server.ready(bench.now) & Event.READABLE
    server.recv(9, 0, bench.now)
    client.shutdown(SHUT_WR, bench.now)
    bench.run()
    assert server.ready(bench.now) & Event.READABLE


def test_few_octets_unsent() -> None:
    """TCP_NOTSENT_LOWAT: not writable while as many octets wait that were never sent."""
    bench = Bench(config=TcpConfig(receive_buffer=20_000))
    client, _ = bench.pair()
    client.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000)
    client.send(bytes(40_000), 0, bench.now)
    bench.run()
    assert client.ioctl(SIOCOUTQNSD) >= 5000
    assert client.ioctl(SIOCOUTQ) == client.ioctl(SIOCOUTQNSD)
    assert not client.ready(bench.now) & Event.WRITABLE
    waits(client.send(b"x", 0, bench.now), Event.WRITABLE)
    client.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0)
    assert client.ready(bench.now) & Event.WRITABLE


@pytest.mark.parametrize("how", ["more", "cork"])
def test_a_last_segment_that_is_not_full_is_held_back(how: str) -> None:
    bench = Bench()
    client, server = bench.pair()
    if how == "cork":
        client.setsockopt(IPPROTO_TCP, TCP_CORK, 1)
    more = MSG_MORE if how == "more" else 0
    began = bench.now
    client.send(bytes(3000), more, bench.now)
    bench.run(0.1)
    sizes = [len(segment.payload) for segment in bench.seen(began, True) if segment.payload]
    assert len(sizes) == 2
    assert sum(sizes) == server.readable < 3000
    if how == "cork":
        client.setsockopt(IPPROTO_TCP, TCP_CORK, 0)
    else:
        client.send(b"end", 0, bench.now)
    bench.run(0.1)
    assert server.readable == (3000 if how == "cork" else 3003)


def test_setting_no_delay_sends_what_more_has_held_back() -> None:
    bench = Bench()
    client, server = bench.pair()
    client.send(b"held", MSG_MORE, bench.now)
    bench.run(0.1)
    assert not server.readable
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    bench.run(0.1)
    assert server.readable == 4


def test_urgent_data_is_in_line_and_marked() -> None:
    bench = Bench()
    client, server = bench.pair()
    began = bench.now
    client.send(b"abc", MSG_OOB, bench.now)
    client.send(b"def", 0, bench.now)
    bench.run()
    assert any(segment.flags & URG for segment in bench.seen(began, True))
    assert server.ready(bench.now) & Event.URGENT
    fails(errno.EINVAL, server.recv, 1, MSG_OOB, bench.now)
    assert server.ioctl(SIOCATMARK) == 0
    # A read ends before the last urgent octet, so that a program can find it.
    assert server.recv(99, MSG_PEEK, bench.now) == b"ab"
    assert server.recv(99, 0, bench.now) == b"ab"
    assert server.ioctl(SIOCATMARK) == 1
    assert server.ready(bench.now) & Event.URGENT
    assert server.recv(99, 0, bench.now) == b"cdef"
    assert server.ioctl(SIOCATMARK) == 0
    assert not server.ready(bench.now) & Event.URGENT


def test_octets_that_come_after_reading_was_shut_down() -> None:
    for profile in (OWN, FREEBSD):
        bench = Bench(profile=profile)
        client, server = bench.pair()
        client.send(b"before", 0, bench.now)
        bench.run()
        server.shutdown(SHUT_RD, bench.now)
        kept = not profile.discards_after_read_shutdown
        assert server.readable == (6 if kept else 0)
        client.send(b"after", 0, bench.now)
        bench.run()
        assert server.recv(99, 0, bench.now) == (b"beforeafter" if kept else b"")
        # Acknowledged they are in either case.
        assert client.ioctl(SIOCOUTQ) == 0
        assert server.recv(99, 0, bench.now) == b""


def test_requests_that_are_none() -> None:
    bench = Bench()
    client, _ = bench.pair()
    fails(errno.ENOTTY, client.ioctl, 1)
    fails(errno.EINVAL, bench.listener().ioctl, SIOCINQ)
    fresh = bench.client()
    assert (fresh.ioctl(SIOCINQ), fresh.ioctl(SIOCOUTQ), fresh.readable, fresh.send_room) == (0, 0, 0, 0)
