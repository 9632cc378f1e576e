"""``edotun bench``: the stack beside the kernel's own TCP and beside a bare loop."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tun.errors import TunError

from . import bench_handshakes, bench_profile, options, running

if TYPE_CHECKING:
    from ..bench.run import Report, Settings
    from ..bench.works import Work

EPILOG = """Examples:

edotun bench                                    everything, about 20 minutes

edotun bench --quick                            everything for a moment: does it work?

edotun bench --only 'stack to stack, ao*' --mtu 1500 --rounds 7

edotun bench --json > figures.json

edotun bench --write-docs docs/performance.md   figures and bars into the document

Needs root and /dev/net/tun; everything happens in network namespaces that it makes and removes. Ctrl-C ends it with
what was measured by then (status 130). Other work on the machine's cores is in the figures: leave it alone."""

_LEAST_MTU, _MOST_MTU = 576, 65_535
_QUICK_SECONDS: Final = 0.05
_QUICK_CONNECTIONS: Final = 50
# A machine that has this much to do already gives figures that say little, processes.
_BUSY: Final = 0.5


app = typer.Typer(invoke_without_command=True, no_args_is_help=False, epilog=EPILOG)
app.command("handshakes", epilog=bench_handshakes.EPILOG)(bench_handshakes.handshakes)
app.command("profile", epilog=bench_profile.EPILOG)(bench_profile.profile)
app.command("spied", epilog=bench_profile.SPIED_EPILOG)(bench_profile.spied)


@app.callback()
def bench(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Everything once, for a moment, at the first MTU: for function alone.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Rows whose name has this in it, or matches its * and ?."),
    ] = None,
    mtu: Annotated[
        list[int] | None,
        typer.Option("--mtu", metavar="N", help="MTU of link and TUNs, octets; several. [1500 9000 65535]"),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", metavar="N", help="How often each row is measured. [5]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", help="How long each transfer lasts. [0.8]")
    ] = None,
    octets: Annotated[
        int, typer.Option("--octets", "--bytes", metavar="N", help="Octets of each transfer, instead of a time.")
    ] = 0,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="DIR", help="Draw bars into DIR.")] = None,
    write_docs: Annotated[
        Path | None,
        typer.Option("--write-docs", metavar="FILE.md", help="Write the figures into this document, and bars."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure goodput, handshakes, echoes and memory: the stack beside the kernel's TCP and a bare loop."""
    if context.invoked_subcommand is not None:
        _nothing_before(context)
        return
    rounds = rounds if rounds is not None else 1 if quick else 5
    seconds = seconds if seconds is not None else _QUICK_SECONDS if quick else 0.8
    if not 0.02 <= seconds <= 600:
        options.wrong(f"--seconds: {seconds:g} is not in 0.02-600")
    if octets < 0:
        options.wrong(f"--octets: {octets} is negative")
    if not 1 <= rounds <= 100:
        options.wrong(f"--rounds: {rounds} is not in 1-100")
    for size in mtu or ():
        if not _LEAST_MTU <= size <= _MOST_MTU:
            options.wrong(f"--mtu: {size} is not in {_LEAST_MTU}-{_MOST_MTU}")
    running.require_device()
    # Loaded only now: what makes namespaces takes its time, and no other command needs it.
    from ..bench import document, works
    from ..bench.idle import CONNECTIONS
    from ..bench.run import Settings

    if write_docs is not None:
        try:
            document.around(write_docs)
        except (document.DocumentError, OSError) as error:
            options.wrong(f"--write-docs: {error}")
    mtus = mtu or (works.MTUS[:1] if quick else works.MTUS)
    chosen = works.works(mtus, only or (), _QUICK_CONNECTIONS if quick else CONNECTIONS)
    if not chosen:
        options.wrong(f"--only: no row is called {' or '.join(map(repr, only or ()))}")
    settings = Settings(seconds, rounds, octets, quick)
    _finish(_measured(chosen, settings), svg, write_docs, json_=json_)


def _measured(chosen: list[Work], settings: Settings) -> Report:
    """Measure, with a bar that says how long it takes; the report, whole or not."""
    from ..bench import run
    from ..interruption import one_interrupt
    from ..programs import ProgramError

    console = Console(stderr=True)
    total = run.estimate(chosen, settings)
    report = run.begin(chosen, settings)
    load = report.conditions["load_average_before"]
    if isinstance(load, float) and load > _BUSY and not settings.quick:
        console.print(f"warning: the machine is busy (load average {load:g}); its other work is in the figures")
    count = sum(settings.rounds * len(work.measures) for work in chosen)
    columns = (
        TextColumn("{task.description:<58}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with one_interrupt(), Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("namespaces", total=total)
        lasts = 0.0

        def progress(name: str, seconds: float) -> None:
            nonlocal lasts
            bars.update(task, description=name, advance=lasts)
            lasts = seconds

        try:
            console.print(f"{len(chosen)} rows, {count} measurements, about {_duration(total)}", highlight=False)
            run.run(report, chosen, settings, progress)
        except KeyboardInterrupt:
            report.interrupted = True
        except (ProgramError, TunError, OSError) as error:
            print(f"edotun: bench: {error}", file=sys.stderr, flush=True)
            raise typer.Exit(1) from None
    return report


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _finish(report: Report, svg: Path | None, write_docs: Path | None, *, json_: bool) -> None:
    """Print and write a report; the exit status says whether it is whole."""
    from ..bench import bars, document
    from ..sim.plot import NoPlots
    from . import bench_tables

    if json_:
        print(json.dumps(report.to_json()), flush=True)
    else:
        bench_tables.show(report)
    try:
        if svg is not None:
            bars.draw(report, svg)
        if write_docs is not None and not report.interrupted:
            files = bars.draw(report, write_docs.parent / "figures")
            pictures = {name: file.relative_to(write_docs.parent).as_posix() for name, file in files.items()}
            document.write(write_docs, report, pictures)
    except (NoPlots, document.DocumentError, OSError) as error:
        print(f"edotun: bench: {error}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    for line in report.failures:
        print(f"edotun: bench: {line}", file=sys.stderr, flush=True)
    if report.interrupted:
        raise typer.Exit(130)
    if report.failures:
        raise typer.Exit(1)


def _nothing_before(context: typer.Context) -> None:
    """Refuse options of the whole measurement before the name of another one."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            options.wrong(f"{parameter.opts[0]} stands behind {context.invoked_subcommand}")
