"""One process with many connections that are echoed: ``python -m tools.bench.crowd_worker POST``.

It does what it is ordered to over a socket, a message of JSON for each order and for each answer (``crowd``):

- ``{"do": "open", "count": N}``: open N connections more, each with a task that reads; answers ``{"open":
  all}``.
- ``{"do": "echo", "times": N, "busy": B}``: send one octet and wait for it to come back, N times, over the
  first B connections in turn; answers ``{"median": s, "p99": s, "cpu": s}``, the round trip's and this
  process's own seconds.
- ``{"do": "cpu"}``: answers ``{"cpu": s}``, what this process has used.
- ``{"do": "memory"}``: answers ``{"rss": octets, "connections": N}``, after a collection of garbage.

The accepting process knows only the last two. It serves each connection by asyncio's streams with a task that
reads.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import selectors
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, Self

from stack.config import TcpConfig
from stack.ratelimit import RateLimit
from stack.security import Security
from tun.interface import Interface

from ..protect import check_security
from .pair import Paired

PORT: Final = 5007
# Opened at the same time: what a handshake needs for itself is not to decide what the process takes.
_WAVE: Final = 50
_PATIENCE: Final = 60.0
# Delayed acknowledgments and what else follows a handshake, seconds.
_CALM: Final = 0.25
_PAGE: Final = resource.getpagesize()
_LARGEST_ORDER: Final = 1 << 16

Order = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Post:
    """What a process is: it ``accepts`` or opens; ``stack``: with the stack's TCP, else the kernel's.

    ``orders`` is the descriptor of orders, ``wire`` that of a ``pair`` (-1: a TUN in ``netns``). ``own`` is the
    stack's address (CIDR), ``host`` the kernel's beside it; connections are opened to ``address``. ``keys`` is a
    keys file, empty for none; ``core`` the one to be pinned to (-1: none).
    """

    accepts: bool
    orders: int
    address: str
    stack: bool = True
    wire: int = -1
    own: str = ""
    host: str = ""
    netns: str = ""
    mtu: int = 1500
    protect: str = "none"
    keys: str = ""
    congestion: str = "cubic"
    core: int = -1

    def line(self) -> str:
        """Return the post as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Self:
        """Return the post of ``line()``."""
        return cls(**json.loads(line))


def resident() -> int:
    """Octets of this process's memory that are in the machine's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def told(order: Order, connections: int) -> Order:
    """Return the answer to ``cpu`` or ``memory``."""
    if order["do"] == "cpu":
        return {"cpu": time.process_time()}
    gc.collect()
    return {"rss": resident(), "connections": connections}


def spread(rtts: list[float], cpu: float) -> Order:
    """Return the answer to ``echo``."""
    p99 = quantiles(rtts, n=100)[98] if len(rtts) > 1 else rtts[0]
    return {"median": median(rtts), "p99": p99, "cpu": cpu}


class _Accepting:
    """The side that echoes."""

    def __init__(self, interface: Interface, post: Post, security: Security) -> None:
        self._interface = interface
        self._post = post
        self._security = security
        self._connections = 0

    async def begin(self) -> None:
        # What protects a server from strangers who have it agree on keys is not what is measured.
        self._interface.stack.passive.out_of_band.agreements = RateLimit(1e6, 1_000_000)
        address = self._post.address
        await self._interface.start_server(
            self._serve, PORT, address=address, security=self._security, backlog=4 * _WAVE
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            while octets := await reader.read(4096):
                writer.write(octets)
        except ConnectionError:
            pass
        writer.close()
        self._connections -= 1

    async def obey(self, order: Order) -> Order:
        return told(order, self._connections)


class _Opening:
    """The side that opens and asks."""

    def __init__(self, interface: Interface, post: Post, security: Security) -> None:
        self._interface = interface
        self._post = post
        self._security = security
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Nothing is to be done before the first order."""

    async def obey(self, order: Order) -> Order:
        match order["do"]:
            case "open":
                return await self._open(order["count"])
            case "echo":
                return await self._echo(order["times"], order["busy"])
        return told(order, len(self._writers))

    async def _open(self, count: int) -> Order:
        while count:
            wave = min(count, _WAVE)
            async with asyncio.timeout(_PATIENCE):
                await asyncio.gather(*(self._open_one() for _ in range(wave)))
            count -= wave
        await asyncio.sleep(_CALM)
        return {"open": len(self._writers)}

    async def _open_one(self) -> None:
        reader, writer = await self._interface.open_connection(self._post.address, PORT, security=self._security)
        self._writers.append(writer)
        task = asyncio.create_task(self._read(reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(4096):
            if self._answered is not None:
                self._answered.set_result(None)

    async def _echo(self, times: int, busy: int) -> Order:
        loop = asyncio.get_running_loop()
        clock = time.perf_counter
        rtts: list[float] = []
        cpu = time.process_time()
        for index in range(times):
            self._answered = loop.create_future()
            began = clock()
            self._writers[index % busy].write(b".")
            await self._answered
            rtts.append(clock() - began)
        cpu = time.process_time() - cpu
        self._answered = None
        return spread(rtts, cpu)


async def _stack(post: Post) -> None:
    security = check_security(
        protect=post.protect,
        policy="require" if post.protect != "none" else "prefer",
        edo=None,
        keys=Path(post.keys) if post.keys else None,
        notice=lambda text: None,
    )
    config = TcpConfig(congestion=post.congestion, nagle=False)
    interface: Interface
    if post.wire >= 0:
        wire = socket.socket(fileno=post.wire)
        interface = Paired(wire, addr=(post.own,), mtu=post.mtu, config=config)
    else:
        host = (post.host,) if post.host else ()
        interface = Interface(addr=(post.own,), host=host, netns=post.netns, mtu=post.mtu, config=config)
    async with interface:
        side = (_Accepting if post.accepts else _Opening)(interface, post, security)
        await side.begin()
        gc.collect()
        gc.freeze()
        await _serve_orders(post, side.obey)


async def _serve_orders(post: Post, obey: Callable[[Order], Awaitable[Order]]) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(fileno=post.orders) as orders:
        orders.setblocking(False)
        await loop.sock_sendall(orders, b'{"ready": true}')
        while order := await loop.sock_recv(orders, _LARGEST_ORDER):
            await loop.sock_sendall(orders, json.dumps(await obey(json.loads(order))).encode())


class _Kernel:
    """The kernel's TCP as either side, with the same orders."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._sockets: list[socket.socket] = []

    def _socket(self) -> socket.socket:
        one = socket.socket(socket.AF_INET6 if ":" in self._post.address else socket.AF_INET)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._post.congestion.encode())
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one

    def run(self) -> None:
        with socket.socket(fileno=self._post.orders) as orders:
            if self._post.accepts:
                self._accept(orders)
            else:
                orders.sendall(b'{"ready": true}')
                while order := orders.recv(_LARGEST_ORDER):
                    orders.sendall(json.dumps(self._obey(json.loads(order))).encode())

    def _obey(self, order: Order) -> Order:
        match order["do"]:
            case "open":
                for _ in range(order["count"]):
                    one = self._socket()
                    one.settimeout(_PATIENCE)
                    one.connect((self._post.address, PORT))
                    self._sockets.append(one)
                return {"open": len(self._sockets)}
            case "echo":
                return self._echo(order["times"], order["busy"])
        return told(order, len(self._sockets))

    def _echo(self, times: int, busy: int) -> Order:
        clock = time.perf_counter
        rtts: list[float] = []
        cpu = time.process_time()
        for index in range(times):
            one = self._sockets[index % busy]
            began = clock()
            one.sendall(b".")
            one.recv(16)
            rtts.append(clock() - began)
        return spread(rtts, time.process_time() - cpu)

    def _accept(self, orders: socket.socket) -> None:
        with self._socket() as listener, selectors.DefaultSelector() as selector:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._post.address, PORT))
            listener.listen(4 * _WAVE)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(orders, selectors.EVENT_READ)
            orders.sendall(b'{"ready": true}')
            while True:
                for key, _ in selector.select():
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is listener:
                        selector.register(listener.accept()[0], selectors.EVENT_READ)
                    elif octets := one.recv(_LARGEST_ORDER):
                        if one is orders:
                            octets = json.dumps(told(json.loads(octets), len(selector.get_map()) - 2)).encode()
                        one.sendall(octets)
                    elif one is orders:
                        return
                    else:
                        selector.unregister(one)
                        one.close()


def run(post: Post) -> None:
    """Be what ``post`` says until there are no more orders."""
    if post.core >= 0:
        os.sched_setaffinity(0, {post.core})
    if post.stack:
        asyncio.run(_stack(post))
    else:
        _Kernel(post).run()


if __name__ == "__main__":
    try:
        run(Post.read(sys.argv[1]))
    except OSError as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")
