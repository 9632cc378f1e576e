"""``edotun bench``: goodput of the stack beside the kernel's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tun.errors import TunError

from . import bench_handshakes, options, running

if TYPE_CHECKING:
    from ..bench.run import Report
    from ..bench.summary import Spread

EPILOG = """Needs root and /dev/net/tun; everything happens in network namespaces that it makes and removes."""

_LEAST_MTU, _MOST_MTU = 576, 9000


app = typer.Typer(invoke_without_command=True, no_args_is_help=False, epilog=EPILOG)
app.command("handshakes", epilog=bench_handshakes.EPILOG)(bench_handshakes.handshakes)


@app.callback()
def bench(
    context: typer.Context,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="How long each transfer lasts.")] = 2.0,
    octets: Annotated[
        int, typer.Option("--octets", "--bytes", metavar="N", help="Octets of each transfer, instead of a time.")
    ] = 0,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="How often all of it is measured.")] = 3,
    mtu: Annotated[int, typer.Option("--mtu", metavar="N", help="MTU of link and TUNs, octets.")] = 1500,
    write_docs: Annotated[
        Path | None, typer.Option("--write-docs", metavar="FILE.md", help="Write the figures into this document.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure goodput kernel to stack, stack to kernel and stack to stack, and kernel to kernel beside it."""
    if context.invoked_subcommand is not None:
        _nothing_before(context)
        return
    if not 0.1 <= seconds <= 600:
        options.wrong(f"--seconds: {seconds:g} is not in 0.1-600")
    if octets < 0:
        options.wrong(f"--octets: {octets} is negative")
    if not 1 <= rounds <= 100:
        options.wrong(f"--rounds: {rounds} is not in 1-100")
    if not _LEAST_MTU <= mtu <= _MOST_MTU:
        options.wrong(f"--mtu: {mtu} is not in {_LEAST_MTU}-{_MOST_MTU}")
    running.require_device()
    # Loaded only now: what makes namespaces takes its time, and no other command needs it.
    from ..bench import document, run
    from ..bench.measures import Amount
    from ..interruption import one_interrupt
    from ..programs import ProgramError

    if write_docs is not None:
        try:
            document.around(write_docs)
        except (document.DocumentError, OSError) as error:
            options.wrong(f"--write-docs: {error}")
    console = Console(stderr=json_)
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with one_interrupt(), Progress(*columns, console=console, transient=True) as bars:
            task = bars.add_task("namespaces", total=run.count(rounds))
            begun = -1

            def progress(name: str) -> None:
                nonlocal begun
                begun += 1
                bars.update(task, description=name, completed=begun)

            report = run.run(Amount(seconds, octets), rounds, mtu, progress)
        if write_docs is not None:
            document.write(write_docs, report)
    except (ProgramError, TunError, document.DocumentError, OSError) as error:
        print(f"edotun: bench: {error}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    if json_:
        print(json.dumps(report.to_json()), flush=True)
    else:
        _show(console, report)


def _nothing_before(context: typer.Context) -> None:
    """Refuse options of the measurement of goodput before the name of another one."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            options.wrong(f"{parameter.opts[0]} stands behind {context.invoked_subcommand}")


def _show(console: Console, report: Report) -> None:
    table = Table(title=f"Goodput, Gbit/s, MTU {report.mtu}", title_justify="left", title_style="bold")
    table.add_column("transfer")
    for name in ("median", "minimum", "maximum", "of kernel to kernel"):
        table.add_column(name, justify="right")

    def add(name: str, spread: Spread, ratio: float) -> None:
        figures = (spread.median, spread.minimum, spread.maximum)
        table.add_row(name, *(f"{figure:.3f}" for figure in figures), f"{ratio:.2%}")

    add("kernel to kernel", report.base, 1.0)
    for row in report.rows:
        add(row.work, row.ours, row.ratio)
    console.print(table)
    facts = report.machine
    console.print(
        f"{facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}; "
        f"{report.conditions['congestion']}, pinned, {report.conditions['rounds']} round(s)"
    )
