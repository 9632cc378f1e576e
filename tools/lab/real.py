"""The path matrix on real packets: two stacks on TUNs, and between them a kernel's nftables or boxes of ours.

client: real0 10.101.0.2 (the stack), 10.101.0.1; out or path0 10.200.0.1
between: in 10.200.0.2, out 10.201.0.2, or the boxes' path
server: real0 10.151.0.2 (the stack), 10.151.0.1; out or path1 10.201.0.1
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from random import Random
from typing import Final

from stack.config import TcpConfig
from tun.device import Tun
from tun.interface import Interface
from tun.netns import Namespace, add_route, join

from ..boxes.registry import Placed
from ..namespaces import own_namespaces
from ..path import Path
from .carrying import WAYS, Way
from .cell import Cell
from .commands import REAL
from .crossing import PORT, Crossed, Door, Speaker, Talk, over
from .on_path import boxes_of
from .real_boxes import BOXES, Box, place

_CLIENT: Final = ("10.101.0.2", "10.101.0.1", "10.101.0.0/16")
_SERVER: Final = ("10.151.0.2", "10.151.0.1", "10.151.0.0/16")
# Where NATs of ours translate to.
_OUTSIDE: Final = "192.0.2.0/24"
# So that what has to fail does so soon; seconds, and repetitions.
_CONFIG: Final = TcpConfig(nagle=False, rto_initial=0.3, syn_retries=3, data_retries=4)
_PAUSE: Final = 0.2
_PATIENCE: Final = 60.0
_LOOK: Final = 0.02

KERNELS: Final = {f"nft-{box.name.lower().replace(' ', '-')}": box for box in BOXES}
"""The kernel's boxes by the names that they have in the matrix."""

_OURS: Final = (
    "none",
    "nat",
    "nat-tracking",
    "mss",
    "strip",
    "strip-syn",
    "strip-later",
    "drop-flagless",
    "drop-unknown-syn",
    "proxy",
)
_WAYS: Final = ("legacy", "edo-long", "syn-eos", "seg-u", "ao", "ao-nat", "auto", "compact")


def real_cells(matrix: str, seed: int) -> list[Cell]:
    """The kernel's boxes beside ours, by a choice of ways."""
    return [
        Cell(matrix, {"box": box, "near": "server", "way": way.name, "policy": way.policy, REAL: True}, seed)
        for box in (*KERNELS, *_OURS)
        for way in WAYS.values()
        if way.name in _WAYS
    ]


def cross_really(box: str, way: Way, seed: int) -> tuple[Crossed, list[Placed]]:
    """Have two stacks speak across a path of this machine's kernel; with the boxes of ours that stood there.

    Needs root and a TUN. Raises OSError where namespaces or devices cannot be had.
    """
    kernel = KERNELS.get(box)
    boxes = [] if kernel is not None else boxes_of(box, "server", Random(f"boxes {seed}"))
    roles = ("client", "server") if kernel is None else ("client", "server", "between")
    with own_namespaces("edolab", roles) as (client, server, *between), ExitStack() as stack:
        client.forward()
        server.forward()
        if kernel is not None:
            _wire(client, between[0], server, kernel)
            place(kernel, between[0], stack)
        crossed = asyncio.run(_speak(client, server, boxes if kernel is None else None, way, seed))
    return crossed, boxes


def _wire(client: Namespace, between: Namespace, server: Namespace, kernel: Box) -> None:
    """Join client and server by a router."""
    between.forward()
    for end, device, net, behind in ((client, "in", 200, _CLIENT[2]), (server, "out", 201, _SERVER[2])):
        join(end, "out", between, device)
        end.add_addresses("out", f"10.{net}.0.1/24")
        between.add_addresses(device, f"10.{net}.0.2/24")
        between.add_route(behind, via=f"10.{net}.0.1")
    client.add_route(_SERVER[2], via="10.200.0.2")
    if not kernel.private:
        server.add_route(_CLIENT[2], via="10.201.0.2")


async def _speak(
    client: Namespace, server: Namespace, boxes: Sequence[Placed] | None, way: Way, seed: int
) -> Crossed:
    with ExitStack() as stack:
        if boxes is not None:
            near = stack.enter_context(Tun("path0", [_SERVER[0]], ["10.200.0.1/24"], netns=client.name))
            far = stack.enter_context(Tun("path1", [_CLIENT[0]], ["10.201.0.1/24"], netns=server.name))
            add_route(server.name, _OUTSIDE, device="path1")
            stack.enter_context(Path(near, far, boxes))
        async with _ends(server, _SERVER) as there, _ends(client, _CLIENT) as here:
            ours, theirs = way.ends()
            began = here.driver.now()
            talk = Talk(seed, _PAUSE, began)
            door = Door(there.driver, there.stack.listen(PORT, security=theirs), talk)
            attempt = here.stack.connect((_SERVER[0], PORT), security=ours, now=began)
            speaker = Speaker(here.driver, attempt, "up", talk)
            here.driver.wake()
            while not (ended := over(speaker, door)) and here.driver.now() - began < _PATIENCE:
                await asyncio.sleep(_LOOK)
            return Crossed(speaker, door.speakers, here.driver.now() - began, ended=ended)


def _ends(namespace: Namespace, end: tuple[str, str, str]) -> Interface:
    return Interface(tun="real0", netns=namespace.name, addr=[f"{end[0]}/16"], host=[end[1]], config=_CONFIG)
