"""Questions that no other matrix has a cell for: one a module, one table a question."""

from __future__ import annotations

from typing import Final

from . import question_crossed, question_failures, question_floods, question_levels, question_numbers
from .cell import Cell, Outcome
from .space import Question

QUESTIONS: Final = {
    "crossed": Question(question_crossed.cases, question_crossed.run),
    "numbers": Question(question_numbers.cases, question_numbers.run),
    "flood": Question(question_floods.cases, question_floods.run),
    "level": Question(question_levels.cases, question_levels.run),
    "failure": Question(question_failures.cases, question_failures.run),
}
"""Who is the client where SYNs cross; what a number costs; what a flood of SYNs takes; what may change in a
connection; what a program on a socket sees fail."""


class Questions:
    """A table for each question: the case, by what both ends ask for."""

    name = "questions"
    rows = ("question", "case")
    columns = ("ends",)
    real = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every case of every question; the reduced ones are those of each question's choice."""
        return [
            Cell(self.name, {"question": name, "case": case, "ends": ends}, seed)
            for name, question in QUESTIONS.items()
            for case, ends in question.cases(reduced)
        ]

    def run(self, cell: Cell) -> Outcome:
        """Answer for one cell."""
        question, case, ends = (str(cell.parameters[name]) for name in ("question", "case", "ends"))
        return QUESTIONS[question].run(case, ends, cell.seed)


MATRIX: Final = Questions()
