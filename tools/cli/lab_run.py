"""What ``edotun lab headers`` and the commands of the other matrices do: sweep, show, and say where it is kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from . import options, running

if TYPE_CHECKING:
    from ..lab.cell import Cell, Matrix, Outcome, RealMatrix
    from ..lab.store import Run, Store
    from ..lab.sweep import Swept

DEFAULT_DB: Final = Path("lab/lab.sqlite")
# What a table needs where nobody says how wide the output is.
_WIDTH: Final = 150


def run(
    name: str,
    *,
    db: Path,
    seed: int,
    reduced: bool,
    only: str,
    again: bool,
    jobs: int,
    json_: bool,
    real: bool,
    files: Sequence[Path],
) -> None:
    """Sweep one matrix and print what came of it; exit status 1 for faults, 130 where it was interrupted."""
    if jobs < 0:
        options.wrong(f"--jobs: {jobs} is negative")
    # Loaded only now: whole stacks take their time, and no other command needs them.
    from ..lab import commands, loading, matrices
    from ..lab.cell import LabError
    from ..lab.store import Store

    try:
        loading.load(files)
        matrix = matrices.find(name)
        if real and not matrix.real:
            options.wrong(f"--real: {name} runs in virtual time only")
        if real:
            running.require_device()
            cells = cast("RealMatrix", matrix).real_cells(seed=seed)
        else:
            cells = matrix.cells(reduced=reduced, seed=seed)
        cells = commands.choose(cells, only)
        with Store(db) as store:
            swept = _sweep(matrix, cells, store, files, again=again or len(cells) == 1, jobs=jobs)
            if json_:
                _print_json(matrix, cells, store)
            elif len(swept.outcomes) == 1 == len(cells):
                _print_one(*swept.outcomes[0], files)
            else:
                _print_table(matrix, cells, store)
                _print_end(swept, db)
    except LabError as error:
        options.wrong(str(error))
    if swept.status:
        raise typer.Exit(swept.status)


def _sweep(
    matrix: Matrix, cells: Sequence[Cell], store: Store, files: Sequence[Path], *, again: bool, jobs: int
) -> Swept:
    from concurrent.futures import ThreadPoolExecutor

    from ..lab.sweep import sweep

    if len(cells) == 1:
        # No process is worth its start for one cell.
        with ThreadPoolExecutor(1) as executor:
            return sweep(matrix, cells, store, files=files, again=again, executor=executor)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(matrix.name, total=len(cells))
        return sweep(
            matrix,
            cells,
            store,
            files=files,
            again=again,
            jobs=jobs or None,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
        )


def _rows(matrix: Matrix, cells: Sequence[Cell], store: Store) -> list[Run]:
    """The runs of these cells that the file has, in the order of the cells."""
    found = {(json.dumps(run.parameters, sort_keys=True), run.seed): run for run in store.runs(matrix.name)}
    return [found[cell.key, cell.seed] for cell in cells if (cell.key, cell.seed) in found]


def _print_json(matrix: Matrix, cells: Sequence[Cell], store: Store) -> None:
    for run in _rows(matrix, cells, store):
        line = {"matrix": run.matrix, **run.parameters, "seed": run.seed, "outcome": run.outcome}
        print(json.dumps(line | {"evidence": run.evidence, "command": run.command, "seconds": run.seconds}))


def _print_one(cell: Cell, outcome: Outcome, files: Sequence[Path]) -> None:
    from ..lab.commands import command

    console = Console(highlight=False)
    console.print(outcome.outcome, style="bold", markup=False)
    console.print_json(json.dumps(outcome.evidence))
    console.print(command(cell, files), markup=False, soft_wrap=True)


def _print_table(matrix: Matrix, cells: Sequence[Cell], store: Store) -> None:
    """How often each outcome came, by column."""
    counted: dict[str, Counter[str]] = {}
    words: Counter[str] = Counter()
    for run in _rows(matrix, cells, store):
        column = " ".join(str(run.parameters.get(name, "")) for name in matrix.columns)
        counted.setdefault(column, Counter())[run.outcome] += 1
        words[run.outcome] += 1
    table = Table(", ".join(matrix.columns), title=f"edotun lab {matrix.name}: cells by outcome")
    for word, _ in words.most_common():
        table.add_column(word, justify="right")
    for column, counts in counted.items():
        table.add_row(column, *(str(counts[word] or "") for word, _ in words.most_common()))
    console = Console()
    Console(width=None if console.is_terminal else _WIDTH).print(table)


def _print_end(swept: Swept, db: Path) -> None:
    told = [f"{swept.ran} run", f"{swept.skipped} done before"]
    if swept.faults:
        told.append(f"{swept.faults} with a fault")
    if swept.interrupted:
        told.append("interrupted: the same command goes on")
    Console(highlight=False).print(f"{', '.join(told)}; all is in {db}", markup=False, soft_wrap=True)
