"""``edotun sim``: transfers in virtual time over links of chosen rate, delay, loss and queue."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stack.congestion import CONTROLLERS
from stack.pacing import OFF, PACERS

from . import options, sim_holes

if TYPE_CHECKING:
    from ..sim.scenario import Result, Scenario

EPILOG = """Examples: edotun sim --rate 100 --rtt 40 --loss 1 --plot run.svg |
edotun sim --rate 10,100 --rtt 10,100 --loss 0,1 --controller cubic,reno,bbr --plot matrix.svg |
edotun sim --flows 10 --controller cubic+bbr | edotun sim --sweep quick |
edotun sim --sack-blocks 3,4,8,16,31 --loss 5,10,20 --rtt 150 --thin 0,20 --plot sack.svg"""

_NAMES = ", ".join(CONTROLLERS)
_SWEEPS = ("quick", "full")
# What a table needs where nobody says how wide the output is.
_WIDTH = 150


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


def _one_of(option: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        options.wrong(f"--{option}: {name!r} is not one of {', '.join(names)}")


def sim(
    rate: Annotated[str, typer.Option("--rate", metavar="MBIT[,...]", help="Rate of the link, Mbit/s.")] = "100",
    rtt: Annotated[str, typer.Option("--rtt", metavar="MS[,...]", help="Round-trip time, ms.")] = "20",
    loss: Annotated[str, typer.Option("--loss", metavar="%[,...]", help="Loss of data segments, percent.")] = "0",
    reorder: Annotated[str, typer.Option("--reorder", metavar="%[,...]", help="Reordered data, percent.")] = "0",
    buffer: Annotated[
        str, typer.Option("--buffer", metavar="X[,...]", help="The queue, in bandwidth-delay products.")
    ] = "1",
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", help="The queue in octets instead; 0: by --buffer.")
    ] = 0,
    controller: Annotated[
        str, typer.Option("--controller", metavar="NAME[,...]", help=f"Of {_NAMES}; A+B: flows in turn.")
    ] = "cubic",
    recovery: Annotated[
        str, typer.Option("--recovery", metavar="NAME[,...]", help="Of rack, rfc6675 and what is registered.")
    ] = "rack",
    pacing: Annotated[
        str,
        typer.Option("--pacing", metavar="NAME", help=f"Spread the window over time: {OFF}, {', '.join(PACERS)}."),
    ] = OFF,
    flows: Annotated[str, typer.Option("--flows", metavar="N[,...]", help="Transfers that share the link.")] = "1",
    rtt_ratio: Annotated[
        float, typer.Option("--rtt-ratio", metavar="X", help="The last flow's round trip, of the first's.")
    ] = 1.0,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Virtual time of a run.")] = 10.0,
    sack_blocks: Annotated[
        str,
        typer.Option(
            "--sack-blocks", metavar="N[,...]", help="Bursts instead, repaired with so many SACK blocks (1-31)."
        ),
    ] = "",
    burst: Annotated[int, typer.Option("--burst", metavar="N", help="Segments of such a burst.")] = 200,
    thin: Annotated[
        str, typer.Option("--thin", metavar="MS[,...]", help="The way back lets one ACK of a burst through in MS.")
    ] = "0",
    runs: Annotated[int, typer.Option("--runs", metavar="N", help="Bursts of each kind, seeds apart.")] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal runs.")] = 1,
    sweep: Annotated[
        str, typer.Option("--sweep", metavar="NAME", help="A set of links with floors instead: quick or full.")
    ] = "",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", "--svg", metavar="FILE.svg", help="Plot one run over time, several as a heat map."),
    ] = None,
    qlog: Annotated[
        Path | None, typer.Option("--qlog", metavar="FILE", help="Trace the senders of one run as qlog.")
    ] = None,
    experiment: options.Experiments = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a run.")] = False,
) -> None:
    """Simulate transfers, every combination of the lists given, and print what came of them."""
    for names in controller.split(","):
        for name in names.split("+"):
            _one_of("controller", name, CONTROLLERS)
    _one_of("pacing", pacing, [OFF, *PACERS])
    if not 0.1 <= seconds <= 86400:
        options.wrong(f"--seconds: {seconds:g} is not in 0.1-86400")
    if not 1 <= rtt_ratio <= 100:
        options.wrong(f"--rtt-ratio: {rtt_ratio:g} is not in 1-100")
    if queue < 0:
        options.wrong(f"--queue: {queue} is negative")
    if sweep:
        _one_of("sweep", sweep, _SWEEPS)
    if plot is not None and not plot.parent.is_dir():
        options.wrong(f"--plot: there is no folder {plot.parent}")
    # Loaded only now: whole stacks take their time, and no other command needs them.
    from stack.recovery import RECOVERIES

    from ..sim.matrix import product
    from ..sim.scenario import Scenario
    from ..sim.sweep import SWEEPS

    for name in recovery.split(","):
        _one_of("recovery", name, RECOVERIES)
    if sack_blocks:
        if not (1 <= burst <= 10_000 and 1 <= runs <= 10_000):
            options.wrong("--burst, --runs: 1-10000")
        asked = sim_holes.bursts(
            [int(value) for value in _numbers("sack-blocks", sack_blocks, 1, 31)],
            losses=[value / 100 for value in _numbers("loss", loss, 0, 50)],
            thinnings=[value / 1000 for value in _numbers("thin", thin, 0, 1000)],
            rate=_numbers("rate", rate, 0.01, 1e5)[0] * 1e6,
            rtt=_numbers("rtt", rtt, 0.01, 1e4)[0] / 1000,
            segments=burst,
            recovery=recovery.split(",")[0],
            runs=runs,
            seed=seed,
        )
        sim_holes.compare(asked, plot, json_=json_)
        return
    options.experiments(experiment)
    files = tuple(str(path) for path in experiment or ())
    base = Scenario(queue=queue, pacing=pacing, rtt_ratio=rtt_ratio, seconds=seconds, seed=seed, experiments=files)
    scenarios = product(
        base,
        rate=[value * 1e6 for value in _numbers("rate", rate, 0.01, 1e5)],
        rtt=[value / 1000 for value in _numbers("rtt", rtt, 0.01, 1e4)],
        loss=[value / 100 for value in _numbers("loss", loss, 0, 50)],
        reorder=[value / 100 for value in _numbers("reorder", reorder, 0, 50)],
        buffer=_numbers("buffer", buffer, 0.01, 1000),
        flows=[int(value) for value in _numbers("flows", flows, 1, 1000)],
        recovery=recovery.split(","),
        controller=controller.split(","),
    )
    if sweep:
        scenarios = [replace(scenario, seed=seed) for scenario in SWEEPS[sweep]()]
    if qlog is not None and len(scenarios) > 1:
        options.wrong("--qlog traces one run, and there are several")
    results = _run(scenarios, samples=plot is not None, qlog=qlog)
    faults = _print(results, json_, judged=bool(sweep))
    if plot is not None:
        _plot(results, plot)
    if faults:
        raise typer.Exit(1)


def _run(scenarios: list[Scenario], *, samples: bool, qlog: Path | None) -> list[Result]:
    from tun.errors import TunError
    from tun.qlog import Qlog

    from ..sim.matrix import run_all
    from ..sim.scenario import run

    if len(scenarios) == 1:
        if qlog is None:
            return [run(scenarios[0], samples=samples)]
        try:
            with Qlog(qlog, title="edotun sim", vantage="client") as trace:
                return [run(scenarios[0], samples=samples, trace=trace)]
        except TunError as error:
            options.wrong(f"--qlog: {error}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("runs", total=len(scenarios))
        return run_all(scenarios, progress=lambda: bars.advance(task))


def _print(results: list[Result], json_: bool, *, judged: bool) -> int:
    """Print all results; return how many fall short of what a sweep asks for."""
    from ..sim.sweep import missed

    faults = [missed(result) if judged else [] for result in results]
    if json_:
        for result, missing in zip(results, faults, strict=True):
            print(json.dumps(result.row() | ({"missed": missing} if judged else {})))
    else:
        console = Console()
        Console(width=None if console.is_terminal else _WIDTH).print(_table(results, faults, judged=judged))
        for number, result in enumerate(results, 1):
            for name, counts in result.experiments.items():
                told = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
                console.print(f"run {number}: experiment {name}: {told or 'never sent'}", highlight=False)
    return sum(map(bool, faults))


def _plot(results: list[Result], path: Path) -> None:
    from ..sim.plot import NoPlots, draw_matrix, draw_run

    try:
        if len(results) == 1:
            draw_run(results[0], path)
        else:
            draw_matrix(results, path)
    except (NoPlots, OSError) as error:
        options.wrong(f"--plot: {error}")


def _table(results: list[Result], faults: list[list[str]], *, judged: bool) -> Table:
    table = Table(
        "Mbit/s", "RTT ms", "loss", "reord.", "queue kB", "controller", "flows", title="Simulated transfers"
    )
    for name in ("goodput", "of link", "Jain", "mean RTT", "sent again", "silence s", "of RTO"):
        table.add_column(name, justify="right")
    if judged:
        table.add_column("missed")
    for result, missing in zip(results, faults, strict=True):
        scenario = result.scenario
        table.add_row(
            f"{scenario.rate / 1e6:g}",
            f"{scenario.rtt * 1000:g}",
            f"{scenario.loss:.1%}",
            f"{scenario.reorder:.1%}",
            f"{scenario.queue_octets / 1000:.0f}",
            scenario.controller if scenario.recovery == "rack" else f"{scenario.controller} {scenario.recovery}",
            str(scenario.flows),
            f"{sum(result.goodput) / 1e6:.2f}",
            f"{result.share:.1%}",
            f"{result.jain:.3f}",
            f"{result.delay * 1000:.1f}",
            str(result.retransmissions),
            f"{result.silence:.2f}",
            f"{result.overdue:.2f}",
            *(["; ".join(missing)] if judged else []),
        )
    return table
