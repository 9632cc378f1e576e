"""docs/findings.md: below each command of the lab that stands in the page, what its cells give.

``python -m tools.lab.findings`` runs every command and writes the page anew; words between are left alone. What
comes of CPU time is of the machine that measured it and stays as it is, unless ``--measure`` is given.
"""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from . import commands, matrices
from .cell import Cell, LabError, Matrix, Outcome, text_of

PAGE: Final = Path(__file__).parents[2] / "docs" / "findings.md"
_INDENT: Final = "    "
_PROMPT: Final = f"{_INDENT}$ edotun lab "
_WIDTH: Final = 118
_SEED: Final = 1  # what the command has where none is named
# So many cells have a line each; more are told by outcome.
_MOST_LINES: Final = 20
_MEASURED: Final = "CPU"


def asked(line: str) -> tuple[Matrix, list[Cell]]:
    """The cells that a command of the page names. Raises LabError for a word that the page does not use."""
    words = shlex.split(line.removeprefix(_PROMPT))
    given = dict(zip(words[1::2], words[2::2], strict=True))
    only, seed = given.pop("--only", ""), int(given.pop("--seed", str(_SEED)))
    if given:
        raise LabError(f"{line.strip()}: {', '.join(given)}")
    matrix = matrices.find(words[0])
    return matrix, commands.choose(matrix.cells(reduced=False, seed=seed), only)


def measures(cells: Sequence[Cell]) -> bool:
    """Whether CPU time is asked for."""
    return any(_MEASURED in text_of(value) for cell in cells for value in cell.parameters.values())


def result(outcome: Outcome) -> str:
    """What came of a cell in words and figures, for one line."""
    evidence = outcome.evidence
    shown = str(evidence.get("shown") or "")
    if evidence.get("value") is not None:
        figure = f"{evidence['value']:g} {evidence['unit']}"
        if outcome.outcome == "measured":
            figure += f" of CPU time ({evidence['least']:g} to {evidence['most']:g})"
        return f"{figure}, {shown}" if shown else figure
    what = str(evidence.get("what") or evidence.get("why") or shown)
    if outcome.outcome in what:
        return what
    return f"{outcome.outcome}: {what}" if what else outcome.outcome


def lines(matrix: Matrix, cells: Sequence[Cell]) -> list[str]:
    """What comes of running ``cells``: a line each, or by outcome where they are many."""
    outcomes = [matrix.run(cell) for cell in cells]
    rows = [_label(cell, _varying(cells, matrix.rows)) for cell in cells]
    columns = [_label(cell, _varying(cells, matrix.columns)) for cell in cells]
    if len(cells) <= _MOST_LINES:
        table = [[row, column, result(one)] for row, column, one in zip(rows, columns, outcomes, strict=True)]
    else:
        grouped: dict[tuple[str, str], list[str]] = {}
        for row, column, outcome in zip(rows, columns, outcomes, strict=True):
            grouped.setdefault((column, outcome.outcome), []).append(row)
        order = list(dict.fromkeys(columns))
        table = [[*key, ", ".join(grouped[key])] for key in sorted(grouped, key=lambda key: order.index(key[0]))]
    return list(_aligned(table))


def _varying(cells: Sequence[Cell], names: Sequence[str]) -> list[str]:
    return [name for name in names if len({text_of(cell.parameters[name]) for cell in cells}) > 1]


def _label(cell: Cell, names: Sequence[str]) -> str:
    return " ".join(text_of(cell.parameters[name]) for name in names)


def _aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for *names, last in table:
        # What never varies has no column.
        head = "".join(f"{name:{width + 2}}" for name, width in zip(names, widths, strict=True) if width)
        yield from textwrap.wrap(
            last,
            _WIDTH - len(_INDENT),
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )


def written(page: str, *, measure: bool = False) -> str:
    """The page with what its commands give; what is measured stays unless ``measure``."""
    out: list[str] = []
    given = page.splitlines()
    while given:
        line = given.pop(0)
        out.append(line)
        if line.startswith(_PROMPT):
            before = []
            while given and given[0].startswith(_INDENT) and not given[0].startswith(_PROMPT):
                before.append(given.pop(0))
            matrix, cells = asked(line)
            kept = before and measures(cells) and not measure
            out += before if kept else [_INDENT + one for one in lines(matrix, cells)]
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Write the page anew."""
    PAGE.write_text(written(PAGE.read_text(), measure="--measure" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
