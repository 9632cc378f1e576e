"""TCP-AO against Linux's own, in both directions, across a TUN; what one side sent the other has counted good."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from ao.mkt import Mkt
from tests.interop.peer import STACK6, GuestKey, guest, prepare
from tests.interop.world import World, world
from tun.netns import Namespace

pytestmark = pytest.mark.tun

KERNEL_MACS = {
    "hmac-sha-1-96": "hmac(sha1)",
    "aes-128-cmac-96": "cmac(aes128)",
    "linux-hmac-sha256": "hmac(sha256)",
}
OURS, THEIRS = 84, 61
SECRET = b"testvector"

Scenario = Callable[[World], Awaitable[None]]


class Bench:
    """The namespace, the guest and the event loop that all tests of this file share."""

    def __init__(self, runner: asyncio.Runner, space: Namespace, running: Any) -> None:
        self._runner = runner
        self._space = space
        self._guest = running

    def run(self, scenario: Scenario, *boxes: Any, seconds: float = 60.0) -> None:
        """Run one scenario on a stack of its own."""

        async def main() -> None:
            async with world(self._space, self._guest, boxes) as made, asyncio.timeout(seconds):
                await scenario(made)

        self._runner.run(main())


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Namespace("edotun-ao") as space, asyncio.Runner() as runner, contextlib.ExitStack() as ends:
        prepare(space)
        context = guest(space)
        running = runner.run(context.__aenter__())
        ends.callback(lambda: runner.run(context.__aexit__(None, None, None)))
        yield Bench(runner, space, running)


def pair(
    mac: str = "hmac-sha-1-96", *, v6: bool = False, exclude: bool = False, octets: int = 12
) -> tuple[Mkt, GuestKey]:
    """One key as either side has it."""
    mkt = Mkt("k", OURS, THEIRS, SECRET, mac=mac, mac_octets=octets, cover_options=not exclude)
    key = GuestKey(SECRET, THEIRS, OURS, KERNEL_MACS[mac], octets, exclude)
    if v6:
        key.peer = f"{STACK6}/128"
    return mkt, key


@contextlib.asynccontextmanager
async def counted(made: World) -> AsyncIterator[dict[str, int]]:
    """What is sent inside, the kernel counts good, all of it and nothing else."""
    before, sent = await made.guest.netstat(), made.count.sent
    seen: dict[str, int] = {}
    yield seen
    grown = await made.agreed(before, (sent, 0))
    seen.update(grown)
    assert grown["TCPAOGood"] == made.count.sent - sent > 0
    assert {name: n for name, n in grown.items() if n and name != "TCPAOGood"} == {}
    assert made.verified() == made.count.received > 0


async def talk(made: World, port: int, mkts: list[Mkt], octets: bytes, *, v6: bool) -> None:
    """Connect to the guest's echo and get everything back."""
    reader, writer = await made.connect(port, *mkts, v6=v6)
    writer.write(octets)
    writer.write_eof()
    assert await reader.read(-1) == octets
    writer.close()
    await writer.wait_closed()


OCTETS = random.Random(5).randbytes(60_000)
PORTS = iter(range(7000, 8000))


@pytest.mark.parametrize("mac", KERNEL_MACS)
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("exclude", [False, True], ids=["options", "no options"])
def test_each_mac_both_ways(bench: Bench, mac: str, v6: bool, exclude: bool) -> None:
    mkt, key = pair(mac, v6=v6, exclude=exclude)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", key, v6=v6)
            await talk(made, port, [mkt], OCTETS, v6=v6)
            end = await done.get()
            assert (end["error"], end["bytes"]) == (None, len(OCTETS))
            assert end["ao"]["bad"] == end["ao"]["key_not_found"] == 0
            async with made.echo(port, mkt):
                end = await made.guest.connect(port, "client", key, v6=v6, bytes=len(OCTETS)).get()
                assert (end["error"], end["bytes"]) == (None, len(OCTETS))

    bench.run(scenario)


@pytest.mark.parametrize("octets", [8, 10, 12, 16])
@pytest.mark.parametrize("mac", KERNEL_MACS)
def test_mac_lengths_that_the_kernel_takes(bench: Bench, mac: str, octets: int) -> None:
    mkt, key = pair(mac, octets=octets)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", key)
            await talk(made, port, [mkt], OCTETS[:20_000], v6=False)
            assert (await done.get())["error"] is None

    bench.run(scenario)
