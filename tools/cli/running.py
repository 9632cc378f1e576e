"""Running a command's coroutine: signals, the device, and the lines that are printed."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from ..link import Link
from ..report import json_line, text_line
from .options import notice, wrong

if TYPE_CHECKING:
    from pathlib import Path

    from stack.security import Security
    from tun.interface import Interface

    from ..control.desk import Clerk

INTERRUPTED = 130


@asynccontextmanager
async def interface(link: Link, gone: Callable[[str], object]) -> AsyncIterator[Interface]:
    """Set up the interface of ``link``; ``gone`` is told, and TunError comes out, when its device disappears."""
    # Loaded only now: what concerns devices takes its time, and a usage error or --help needs none of it.
    from stack.config import TcpConfig
    from tun.interface import Interface

    network = Interface(
        tun=link.name,
        addr=link.addresses,
        host=link.hosts,
        netns=link.netns,
        mtu=link.mtu,
        capture=link.capture,
        qlog=link.qlog,
        keylog=link.keylog,
        box_keys=link.box_keys,
        offload=link.offload,
        config=TcpConfig(congestion=link.congestion, sack_blocks=link.sack_blocks, nagle=False),
    )
    async with entered(network, gone):
        yield network


@asynccontextmanager
async def entered(network: Interface, gone: Callable[[str], object]) -> AsyncIterator[None]:
    """Set up ``network``, as ``interface`` does."""
    async with network:
        watch = asyncio.ensure_future(network.wait())
        watch.add_done_callback(lambda _: network.error is not None and gone(str(network.error)))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            if network.error is not None:
                raise network.error


@asynccontextmanager
async def controlled(
    network: Interface, securities: Mapping[str, Security], path: Path | None, tun: str
) -> AsyncIterator[None]:
    """Inside, ``edotun keys`` and ``edotun peers`` are answered at ``path``, or the default for the device.

    ``securities`` have the keys, by a gateway's forward or one name. Configured keys change on time. What does not
    verify is told, a line a second and reason.
    """
    async with watched(network, securities) as clerk, commanded(clerk, securities, path, tun):
        yield


@asynccontextmanager
async def watched(network: Interface, securities: Mapping[str, Security]) -> AsyncIterator[Clerk]:
    """``controlled`` without its socket: who carries out the orders is given."""
    from tun.aolog import tell_drops
    from tun.edolog import tell_tampering
    from tun.keyclock import keep_time

    from ..control.desk import desk

    tables = {name: security.keys for name, security in securities.items() if security.keys is not None}
    legacy = {name: security.md5_keys for name, security in securities.items() if security.md5_keys is not None}
    stack, wake, now = network.stack, network.driver.wake, network.driver.now
    async with AsyncExitStack() as ends:
        await ends.enter_async_context(tell_tampering(stack, notice))
        if tables:
            await ends.enter_async_context(tell_drops(stack, notice))
            await ends.enter_async_context(keep_time(stack, tuple(tables.values()), wake))
        yield desk(stack, tables, wake, now, legacy)


@asynccontextmanager
async def commanded(
    clerk: Clerk, securities: Mapping[str, Security], path: Path | None, tun: str
) -> AsyncIterator[None]:
    """The socket of ``controlled``, by which ``clerk`` gets orders."""
    from ..control.place import default_path
    from ..control.server import control

    where = path or default_path(tun)
    async with AsyncExitStack() as ends:
        try:
            await ends.enter_async_context(control(where, clerk))
        except OSError as error:
            if path is not None:
                raise
            # Devices of one name in two namespaces: the second command runs all the same.
            if any(security.keys is not None or security.md5_keys is not None for security in securities.values()):
                notice(f"its keys cannot be changed while it runs: {where}: {error.strerror} (--control PATH)")
        yield


def run_until_stopped(main: Callable[[asyncio.Event], Coroutine[None, None, int]]) -> int:
    """Run ``main(stop)``; SIGINT and SIGTERM set ``stop``. Returns the exit status."""

    async def run() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await main(stop)

    return _run(run())


def run_until_interrupted(main: Coroutine[None, None, int]) -> int:
    """Run ``main``; SIGINT and SIGTERM cancel it: exit status 130."""

    async def run() -> int:
        task = asyncio.ensure_future(main)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return INTERRUPTED

    return _run(run())


def _run(main: Coroutine[None, None, int]) -> int:
    try:
        return asyncio.run(main)
    except OSError as error:
        # The device, its namespace, or a port that is taken: nothing was started.
        return fail(error)


def fail(error: OSError) -> int:
    """Print why the command ends, and return its exit status."""
    print(f"edotun: {describe(error)}", file=sys.stderr, flush=True)
    return 1


def describe(error: OSError) -> str:
    """Return an OSError's text with the file's name where it has one."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text


def require_device() -> None:
    """Tell at once what is missing for a TUN device."""
    if not os.path.exists("/dev/net/tun"):  # noqa: PTH110  # a device node, and a constant
        wrong("there is no /dev/net/tun on this machine (modprobe tun)")
    if os.geteuid() != 0:
        wrong("a TUN device needs root")


def printer(json: bool, stream_is_output: bool) -> Callable[..., None]:
    """Return what prints the line of a finished connection: JSON where asked, else a sentence on standard error."""

    def show(report: Mapping[str, object], error: str | None = None, **more: object) -> None:
        if json:
            print(json_line(report, error, **more), file=sys.stdout if stream_is_output else sys.stderr, flush=True)
        else:
            print(text_line(report, error), file=sys.stderr, flush=True)

    return show


def say_ready(text: str) -> None:
    """Print the line that says where connections are accepted.

    What was loaded until now stays for good: collections of garbage, which connections bring about, pass it by.
    """
    gc.collect()
    gc.freeze()
    print(f"listening on {text}", file=sys.stderr, flush=True)
