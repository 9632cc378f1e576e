"""From runs to tables: which parameters make rows and columns, and which runs stand in a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..lab.cell import text_of
from ..lab.matrices import MATRICES
from ..lab.store import Run, Store

# A table with no more than this part of its cells filled is one for each of the first row parameter's values.
_SPARSE: Final = 0.5

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A run with its ``number`` in the report; ``rest`` are the parameters that make neither row nor column."""

    number: int
    run: Run
    rest: dict[str, str]

    @property
    def value(self) -> float | None:
        """The figure that it found, None for none."""
        value = self.run.evidence.get("value")
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def unit(self) -> str:
        """What the figure is in."""
        return str(self.run.evidence.get("unit", ""))


@dataclass(slots=True)
class Table:
    """``name`` is that of files and anchors; ``rows`` and ``columns`` are labels in the order of the runs."""

    matrix: str
    section: str
    row_names: Labels
    column_names: Labels
    rows: list[Labels] = field(default_factory=list)
    columns: list[Labels] = field(default_factory=list)
    cells: dict[tuple[Labels, Labels], list[Placed]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Matrix and section, in one word."""
        return f"{self.matrix}-{self.section}" if self.section else self.matrix

    @property
    def placed(self) -> list[Placed]:
        """All runs, row by row."""
        return [one for row in self.rows for column in self.columns for one in self.cells.get((row, column), ())]

    @property
    def groups(self) -> list[tuple[str, list[Labels]]]:
        """Rows by the first of several parameters; one group without a name where most would have but one row."""
        found: dict[str, list[Labels]] = {}
        for row in self.rows:
            found.setdefault(row[0], []).append(row)
        if len(self.row_names) < 2 or 2 * len(found) > len(self.rows):
            return [("", self.rows)]
        return list(found.items())

    @property
    def of_figures(self) -> bool:
        """Whether its runs found numbers."""
        placed = self.placed
        return sum(one.value is not None for one in placed) * 2 > len(placed)

    @property
    def units(self) -> set[str]:
        """What its figures are in."""
        return {one.unit for one in self.placed if one.value is not None}

    def add(self, row: Labels, column: Labels, placed: Placed) -> None:
        """Put a run into its cell."""
        if row not in self.rows:
            self.rows.append(row)
        if column not in self.columns:
            self.columns.append(column)
        self.cells.setdefault((row, column), []).append(placed)


def tables(store: Store) -> list[Table]:
    """Every matrix of the file, or the tables that it falls into, in the order of the lab's commands."""
    found: list[Table] = []
    number = 0
    declared = store.matrices()
    known = [name for name in MATRICES if name in declared]
    for name in (*known, *(other for other in declared if other not in known)):
        row_names, column_names = declared[name]
        whole = Table(name, "", row_names, column_names)
        seen_rows: dict[Labels, None] = {}
        seen_columns: dict[Labels, None] = {}
        for run in store.runs(name):
            row, column = (_labels(run.parameters, names) for names in (row_names, column_names))
            rest = {
                key: text_of(value)
                for key, value in run.parameters.items()
                if key not in row_names and key not in column_names
            }
            whole.cells.setdefault((row, column), []).append(Placed(number, run, rest))
            seen_rows[row] = seen_columns[column] = None
            number += 1
        whole.rows, whole.columns = list(seen_rows), list(seen_columns)
        found += _parted(whole)
    return found


def _labels(parameters: Mapping[str, object], names: Iterable[str]) -> Labels:
    return tuple(text_of(parameters[name]) if name in parameters else "" for name in names)  # type: ignore[arg-type]


def _parted(whole: Table) -> list[Table]:
    """The table, or one for each value of the first row parameter where most of its cells would be empty."""
    room = len(whole.rows) * len(whole.columns)
    if not room:
        return []
    if len(whole.row_names) < 2 or len(whole.cells) > _SPARSE * room:
        return [whole]
    parts: dict[str, Table] = {}
    for (row, column), placed in whole.cells.items():
        part = parts.setdefault(row[0], Table(whole.matrix, row[0], whole.row_names[1:], whole.column_names))
        for one in placed:
            part.add(row[1:], column, one)
    return list(parts.values())
