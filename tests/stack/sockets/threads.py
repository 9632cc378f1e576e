"""Calls in threads that must end, and what it takes to know that one waits."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from stack.sockets import Socket
from tun.threaded import BlockingInterface

T = TypeVar("T")
# For a machine that is busy with much else.
BOUND = 60.0
HOST, HOST6 = "192.0.2.1", "2001:db8::1"


class Call(Generic[T]):
    """A call in a thread of its own; ``result`` is what it returned or raised."""

    def __init__(self, function: Callable[..., T], *arguments: Any) -> None:
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        try:
            self._value.append(function(*arguments))
        except BaseException as error:
            self._error = error

    def _join(self) -> None:
        self._thread.join(BOUND)
        if self._thread.is_alive():
            frame = sys._current_frames().get(self._thread.ident or 0)
            raise AssertionError("the call never ends:\n" + "".join(traceback.format_stack(frame)))

    @property
    def result(self) -> T:
        """What the call returned; raises what it raised."""
        self._join()
        if self._error is not None:
            raise self._error
        return self._value[0]

    @property
    def error(self) -> BaseException | None:
        """What the call raised."""
        self._join()
        return self._error


def until(what: Callable[[], object]) -> None:
    """Give way to other threads until ``what()`` is true."""
    end = time.monotonic() + BOUND
    while not what():
        assert time.monotonic() < end, "it never comes true"
        time.sleep(0)


def waits(socket: Socket) -> None:
    """Give way until some thread waits in a call on ``socket``."""
    until(lambda: socket._waiters)


def connect(interface: BlockingInterface, host: str = HOST) -> tuple[Socket, Socket]:
    """A connection: who has connected and who was accepted, both of which wait for ever."""
    family = 10 if ":" in host else 2
    with interface.create_server((host, 0), family=family) as server:
        first = interface.create_connection((host, server.getsockname()[1]))
        second, _ = server.accept()
    return first, second
