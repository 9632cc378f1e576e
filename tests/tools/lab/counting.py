"""A matrix without connections, whose cells count and fail on request: it shows what a sweep does with cells."""

from __future__ import annotations

from collections import Counter

from tools.lab.cell import Cell, Outcome


class Counting:
    """``ran`` counts in this process; cell x=3 raises while ``failing``."""

    name = "counting"
    rows = ("x",)
    columns = ("mode",)
    real = False

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.failing = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        last = 3 if reduced else 6
        return [Cell(self.name, {"x": x, "mode": mode}, seed) for x in range(last) for mode in ("a", "b")]

    def run(self, cell: Cell) -> Outcome:
        self.ran[cell.key] += 1
        if self.failing and cell.parameters["x"] == 3:
            raise RuntimeError(f"cell {cell.key} is broken")
        return Outcome("even" if int(cell.parameters["x"]) % 2 == 0 else "odd", {"twice": cell.seed * 2})


MATRIX = Counting()
