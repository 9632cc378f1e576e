"""The two bounds of `make coverage`: each must hold by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.covered import main


def summary(lines: tuple[int, int], branches: tuple[int, int]) -> dict[str, int]:
    names = ("covered_lines", "num_statements", "covered_branches", "num_branches")
    return dict(zip(names, (*lines, *branches), strict=True))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """95 % of the lines and 90 % of the branches."""
    whole = {"summary": summary((900, 900), (400, 400)), "missing_lines": [], "missing_branches": []}
    part = {
        "summary": summary((50, 100), (50, 100)),
        "missing_lines": [3, 14],
        "missing_branches": [[15, 92], [65, -1]],
    }
    path = tmp_path / "report.json"
    content = {"files": {"whole.py": whole, "part.py": part}, "totals": summary((950, 1000), (450, 500))}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("lines", "branches", "status", "complaints"),
    [("95", "90", 0, 0), ("95.01", "90", 1, 1), ("95", "90.01", 1, 1), ("99", "99", 1, 2)],
)
def test_each_bound_counts(
    report: Path, capsys: pytest.CaptureFixture[str], lines: str, branches: str, status: int, complaints: int
) -> None:
    assert main([str(report), lines, branches]) == status
    said = capsys.readouterr().out
    assert said.count("too little") == complaints
    assert "lines: 95.00 % of at least" in said
    assert "branches: 90.00 % of at least" in said


def test_what_is_not_covered_is_named(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(report), "0", "0"])
    said = capsys.readouterr().out
    assert "part.py: 3, 14; 15->92, 65->exit" in said
    assert "whole.py" not in said


@pytest.mark.parametrize("arguments", [[], ["/no/such", "1", "1"], ["REPORT", "x", "1"], ["REPORT", "1"]])
def test_a_wrong_call_is_told(report: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main([str(report) if word == "REPORT" else word for word in arguments]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_a_report_without_branches_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"files": {}, "totals": {"covered_lines": 1, "num_statements": 1}}))
    assert main([str(path), "1", "1"]) == 2
    assert "covered_branches" in capsys.readouterr().err
