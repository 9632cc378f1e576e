"""``edotun path``: middleboxes between two TUN devices, on real packets."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..link import NAMESPACES, Fault, check_link
from . import options, running

if TYPE_CHECKING:
    from ..boxes.registry import Placed

EPILOG = """Example, with the namespaces C and S made before:

edotun path --box nat --box strip:kinds=30,after=20 --delay 10 --client-netns C --server-netns S

A kernel or a stack in C then reaches 10.71.0.1 in S. A stack that has a TUN of its own there is reached by
--server-side NET, which routes NET through the path. Boxes of your own: --with FILE.py.

Once packets pass, standard error has the line "path up: ...". SIGINT or SIGTERM ends it with status 0."""

_CLIENT, _SERVER = "Client's side", "Server's side"
_MOST_DELAY = 60_000.0

BoxNames = Annotated[
    list[str] | None,
    typer.Option(
        "--box", metavar="NAME[:key=value,...]", help="A box, in the order from client to server; repeatable."
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE.py", help="Boxes of your own (edotun.box); repeatable."),
]


def _side(flag: str, panel: str, metavar: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=text, rich_help_panel=panel)
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of the path: its device, the kernel's addresses on it, and the networks behind the path."""

    tun: str
    netns: str | None
    addresses: tuple[str, ...]
    routes: tuple[str, ...]


def path(
    box: BoxNames = None,
    delay: Annotated[
        float, typer.Option("--delay", metavar="MS", help="How long every packet takes, each way, milliseconds.")
    ] = 0.0,
    client_tun: Annotated[str, _side("--client-tun", _CLIENT, "NAME", "The TUN to make.")] = "path0",
    client_netns: Annotated[
        str | None, _side("--client-netns", _CLIENT, "NS", "The namespace (it exists) where it appears.")
    ] = None,
    client_addr: Annotated[
        list[str] | None,
        _side("--client-addr", _CLIENT, "CIDR", "The kernel's address on it; default 10.70.0.1/24, fd70::1/64."),
    ] = None,
    client_side: Annotated[
        list[str] | None,
        _side("--client-side", _CLIENT, "NET", "A network of this side, routed from the other; repeatable."),
    ] = None,
    server_tun: Annotated[str, _side("--server-tun", _SERVER, "NAME", "The TUN to make.")] = "path1",
    server_netns: Annotated[
        str | None, _side("--server-netns", _SERVER, "NS", "The namespace (it exists) where it appears.")
    ] = None,
    server_addr: Annotated[
        list[str] | None,
        _side("--server-addr", _SERVER, "CIDR", "The kernel's address on it; default 10.71.0.1/24, fd71::1/64."),
    ] = None,
    server_side: Annotated[
        list[str] | None,
        _side("--server-side", _SERVER, "NET", "A network of this side, routed from the other; repeatable."),
    ] = None,
    mtu: Annotated[int, typer.Option("--mtu", metavar="N", help="MTU of both devices, octets.")] = 1500,
    capture: Annotated[
        Path | None,
        typer.Option("--capture", metavar="FILE.pcapng", help="Write what is on the client's device to FILE."),
    ] = None,
    server_capture: Annotated[
        Path | None,
        typer.Option("--server-capture", metavar="FILE.pcapng", help="Write what is on the server's to FILE."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="What boxes do by chance; default another each time.")
    ] = None,
    files: Files = None,
    list_: Annotated[bool, typer.Option("--list", help="List all boxes with their parameters, and end.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Join two TUN devices by a path with middleboxes in it."""
    from ..boxes.registry import BoxError, make
    from ..lab.cell import LabError
    from ..lab.loading import load

    try:
        load(files or ())
    except LabError as error:
        options.wrong(str(error))
    if list_:
        _list(json_=json_)
        return
    if not 0.0 <= delay <= _MOST_DELAY:
        options.wrong(f"--delay: {delay:g} is not in 0-{_MOST_DELAY:g}")
    chance = random.Random(seed)
    try:
        boxes = [make(text, chance) for text in box or ()]
    except BoxError as error:
        options.wrong(f"--box: {error}")
    sides = (
        _side_of("client", client_tun, client_netns, client_addr or ["10.70.0.1/24", "fd70::1/64"], client_side),
        _side_of("server", server_tun, server_netns, server_addr or ["10.71.0.1/24", "fd71::1/64"], server_side),
    )
    if (client_tun, client_netns) == (server_tun, server_netns):
        options.wrong(f"--server-tun: {server_tun} is the client's device already")
    _check_mtu(mtu, capture, server_capture)
    running.require_device()

    async def main(stop: asyncio.Event) -> int:
        return await _carry(sides, boxes, delay / 1000.0, mtu, (capture, server_capture), stop, json_=json_)

    raise typer.Exit(running.run_until_stopped(main))


def _side_of(end: str, tun: str, netns: str | None, addresses: list[str], networks: list[str] | None) -> _Side:
    try:
        check_link(name=tun, addresses=addresses, hosts=(), netns=netns, mtu=1500, capture=None)
        routes = [str(ipaddress.ip_network(text)) for text in networks or ()]
    except Fault as fault:
        options.wrong(f"--{end}-{fault.option}: {fault}")
    except ValueError as error:
        options.wrong(f"--{end}-side: {error}")
    if netns is not None and not (NAMESPACES / netns).exists():
        options.wrong(f"--{end}-netns: there is no namespace {netns!r}")
    return _Side(tun, netns, tuple(addresses), tuple(routes))


def _check_mtu(mtu: int, *captures: Path | None) -> None:
    if not 1280 <= mtu <= 65_535:
        options.wrong(f"--mtu: {mtu} is not in 1280-65535")
    for name, target in zip(("capture", "server-capture"), captures, strict=True):
        if target is not None and not target.parent.is_dir():
            options.wrong(f"--{name}: there is no folder {target.parent}")


async def _carry(
    sides: tuple[_Side, _Side],
    boxes: Sequence[Placed],
    delay: float,
    mtu: int,
    captures: tuple[Path | None, Path | None],
    stop: asyncio.Event,
    *,
    json_: bool,
) -> int:
    from stack.simulator.boxes import Delay
    from tun.capture import Capture
    from tun.device import Tun
    from tun.netns import add_route

    from ..boxes.registry import arranged
    from ..path import Path as PacketPath

    with ExitStack() as ends:
        devices = []
        for here, there in (sides, sides[::-1]):
            behind = [address.partition("/")[0] for address in there.addresses]
            tun = ends.enter_context(Tun(here.tun, behind, here.addresses, netns=here.netns, mtu=mtu))
            devices.append(tun)
            for network in (*there.routes, *(str(ipaddress.ip_interface(one).network) for one in there.addresses)):
                add_route(here.netns, network, device=here.tun)
        epoch = time.time() - asyncio.get_running_loop().time()
        opened = [
            None if target is None else ends.enter_context(Capture(target, name=side.tun, epoch=epoch))
            for target, side in zip(captures, sides, strict=True)
        ]
        began = time.monotonic()
        chain = arranged(boxes, *([Delay(delay)] if delay else []))
        carried = ends.enter_context(PacketPath(devices[0], devices[1], chain, captures=(opened[0], opened[1])))
        where = " - ".join(f"{side.tun}{f' in {side.netns}' if side.netns else ''}" for side in sides)
        print(f"path up: {where}", file=sys.stderr, flush=True)
        waiting = [asyncio.ensure_future(one) for one in (stop.wait(), carried.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        carried.close()
        waiting[0].cancel()
        await waiting[1]
        _tell(boxes, carried.packets, time.monotonic() - began, json_=json_)
    return 0


def _tell(boxes: Sequence[Placed], packets: list[int], seconds: float, *, json_: bool) -> None:
    """What passed, and what each box counted."""
    if json_:
        rows = [{"box": one.text, **one.counters()} for one in boxes]
        line = {"packets_from_client": packets[0], "packets_from_server": packets[1], "seconds": round(seconds, 3)}
        print(json.dumps(line | {"boxes": rows}), flush=True)
        return
    print(f"{packets[0]} packets from the client, {packets[1]} from the server", file=sys.stderr)
    for one in boxes:
        told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in one.counters().items())
        print(f"{one.text}: {told}", file=sys.stderr)
    sys.stderr.flush()


def _list(*, json_: bool) -> None:
    from ..boxes.registry import BOXES, shown

    for name, found in sorted(BOXES.items()):
        if json_:
            rows = [
                {"name": one.name, "type": one.type_name, "default": shown(one.default)} for one in found.parameters
            ]
            print(json.dumps({"name": name, "what": found.what, "parameters": rows}))
            continue
        print(f"{name}: {found.what}")
        for one in found.parameters:
            print(f"    {one.name}={shown(one.default)}  ({one.type_name})")
        notes = (found.maker.__doc__ or "").replace("``", "").split()
        if notes:
            print("    " + " ".join(notes))
