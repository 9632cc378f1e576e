"""The command that repeats one cell, and the choice of cells that ``--only`` makes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .cell import Cell, LabError, text_of

REAL = "real"
"""The parameter of cells that run on real packets; a switch of its own on the command line."""


def command(cell: Cell, files: Sequence[Path] = ()) -> str:
    """The command that repeats ``cell``, for a shell; ``files`` are those of ``--with``."""
    only = ",".join(f"{name}={text_of(value)}" for name, value in cell.parameters.items() if name != REAL)
    words = ["edotun", "lab", cell.matrix, "--only", only, "--seed", str(cell.seed)]
    if cell.parameters.get(REAL):
        words.append("--real")
    for path in files:
        words += ["--with", str(path)]
    return shlex.join(words)


def parse_only(text: str) -> dict[str, set[str]]:
    """What ``--only KEY=VALUE,...`` asks for; a key that comes twice lets either value pass. Raises LabError."""
    wanted: dict[str, set[str]] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise LabError(f"--only: {part!r} is not KEY=VALUE")
        wanted.setdefault(name, set()).add(value)
    return wanted


def choose(cells: Sequence[Cell], only: str) -> list[Cell]:
    """The cells that ``only`` names, all where it is empty.

    Raises LabError for a key or a value that no cell has, and where no cell is left.
    """
    chosen = list(cells)
    for name, values in parse_only(only).items():
        known = sorted({text_of(cell.parameters[name]) for cell in cells if name in cell.parameters})
        if not known:
            names = sorted({name for cell in cells for name in cell.parameters})
            raise LabError(f"--only: {name!r} is not one of {', '.join(names)}")
        for value in sorted(values - set(known)):
            raise LabError(f"--only: {name}={value} is not one of {', '.join(known)}")
        chosen = [cell for cell in chosen if name in cell.parameters and text_of(cell.parameters[name]) in values]
    if not chosen:
        raise LabError(f"--only: no cell has {only}")
    return chosen
