"""What tests against the guest share: the guest, keys as either side has them, and counters that must agree."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from ao.keys import KeyRing
from ao.mkt import Mkt
from stack.box import Box
from stack.config import TcpConfig
from stack.handshake.configured import ConfiguredProtection
from tests.interop.peer import STACK6, Guest, GuestKey
from tests.interop.world import World, world
from tun.netns import Namespace

KERNEL_MACS = {
    "hmac-sha-1-96": "hmac(sha1)",
    "aes-128-cmac-96": "cmac(aes128)",
    "linux-hmac-sha256": "hmac(sha256)",
}
OURS, THEIRS = 84, 61
SECRET = b"testvector"
PORTS = iter(range(7000, 8000))

Scenario = Callable[[World], Awaitable[None]]


class Bench:
    """The namespace, the guest and the event loop that all tests of a file share."""

    def __init__(self, runner: asyncio.Runner, space: Namespace, running: Guest) -> None:
        self._runner = runner
        self._space = space
        self._guest = running

    def run(self, scenario: Scenario, *boxes: Box, seconds: float = 60.0, config: TcpConfig | None = None) -> None:
        """Run one scenario on a stack of its own."""

        async def main() -> None:
            async with world(self._space, self._guest, boxes, config) as made, asyncio.timeout(seconds):
                await scenario(made)

        self._runner.run(main())


def pair(
    mac: str = "hmac-sha-1-96", *, v6: bool = False, exclude: bool = False, octets: int = 12
) -> tuple[Mkt, GuestKey]:
    """One key as either side has it."""
    mkt = Mkt("k", OURS, THEIRS, SECRET, mac=mac, mac_octets=octets, cover_options=not exclude)
    key = GuestKey(SECRET, THEIRS, OURS, KERNEL_MACS[mac], octets, exclude)
    if v6:
        key.peer = f"{STACK6}/128"
    return mkt, key


def rings_of(made: World) -> list[KeyRing]:
    """The keys of the connections that stand."""
    protections = [flow.protection for flow in made.stack.flows.values()]
    return [p.ring for p in protections if isinstance(p, ConfiguredProtection) and p.ring is not None]


@contextlib.asynccontextmanager
async def counted(made: World) -> AsyncIterator[None]:
    """What is sent inside, the kernel counts good, all of it and nothing else; and what it sends, this side does.

    But for frames that did not fit into the queue of the guest's device. Resets of no connection, which late
    segments draw, are not signed and are counted as lacking the option.
    """
    before, lost = await made.guest.netstat(), made.overflowed()
    count = made.count
    assert count.sent == count.clear == 0
    yield
    grown = await made.agreed(before, 0, lost)
    assert {name: n for name, n in grown.items() if n} == {
        "TCPAOGood": count.sent - (made.overflowed() - lost),
        **({"TCPAORequired": count.resets} if count.resets else {}),
    }
    assert grown["TCPAOGood"] > 0
    assert count.clear == count.resets
    assert made.verified() == made.arrived.received - count.resets > 0
