"""Space: which sets of options fit where, and what more of it buys. One question a module, one table a question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import space_fits, space_keys, space_repair, space_telemetry
from .cell import Cell, Outcome


@dataclass(frozen=True, slots=True)
class Question:
    """``cases`` gives (case, space) of each cell, ``run`` what comes of one with a seed."""

    cases: Callable[[bool], list[tuple[str, str]]]
    run: Callable[[str, str, int], Outcome]


QUESTIONS: Final = {
    "fits": Question(space_fits.cases, space_fits.run),
    "sack": Question(space_repair.sack_cases, space_repair.run_sack),
    "mac": Question(space_repair.mac_cases, space_repair.run_mac),
    "keys": Question(space_keys.cases, space_keys.run),
    "telemetry": Question(space_telemetry.cases, space_telemetry.run),
}


class Space:
    """A table for each question: what is asked of the room, by where the room is."""

    name = "space"
    rows = ("question", "case")
    columns = ("space",)
    real = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every case of every question."""
        return [
            Cell(self.name, {"question": name, "case": case, "space": space}, seed)
            for name, question in QUESTIONS.items()
            for case, space in question.cases(reduced)
        ]

    def run(self, cell: Cell) -> Outcome:
        """Answer for one cell."""
        question, case, space = (str(cell.parameters[name]) for name in ("question", "case", "space"))
        return QUESTIONS[question].run(case, space, cell.seed)


MATRIX: Final = Space()
