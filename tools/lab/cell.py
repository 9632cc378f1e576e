"""Cell, Outcome and Matrix: what a run of the lab is asked for, what came of it, and what lists the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Value = str | int | float | bool

FAULT = "fault"
"""The outcome of a cell that raised: a bug of the lab, with the traceback as evidence."""


class LabError(Exception):
    """What is wrong with a call, or with a file of the lab, in one line."""


def text_of(value: Value) -> str:
    """A parameter's value as ``--only`` and tables have it."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a matrix, which ``parameters`` and ``seed`` determine to the octet.

    A value's text has no comma, so that ``--only`` can name it; ValueError otherwise.
    """

    matrix: str
    parameters: Mapping[str, Value]
    seed: int

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            if "," in text_of(value) or "=" in name:
                raise ValueError(f"{self.matrix}: {name}={value} cannot be named on a command line")

    @property
    def key(self) -> str:
        """The parameters as JSON with sorted keys: what tells cells of one matrix and seed apart."""
        return json.dumps(dict(self.parameters), sort_keys=True)


@dataclass(slots=True)
class Outcome:
    """What came of a run: one of the matrix's words, and what shows it, as JSON has it."""

    outcome: str
    evidence: dict[str, object] = field(default_factory=dict)


class Matrix(Protocol):
    """Runs that belong together.

    ``rows`` and ``columns`` name the parameters that make those of its table. ``real``: whether it has cells that
    run on real packets; it is a ``RealMatrix`` then.
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    real: bool

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every cell, each with this seed; ``reduced`` gives a choice of the same ones that takes less time."""

    def run(self, cell: Cell) -> Outcome:
        """Run a cell: a function of the cell and of nothing else, called in any process."""


class RealMatrix(Matrix, Protocol):
    """A matrix with cells on real packets, which have the parameter ``real`` true."""

    def real_cells(self, *, seed: int) -> list[Cell]:
        """Every such cell, each with this seed."""
