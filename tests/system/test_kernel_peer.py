"""The kernel's TCP as the peer, across a real TUN."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Sequence

import pytest

from stack.aio import open_connection, start_server
from stack.box import Box
from stack.host import Stack
from stack.simulator import Delay, Loss, Reorder
from tun.device import Tun
from tun.driver import Driver
from tun.netns import Namespace

from .echoed import echo, exchange

pytestmark = pytest.mark.tun

HOST, STACK, HOST6, STACK6 = "10.82.0.1", "10.82.0.2", "fd82::1", "fd82::2"
ADDRESSES = [f"{STACK}/24", f"{STACK6}/64"]


def kernel_socket(space: Namespace, family: int) -> socket.socket:
    made = space.call(lambda: socket.socket(family, socket.SOCK_STREAM))
    made.setblocking(False)
    return made


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("lossy", [False, True])
def test_kernel_connects_and_gets_its_octets_back(
    fresh_name: Callable[[str], str], family: int, lossy: bool
) -> None:
    chance = random.Random(1)
    boxes: Sequence[Box] = [Loss(0.02, chance), Reorder(0.1, 0.002, chance), Delay(0.001)] if lossy else []
    octets = chance.randbytes(200_000 if lossy else 5_000_000)

    async def main(space: Namespace, tun: Tun) -> None:
        stack = Stack(ADDRESSES, random=chance.randbytes)
        with Driver(stack, tun, boxes=boxes) as driver:
            await start_server(echo, driver, 7)
            with kernel_socket(space, family) as peer:
                async with asyncio.timeout(60):
                    target = STACK if family == socket.AF_INET else STACK6
                    await asyncio.get_running_loop().sock_connect(peer, (target, 7))
                    assert await exchange(peer, octets) == octets
        assert stack.drops["bad_checksum"] == 0
        assert tun.dropped == 0

    with Namespace(fresh_name("ker")) as space, Tun("et0", ADDRESSES, [HOST, HOST6], netns=space.name) as tun:
        asyncio.run(main(space, tun))


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_the_stack_connects_to_the_kernel(fresh_name: Callable[[str], str], host: str) -> None:
    octets = random.Random(2).randbytes(1_000_000)

    async def main(space: Namespace, tun: Tun) -> None:
        loop = asyncio.get_running_loop()
        with (
            Driver(Stack(ADDRESSES, random=random.Random(3).randbytes), tun) as driver,
            kernel_socket(space, socket.AF_INET6 if ":" in host else socket.AF_INET) as listener,
        ):
            listener.bind((host, 9000))
            listener.listen()
            async with asyncio.timeout(30):
                reader, writer = await open_connection(driver, host, 9000)
                peer, _ = await loop.sock_accept(listener)
                with peer:
                    writer.write(octets)
                    writer.write_eof()
                    got = bytearray()
                    while data := await loop.sock_recv(peer, 1 << 18):
                        got += data
                    assert got == octets
                    await loop.sock_sendall(peer, b"seen")
                assert await reader.read(-1) == b"seen"
                writer.close()
                await writer.wait_closed()

    with Namespace(fresh_name("ker")) as space, Tun("et0", ADDRESSES, [HOST, HOST6], netns=space.name) as tun:
        asyncio.run(main(space, tun))
