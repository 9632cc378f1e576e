"""The path matrix: every cell of the reduced one, what may never come of a way, and the findings told of."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from stack.events import TcpError
from tests.tools.lab.paths_table import FILE, table
from tools.boxes.registry import BOXES, make
from tools.lab import paths
from tools.lab.carrying import REQUIRE, WAYS
from tools.lab.cell import Cell
from tools.lab.on_path import PATHS, REDUCED, boxes_of
from tools.lab.on_path import paths as names
from tools.lab.paths import CORRUPTS, FAILS, FALLS_BACK, HANGS, MATRIX, WORKS, judged

ROOT = Path(__file__).parent.parent.parent.parent
FINDINGS: list[dict[str, Any]] = tomllib.loads((ROOT / "docs" / "data" / "path-findings.toml").read_text())[
    "finding"
]
OUTCOMES = {WORKS, FALLS_BACK, FAILS, HANGS, CORRUPTS}


def test_every_cell_of_the_reduced_matrix_is_as_it_was() -> None:
    """Where a change is meant, ``python -m tests.tools.lab.paths_table`` writes the file anew."""
    found, known = table().splitlines(), FILE.read_text().splitlines()
    assert [line for line in found if line not in known] == []
    assert len(found) == len(known)


def test_what_is_required_is_had_or_fails() -> None:
    """No way that asks for keys goes without them, and delivers an octet that was not sent; over all paths."""
    lines = [line.split("  ") for line in FILE.read_text().splitlines()]
    assert {line[0] for line in lines} == set(REDUCED)
    for box, way, policy, outcome in lines:
        assert outcome in OUTCOMES
        if policy == REQUIRE and way != "ao-syn-eos":
            assert outcome in (WORKS, FAILS, HANGS), (box, way)


def test_what_carries_options_beside_keys_may_go_and_the_keys_stay() -> None:
    parameters = {"box": "drop-flagless", "near": "server", "way": "ao-syn-eos", "policy": "require"}
    outcome = MATRIX.run(Cell("paths", parameters, 1))
    assert outcome.outcome == FALLS_BACK
    assert outcome.evidence["to"] == "ao alone"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda one: f"{one['box']}-{one['way']}-{one['policy']}")
def test_a_finding_is_what_a_run_shows(finding: dict[str, Any]) -> None:
    assert finding["whose"] in ("path", "edo", "agreement", "rival")
    parameters = {name: finding[name] for name in ("box", "near", "way", "policy")}
    outcome = MATRIX.run(Cell("paths", parameters, finding.get("seed", 1)))
    assert outcome.outcome == finding["outcome"], outcome.evidence["what"]


def test_a_cell_is_a_function_of_its_parameters_and_seed() -> None:
    cell = Cell("paths", {"box": "reorder", "near": "client", "way": "auto", "policy": "prefer"}, 5)
    one, two = MATRIX.run(cell), MATRIX.run(cell)
    assert json.dumps(one.evidence) == json.dumps(two.evidence)
    other = MATRIX.run(Cell("paths", cell.parameters, 6))
    assert json.dumps(other.evidence) != json.dumps(one.evidence)


def test_every_path_can_be_made_and_the_matrix_has_each_with_each_way_on_both_sides() -> None:
    for path in PATHS:
        assert all(one.near == "client" for one in boxes_of(path, "client", Random(1)))
    cells = MATRIX.cells(reduced=False, seed=1)
    assert len(cells) == len(PATHS) * len(WAYS) * 2
    assert set(REDUCED) <= set(PATHS)


@pytest.fixture
def mine() -> Iterator[str]:
    from edotun import box

    @box("mine", "a box of a user's")
    def maker(*, share: float = 1.0) -> Any:
        return make(f"loss:share={share}", Random(1))

    yield "mine"
    BOXES.remove("mine")


def test_a_users_box_is_a_row(mine: str) -> None:
    assert names()[-1] == mine
    outcome = MATRIX.run(Cell("paths", {"box": mine, "near": "client", "way": "legacy", "policy": "prefer"}, 1))
    assert outcome.outcome == FAILS
    assert "connection timed out" in str(outcome.evidence["what"])


def _speaker(**fields: Any) -> Any:
    report = {"mode": "none", "fallback": None}
    base = {
        "received": b"",
        "expected": b"text",
        "whole": False,
        "misled": False,
        "error": None,
        "closed_at": None,
        "first_at": None,
        "eof_at": None,
    }
    return SimpleNamespace(**{**base, **fields}, attempt=SimpleNamespace(report=lambda: report))


def _crossed(client: Any, server: Any, *, ended: bool = True) -> Any:
    both = [one for one in (client, server) if one is not None]
    return SimpleNamespace(client=client, server=server, servers=both[1:], speakers=both, seconds=9.0, ended=ended)


def test_what_outcomes_mean() -> None:
    whole = {"whole": True, "first_at": 1.0, "eof_at": 2.0, "closed_at": 3.0}
    legacy, auto = WAYS["legacy", "prefer"], WAYS["auto", "prefer"]
    assert judged(_crossed(_speaker(**whole), _speaker(**whole)), legacy)[0] == WORKS
    outcome, found = judged(_crossed(_speaker(**whole), _speaker(**whole)), auto)
    assert (outcome, found["to"], found["after"]) == (FALLS_BACK, "none", 1.0)
    wrong = _speaker(misled=True, error=TcpError(104, "reset"), closed_at=1.0)
    assert judged(_crossed(_speaker(**whole), wrong), legacy)[0] == CORRUPTS
    failed = _speaker(error=TcpError(110, "connection timed out"), closed_at=4.0)
    outcome, found = judged(_crossed(failed, None), auto)
    assert (outcome, found["what"]) == (FAILS, "the client fails with connection timed out after 4 s")
    # An end that waits hangs, whatever became of the other.
    outcome, found = judged(_crossed(failed, _speaker(), ended=False), auto)
    assert (outcome, found["what"]) == (HANGS, "the server has 0 of 4 octets after 9 s")
    assert judged(_crossed(_speaker(), None, ended=False), auto)[0] == HANGS


def test_the_names_of_outcomes_stay() -> None:
    """Reports colour by them."""
    assert {"works", "works after fallback", "fails", "hangs", "silent corruption"} == OUTCOMES
    assert MATRIX.name == "paths"
    assert paths.MATRIX is MATRIX
