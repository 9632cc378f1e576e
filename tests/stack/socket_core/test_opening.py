"""Binding, listening, accepting and connecting: results and errors as POSIX and Linux have them."""

from __future__ import annotations

import errno
from ipaddress import ip_network

import pytest

from ao.mkt import Mkt, MktTable
from stack.config import TcpConfig
from stack.security import Security
from stack.socket_core import FREEBSD, LINUX, OWN, Event, Profile, SocketCore, SocketError
from stack.socket_core.numbers import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SHUT_RD,
    SHUT_RDWR,
    SO_ACCEPTCONN,
    SO_KEEPALIVE,
    SO_REUSEADDR,
    SOL_SOCKET,
    TCP_NODELAY,
)
from stack.states import State

from ..wire import CLIENT, SERVER
from .bench import RST, SYN, Bench, accepted, fails, so_error, waits


def test_binding() -> None:
    bench = Bench()
    core = bench.server()
    assert core.getsockname() == ("0.0.0.0", 0)
    fails(errno.EADDRNOTAVAIL, core.bind, "10.9.9.9", 80)
    fails(errno.EAFNOSUPPORT, core.bind, SERVER[1], 80)
    fails(errno.EINVAL, core.bind, "no address", 80)
    fails(errno.EINVAL, core.bind, "", 65536)
    core.bind(SERVER[0], 80)
    assert core.getsockname() == (SERVER[0], 80)
    fails(errno.EINVAL, core.bind, SERVER[0], 81)
    fails(errno.EADDRINUSE, bench.server().bind, "", 80)
    other = bench.server()
    other.bind("", 0)
    assert 49152 <= other.getsockname()[1] <= 65535
    core.close(bench.now)
    bench.server().bind("", 80)


def test_both_families_share_the_ports_unless_asked_not_to() -> None:
    bench = Bench()
    six = SocketCore(bench.wire.server, family=AF_INET6)
    six.bind("::", 80)
    fails(errno.EADDRINUSE, bench.server().bind, SERVER[0], 80)
    only = SocketCore(bench.wire.server, family=AF_INET6)
    only.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
    only.bind("::", 81)
    bench.server().bind(SERVER[0], 81)


def test_sharing_a_port_needs_both_to_ask() -> None:
    bench = Bench()
    first, second, third = bench.server(), bench.server(), bench.server()
    first.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    third.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    first.bind("", 80)
    fails(errno.EADDRINUSE, second.bind, "", 80)
    third.bind("", 80)
    first.listen(1)
    fails(errno.EADDRINUSE, third.listen, 1)


def test_a_family_that_is_none_is_refused() -> None:
    bench = Bench()
    with pytest.raises(SocketError, match="family") as caught:
        SocketCore(bench.wire.client, family=1)
    assert caught.value.errno == errno.EAFNOSUPPORT


def test_connecting_and_accepting() -> None:
    bench = Bench()
    listener = bench.listener()
    assert (listener.state, listener.getsockopt(SOL_SOCKET, SO_ACCEPTCONN, bench.now)) == (State.LISTEN, 1)
    waits(listener.accept(bench.now), Event.ACCEPTABLE)
    client = bench.client()
    fails(errno.EINVAL, client.accept, bench.now)
    waits(client.connect(bench.host, 80, bench.now), Event.CONNECTED, errno.EINPROGRESS)
    waits(client.connect(bench.host, 80, bench.now), Event.CONNECTED, errno.EALREADY)
    waits(client.recv(1, 0, bench.now), Event.READABLE)
    waits(client.send(b"x", 0, bench.now), Event.CONNECTED)
    assert not client.stood
    fails(errno.ENOTCONN, client.getpeername)
    bench.run()
    assert client.stood
    assert client.connected
    # The first call after it stands says so, the next that it is not needed.
    assert client.connect(bench.host, 80, bench.now) is None
    fails(errno.EISCONN, client.connect, bench.host, 80, bench.now)
    fails(errno.EINVAL, client.listen, 1)
    server = accepted(listener.accept(bench.now))
    fails(errno.EISCONN, server.connect, bench.host, 80, bench.now)
    assert client.getpeername() == server.getsockname() == (bench.host, 80)
    assert server.getpeername() == client.getsockname() == server.remote
    fails(errno.EISCONN, listener.connect, bench.host, 80, bench.now)


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_names_of_a_family(family: int) -> None:
    bench = Bench(family=family)
    client, server = bench.pair()
    rest = () if family == AF_INET else (0, 0)
    assert client.getpeername() == (bench.host, 8080, *rest)
    assert server.getpeername()[0] == bench.client_host


def test_ipv4_is_mapped_in_sockets_of_ipv6() -> None:
    bench = Bench()
    listener = SocketCore(bench.wire.server, family=AF_INET6)
    listener.bind("::", 80)
    listener.listen(1)
    client = SocketCore(bench.wire.client, family=AF_INET6)
    client.connect(f"::ffff:{SERVER[0]}", 80, bench.now)
    bench.run()
    server = accepted(listener.accept(bench.now))
    assert server.getpeername() == (f"::ffff:{CLIENT[0]}", client.getsockname()[1], 0, 0)
    assert client.getpeername() == (f"::ffff:{SERVER[0]}", 80, 0, 0)


def test_a_refusal_is_told_once_and_connecting_may_be_tried_again() -> None:
    bench = Bench()
    client = bench.client()
    client.connect(bench.host, 80, bench.now)
    bench.run()
    fails(errno.ECONNREFUSED, client.connect, bench.host, 80, bench.now)
    assert so_error(client, bench.now) == 0
    bench.listener()
    waits(client.connect(bench.host, 80, bench.now), Event.CONNECTED, errno.EINPROGRESS)
    bench.run()
    assert client.connect(bench.host, 80, bench.now) is None


def test_a_refusal_that_so_error_has_told_is_an_abort_to_connect() -> None:
    bench = Bench()
    client = bench.client()
    client.connect(bench.host, 80, bench.now)
    bench.run()
    assert so_error(client, bench.now) == errno.ECONNREFUSED
    fails(errno.ECONNABORTED, client.connect, bench.host, 80, bench.now)


def test_silence_is_a_timeout_after_the_last_repetition() -> None:
    bench = Bench(tap=lambda *_: [], config=TcpConfig(syn_retries=3))
    client = bench.client()
    began = bench.now
    client.connect(bench.host, 80, bench.now)
    assert bench.run(60, lambda: client.state is State.CLOSED)
    # 1, 2, 4 and 8 seconds (RFC 6298 §5.5).
    assert bench.now - began == pytest.approx(15.0)
    assert len(bench.seen()) == 4
    fails(errno.ETIMEDOUT, client.connect, bench.host, 80, bench.now)


def test_what_cannot_be_connected_to() -> None:
    bench = Bench()
    client = bench.client()
    fails(errno.EAFNOSUPPORT, client.connect, SERVER[1], 80, bench.now)
    fails(errno.EADDRNOTAVAIL, client.connect, SERVER[0], 0, bench.now)
    fails(errno.ENETUNREACH, client.connect, "224.0.0.1", 80, bench.now)
    client.protection = Security(
        protect="ao", keys=MktTable([Mkt("other", 1, 1, b"secret", peer=ip_network("10.9.9.9"))])
    )
    fails(errno.ENOKEY, client.connect, SERVER[0], 80, bench.now)
    assert bench.seen() == []


def test_two_sockets_of_a_port_to_the_same_peer() -> None:
    bench = Bench()
    bench.listener()
    first, second = bench.client(), bench.client()
    for core in (first, second):
        core.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        core.bind("", 5000)
    first.connect(bench.host, 80, bench.now)
    fails(errno.EADDRNOTAVAIL, second.connect, bench.host, 80, bench.now)


def test_giving_up_while_connecting() -> None:
    for end in ("shutdown", "close"):
        bench = Bench(tap=lambda *_: [])
        client = bench.client()
        client.connect(bench.host, 80, bench.now)
        bench.run(0.1)
        if end == "shutdown":
            client.shutdown(SHUT_RDWR, bench.now)
            assert so_error(client, bench.now) == errno.ECONNRESET
        else:
            assert client.close(bench.now) is None
        bench.run(30)
        assert [segment.flags for segment in bench.seen()] == [SYN]


def take_all(listener: SocketCore, now: float) -> int:
    """Accept what waits; how many that was."""
    count = 0
    while isinstance(listener.accept(now), SocketCore):
        count += 1
    return count


@pytest.mark.parametrize(("profile", "most"), [(OWN, 3), (LINUX, 3), (FREEBSD, 2)])
def test_the_backlog(profile: Profile, most: int) -> None:
    bench = Bench(profile=profile)
    listener = bench.listener(backlog=2)
    clients = [bench.client() for _ in range(6)]
    for client in clients:
        client.connect(bench.host, 80, bench.now)
        bench.run(0.05)
    assert [client.connected for client in clients] == [True] * most + [False] * (6 - most)
    assert take_all(listener, bench.now) == most
    # A SYN that was dropped is repeated, and there is room now.
    listener.listen(100)
    bench.run(2.0)
    assert all(client.connected for client in clients)
    assert take_all(listener, bench.now) == 6 - most


def test_the_backlog_has_its_bounds() -> None:
    for backlog, most in ((1 << 30, 4), (-5, 1)):
        bench = Bench(profile=Profile(most_backlog=3))
        listener = bench.listener(backlog=backlog)
        clients = [bench.client() for _ in range(6)]
        for client in clients:
            client.connect(bench.host, 80, bench.now)
            bench.run(0.05)
        assert take_all(listener, bench.now) == most


def test_accepted_sockets_inherit_options_and_profile() -> None:
    bench = Bench(profile=LINUX)
    listener = bench.listener()
    listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    client = bench.client()
    client.connect(bench.host, 80, bench.now)
    bench.run()
    server = accepted(listener.accept(bench.now))
    assert server.profile is LINUX
    assert server.getsockopt(IPPROTO_TCP, TCP_NODELAY, bench.now) == 1
    # They are its own from then on.
    server.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    assert listener.getsockopt(SOL_SOCKET, SO_KEEPALIVE, bench.now) == 0


def test_a_listener_that_ends_resets_who_waits() -> None:
    for end in ("close", "shutdown"):
        bench = Bench()
        listener = bench.listener()
        client = bench.client()
        client.connect(bench.host, 80, bench.now)
        bench.run()
        if end == "close":
            listener.close(bench.now)
        else:
            listener.shutdown(SHUT_RD, bench.now)
            fails(errno.EINVAL, listener.accept, bench.now)
            # The port is still its own, and it may listen again.
            fails(errno.EADDRINUSE, bench.server().bind, "", 80)
            listener.listen(1)
        bench.run()
        fails(errno.ECONNRESET, client.recv, 1, 0, bench.now)
        assert bench.seen(from_client=False)[-1].flags & RST


def test_security_is_settled_before_the_connection() -> None:
    bench = Bench()
    agreed = Security(protect="ao-enc-dh")
    listener = bench.server()
    listener.set_protection(agreed)
    listener.bind("", 80)
    listener.listen(1)
    fails(errno.EISCONN, listener.set_protection, Security())
    client = bench.client()
    fails(errno.ENOTCONN, client.security)
    fails(errno.ENOTCONN, client.report)
    client.set_protection(agreed)
    client.connect(bench.host, 80, bench.now)
    bench.run()
    server = accepted(listener.accept(bench.now))
    assert client.security()["mode"] == server.security()["mode"] == "ao-enc-dh"
    assert client.security()["session_id"] == server.security()["session_id"]
    assert server.report()["role"] == "accept"
    fails(errno.EISCONN, client.set_protection, Security())
