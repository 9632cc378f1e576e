"""``edotun demo``: a protected download between programs that know nothing of it, shown and proven."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tun.errors import TunError

from . import options

if TYPE_CHECKING:
    from ..demo.outcome import Outcome

EPILOG = """Needs root, /dev/net/tun, nftables and curl, and touches nothing outside the network namespaces that it
makes and removes; without them the same stacks run over a link in memory. Exit status 0 only if all of it held."""

_LEAST = 100_000
_NARROWEST = 118


class _Steps:
    """The progress bar: one line for each step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, whole: int) -> None:
        if step not in self._tasks:
            self.end()
            self._tasks[step] = self._bars.add_task(step, total=whole or None)
        self._bars.update(self._tasks[step], completed=done)

    def end(self) -> None:
        """Stop the clock of what has been done so far."""
        for task in self._tasks.values():
            self._bars.update(task, total=self._bars.tasks[task].completed or 1)
            self._bars.update(task, completed=self._bars.tasks[task].total)


def demo(
    memory: Annotated[
        bool, typer.Option("--memory", help="Use the link in memory even where namespaces can be had.")
    ] = False,
    octets: Annotated[int, typer.Option("--bytes", metavar="N", help="Size of the file, octets.")] = 20_000_000,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Show a protected download through a router: its handshake, nothing in clear, a repaired attack."""
    if octets < _LEAST:
        options.wrong(f"--bytes: {octets} is less than {_LEAST}")
    # Loaded only now: stacks and namespaces take their time, and no other command needs them.
    from stack.simulator import Stalled

    from ..demo import run
    from ..interruption import one_interrupt
    from ..programs import ProgramError

    hindrance = run.hindrance()
    in_memory = memory or hindrance is not None
    console = Console(stderr=json_)
    if console.width < _NARROWEST:
        console = Console(stderr=json_, width=_NARROWEST)
    if in_memory:
        why = "as asked (--memory)" if memory else f"since {hindrance}"
        console.print(f"[bold]No namespaces here[/bold], {why}: the same stacks run over a link in memory.")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    try:
        with one_interrupt(), Progress(*columns, console=console) as bars:
            steps = _Steps(bars)
            outcome = run.run(steps, in_memory=in_memory, octets=octets)
            steps.end()
    except (ProgramError, TunError, Stalled, OSError) as error:
        print(f"edotun: demo: {error}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    if json_:
        print(json.dumps(outcome.to_json()), flush=True)
    else:
        _show(console, outcome)
    raise typer.Exit(0 if outcome.held else 1)


def _show(console: Console, outcome: Outcome) -> None:
    from ..demo import table

    console.print()
    console.print(table.show(outcome.rows, "The handshake as the router saw it (octets; -> from curl's side)"))
    checks = Table(title="What was to be shown", title_justify="left", title_style="bold", show_header=False)
    checks.add_column(justify="center")
    checks.add_column(ratio=2)
    checks.add_column(ratio=3)
    for check in outcome.checks:
        checks.add_row("[green]ok[/green]" if check.held else "[bold red]NO[/bold red]", check.name, check.detail)
    console.print()
    console.print(checks)
    verdict = "[green]all of it held[/green]" if outcome.held else "[bold red]not all of it held[/bold red]"
    console.print(f"{verdict}, {outcome.seconds:.1f} s")
