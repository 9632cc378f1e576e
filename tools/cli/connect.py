"""``edotun connect``: one connection through the stack, with standard input and output or generated octets."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..connect import Job
from ..connect import connect as run_connection
from ..stdio import Output, read_chunks
from . import methods, options, running
from .box_keys import BoxKeys, with_box_keys

EPILOG = """Examples:

echo hello | edotun connect 10.9.0.1 7 --addr 10.9.0.2/24 --host 10.9.0.1

edotun connect 10.9.0.1 7 --addr 10.9.0.2/24 --host 10.9.0.1 --bytes 1000000 --expect-echo --json

Exit status: 0 all well; 1 the connection failed or the echo fell short; 2 usage; 130 interrupted."""


@contextlib.contextmanager
def _progress(total: int | None, echo: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show progress on standard error where that is a terminal and how much there is to send is known."""
    console = Console(stderr=True)
    if total is None or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        sent = bars.add_task("sent", total=total)
        back = bars.add_task("echoed", total=total) if echo else bars.add_task("received", total=None)

        def show(acknowledged: int, received: int) -> None:
            bars.update(sent, completed=acknowledged)
            bars.update(back, completed=received)

        yield show


def connect(
    peer: Annotated[str, typer.Argument(metavar="HOST", help="The peer: an address or a name.")],
    peer_port: Annotated[int, typer.Argument(metavar="PORT", help="The peer's port.")],
    addr: options.Addr,
    tun: options.Tun = "edotun0",
    host: options.Host = None,
    netns: options.Netns = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="The local port; default random.")] = None,
    octets: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="Send N generated octets instead of standard input."),
    ] = None,
    expect_echo: Annotated[
        bool, typer.Option("--expect-echo", help="With --bytes: the same octets must come back.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help="How long the peer's end is waited for while nothing moves, once ours is sent.",
        ),
    ] = 60.0,
    mtu: options.Mtu = 1500,
    congestion: options.Congestion = "cubic",
    sack_blocks: options.SackBlocks = 16,
    no_offload: options.NoOffload = False,
    protect: options.Protect = "none",
    policy: options.Policy = "require",
    edo: options.EdoOption = None,
    edo_kind: options.EdoKindOption = None,
    edo_units: options.EdoUnits = None,
    edo_form: options.EdoForm = None,
    keys: options.Keys = None,
    control: options.Control = None,
    placement: options.Placement = None,
    group: options.Group = None,
    suite: options.SuiteOption = None,
    confirm: options.Confirm = None,
    simopen: options.SimOpen = "tiebreak",
    accept_icmps: options.AcceptIcmps = False,
    rekey: options.Rekey = None,
    resume: options.Resume = "plain",
    strict_syn: options.StrictSyn = False,
    restart_timeout: options.RestartTimeout = 30.0,
    method: options.Method = None,
    syn_option: options.SynOption = None,
    syn_eos: options.SynEosOption = False,
    experiment: options.Experiments = None,
    capture: options.Capture = None,
    qlog: options.Qlog = None,
    keylog: options.KeyLog = None,
    box_keys: BoxKeys = None,
    json: options.Json = False,
) -> None:
    """Connect through the stack: standard input to the peer, the peer to standard output."""
    if not 1 <= peer_port <= 65_535:
        options.wrong(f"PORT: {peer_port} is not in 1-65535")
    if octets is not None and octets < 0:
        options.wrong(f"--bytes: {octets} is below 0")
    if expect_echo and octets is None:
        options.wrong("--expect-echo: needs --bytes")
    if not timeout > 0:
        options.wrong(f"--timeout: {timeout:g} is not above 0")
    options.port(port, 0)
    link = with_box_keys(
        options.link(tun, addr, host, netns, mtu, capture, qlog, congestion, keylog, sack_blocks), box_keys
    )
    link = replace(link, offload=not no_offload)
    dialect = (edo_kind, edo_units, edo_form)
    security = options.security(
        protect,
        policy,
        edo,
        dialect,
        keys,
        placement,
        group,
        suite,
        confirm,
        accept_icmps,
        rekey=rekey,
        simopen=simopen,
        syn_eos=syn_eos,
        resume=resume,
        strict_syn=strict_syn,
        restart_timeout=restart_timeout,
    )
    security = methods.with_method(security, method, syn_option)
    security = replace(security, experiments=options.experiments(experiment))
    running.require_device()
    generated = octets is not None

    async def main() -> int:
        output = Output(sys.stdout.fileno()) if not generated else None
        job = Job(
            peer,
            peer_port,
            security,
            local_port=port or 0,
            octets=octets,
            expect_echo=expect_echo,
            source=None if generated else lambda: read_chunks(sys.stdin.fileno()),
            sink=None if output is None else output.write,
            patience=timeout,
        )
        task = asyncio.current_task()
        assert task is not None
        with _progress(octets, expect_echo) as job.progress:
            async with (
                running.interface(link, task.cancel) as network,
                running.controlled(network, {"keys": security}, control, link.name),
            ):
                return await run_connection(network, job, running.printer(json, stream_is_output=generated))

    raise typer.Exit(running.run_until_interrupted(main()))
