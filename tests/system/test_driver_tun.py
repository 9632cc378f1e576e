"""Driver and TUN together: the kernel's echo requests are answered by a host that knows ICMP alone."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from stack import icmp
from stack.batch import Batch
from stack.checksum import checksum
from stack.ip import Ip, parse
from stack.simulator import Loss
from tun.capture import Capture
from tun.device import Tun
from tun.driver import Driver
from tun.errors import TunError
from tun.netns import Namespace

pytestmark = pytest.mark.tun

HOST, STACK, HOST6, STACK6 = "10.79.0.1", "10.79.0.2", "fd79::1", "fd79::2"
COUNT = 200


class Echo:
    """Answers echo requests."""

    next_deadline = None

    def __init__(self) -> None:
        self.out: list[bytes] = []

    def receive(self, batch: Batch, now: float) -> None:
        for packet in batch.packets:
            ip = parse(packet)
            if isinstance(ip, Ip):
                reply = icmp.take(ip, packet)
                if isinstance(reply, bytes):
                    self.out.append(reply)

    def advance(self, now: float) -> None:
        raise AssertionError("no deadline was set")

    def take_output(self, now: float) -> Batch:
        out, self.out = self.out, []
        return Batch(out)


def request(number: int) -> bytes:
    message = bytearray(b"\x08\0\0\0\x01\x02" + number.to_bytes(2, "big") + bytes(56))
    message[2:4] = checksum(message).to_bytes(2, "big")
    return bytes(message)


async def ping(space: Namespace, numbers: range, lost: Callable[[], int] = lambda: 0) -> set[int]:
    """Send echo requests from the kernel's side; return the numbers answered, once all others are lost."""
    loop = asyncio.get_running_loop()
    answered = set()
    with space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as pinger:
        pinger.setblocking(False)
        for number in numbers:
            pinger.sendto(request(number), (STACK, 0))
        async with asyncio.timeout(10):
            while len(answered) + lost() < len(numbers):
                try:
                    async with asyncio.timeout(0.05):
                        packet = await loop.sock_recv(pinger, 2000)
                except TimeoutError:
                    continue
                if packet[20] == 0:
                    answered.add(int.from_bytes(packet[26:28], "big"))
    return answered


async def ping6(space: Namespace) -> bytes:
    """Send one ICMPv6 echo request; the kernel makes and checks the checksums."""
    loop = asyncio.get_running_loop()
    with space.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)) as pinger:
        pinger.setblocking(False)
        pinger.sendto(b"\x80\0\0\0\0\1\0\2six", (STACK6, 0))
        async with asyncio.timeout(10):
            while (message := await loop.sock_recv(pinger, 2000))[0] != 129:
                pass
    return message


def test_kernel_pings_a_host_across_the_tun(fresh_name: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "ping.pcapng"

    async def main(space: Namespace, tun: Tun, capture: Capture) -> None:
        with Driver(Echo(), tun, capture=capture):
            assert await ping(space, range(COUNT)) == set(range(COUNT))
            assert (await ping6(space))[4:] == b"\0\1\0\2six"

    with (
        Namespace(fresh_name("drv")) as space,
        Tun("et0", [f"{STACK}/24", f"{STACK6}/64"], [HOST, HOST6], netns=space.name) as tun,
        Capture(path) as capture,
    ):
        asyncio.run(main(space, tun, capture))
        assert tun.written == COUNT + 1
        assert tun.dropped == 0
    with PcapNgReader(str(path)) as reader:
        packets = [bytes(packet) for packet in reader]
    assert len(packets) == 2 * COUNT + 2


def test_boxes_lose_packets_on_a_real_device(fresh_name: Callable[[str], str]) -> None:
    box = Loss(0.5, random.Random(1))

    async def main(space: Namespace, tun: Tun) -> None:
        with Driver(Echo(), tun, boxes=[box]):
            answered = await ping(space, range(COUNT), lambda: box.lost)
            assert 0.1 * COUNT < len(answered) < 0.4 * COUNT

    with Namespace(fresh_name("drv")) as space, Tun("et0", [f"{STACK}/24"], [HOST], netns=space.name) as tun:
        asyncio.run(main(space, tun))


def test_a_deleted_device_ends_the_driver(fresh_name: Callable[[str], str]) -> None:
    async def main(space: Namespace, tun: Tun) -> None:
        with Driver(Echo(), tun) as driver:
            space.run(["ip", "link", "delete", "et0"], check=True)
            async with asyncio.timeout(10):
                with pytest.raises(TunError, match="device et0 is gone"):
                    await driver.wait()

    with Namespace(fresh_name("drv")) as space, Tun("et0", [f"{STACK}/24"], [HOST], netns=space.name) as tun:
        asyncio.run(main(space, tun))
