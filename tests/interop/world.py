"""A stack on a TUN and the TCP-AO guest beyond it, for tests that run one after the other on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ao.mkt import Mkt, MktTable
from edo.walk import walk
from stack import ao_counters
from stack.aio import open_connection, start_server
from stack.batch import Octets
from stack.box import Box, Direction, Emission
from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import TCP, Ip, parse
from stack.run import RST
from stack.security import Security
from tests.interop.peer import GUEST, GUEST6, STACK, STACK6, STACK_HOST, STACK_HOST6, Guest
from tun.device import Tun
from tun.driver import Driver
from tun.netns import Namespace

_AO = 29


class Count:
    """Counts the TCP segments that the device is given and gives, with TCP-AO and, ``clear``, without.

    ``resets`` are those without that are resets of no connection: a host that has no state cannot sign
    (RFC 5925 §7.7).
    """

    next_deadline = None

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.clear = 0
        self.resets = 0

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """See packets pass."""
        for packet in packets:
            ip = parse(packet)
            if isinstance(ip, Ip) and ip.protocol == TCP:
                tcp = ip.payload(packet)
                if not _has_ao(tcp):
                    self.clear += direction is Direction.FORWARD
                    self.resets += direction is Direction.FORWARD and bool(tcp[13] & RST)
                elif direction is Direction.FORWARD:
                    self.sent += 1
                else:
                    self.received += 1
        return [(now, direction, packet) for packet in packets]


def _has_ao(tcp: memoryview) -> bool:
    spans = walk(tcp, 20, (tcp[12] >> 4) * 4)
    return spans is not None and any(span[0] == _AO for span in spans)


@dataclass
class World:
    """The stack, its driver, the guest, and what crossed the device."""

    guest: Guest
    stack: Stack
    driver: Driver[Stack]
    count: Count
    arrived: Count

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

    def overflowed(self) -> int:
        """Frames that did not fit into the guest's queue: they were sent, and the kernel never saw them."""
        words = ["ip", "-j", "-s", "link", "show", "tapG"]
        shown = json.loads(self.guest.space.run(words, check=True, capture_output=True).stdout)
        return int(shown[0]["stats64"]["tx"]["dropped"])

    async def agreed(self, before: dict[str, int], sent: int, overflowed: int) -> dict[str, int]:
        """The kernel's counters since ``before``, once all that was sent since, ``sent`` then, has arrived."""
        grown: dict[str, int] = {}
        for _ in range(500):
            now = await self.guest.netstat()
            grown = {name: value - before.get(name, 0) for name, value in now.items()}
            if sum(grown.values()) >= self.count.sent + self.count.clear - sent - (self.overflowed() - overflowed):
                break
            await asyncio.sleep(0.02)
        return grown

    def verified(self) -> int:
        """Segments whose MAC was good at this side."""
        return ao_counters.of_stack(self.stack)["good"]


@contextlib.asynccontextmanager
async def world(
    space: Namespace, guest: Guest, boxes: Sequence[Box] = (), config: TcpConfig | None = None
) -> AsyncIterator[World]:
    """A stack on a TUN of its own in the guest's namespace."""
    count = Count()
    addresses = [f"{STACK}/24", f"{STACK6}/64"]
    with Tun("edotun0", addresses, [STACK_HOST, STACK_HOST6], netns=space.name) as tun:
        stack = Stack(addresses, random=random.Random(7).randbytes, config=config)
        # What is lost on its way is not counted: sent is what reaches the device, received what reaches the stack.
        arrived = Count()
        with Driver(stack, tun, boxes=[arrived, *boxes, count]) as driver:
            yield World(guest, stack, driver, count, arrived)
