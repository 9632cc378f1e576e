"""The straight-line model of the profile: it agrees with two others, and what it made is what is committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ao.support import load
from tests.vectors.profile_inputs import cases
from tests.vectors.profile_model import expected

GIVEN: list[dict[str, Any]] = load("profile_vectors.json")["cases"]
MADE: list[dict[str, Any]] = load("profile_vectors_model.json")["cases"]
SEED = 1


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case["name"])
def test_it_agrees_with_models_that_were_written_apart(case: dict[str, Any]) -> None:
    assert expected(case) == case["expect"]


@pytest.mark.parametrize("case", MADE, ids=lambda case: case["name"])
def test_the_committed_results_are_its_own(case: dict[str, Any]) -> None:
    assert expected(case) == case["expect"]


def test_the_committed_inputs_are_of_their_seed() -> None:
    """But for what ML-KEM chose."""
    chosen = cases(SEED)
    assert [case["name"] for case in chosen] == [case["name"] for case in MADE]
    for case, made in zip(chosen, MADE, strict=True):
        if case["b"]["group"] == 4588:
            assert case["b"]["private"][2 * 1088 :] == made["b"]["private"][2 * 1088 :]
            case["b"]["private"] = made["b"]["private"]
        assert case == {key: value for key, value in made.items() if key != "expect"}


def test_it_uses_nothing_of_what_it_judges() -> None:
    """Neither ``ao`` nor ``edo`` nor ``stack`` is loaded by it."""
    code = "import sys, tests.vectors.profile_model; print(*sys.modules)"
    top = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=top, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert not loaded & {"ao", "edo", "stack", "tun", "tools"}


def test_every_suite_group_and_form_is_among_them() -> None:
    suites = {tuple(case["b"]["suite"]) for case in MADE}
    assert suites >= {(mac, cipher) for mac in (1, 2, 3, 4) for cipher in (0, 1, 2, 3)}
    assert {case["b"]["group"] for case in MADE} == {29, 23, 30, 256, 257, 4588}
    assert {case["placement"] for case in MADE} == {"messages", "compact"}
    assert {key for case in MADE for key in case} >= {"retry", "rekey", "resume"}
