"""TCP-MD5 (RFC 2385) with the kernel's TCP_MD5SIG as the peer, across a real TUN."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from ao.md5 import Md5Key, Md5Table
from stack.aio import open_connection, start_server
from stack.box import Box
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, Loss, Reorder
from tests.system.test_kernel_peer import ADDRESSES, HOST, HOST6, STACK, STACK6, echo, exchange, kernel_socket
from tun.device import Tun
from tun.driver import Driver
from tun.netns import Namespace

pytestmark = pytest.mark.tun

SECRET = b"a password of 80 octets at most, in printable ASCII, as RFC 2385 section 4.5 has"
# include/uapi/linux/tcp.h: the option, and struct tcp_md5sig.
TCP_MD5SIG = 14
MD5SIG = struct.Struct("=128sBBHi80s")
FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])


def sign(kernel: socket.socket, peer: str, secret: bytes = SECRET) -> None:
    """Have a kernel's socket sign towards ``peer``; skips where this kernel cannot."""
    if kernel.family == socket.AF_INET6:
        address = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, peer), 0)
    else:
        address = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(peer))
    try:
        kernel.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, MD5SIG.pack(address, 0, 0, len(secret), 0, secret))
    except OSError as error:
        if error.errno in (errno.ENOPROTOOPT, errno.ENOENT):
            pytest.skip("this kernel has no TCP_MD5SIG")
        raise


def security(secret: bytes = SECRET) -> Security:
    keys = [Md5Key(name, secret, peer=ip_network(net)) for name, net in (("4", "10.82.0.0/24"), ("6", "fd82::/64"))]
    return Security("md5", md5_keys=Md5Table(keys))


@contextmanager
def world(name: str) -> Iterator[tuple[Namespace, Tun]]:
    with Namespace(name) as space, Tun("et0", ADDRESSES, [HOST, HOST6], netns=space.name) as tun:
        yield space, tun


def unverified(space: Namespace) -> int:
    """What the kernel of a namespace has counted as failed, missing or unexpected."""
    lines = space.call(Path("/proc/thread-self/net/netstat").read_text).splitlines()
    names, values = (line.split() for line in lines if line.startswith("TcpExt:"))
    return sum(int(value) for name, value in zip(names, values, strict=True) if name.startswith("TCPMD5"))


@FAMILIES
@pytest.mark.parametrize("lossy", [False, True])
def test_the_kernel_connects(fresh_name: Callable[[str], str], family: int, lossy: bool) -> None:
    chance = random.Random(1)
    boxes: Sequence[Box] = [Loss(0.02, chance), Reorder(0.1, 0.002, chance), Delay(0.001)] if lossy else []
    octets = chance.randbytes(200_000 if lossy else 1_000_000)
    target = STACK if family == socket.AF_INET else STACK6

    async def main(space: Namespace, tun: Tun) -> None:
        stack = Stack(ADDRESSES, random=chance.randbytes)
        with Driver(stack, tun, boxes=boxes) as driver:
            await start_server(echo, driver, 7, security=security())
            with kernel_socket(space, family) as peer:
                sign(peer, target)
                async with asyncio.timeout(60):
                    await asyncio.get_running_loop().sock_connect(peer, (target, 7))
                    assert await exchange(peer, octets) == octets
        assert not stack.drops["bad_checksum"]
        assert not {reason for reason in stack.drops if reason.startswith("md5")}
        assert unverified(space) == 0

    with world(fresh_name("md5")) as (space, tun):
        asyncio.run(main(space, tun))


@FAMILIES
def test_the_stack_connects(fresh_name: Callable[[str], str], family: int) -> None:
    octets = random.Random(2).randbytes(1_000_000)
    host, own = (HOST, STACK) if family == socket.AF_INET else (HOST6, STACK6)

    async def main(space: Namespace, tun: Tun) -> None:
        loop = asyncio.get_running_loop()
        stack = Stack(ADDRESSES, random=random.Random(3).randbytes)
        with Driver(stack, tun) as driver, kernel_socket(space, family) as listener:
            sign(listener, own)
            listener.bind((host, 9000))
            listener.listen()
            async with asyncio.timeout(30):
                reader, writer = await open_connection(driver, host, 9000, security=security())
                peer, _ = await loop.sock_accept(listener)
                with peer:
                    writer.write(octets)
                    writer.write_eof()
                    got = bytearray()
                    while data := await loop.sock_recv(peer, 1 << 18):
                        got += data
                    assert got == octets
                    # Neither side's buffers need hold it all.
                    sending = asyncio.create_task(loop.sock_sendall(peer, octets))
                    assert await reader.readexactly(len(octets)) == octets
                    await sending
                assert await reader.read(-1) == b""
                writer.close()
                await writer.wait_closed()
        assert not {reason for reason in stack.drops if reason.startswith("md5")}
        assert unverified(space) == 0

    with world(fresh_name("md5")) as (space, tun):
        asyncio.run(main(space, tun))


@pytest.mark.parametrize(("secret", "reason"), [(b"wrong", "md5_bad"), (None, "md5_required")])
def test_a_kernel_with_a_wrong_key_or_none_gets_no_answer(
    fresh_name: Callable[[str], str], secret: bytes | None, reason: str
) -> None:
    async def main(space: Namespace, tun: Tun) -> None:
        stack = Stack(ADDRESSES, random=random.Random(4).randbytes)
        with Driver(stack, tun) as driver:
            await start_server(echo, driver, 7, security=security())
            with kernel_socket(space, socket.AF_INET) as peer:
                if secret is not None:
                    sign(peer, STACK, secret)
                connecting = asyncio.create_task(asyncio.get_running_loop().sock_connect(peer, (STACK, 7)))
                async with asyncio.timeout(30):
                    # Its SYN is repeated after a second: the first was not answered.
                    while stack.drops[reason] < 2:
                        await asyncio.wait([connecting], timeout=0.05)
                        assert not connecting.done()
                connecting.cancel()

    with world(fresh_name("md5")) as (space, tun):
        asyncio.run(main(space, tun))


@pytest.mark.parametrize("secret", [b"wrong", None])
def test_a_kernel_takes_nothing_under_a_wrong_key(fresh_name: Callable[[str], str], secret: bytes | None) -> None:
    async def main(space: Namespace, tun: Tun) -> None:
        stack = Stack(ADDRESSES, random=random.Random(5).randbytes)
        with Driver(stack, tun) as driver, kernel_socket(space, socket.AF_INET) as listener:
            if secret is not None:
                sign(listener, STACK, secret)
            listener.bind((HOST, 9000))
            listener.listen()
            connecting = asyncio.create_task(open_connection(driver, HOST, 9000, security=security()))
            async with asyncio.timeout(30):
                while unverified(space) < 2:
                    await asyncio.wait([connecting], timeout=0.05)
                    assert not connecting.done()
            connecting.cancel()

    with world(fresh_name("md5")) as (space, tun):
        asyncio.run(main(space, tun))
