"""Several threads on one socket and on many: what waits, what ends a wait, and what is left behind."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from stack.sockets import Socket
from tun.threaded import BlockingLoopback, FairLock

from .threads import HOST, Call, connect, until, waits


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("call", ["recv", "accept", "connect", "send"])
def test_closing_ends_the_wait_of_another_thread(loopback: BlockingLoopback, call: str) -> None:
    if call == "recv":
        waiting, _peer = connect(loopback)
        made: Call[object] = Call(waiting.recv, 1)
    elif call == "accept":
        waiting = loopback.create_server((HOST, 0))
        made = Call(waiting.accept)
    elif call == "connect":
        waiting = loopback.socket()
        # An address of the stack's network where nobody is.
        made = Call(waiting.connect, ("192.0.2.77", 9))
    else:
        waiting, _peer = connect(loopback)
        made = Call(waiting.sendall, bytes(10_000_000))
    waits(waiting)
    waiting.close()
    error = made.error
    assert isinstance(error, OSError)
    assert error.errno == errno.EBADF


def test_shutting_down_ends_the_wait_of_another_thread(loopback: BlockingLoopback) -> None:
    one, _other = connect(loopback)
    made = Call(one.recv, 1)
    waits(one)
    one.shutdown(socket.SHUT_RD)
    assert made.result == b""
    server = loopback.create_server((HOST, 0))
    accepting = Call(server.accept)
    waits(server)
    server.shutdown(socket.SHUT_RD)
    assert isinstance(accepting.error, OSError)
    assert accepting.error.errno == errno.EINVAL


def test_the_end_of_the_stack_ends_every_wait() -> None:
    with BlockingLoopback() as loopback:
        one, other = connect(loopback)
        server = loopback.create_server((HOST, 0))
        calls: list[Call[object]] = [Call(one.recv, 1), Call(server.accept)]
        waits(one)
        waits(server)
        watched = other.fileno()
    for call in calls:
        assert isinstance(call.error, OSError)
        assert call.error.errno == errno.ENETDOWN
    # Who waits by a descriptor learns of it as well.
    assert select.select([watched], [watched], [], 0)[:2] == ([watched], [watched])
    for socket_ in (one, other, server):
        with pytest.raises(OSError, match="down"):
            socket_.recv(1)
        socket_.close()
        assert socket_.fileno() == -1


def test_many_threads_send_through_one_socket(loopback: BlockingLoopback) -> None:
    """Octets of different calls of ``sendall`` may mix, but none is lost or doubled."""
    one, other = connect(loopback)
    senders = [Call(one.sendall, bytes([number]) * 200_000) for number in range(8)]

    def read() -> bytes:
        got = bytearray()
        while data := other.recv(1 << 16):
            got += data
        return bytes(got)

    reading = Call(read)
    for sender in senders:
        assert sender.result is None
    one.shutdown(socket.SHUT_WR)
    got = reading.result
    assert [got.count(number) for number in range(8)] == [200_000] * 8


def test_many_threads_receive_from_one_socket(loopback: BlockingLoopback) -> None:
    one, other = connect(loopback)

    def read() -> int:
        total = 0
        while data := other.recv(5000):
            total += len(data)
        return total

    readers = [Call(read) for _ in range(4)]
    one.sendall(bytes(1_000_000))
    one.close()
    assert sum(reader.result for reader in readers) == 1_000_000


def test_many_threads_with_a_connection_each(loopback: BlockingLoopback) -> None:
    server = loopback.create_server((HOST, 0))
    to = server.getsockname()

    def serve() -> None:
        def echo(connection: Socket) -> None:
            with connection:
                while data := connection.recv(1 << 14):
                    connection.sendall(data)

        echoing = [Call(echo, server.accept()[0]) for _ in range(10)]
        assert [call.result for call in echoing] == [None] * 10

    def talk(number: int) -> bool:
        octets = Random(number).randbytes(20_000)
        with loopback.create_connection(to) as connection:
            sending = Call(connection.sendall, octets)
            got = connection.recv(len(octets), socket.MSG_WAITALL)
            return sending.result is None and got == octets

    serving = Call(serve)
    talking = [Call(talk, number) for number in range(10)]
    assert [call.result for call in talking] == [True] * 10
    assert serving.result is None
    server.close()


def test_no_descriptor_is_left(loopback: BlockingLoopback) -> None:
    gc.collect()
    before = descriptors()
    for _ in range(3):
        one, other = connect(loopback)
        number = one.fileno()
        assert number >= 0
        assert one.fileno() == number
        assert other.fileno() != number
        one.close()
        other.close()
        assert one.fileno() == other.fileno() == -1
    assert descriptors() == before


def test_a_forgotten_socket_is_closed_and_named(loopback: BlockingLoopback) -> None:
    pair = list(connect(loopback))
    other = pair.pop()
    with pytest.warns(ResourceWarning, match="unclosed <edotun.sockets.Socket AF_INET ESTABLISHED>"):
        pair.clear()
    assert other.recv(1) == b""
    other.close()


def test_a_child_that_was_forked_has_no_stack(loopback: BlockingLoopback) -> None:
    one, other = connect(loopback)
    made = Call(one.recv, 5)
    waits(one)
    child = os.fork()
    if not child:
        # pytest's own ways of ending are not the child's.
        status = 1
        try:
            other.send(b"x")
        except OSError as error:
            status = 0 if error.errno == errno.ENETDOWN else 2
        finally:
            other.close()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.sendall(b"alive")
    assert made.result == b"alive"


def test_the_lock_goes_round_in_order() -> None:
    lock = FairLock()
    order: list[int] = []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    lock.acquire()
    calls: list[Call[None]] = []
    for number in range(5):
        calls.append(Call(take, number))
        until(lambda waiting=number + 1: len(lock._queue) == waiting)
    lock.release()
    for call in calls:
        assert call.result is None
    assert order == list(range(5))


class Interrupted(Exception):
    """What the handler of a signal raises."""


@pytest.fixture
def interrupting() -> Iterator[Callable[[], None]]:
    """Has a signal's handler raise in the main thread, where tests run, once."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled in the main thread alone")
    raised = threading.Event()

    def interrupt(*_: object) -> None:
        if not raised.is_set():
            raised.set()
            raise Interrupted

    def send() -> None:
        # One that comes just before a thread begins to wait does not end the wait.
        while not raised.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            time.sleep(0)

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield send
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_leaves_the_lock_to_others(interrupting: Callable[[], None]) -> None:
    lock = FairLock()
    lock.acquire()

    def later() -> None:
        until(lambda: lock._queue)
        interrupting()

    call = Call(later)
    with pytest.raises(Interrupted):
        lock.acquire()
    assert call.result is None
    assert not lock._queue
    lock.release()
    with lock:
        pass


def test_a_signal_ends_a_wait_and_nothing_else(
    loopback: BlockingLoopback, interrupting: Callable[[], None]
) -> None:
    one, other = connect(loopback)

    def later() -> None:
        waits(one)
        interrupting()

    call = Call(later)
    with pytest.raises(Interrupted):
        one.recv(1)
    assert call.result is None
    other.send(b"x")
    assert one.recv(1) == b"x"
