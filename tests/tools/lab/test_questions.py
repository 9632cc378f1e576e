"""The matrix of questions: what each answer is, cell by cell where it is promised, and that runs are repeatable."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from stack.memory import CONNECTION, HALF_OPEN
from tools.lab import question_failures, question_levels
from tools.lab.cell import Cell, Outcome
from tools.lab.paths import CORRUPTS, FAILS, FALLS_BACK, WORKS
from tools.lab.questions import MATRIX, QUESTIONS

CELLS = MATRIX.cells(reduced=False, seed=1)


def run(question: str, case: str, ends: str, seed: int = 1) -> Outcome:
    found = MATRIX.run(Cell("questions", {"question": question, "case": case, "ends": ends}, seed))
    json.dumps(found.evidence)
    return found


def value(question: str, case: str, ends: str) -> Any:
    return run(question, case, ends).evidence["value"]


def test_cells_are_apart_and_the_reduced_ones_are_among_them() -> None:
    keys = [cell.key for cell in CELLS]
    assert len(set(keys)) == len(keys)
    reduced = MATRIX.cells(reduced=True, seed=1)
    assert {cell.key for cell in reduced} < set(keys)
    assert {cell.parameters["question"] for cell in reduced} == set(QUESTIONS)
    assert not any("CPU" in str(cell.parameters["case"]) for cell in reduced)
    assert pickle.loads(pickle.dumps(CELLS[0])) == CELLS[0]


@pytest.mark.parametrize("case", ["both open at once", "and a SYN is lost"])
@pytest.mark.parametrize("ends", ["ao-enc-dh auto", "ao-enc-dh late"])
def test_a_is_the_end_with_the_smaller_number(case: str, ends: str) -> None:
    """profile.md §3; over seeds in which it is either."""
    seen = set()
    for seed in range(1, 7):
        found = run("crossed", case, ends, seed)
        assert found.outcome == WORKS, (seed, found.evidence["what"])
        client, server = found.evidence["initial sequence numbers"]  # type: ignore[misc]
        expected = "10.0.0.1" if client < server else "10.0.0.2"  # type: ignore[has-type]
        assert found.evidence["A"] == expected, seed
        seen.add(expected)
    assert len(seen) == 2


def test_who_may_not_cross_is_told_so_and_the_rest_needs_no_client() -> None:
    for ends in ("ao-enc-dh syn", "ao-enc-dh compact", "ao-enc-dh as RFC 8547"):
        found = run("crossed", "both open at once", ends)
        assert found.outcome == FAILS
        assert "simultaneous open" in str(found.evidence["what"])
    assert run("crossed", "both open at once", "ao-enc-dh as RFC 8547; prefer").outcome == FALLS_BACK
    assert run("crossed", "both open at once", "ao").outcome == WORKS


def test_an_experimental_number_costs_two_octets() -> None:
    """RFC 6994 §3: the ExID."""
    for case in ("octets of EDO in a SYN", "octets of EDO in a segment; long form"):
        for assigned in ("kinds 79 and 80", "kind 237"):
            assert value("numbers", case, "experimental kind 254") == value("numbers", case, assigned) + 2
    assert run("numbers", "experimental kinds are removed", "experimental kind 254").outcome == FALLS_BACK
    assert run("numbers", "experimental kinds are removed", "kinds 79 and 80").outcome == WORKS


def test_what_a_syn_of_a_stranger_holds() -> None:
    case = "memory that a SYN holds"
    assert value("flood", case, "none") == HALF_OPEN
    assert value("flood", case, "ao-enc-dh auto") == value("flood", case, "ao-enc-dh late") == CONNECTION
    assert value("flood", case, "ao") == value("flood", case, "md5") == 0


def test_strangers_have_no_more_agreements_than_is_said() -> None:
    """200 a second, and 200 at once (profile.md §5); none in ``late``."""
    case = "key agreements for 600 SYNs in a second"
    for ends in ("ao-enc-dh auto", "ao-enc-dh compact"):
        assert 200 <= value("flood", case, ends) <= 400
    assert value("flood", case, "ao-enc-dh late") == 0


def test_cookies_serve_who_is_honest_but_in_compact() -> None:
    case = "who is honest beside 256 SYNs; backlog 64"
    for ends, full in (("none", True), ("ao", False), ("ao-enc-dh auto", True), ("ao-enc-dh compact", True)):
        found = run("flood", case, ends)
        assert found.evidence["backlog full"] is full, ends
        assert found.outcome == (FAILS if ends.endswith("compact") else WORKS), ends
        assert bool(found.evidence["cookies"]) is (full and found.outcome == WORKS), ends


@pytest.mark.parametrize(("case", "mode"), question_levels.cases(False))
def test_keys_change_and_levels_do_not(case: str, mode: str) -> None:
    found = run("level", case, mode)
    if case == "new keys" and mode != "none":
        assert found.outcome == WORKS
        assert found.evidence["before"] != found.evidence["after"]
    else:
        assert found.outcome == question_levels.REFUSED, found.evidence


@pytest.mark.parametrize("ends", question_failures.ENDS)
def test_no_program_is_given_wrong_octets_under_a_mac_or_waits_for_ever(ends: str) -> None:
    for case, whose in question_failures.cases(False):
        if whose == ends:
            found = run("failure", case, ends)
            allowed = (WORKS, FAILS) if ends != "none" else (WORKS, FAILS, CORRUPTS)
            assert found.outcome in allowed, (case, found.evidence)


@pytest.mark.parametrize(
    ("case", "ends", "call", "number"),
    [
        ("nobody listens", "none", "connect", "ECONNREFUSED"),
        # Its reset has no MAC, and counts for nothing.
        ("nobody listens", "ao", "connect", "ETIMEDOUT"),
        ("the peer has other keys", "ao", "connect", "ETIMEDOUT"),
        ("the peer knows of no protection", "ao-enc-dh", "connect", "EPROTO"),
        ("offers are removed from SYNs", "ao-enc-dh", "connect", "ECONNREFUSED"),
        ("sequence numbers are rewritten", "ao-enc-dh", "connect", "ECONNABORTED"),
        ("a box resets the connection", "none", "recv", "ECONNRESET"),
        ("options are removed in mid-connection", "ao-enc-dh", "recv", "ETIMEDOUT"),
    ],
)
def test_what_a_program_is_told(case: str, ends: str, call: str, number: str) -> None:
    found = run("failure", case, ends)
    assert (found.outcome, found.evidence["call"], found.evidence["errno"]) == (FAILS, call, number)


def test_equal_cells_have_equal_results() -> None:
    for question, case, ends in (
        ("crossed", "and a SYN is lost", "ao-enc-dh auto"),
        ("flood", "octets answered for each that came", "ao-enc-dh compact"),
        ("failure", "a NAT forgets the connection", "ao-enc-dh"),
    ):
        assert run(question, case, ends, 3) == run(question, case, ends, 3)
