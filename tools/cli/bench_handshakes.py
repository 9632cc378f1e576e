"""``edotun bench handshakes``: handshakes a second, their octets and their round trips, beside TLS 1.3."""

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

from . import options, running

if TYPE_CHECKING:
    from ..bench.handshakes.run import Report

EPILOG = """Needs root and /dev/net/tun for the kernel's TCP, in network namespaces that it makes and removes."""
# What the table needs where nobody says how wide the output is.
_WIDTH = 150


def handshakes(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="CPU time for each kind of handshake in each round.")
    ] = 0.5,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="How often all of it is measured.")] = 3,
    write_docs: Annotated[
        Path | None, typer.Option("--write-docs", metavar="FILE.md", help="Write the figures into this document.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure handshakes of the stack by mode, placement and group, and TLS 1.3 beside them."""
    if not 0.001 <= seconds <= 600:
        options.wrong(f"--seconds: {seconds:g} is not in 0.001-600")
    if not 1 <= rounds <= 100:
        options.wrong(f"--rounds: {rounds} is not in 1-100")
    running.require_device()
    # Loaded only now, as for goodput.
    from ..bench import document
    from ..bench.handshakes import run, table
    from ..interruption import one_interrupt

    if write_docs is not None:
        try:
            document.around(write_docs, table.MARK)
        except (document.DocumentError, OSError) as error:
            options.wrong(f"--write-docs: {error}")
    console = Console(stderr=json_)
    columns = (TextColumn("{task.description:<52}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with (
            one_interrupt(),
            run.everything() as (kinds, missing),
            Progress(*columns, console=console, transient=True) as bars,
        ):
            task = bars.add_task("", total=rounds * len(kinds))
            begun = -1

            def progress(name: str) -> None:
                nonlocal begun
                begun += 1
                bars.update(task, description=name, completed=begun)

            report = run.run(kinds, seconds, rounds, progress, missing)
        if write_docs is not None:
            document.put(write_docs, table.MARK, table.markdown(report))
    except (TunError, document.DocumentError, RuntimeError, OSError) as error:
        print(f"edotun: bench: {error}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    if json_:
        print(json.dumps(report.to_json()), flush=True)
    else:
        _show(report)


def _show(report: Report) -> None:
    from ..bench.handshakes.table import COLUMNS, cells

    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    table = Table(title="Handshakes, both ends on one core", title_justify="left", title_style="bold")
    table.add_column("handshake")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(row.name, *cells(row))
    console.print(table)
    facts, conditions = report.machine, report.conditions
    console.print(
        f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {conditions['openssl_of_ssl']}; "
        f"{conditions['rounds']} round(s); load average before: {conditions['load_average_before']}"
    )
