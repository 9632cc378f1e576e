"""Two stacks on a wire in virtual time with sockets that do not wait; packets are looked at by what they say."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stack.config import TcpConfig
from stack.runner import dispatch
from stack.socket_core import Blocked, Event, Profile, SocketCore, SocketError
from stack.socket_core.numbers import AF_INET, AF_INET6, SO_ERROR, SOL_SOCKET

from ..wire import CLIENT, SERVER, Tap, Wire, _pass

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


@dataclass(frozen=True)
class Seen:
    """A segment on the wire (IPv4)."""

    at: float
    from_client: bool
    flags: int
    payload: bytes
    window: int
    tos: int
    ttl: int


class Bench:
    """Sockets of a client and of a server, 10 ms from each other."""

    def __init__(
        self,
        *,
        tap: Tap = _pass,
        config: TcpConfig | None = None,
        profile: Profile | None = None,
        family: int = AF_INET,
    ) -> None:
        self.wire = Wire(tap=tap, config=config)
        self.profile = profile
        self.family = family
        self.host = SERVER[family == AF_INET6]
        self.client_host = CLIENT[family == AF_INET6]

    @property
    def now(self) -> float:
        return self.wire.now

    def client(self) -> SocketCore:
        """A fresh socket of the client's stack."""
        return SocketCore(self.wire.client, family=self.family, profile=self.profile)

    def server(self) -> SocketCore:
        """A fresh socket of the server's stack."""
        return SocketCore(self.wire.server, family=self.family, profile=self.profile)

    def listener(self, port: int = 80, backlog: int = 5) -> SocketCore:
        made = self.server()
        made.bind("", port)
        made.listen(backlog)
        return made

    def run(self, seconds: float = 0.5, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; owners are told of what happens."""

        def step() -> bool:
            for stack in (self.wire.client, self.wire.server):
                dispatch(stack.take_ready())
            self.wire.flush()
            return stop()

        return self.wire.run(seconds, step)

    def pair(self) -> tuple[SocketCore, SocketCore]:
        """A connection: the client's socket and the one that the server has accepted."""
        listener = self.listener(8080)
        client = self.client()
        assert isinstance(client.connect(self.host, 8080, self.now), Blocked)
        self.run()
        assert client.connect(self.host, 8080, self.now) is None
        server = accepted(listener.accept(self.now))
        listener.close(self.now)
        return client, server

    def seen(self, since: float = 0.0, from_client: bool | None = None) -> list[Seen]:
        """Segments that were sent at ``since`` or later."""
        found = []
        for at, client, packet in self.wire.sent:
            if at < since or (from_client is not None and client is not from_client):
                continue
            tcp = packet[20:]
            end = (tcp[12] >> 4) * 4
            window = int.from_bytes(tcp[14:16], "big")
            found.append(Seen(at, client, tcp[13], tcp[end:], window, packet[1], packet[8]))
        return found


def accepted(answer: SocketCore | Blocked) -> SocketCore:
    """What accept has given."""
    assert isinstance(answer, SocketCore), answer
    return answer


def fails(number: int, call: Callable[..., Any], *arguments: Any) -> None:
    """See that a call raises a SocketError of ``number`` whose class is that of the number."""
    with pytest.raises(SocketError) as caught:
        call(*arguments)
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[number]
    assert type(caught.value.plain) is type(OSError(number, ""))


def waits(answer: object, until: Event, number: int = errno.EAGAIN) -> Blocked:
    """See that a call has to wait for ``until``, and would be ``number`` where it must not."""
    assert isinstance(answer, Blocked), answer
    assert (answer.until, answer.errno) == (until, number)
    return answer


def so_error(core: SocketCore, now: float) -> int:
    """SO_ERROR, which takes the error away."""
    value = core.getsockopt(SOL_SOCKET, SO_ERROR, now)
    assert isinstance(value, int)
    return value
