"""A results file made by hand: words and figures, several runs in a cell, and text that a page must not obey."""

from __future__ import annotations

from pathlib import Path

from tools.lab.cell import Cell, Outcome
from tools.lab.commands import command
from tools.lab.store import Store

EVIL = "</script><script>document.title = 'obeyed'</script><b>&amp;"


class Made:
    """A matrix that is only declared."""

    def __init__(self, name: str, rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
        self.name = name
        self.rows = rows
        self.columns = columns
        self.real = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        raise NotImplementedError

    def run(self, cell: Cell) -> Outcome:
        raise NotImplementedError


HEADERS = Made("headers", ("field", "attack"), ("mode",))
SPACE = Made("space", ("question", "case"), ("space",))
COST = Made("cost", ("mode", "placement"), ("figure",))


def fill(path: Path) -> None:
    """Write the file."""
    with Store(path) as store:
        for matrix in (HEADERS, SPACE, COST):
            store.declare(matrix)

        def put(matrix: Made, outcome: str, evidence: dict[str, object], **parameters: str) -> None:
            cell = Cell(matrix.name, parameters, 1)
            store.put(cell, Outcome(outcome, evidence), command=command(cell), seconds=0.25, version="0.1.0+abc")

        words = {"none": ["reset", "delivered wrong data", "repaired"], "ao": ["dropped", "no effect", "dropped"]}
        for mode, outcomes in words.items():
            for (field, attack), outcome in zip(
                [("seq", "change"), ("seq", "replay"), ("window", "change")], outcomes, strict=True
            ):
                evidence = {
                    "counters": {"ao_bad_mac": 3},
                    "client": {"received": 40000, "right": True},
                    "text": EVIL,
                }
                put(HEADERS, outcome, evidence, field=field, attack=attack, mode=mode)
        # Another parameter, so that two runs stand in one cell; and a run that went wrong.
        put(HEADERS, "stalled", {}, field="seq", attack="change", mode="none", phase="late")
        put(HEADERS, "fault", {"traceback": "one\ntwo"}, field="payload", attack="change", mode="ao")
        for space, value in (("legacy", 7.5), ("edo", 2.5)):
            put(SPACE, "repaired", {"value": value, "unit": "s"}, question="sack", case="20% lost", space=space)
        for case in ("few", "many"):
            put(SPACE, "fits", {}, question="fits", case=case, space="syn-eos")
            put(SPACE, "leaves out", {"shown": "data: sack:4"}, question="fits", case=case, space="compact")
        for mode, octets, cpu in (("none", 172, 300.5), ("ao", 220, 512.25)):
            put(COST, "exact", {"value": octets, "unit": "octets"}, mode=mode, placement="-", figure="octets")
            put(COST, "measured", {"value": cpu, "unit": "us"}, mode=mode, placement="-", figure="CPU")
