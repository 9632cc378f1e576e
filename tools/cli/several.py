"""Running a command in several processes that share its device: ``--workers``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ..link import Link
from . import running
from .options import wrong

if TYPE_CHECKING:
    from pathlib import Path

    from stack.security import Security
    from tun.interface import Interface

    from ..workers import Link as Line

_MOST = 64

Option = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that share the device and its connections, each with a queue.",
        rich_help_panel="Device",
    ),
]

# What a process does with the interface: it is given what to call once it accepts, what tells it to stop, and what
# its lines have in addition.
Body = Callable[["Interface", Callable[[], None], asyncio.Event, Mapping[str, object]], Coroutine[None, None, None]]


def check(count: int, link: Link) -> None:
    """A wrong number, or files that one process alone can write, end the command."""
    if not 1 <= count <= _MOST:
        wrong(f"--workers: {count} is not in 1-{_MOST}")
    for option, file in (("capture", link.capture), ("qlog", link.qlog)):
        if count > 1 and file is not None:
            wrong(f"--{option}: one process alone can write it (--workers 1)")


def run(
    count: int,
    link: Link,
    securities: Mapping[str, Security],
    control: Path | None,
    body: Body,
    tell: Callable[[], None],
) -> int:
    """Run ``body`` in ``count`` processes, or in this one; the exit status. ``tell``: connections are accepted."""
    if count > 1:
        return _run_workers(count, link, securities, control, body, tell)

    async def main(stop: asyncio.Event) -> int:
        async with (
            running.interface(link, lambda _: stop.set()) as network,
            running.controlled(network, securities, control, link.name),
        ):
            await body(network, tell, stop, {})
        return 0

    return running.run_until_stopped(main)


def _run_workers(
    count: int,
    link: Link,
    securities: Mapping[str, Security],
    control: Path | None,
    body: Body,
    tell: Callable[[], None],
) -> int:
    from stack.config import TcpConfig
    from tun.device import Tun
    from tun.queues import Inboxes, QueueInterface

    from ..control.server import answer
    from ..control.several import Several
    from ..workers import Workers

    config = TcpConfig(congestion=link.congestion, sack_blocks=link.sack_blocks, nagle=False)

    async def work(number: int, line: Line, stop: asyncio.Event) -> None:
        tun.keep(number)
        network = QueueInterface(
            tun,
            number,
            inboxes,
            addr=link.addresses,
            keylog=link.keylog,
            box_keys=link.box_keys,
            config=config,
        )
        async with (
            running.entered(network, lambda _: stop.set()),
            running.watched(network, securities) as clerk,
        ):
            line.serve(lambda order: answer(clerk, order))
            await body(network, line.ready, stop, {"worker": number})

    async def main() -> int:
        @asynccontextmanager
        async def inside() -> AsyncIterator[None]:
            async with running.commanded(Several(workers.ask), securities, control, link.name):
                yield

        return await workers.run(inside, tell)

    try:
        tun = Tun(
            link.name,
            link.addresses,
            link.hosts,
            netns=link.netns,
            mtu=link.mtu,
            offload=link.offload,
            queues=count,
        )
        inboxes = Inboxes(count)
    except OSError as error:
        return running.fail(error)
    workers = Workers(count, work)
    tun.close()
    inboxes.close()
    try:
        return asyncio.run(main())
    except OSError as error:
        return running.fail(error)
