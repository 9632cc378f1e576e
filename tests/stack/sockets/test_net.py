"""What stands beside the socket's own calls: ways of making one, security, files, descriptors and event loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import select
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.security import Security
from stack.sockets import Net
from tun.threaded import BlockingLoopback

from .threads import BOUND, HOST, HOST6, Call, connect


@pytest.fixture
def net(loopback: BlockingLoopback) -> Net:
    return Net(loopback)


def test_kinds_that_are_not_tcp_are_refused(net: Net) -> None:
    for family, kind, proto, number in (
        (socket.AF_INET, socket.SOCK_DGRAM, 0, errno.EPROTONOSUPPORT),
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP, errno.EPROTONOSUPPORT),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0, errno.EAFNOSUPPORT),
    ):
        with pytest.raises(OSError, match="supported") as caught:
            net.socket(family, kind, proto)
        assert caught.value.errno == number


def test_what_a_socket_is_made_with(net: Net) -> None:
    with net.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP) as made:
        assert (made.family, made.type, made.proto) == (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        assert not made.getblocking()
        assert not made.get_inheritable()
        with pytest.raises(TypeError, match="pickle"):
            made.__getstate__()


def test_the_default_timeout_is_the_systems(net: Net) -> None:
    socket.setdefaulttimeout(7.0)
    try:
        with net.socket() as made:
            assert made.gettimeout() == net.getdefaulttimeout() == 7.0
    finally:
        socket.setdefaulttimeout(None)


def test_net_stands_for_the_module(net: Net) -> None:
    assert net.AF_INET6 is socket.AF_INET6
    assert net.timeout is TimeoutError
    assert net.inet_aton("1.2.3.4") == b"\1\2\3\4"
    for name in ("socketpair", "fromfd", "SocketType"):
        with pytest.raises(AttributeError):
            getattr(net, name)


def test_every_address_of_a_name_is_tried(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    with net.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        def found(_: str, port: int, *rest: object) -> list[tuple[object, ...]]:
            kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            # Nobody listens on IPv6, and of two on IPv4 the second.
            return [
                (socket.AF_INET6, *kind, (HOST6, port, 0, 0)),
                (socket.AF_INET, *kind, (HOST, 9)),
                (socket.AF_INET, *kind, (HOST, port)),
            ]

        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *rest: (found if host == "name" else resolve)(host, *rest)
        )
        with net.create_connection(("name", port), timeout=BOUND, source_address=(HOST, 0)) as made:
            assert made.getpeername() == (HOST, port)
            assert made.gettimeout() == BOUND
        with server.accept()[0]:
            pass
    with pytest.raises(ConnectionRefusedError):
        net.create_connection(("name", port))
    with pytest.raises(ExceptionGroup) as caught:
        net.create_connection(("name", port), all_errors=True)
    assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * 3


def test_a_server_of_both_families(net: Net) -> None:
    with net.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=3) as server:
        port = server.getsockname()[1]
        for host in (HOST, HOST6):
            with net.create_connection((host, port)):
                child, peer = server.accept()
                child.close()
                assert peer[0] in (HOST6, f"::ffff:{HOST}")
        with pytest.raises(OSError, match="while attempting to bind on address"):
            net.create_server((HOST, port))
    with pytest.raises(ValueError, match="AF_INET6"):
        net.create_server((HOST, 0), dualstack_ipv6=True)
    with pytest.raises(ValueError, match="SO_REUSEPORT"):
        net.create_server((HOST, 0), reuse_port=True)


def test_security_is_the_sockets_own(net: Net) -> None:
    agreed = Security(protect="ao-enc-dh")
    with net.create_server((HOST, 0), security=agreed) as server, net.socket() as made:
        with pytest.raises(OSError, match="not connected"):
            made.security()
        made.set_security(agreed)
        made.connect(server.getsockname())
        child, _ = server.accept()
        with child:
            made.sendall(b"in secret")
            assert child.recv(99) == b"in secret"
            assert made.security()["mode"] == child.security()["mode"] == "ao-enc-dh"
            assert made.security()["session_id"] == child.security()["session_id"] is not None
            assert made.report()["octets_out"] == 9
            assert made.info()["state"] == "ESTABLISHED"
        with pytest.raises(OSError, match="already connected"):
            made.set_security(Security())


def test_security_may_be_that_of_all_sockets(loopback: BlockingLoopback) -> None:
    protected = Net(loopback, security=Security(protect="ao-enc-dh"))
    with protected.create_server((HOST, 0)) as server:
        with protected.create_connection(server.getsockname()) as made, server.accept()[0] as child:
            assert made.security()["mode"] == child.security()["mode"] == "ao-enc-dh"
        # Protection is required there, and none is offered here.
        with pytest.raises(ConnectionError):
            loopback.create_connection(server.getsockname())


def test_files(loopback: BlockingLoopback, tmp_path: Path) -> None:
    one, other = connect(loopback)
    with one.makefile("rw", newline="\n") as text, other.makefile("rb") as octets:
        text.write("first\nsecond\n")
        text.flush()
        assert octets.readline() == b"first\n"
        one.close()
        # The file holds the connection open.
        assert one.fileno() >= 0
        assert octets.readline() == b"second\n"
        assert other.sendmsg([b"back", b"\n"]) == 5
        assert text.readline() == "back\n"
    assert one.fileno() == -1
    assert other.recv(1) == b""
    other.close()
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    one, other = connect(loopback)
    with one, other, path.open("rb") as file:
        reading = Call(other.recv, 70_000, socket.MSG_WAITALL)
        assert one.sendfile(file, 1000, 70_000) == 70_000
        assert file.tell() == 71_000
        assert reading.result == path.read_bytes()[1000:71_000]
        assert one.sendfile(io.BytesIO(b"rest")) == 4
        one.settimeout(0)
        with pytest.raises(ValueError, match="non-blocking"):
            one.sendfile(file)


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as made:
        yield made


def test_a_selector_sees_each_change(loopback: BlockingLoopback, selector: selectors.BaseSelector) -> None:
    one, other = connect(loopback)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30_000)
    one.setblocking(False)
    selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def ready(timeout: float = 0) -> int:
        return next((mask for _, mask in selector.select(timeout)), 0)

    assert ready() == selectors.EVENT_WRITE
    other.send(b"x")
    selector.modify(one, selectors.EVENT_READ)
    assert ready(BOUND) == selectors.EVENT_READ
    assert one.recv(9) == b"x"
    assert ready() == 0
    selector.modify(one, selectors.EVENT_WRITE)
    sent = 0
    while ready(0.05):
        with contextlib.suppress(BlockingIOError):
            sent += one.send(bytes(10_000))
    assert sent > 30_000
    reading = Call(other.recv, sent, socket.MSG_WAITALL)
    assert ready(BOUND) == selectors.EVENT_WRITE
    assert len(reading.result) == sent
    one.close()
    other.close()


def test_edges(loopback: BlockingLoopback) -> None:
    """EPOLLET: who reads until nothing is left hears of the next octet."""
    one, other = connect(loopback)
    one.setblocking(False)
    with select.epoll() as epoll:
        epoll.register(one, select.EPOLLIN | select.EPOLLET)
        assert epoll.poll(0) == []
        for octets in (b"a", b"bc"):
            other.send(octets)
            assert epoll.poll(BOUND) == [(one.fileno(), select.EPOLLIN)]
            assert epoll.poll(0) == []
            assert one.recv(9) == octets
            with pytest.raises(BlockingIOError):
                one.recv(9)
    one.close()
    other.close()


def test_asyncio_drives_a_socket_by_its_descriptor(loopback: BlockingLoopback) -> None:
    """``loop.sock_*``, and streams over a socket that is given: both know the descriptor alone."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with loopback.create_server((HOST, 0)) as server, loopback.socket(proto=socket.IPPROTO_TCP) as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(server))
            await loop.sock_connect(client, server.getsockname())
            child, _ = await accepting
            child.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=child)

            async def send() -> None:
                await loop.sock_sendall(client, bytes(2_000_000))
                client.shutdown(socket.SHUT_WR)

            sending = loop.create_task(send())
            assert len(await reader.read(-1)) == 2_000_000
            await sending
            writer.write(b"seen")
            await writer.drain()
            assert await loop.sock_recv(client, 9) == b"seen"
            writer.close()
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(main(), BOUND))
