"""``edotun sim``: transfers in virtual time over links of chosen rate, delay, loss and queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stack.congestion import CONTROLLERS

from . import options

if TYPE_CHECKING:
    from ..sim.scenario import Result, Scenario

EPILOG = """Examples: edotun sim --rate 100 --rtt 40 --loss 1 --svg run.svg |
edotun sim --rate 10,100 --rtt 10,100 --loss 0,1 --controller cubic,reno --json | edotun sim --flows 10"""

_NAMES = ", ".join(CONTROLLERS)
# What a table needs where nobody says how wide the output is.
_WIDTH = 116


def _numbers(option: str, text: str, least: float, most: float) -> list[float]:
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            options.wrong(f"--{option}: {part!r} is not a number")
        if not least <= value <= most:
            options.wrong(f"--{option}: {part} is not in {least:g}-{most:g}")
        values.append(value)
    return values


def sim(
    rate: Annotated[str, typer.Option("--rate", metavar="MBIT[,...]", help="Rate of the link, Mbit/s.")] = "100",
    rtt: Annotated[str, typer.Option("--rtt", metavar="MS[,...]", help="Round-trip time, ms.")] = "20",
    loss: Annotated[str, typer.Option("--loss", metavar="%[,...]", help="Loss of data segments, percent.")] = "0",
    reorder: Annotated[str, typer.Option("--reorder", metavar="%[,...]", help="Reordered data, percent.")] = "0",
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", help="Octets that wait at most; 0: bandwidth times delay.")
    ] = 0,
    controller: Annotated[str, typer.Option("--controller", metavar="NAME[,...]", help=f"Of {_NAMES}.")] = "cubic",
    flows: Annotated[int, typer.Option("--flows", metavar="N", help="Transfers that share the link.")] = 1,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Virtual time of a run.")] = 10.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal runs.")] = 1,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE.svg", help="Plot: one run over time, or bars for several.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a run.")] = False,
) -> None:
    """Simulate transfers, every combination of the lists given, and print what came of them."""
    controllers = controller.split(",")
    for name in controllers:
        if name not in CONTROLLERS:
            options.wrong(f"--controller: {name!r} is not one of {_NAMES}")
    if not 1 <= flows <= 1000:
        options.wrong(f"--flows: {flows} is not in 1-1000")
    if not 0.1 <= seconds <= 86400:
        options.wrong(f"--seconds: {seconds:g} is not in 0.1-86400")
    if queue < 0:
        options.wrong(f"--queue: {queue} is negative")
    if svg is not None and not svg.parent.is_dir():
        options.wrong(f"--svg: there is no folder {svg.parent}")
    # Loaded only now: whole stacks take their time, and no other command needs them.
    from ..sim.matrix import product
    from ..sim.plot import NoPlots, draw_matrix, draw_run
    from ..sim.scenario import Scenario

    scenarios = product(
        Scenario(queue=queue, flows=flows, seconds=seconds, seed=seed),
        rate=[value * 1e6 for value in _numbers("rate", rate, 0.01, 1e5)],
        rtt=[value / 1000 for value in _numbers("rtt", rtt, 0.01, 1e4)],
        loss=[value / 100 for value in _numbers("loss", loss, 0, 50)],
        reorder=[value / 100 for value in _numbers("reorder", reorder, 0, 50)],
        controller=controllers,
    )
    results = _run(scenarios, samples=svg is not None)
    if json_:
        for result in results:
            print(json.dumps(result.row()))
    else:
        console = Console()
        Console(width=None if console.is_terminal else _WIDTH).print(_table(results))
    if svg is not None:
        try:
            if len(results) == 1:
                draw_run(results[0], svg)
            else:
                draw_matrix(results, svg)
        except (NoPlots, OSError) as error:
            options.wrong(f"--svg: {error}")


def _run(scenarios: list[Scenario], *, samples: bool) -> list[Result]:
    from ..sim.matrix import run_all
    from ..sim.scenario import run

    if len(scenarios) == 1:
        return [run(scenarios[0], samples=samples)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("runs", total=len(scenarios))
        return run_all(scenarios, progress=lambda: bars.advance(task))


def _table(results: list[Result]) -> Table:
    table = Table("Mbit/s", "RTT ms", "loss", "reordered", "controller", "flows", title="Simulated transfers")
    for name in ("goodput Mbit/s", "of the link", "Jain", "retransmissions", "longest stall s"):
        table.add_column(name, justify="right")
    for result in results:
        scenario = result.scenario
        table.add_row(
            f"{scenario.rate / 1e6:g}",
            f"{scenario.rtt * 1000:g}",
            f"{scenario.loss:.1%}",
            f"{scenario.reorder:.1%}",
            scenario.controller,
            str(scenario.flows),
            f"{sum(result.goodput) / 1e6:.2f}",
            f"{result.share:.1%}",
            f"{result.jain:.3f}",
            str(result.retransmissions),
            f"{result.stall:.2f}",
        )
    return table
