"""The kernel finishes checksums and cuts and joins segments: both ways, with loss, and the way without all that."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable

import pytest

from stack.security import Security
from tun.interface import Interface
from tun.netns import Namespace, join, namespaces

from .echoed import echo, exchange

pytestmark = [pytest.mark.tun, pytest.mark.programs("nft")]

HOST, STACK, HOST6, STACK6 = "10.83.0.1", "10.83.0.2", "fd83::1", "fd83::2"
LOSS = """
table inet loss {
    chain in { type filter hook input priority 0; numgen random mod 1000 < 10 drop; }
    chain out { type filter hook output priority 0; numgen random mod 1000 < 10 drop; }
}
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("offload", [False, True])
def test_octets_are_whole_both_ways(
    fresh_name: Callable[[str], str], family: int, lossy: bool, offload: bool
) -> None:
    octets = random.Random(1).randbytes(1_000_000 if lossy else 6_000_000)

    async def main(space: Namespace) -> None:
        loop = asyncio.get_running_loop()
        interface = Interface(
            addr=[f"{STACK}/24", f"{STACK6}/64"], host=[HOST, HOST6], netns=space.name, tun="et0", offload=offload
        )
        async with interface, asyncio.timeout(60):
            assert interface.stack.offload is offload
            if lossy:
                space.run(["nft", "-f", "-"], input=LOSS, text=True, check=True)
            await interface.start_server(echo, 7, limit=1 << 18)
            with space.call(lambda: socket.socket(family, socket.SOCK_STREAM)) as peer:
                peer.setblocking(False)
                await loop.sock_connect(peer, (STACK if family == socket.AF_INET else STACK6, 7))
                assert await exchange(peer, octets) == octets
            (flow,) = interface.stack.flows.values() or [None]
            assert interface.stack.drops["bad_checksum"] == 0
            assert flow is None or not flow.drops

    with Namespace(fresh_name("off")) as space:
        asyncio.run(main(space))


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
@pytest.mark.parametrize("capturing", [False, True])
def test_two_stacks_through_kernels_that_forward(
    fresh_name: Callable[[str], str], tmp_path: object, protect: str, capturing: bool
) -> None:
    """What is unfinished stays so across the link; who captures gets, and gives, what a wire has."""
    octets = random.Random(2).randbytes(1_500_000)
    security = Security(protect)  # type: ignore[arg-type]

    async def main(left: Namespace, right: Namespace) -> None:
        one = Interface(addr=["10.84.0.2/24"], host=["10.84.0.1"], netns=left.name, tun="et0")
        other = Interface(
            addr=["10.85.0.2/24"],
            host=["10.85.0.1"],
            netns=right.name,
            tun="et1",
            capture=f"{tmp_path}/c.pcapng" if capturing else None,
        )
        async with one, other, asyncio.timeout(60):
            left.add_route("10.85.0.0/24", via="10.86.0.2")
            right.add_route("10.84.0.0/24", via="10.86.0.1")
            assert one.stack.offload
            assert other.stack.offload is not capturing
            await other.start_server(echo, 7, security=security)
            reader, writer = await one.open_connection("10.85.0.2", 7, security=security)
            writer.write(octets)
            writer.write_eof()
            assert await reader.read(-1) == octets
            writer.close()
            for interface in (one, other):
                assert interface.stack.drops["bad_checksum"] == 0
                assert interface.stack.counters["ao_bad_mac"] == 0

    with namespaces(fresh_name("ofl"), fresh_name("ofr")) as (left, right):
        join(left, "link0", right, "link0")
        left.add_addresses("link0", "10.86.0.1/24")
        right.add_addresses("link0", "10.86.0.2/24")
        left.forward()
        right.forward()
        asyncio.run(main(left, right))
