"""Writes the report of a results file into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..lab.cell import LabError
from ..lab.store import Store
from .files import write_runs, write_table
from .page import page
from .tables import Placed, Table, tables

PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: how many ``tables`` and ``runs``, the ``files``, and why there are no plots, if so."""

    tables: int
    runs: int
    files: tuple[Path, ...]
    without_plots: str | None


def write(database: Path, folder: Path, *, made: datetime | None = None) -> Written:
    """Write page and CSV files; ``made`` is the time on the page (None: now).

    Raises LabError, one line, where there are no results or the folder cannot be written.
    """
    if not database.is_file():
        raise LabError(f"{database}: there are no results (edotun lab headers and the like make some)")
    with Store(database) as store:
        found = tables(store)
    if not found:
        raise LabError(f"{database}: it has no runs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{folder}: {error.strerror}") from None
    rendered = page(found, made=made or datetime.now(UTC), source=database.name)
    files: list[Path] = []

    def named(name: str) -> Path:
        files.append(folder / name)
        return files[-1]

    try:
        named(PAGE).write_text(rendered.html, "utf-8")
        for table in found:
            write_table(table, named(f"{table.name}-table.csv"))
        for matrix, placed in _by_matrix(found).items():
            write_runs(placed, named(f"{matrix}.csv"))
    except OSError as error:
        raise LabError(f"{error.filename or folder}: {error.strerror}") from None
    runs = sum(len(table.placed) for table in found)
    return Written(len(found), runs, tuple(files), rendered.without_plots)


def _by_matrix(found: list[Table]) -> dict[str, list[Placed]]:
    placed: dict[str, list[Placed]] = {}
    for table in found:
        placed.setdefault(table.matrix, []).extend(table.placed)
    return {name: sorted(runs, key=lambda one: one.number) for name, runs in placed.items()}
