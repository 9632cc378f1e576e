"""A stack on a TUN and the TCP-AO guest beyond it, for tests that run one after the other on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from ao.mkt import Mkt, MktTable
from stack import ao_counters
from stack.aio import open_connection, start_server
from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Box, Direction, Emission
from stack.host import Stack
from stack.ip import TCP, Ip, parse
from stack.security import Security
from tests.interop.peer import GUEST, GUEST6, STACK, STACK6, STACK_HOST, STACK_HOST6, Guest
from tun.device import Tun
from tun.driver import Driver
from tun.netns import Namespace

_AO = 29


class Count:
    """Counts the TCP segments with TCP-AO that the device is given and gives."""

    next_deadline = None

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """See packets pass."""
        n = sum(map(_has_ao, packets))
        if direction is Direction.FORWARD:
            self.sent += n
        else:
            self.received += n
        return [(now, direction, packet) for packet in packets]


def _has_ao(packet: Octets) -> bool:
    ip = parse(packet)
    if not isinstance(ip, Ip) or ip.protocol != TCP:
        return False
    tcp = ip.payload(packet)
    end = (tcp[12] >> 4) * 4
    at = 20
    while at < end and tcp[at] != 0:
        if tcp[at] == _AO:
            return True
        at += 1 if tcp[at] == 1 else max(tcp[at + 1], 2)
    return False


@dataclass
class World:
    """The stack, its driver, the guest, and what crossed the device."""

    guest: Guest
    stack: Stack
    driver: Driver[Stack]
    count: Count
    attempts: list[Attempt] = field(default_factory=list)

    @staticmethod
    def host(v6: bool) -> str:
        """The guest's address."""
        return GUEST6 if v6 else GUEST

    async def connect(
        self, port: int, *mkts: Mkt, v6: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the guest under TCP-AO."""
        return await open_connection(
            self.driver,
            self.host(v6),
            port,
            security=Security(protect="ao", keys=MktTable(mkts)),
            started=self.attempts.append,
        )

    @contextlib.asynccontextmanager
    async def echo(self, port: int, *mkts: Mkt) -> AsyncIterator[list[asyncio.StreamWriter]]:
        """Serve echo under TCP-AO; yields the writers of those who came."""
        came: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(writer)
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()

        security = Security(protect="ao", keys=MktTable(mkts))
        server = await start_server(serve, self.driver, port, security=security)
        try:
            yield came
        finally:
            server.close()

    async def agreed(self, before: dict[str, int], counted: tuple[int, int]) -> dict[str, int]:
        """The kernel's counters since ``before``, once it has counted all that was sent since ``counted``."""
        grown: dict[str, int] = {}
        for _ in range(100):
            now = await self.guest.netstat()
            grown = {name: value - before.get(name, 0) for name, value in now.items()}
            if sum(grown.values()) >= self.count.sent - counted[0]:
                break
            await asyncio.sleep(0.02)
        return grown

    def verified(self) -> int:
        """Segments whose MAC was good at this side, of all connections so far that the stack still knows."""
        return sum(ao_counters.of_connection(flow)["good"] for flow in self.stack.flows.values())


@contextlib.asynccontextmanager
async def world(space: Namespace, guest: Guest, boxes: Sequence[Box] = ()) -> AsyncIterator[World]:
    """A stack on a TUN of its own in the guest's namespace."""
    count = Count()
    addresses = [f"{STACK}/24", f"{STACK6}/64"]
    with Tun("edotun0", addresses, [STACK_HOST, STACK_HOST6], netns=space.name) as tun:
        stack = Stack(addresses, random=random.Random(7).randbytes)
        with Driver(stack, tun, boxes=[*boxes, count]) as driver:
            yield World(guest, stack, driver, count)
