"""The same as CSV: for each table one file as it is read, and for each matrix one with every run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from ..lab.cell import text_of
from .tables import Placed, Table


def figure_text(one: Placed) -> str:
    """What a cell says: the outcome, and the figure where there is one."""
    shown = one.run.evidence.get("shown")
    parts = [] if one.value is not None and one.run.outcome in ("exact", "measured") else [one.run.outcome]
    if one.value is not None:
        parts.append(f"{one.value:g} {one.unit}".strip())
    if isinstance(shown, str):
        parts.append(shown)
    return " | ".join(parts)


def write_table(table: Table, path: Path) -> None:
    """Rows by columns. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*table.row_names, *(" / ".join(column) for column in table.columns)])
        for row in table.rows:
            cells = [table.cells.get((row, column), []) for column in table.columns]
            out.writerow([*row, *("; ".join(figure_text(one) for one in cell) for cell in cells)])


def write_runs(placed: list[Placed], path: Path) -> None:
    """A line for each run, all parameters as columns of their own. Raises OSError."""
    names = list(dict.fromkeys(name for one in placed for name in one.run.parameters))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*names, "seed", "outcome", "value", "unit", "evidence", "command", "seconds", "version"])
        for one in placed:
            run = one.run
            out.writerow(
                [
                    *(text_of(run.parameters[name]) if name in run.parameters else "" for name in names),
                    run.seed,
                    run.outcome,
                    "" if one.value is None else one.value,
                    one.unit,
                    json.dumps(run.evidence),
                    run.command,
                    run.seconds,
                    run.version,
                ]
            )
