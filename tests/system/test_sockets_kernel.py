"""Sockets that wait against the kernel's, across a real TUN: threads, and one selector for 200 connections."""

from __future__ import annotations

import errno
import hashlib
import resource
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from random import Random

import pytest

from stack.sockets import Socket
from tun.netns import Namespace
from tun.threaded import BlockingInterface

pytestmark = pytest.mark.tun

STACK = {socket.AF_INET: "10.84.0.2", socket.AF_INET6: "fd84::2"}
HOST = {socket.AF_INET: "10.84.0.1", socket.AF_INET6: "fd84::1"}
FAMILIES = [socket.AF_INET, socket.AF_INET6]
BOUND = 60.0
OCTETS = Random(84).randbytes(3_000_000)
MANY = 200


@pytest.fixture
def space(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("bk")) as made:
        yield made


@pytest.fixture
def interface(space: Namespace) -> Iterator[BlockingInterface]:
    addr = [f"{STACK[socket.AF_INET]}/24", f"{STACK[socket.AF_INET6]}/64"]
    with BlockingInterface(tun="et0", addr=addr, host=list(HOST.values()), netns=space.name) as made:
        yield made


def kernel_socket(space: Namespace, family: int) -> socket.socket:
    made: socket.socket = space.call(lambda: socket.socket(family, socket.SOCK_STREAM))
    made.settimeout(BOUND)
    return made


def kernel_server(space: Namespace, family: socket.AddressFamily, backlog: int = 5) -> socket.socket:
    made = kernel_socket(space, family)
    made.bind((HOST[family], 0))
    made.listen(backlog)
    return made


def echo(connection: socket.socket | Socket) -> None:
    """Send everything back until the peer's end, then end."""
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def exchange(connection: socket.socket | Socket, octets: bytes) -> str:
    """Send everything and an end in another thread; the hash of what comes until the peer's end."""

    def send() -> None:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    found = hashlib.sha256()
    while data := connection.recv(1 << 18):
        found.update(data)
    sending.join(BOUND)
    return found.hexdigest()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_serves(space: Namespace, interface: BlockingInterface, family: socket.AddressFamily) -> None:
    with kernel_server(space, family) as server:
        to = (HOST[family], server.getsockname()[1])
        with interface.create_connection(to, timeout=BOUND) as connection:
            peer, name = server.accept()
            assert name == connection.getsockname()
            assert connection.getpeername() == server.getsockname()
            serving = threading.Thread(target=echo, args=(peer,), daemon=True)
            serving.start()
            assert exchange(connection, OCTETS) == hashlib.sha256(OCTETS).hexdigest()
            serving.join(BOUND)
    with pytest.raises(ConnectionRefusedError):
        interface.create_connection(to, timeout=BOUND)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_connects(space: Namespace, interface: BlockingInterface, family: socket.AddressFamily) -> None:
    with interface.create_server((STACK[family], 0), family=family) as server:
        with kernel_socket(space, family) as peer:
            peer.connect(server.getsockname())
            connection, name = server.accept()
            assert name == peer.getsockname()
            serving = threading.Thread(target=echo, args=(connection,), daemon=True)
            serving.start()
            assert exchange(peer, OCTETS) == hashlib.sha256(OCTETS).hexdigest()
            serving.join(BOUND)
        to = server.getsockname()
    with kernel_socket(space, family) as peer, pytest.raises(ConnectionRefusedError):
        peer.connect(to)


def test_resets_of_either_side(space: Namespace, interface: BlockingInterface) -> None:
    reset = b"\1\0\0\0\0\0\0\0"
    with kernel_server(space, socket.AF_INET) as server:
        for ours in (False, True):
            connection = interface.create_connection(server.getsockname(), timeout=BOUND)
            peer, _ = server.accept()
            first, second = (connection, peer) if ours else (peer, connection)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            first.close()
            second.settimeout(BOUND)
            with pytest.raises(ConnectionResetError):
                second.recv(1)
            with pytest.raises(BrokenPipeError):
                second.sendall(b"x")
            second.close()


class Exchange:
    """One of many connections in a selector's loop: sends its octets, then reads as many back."""

    def __init__(self, connection: Socket, number: int) -> None:
        self.connection = connection
        self.octets = Random(number).randbytes(4000 + 37 * number)
        self.sent = 0
        self.got = bytearray()

    def turn(self, events: int) -> int:
        """Do what can be done; the events that are to be waited for next, 0 at the end."""
        if events & selectors.EVENT_WRITE and self.sent < len(self.octets):
            with suppress(BlockingIOError):
                self.sent += self.connection.send(self.octets[self.sent : self.sent + 1500])
        if events & selectors.EVENT_READ:
            self.got += self.connection.recv(1 << 16)
        if len(self.got) == len(self.octets):
            return 0
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.sent < len(self.octets) else 0)


def test_two_hundred_sockets_in_one_selector(space: Namespace, interface: BlockingInterface) -> None:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, min(4096, most)), most))
    with kernel_server(space, socket.AF_INET, MANY) as server, ExitStack() as resources:

        def serve() -> None:
            echoes = [threading.Thread(target=echo, args=(server.accept()[0],), daemon=True) for _ in range(MANY)]
            for thread in echoes:
                thread.start()
            for thread in echoes:
                thread.join(BOUND)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        selector = resources.enter_context(selectors.DefaultSelector())
        waiting: set[Exchange] = set()
        for number in range(MANY):
            connection = resources.enter_context(interface.socket())
            connection.setblocking(False)
            assert connection.connect_ex(server.getsockname()) == errno.EINPROGRESS
            one = Exchange(connection, number)
            waiting.add(one)
            selector.register(connection, selectors.EVENT_WRITE, one)
        while waiting:
            ready = selector.select(BOUND)
            assert ready, f"{len(waiting)} connections come to nothing"
            for key, events in ready:
                one = key.data
                if not one.sent:
                    assert one.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                wanted = one.turn(events)
                if wanted:
                    selector.modify(one.connection, wanted, one)
                else:
                    selector.unregister(one.connection)
                    assert one.got == one.octets
                    one.connection.close()
                    waiting.discard(one)
        serving.join(BOUND)
        assert not serving.is_alive()
