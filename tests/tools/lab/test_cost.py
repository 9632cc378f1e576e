"""What protection costs: what is exact is the same in each run, what is measured is marked."""

from __future__ import annotations

import json

import pytest

from tools.lab.cell import Cell, Outcome
from tools.lab.cost import MATRIX

PLAIN = ("none", "-", "-")
AO = ("ao", "-", "configured")
SYN = ("ao-enc-dh", "syn", "x25519")


def run(row: tuple[str, str, str], figure: str) -> Outcome:
    mode, placement, keys = row
    cell = Cell("cost", {"mode": mode, "placement": placement, "keys": keys, "figure": figure}, 1)
    assert cell.key in {one.key for one in MATRIX.cells(reduced=False, seed=1)}
    found = MATRIX.run(cell)
    json.dumps(found.evidence)
    return found


@pytest.mark.parametrize(
    ("row", "figure", "value"),
    [
        # SYN and SYN-ACK of 60, ACK of 52.
        (PLAIN, "handshake octets", 172),
        (PLAIN, "handshake packets", 3),
        # 16 octets of TCP-AO on each.
        (AO, "handshake octets", 220),
        (AO, "handshake round trips", 1),
        (SYN, "handshake round trips", 1),
        (("ao-enc-dh", "late", "x25519"), "handshake round trips", 2),
        # IP 20, TCP 20, timestamps 12; TCP-AO 16 more; the Extension 8 more.
        (PLAIN, "header of a segment", 52.0),
        (AO, "header of a segment", 68.0),
        (SYN, "header of a segment", 76.0),
    ],
)
def test_exact_figures(row: tuple[str, str, str], figure: str, value: float) -> None:
    found = run(row, figure)
    assert found.outcome == "exact"
    assert found.evidence["value"] == pytest.approx(value, abs=0.2)


def test_what_is_measured_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.lab.cost._SECONDS", 0.0)
    monkeypatch.setattr("tools.lab.cost._OCTETS", 50_000)
    for figure in ("handshake CPU", "CPU of a segment"):
        found = run(AO, figure)
        assert found.outcome == "measured"
        evidence = found.evidence
        assert evidence["unit"] == "us"
        assert 0 < evidence["least"] <= evidence["value"] <= evidence["most"]  # type: ignore[operator]


def test_reduced_cells_are_exact_ones() -> None:
    reduced = {cell.key for cell in MATRIX.cells(reduced=True, seed=1)}
    assert reduced < {cell.key for cell in MATRIX.cells(reduced=False, seed=1)}
    assert not any("CPU" in key for key in reduced)
