"""Congestion control and recovery judged: goodput, fairness and silence over a matrix of links."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tools.cli.main import app
from tools.sim.matrix import run_all
from tools.sim.scenario import Result, Scenario, run
from tools.sim.sweep import SWEEPS, floor, formula, full, missed, quick


def name(scenario: Scenario) -> str:
    """A scenario as the name of its test."""
    extra = f"-{scenario.flows}flows" if scenario.flows > 1 else ""
    extra += f"-loss{scenario.loss:g}" if scenario.loss else ""
    extra += f"-reorder{scenario.reorder:g}" if scenario.reorder else ""
    link = f"{scenario.rate / 1e6:g}M-{scenario.rtt * 1000:g}ms-{scenario.buffer:g}"
    return f"{scenario.controller}-{scenario.recovery}-{link}{extra}"


@pytest.mark.parametrize("scenario", quick(), ids=name)
def test_a_small_matrix_stays_above_its_floors(scenario: Scenario) -> None:
    assert missed(run(scenario)) == []


@pytest.mark.soak
def test_the_whole_matrix_stays_above_its_floors() -> None:
    with ProcessPoolExecutor() as pool:
        results = run_all(full(), executor=pool)
    faults = [f"{name(result.scenario)}: {'; '.join(missed(result))}" for result in results if missed(result)]
    assert not faults, "\n".join(faults)


def test_the_whole_matrix_is_what_was_asked_for() -> None:
    scenarios = full()
    assert {s.rate for s in scenarios} >= {1e6, 1e9}
    assert {s.rtt for s in scenarios} >= {0.001, 0.3}
    assert {s.loss for s in scenarios} >= {0.0, 0.01, 0.05}
    assert {s.flows for s in scenarios} == {1, 2, 10}
    assert any(s.reorder for s in scenarios)
    assert any(s.rtt_ratio > 1 for s in scenarios)
    assert len(set(scenarios)) == len(scenarios)


def result(scenario: Scenario, **values: float) -> Result:
    numbers = {"share": 1.0, "jain": 1.0, "overdue": 0.5} | values
    return Result(scenario, [], numbers["share"], numbers["jain"], 0, 0.0, 0.0, numbers["overdue"], 0.2, 0.02, 0)


def test_what_falls_short_is_told() -> None:
    clean = Scenario()
    assert missed(result(clean)) == []
    assert missed(result(clean, share=0.5)) == ["share 50.0% < 85.0%"]
    assert missed(result(clean, overdue=1.5)) == ["silent for 1.50 RTO"]
    assert missed(result(clean, jain=0.5)) == []
    pair = replace(clean, flows=2)
    assert missed(result(pair, jain=0.5)) == ["Jain 0.500 < 0.9"]
    assert missed(result(replace(pair, rtt_ratio=4.0), jain=0.5)) == []


def test_the_formulas() -> None:
    """Mathis and others 1997 for Reno, sqrt(1.5 / p); for CUBIC 1.054 * (RTT / p)^0.75 (RFC 8312 eq. 7)."""
    reno = Scenario(controller="reno", loss=0.01, rtt=0.08, rate=1e9)
    assert formula(reno) == pytest.approx(1448 * 8 / 0.1 * 12.247, rel=1e-3)
    assert formula(replace(reno, controller="cubic")) == formula(reno)
    far = replace(reno, controller="cubic", loss=1e-6, rtt=0.08)
    assert formula(far) == pytest.approx(1.054 * (0.1 / 1e-6) ** 0.75 * 1448 * 8 / 0.1, rel=0.001)
    assert formula(Scenario()) == math.inf
    assert floor(reno) < floor(Scenario())


def test_a_sweep_that_misses_ends_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Scenario(rate=1e6, rtt=0.3, seconds=1.0, controller="reno")
    monkeypatch.setitem(SWEEPS, "quick", lambda: [short])
    found = CliRunner().invoke(app, ["sim", "--sweep", "quick", "--json"])
    assert found.exit_code == 1
    assert "share" in found.stdout.split('"missed"')[1]
