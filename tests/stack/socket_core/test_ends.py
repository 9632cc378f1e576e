"""Half-closes, resets, lingering, timeouts: which call tells of them, and once."""

from __future__ import annotations

import errno
import struct

import pytest

from stack.config import TcpConfig
from stack.socket_core import FREEBSD, LINUX, OWN, Event, Profile, SocketCore
from stack.socket_core.numbers import (
    IPPROTO_TCP,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SIOCOUTQ,
    SO_LINGER,
    SO_RCVBUF,
    SOL_SOCKET,
    TCP_LINGER2,
    TCP_USER_TIMEOUT,
)
from stack.states import State

from .bench import FIN, RST, Bench, fails, so_error, waits


def linger(core: SocketCore, seconds: int) -> None:
    core.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, seconds))


def test_half_close() -> None:
    bench = Bench()
    client, server = bench.pair()
    client.send(b"last", 0, bench.now)
    client.shutdown(SHUT_WR, bench.now)
    client.shutdown(SHUT_WR, bench.now)
    fails(errno.EPIPE, client.send, b"x", 0, bench.now)
    assert client.ioctl(SIOCOUTQ) == 5
    bench.run()
    assert client.state is State.FIN_WAIT_2
    assert server.recv(9, 0, bench.now) == b"last"
    assert server.recv(9, 0, bench.now) == server.recv(9, 0, bench.now) == b""
    server.send(b"answer", 0, bench.now)
    bench.run()
    assert client.recv(9, 0, bench.now) == b"answer"
    waits(client.recv(9, 0, bench.now), Event.READABLE)
    server.close(bench.now)
    bench.run()
    assert client.recv(9, 0, bench.now) == b""
    fails(errno.ENOTCONN, client.getpeername)
    assert client.remote == (bench.host, 8080)
    fails(errno.ENOTCONN, client.shutdown, SHUT_RD, bench.now)
    fails(errno.EPIPE, client.send, b"x", 0, bench.now)
    assert so_error(client, bench.now) == 0


def test_shutdown_that_is_none() -> None:
    bench = Bench()
    fails(errno.ENOTCONN, bench.client().shutdown, SHUT_RDWR, bench.now)
    client, _ = bench.pair()
    fails(errno.EINVAL, client.shutdown, 3, bench.now)
    listener = bench.listener()
    listener.shutdown(SHUT_WR, bench.now)
    assert listener.state is State.LISTEN


@pytest.mark.parametrize("first", ["recv", "send", "so_error"])
def test_a_reset_is_told_once(first: str) -> None:
    bench = Bench()
    client, server = bench.pair()
    server.send(b"before", 0, bench.now)
    bench.run()
    server.abort(bench.now)
    bench.run()
    assert client.pending_error == errno.ECONNRESET
    assert client.pending_error == errno.ECONNRESET
    if first == "recv":
        # What came before the reset comes before its error.
        assert client.recv(99, 0, bench.now) == b"before"
        fails(errno.ECONNRESET, client.recv, 99, 0, bench.now)
    elif first == "send":
        fails(errno.ECONNRESET, client.send, b"x", 0, bench.now)
        assert client.recv(99, 0, bench.now) == b"before"
    else:
        assert so_error(client, bench.now) == errno.ECONNRESET
        assert client.recv(99, 0, bench.now) == b"before"
    assert client.pending_error == so_error(client, bench.now) == 0
    assert client.recv(99, 0, bench.now) == b""
    fails(errno.EPIPE, client.send, b"x", 0, bench.now)


@pytest.mark.parametrize(("profile", "number"), [(OWN, errno.EPIPE), (FREEBSD, errno.ECONNRESET)])
def test_a_reset_after_the_peers_fin(profile: Profile, number: int) -> None:
    bench = Bench(profile=profile)
    client, server = bench.pair()
    server.close(bench.now)
    bench.run()
    assert client.send(b"to nobody", 0, bench.now) == 9
    bench.run()
    assert so_error(client, bench.now) == number
    fails(errno.EPIPE, client.send, b"x", 0, bench.now)


def test_closing_resets_where_octets_were_not_read() -> None:
    bench = Bench()
    client, server = bench.pair()
    client.send(b"unread", 0, bench.now)
    bench.run()
    began = bench.now
    server.close(bench.now)
    bench.run()
    assert [segment.flags & (RST | FIN) for segment in bench.seen(began, False)] == [RST]
    fails(errno.ECONNRESET, client.recv, 1, 0, bench.now)


def test_both_sides_shut_down_by_profile() -> None:
    """What comes then is kept, or reset where the profile says so; what waited can be read in either case."""
    for profile in (OWN, LINUX):
        for unread in (b"", b"waiting"):
            bench = Bench(profile=profile)
            client, server = bench.pair()
            client.send(unread, 0, bench.now)
            bench.run()
            server.shutdown(SHUT_RDWR, bench.now)
            bench.run()
            client.send(b"late", 0, bench.now)
            bench.run()
            if profile is OWN:
                assert server.recv(99, 0, bench.now) == unread + b"late"
            else:
                assert so_error(client, bench.now) == errno.EPIPE
                if unread:
                    assert server.recv(len(unread), 0, bench.now) == unread
                else:
                    fails(errno.ECONNRESET, server.recv, 99, 0, bench.now)


def test_lingering_without_time_resets() -> None:
    bench = Bench()
    client, server = bench.pair()
    linger(client, 0)
    client.send(b"lost", 0, bench.now)
    began = bench.now
    assert client.close(bench.now) is None
    bench.run()
    assert [segment.flags & (RST | FIN) for segment in bench.seen(began, True)][-1] == RST
    assert server.pending_error == errno.ECONNRESET
    assert client.ready(bench.now) & Event.CLOSED


def test_lingering_ends_with_the_acknowledgment() -> None:
    bench = Bench()
    client, server = bench.pair()
    rung: list[float] = []
    client.on_ready = lambda: rung.append(bench.now)
    client.send(b"last words", 0, bench.now)
    bench.run()
    linger(client, 5)
    began = bench.now
    blocked = waits(client.close(bench.now), Event.CLOSED)
    assert blocked.deadline == pytest.approx(began + 5)
    assert not client.ready(bench.now) & Event.CLOSED
    rung.clear()
    # The FIN alone is under way: its acknowledgment is told as well.
    assert bench.run(5, lambda: bool(rung))
    assert bench.now - began < 0.1
    assert client.close(bench.now) is None
    assert client.ready(bench.now) == Event.CLOSED
    assert server.recv(99, 0, bench.now) == b"last words"


def test_lingering_ends_with_its_time() -> None:
    deaf = [False]
    bench = Bench(tap=lambda packet, *_: [] if deaf[0] else [(0.0, packet)])
    client, _ = bench.pair()
    linger(client, 2)
    deaf[0] = True
    client.send(b"into the void", 0, bench.now)
    blocked = waits(client.close(bench.now), Event.CLOSED)
    bench.run(1.9)
    waits(client.close(bench.now), Event.CLOSED)
    assert blocked.deadline is not None
    bench.run(0.2)
    assert client.close(bench.now) is None
    # The connection goes on trying without the socket.
    before = len(bench.seen(from_client=True))
    bench.run(30)
    assert len(bench.seen(from_client=True)) > before


def test_a_closed_socket_is_none() -> None:
    bench = Bench()
    for core in (bench.client(), bench.listener(), bench.pair()[0]):
        assert not core.closed
        core.close(bench.now)
        assert core.closed
        assert core.close(bench.now) is None
        fails(errno.EBADF, core.bind, "", 0)
        fails(errno.EBADF, core.listen, 1)
        fails(errno.EBADF, core.accept, bench.now)
        fails(errno.EBADF, core.connect, bench.host, 80, bench.now)
        fails(errno.EBADF, core.send, b"x", 0, bench.now)
        fails(errno.EBADF, core.recv, 1, 0, bench.now)
        fails(errno.EBADF, core.shutdown, SHUT_WR, bench.now)
        fails(errno.EBADF, core.setsockopt, SOL_SOCKET, SO_RCVBUF, 1000)
        fails(errno.EBADF, core.getsockopt, SOL_SOCKET, SO_RCVBUF, bench.now)
        fails(errno.EBADF, core.getsockname)
        fails(errno.EBADF, core.getpeername)
        fails(errno.EBADF, core.ioctl, SIOCOUTQ)


def test_the_user_timeout() -> None:
    """TCP_USER_TIMEOUT, in milliseconds (RFC 5482 §3.1): what was not acknowledged by then ends the connection."""
    deaf = [False]
    bench = Bench(tap=lambda packet, *_: [] if deaf[0] else [(0.0, packet)])
    client, _ = bench.pair()
    client.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 7000)
    deaf[0] = True
    began = bench.now
    client.send(b"x", 0, bench.now)
    assert bench.run(60, lambda: client.pending_error != 0)
    assert bench.now - began == pytest.approx(7.0)
    fails(errno.ETIMEDOUT, client.recv, 1, 0, bench.now)


def test_how_long_an_orphan_waits_for_the_peers_fin() -> None:
    """TCP_LINGER2, in seconds; without it 2 MSL."""
    for seconds, expected in ((3, 3.0), (0, 10.0)):
        bench = Bench(config=TcpConfig(msl=5.0))
        client, _ = bench.pair()
        if seconds:
            client.setsockopt(IPPROTO_TCP, TCP_LINGER2, seconds)
        else:
            assert client.getsockopt(IPPROTO_TCP, TCP_LINGER2, bench.now) == 10
        client.close(bench.now)
        bench.run(0.1)
        assert client.state is State.FIN_WAIT_2
        began = bench.now
        assert bench.run(60, lambda client=client: client.state is State.CLOSED)
        assert bench.now - began == pytest.approx(expected, abs=0.11)
