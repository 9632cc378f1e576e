"""Simulated transfers: what they measure, that they repeat, and what the command prints."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from tools.cli.main import app
from tools.sim.matrix import product, run_all
from tools.sim.scenario import Scenario, jain, run


@pytest.mark.parametrize("controller", ["cubic", "reno"])
@pytest.mark.parametrize("rate", [10e6, 60e6])
def test_one_flow_fills_a_clean_link(rate: float, controller: str) -> None:
    result = run(Scenario(rate=rate, rtt=0.02, controller=controller, seconds=8.0))
    assert 0.9 <= result.share <= 1.01
    assert result.jain == 1.0
    assert result.stall < max(result.rto, 0.3)


def test_loss_costs_goodput_and_is_repaired() -> None:
    clean = run(Scenario(rate=10e6, controller="reno", seconds=5.0))
    lossy = run(Scenario(rate=10e6, controller="reno", seconds=5.0, loss=0.02))
    assert lossy.retransmissions > 10
    assert 0 < lossy.goodput[0] < clean.goodput[0]


def test_equal_scenarios_give_equal_results() -> None:
    scenario = Scenario(rate=5e6, loss=0.01, reorder=0.01, flows=2, seconds=3.0, seed=4)
    assert run(scenario, samples=True) == run(scenario, samples=True)
    assert run(scenario).goodput != run(Scenario(rate=5e6, loss=0.01, reorder=0.01, flows=2, seconds=3.0)).goodput


@pytest.mark.parametrize(("values", "index"), [([1, 1], 1.0), ([1, 0], 0.5), ([4, 0, 0, 0], 0.25), ([0, 0], 0.0)])
def test_jains_index(values: list[float], index: float) -> None:
    assert jain(values) == index


def test_products_run_in_the_order_asked_for() -> None:
    scenarios = product(Scenario(seconds=0.5, rate=1e6), loss=[0.0, 0.01], controller=["reno", "cubic"])
    assert [(s.loss, s.controller) for s in scenarios] == [
        (0.0, "reno"),
        (0.0, "cubic"),
        (0.01, "reno"),
        (0.01, "cubic"),
    ]
    done: list[None] = []
    with ThreadPoolExecutor(1) as pool:
        results = run_all(scenarios, progress=lambda: done.append(None), executor=pool)
    assert [result.scenario for result in results] == scenarios
    assert len(done) == 4


def test_the_command_prints_json_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    arguments = ["sim", "--rate", "2", "--seconds", "6", "--controller", "reno", "--json", "--svg", str(picture)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert row["scenario"]["controller"] == "reno"
    assert 0.5 < row["share"] < 1.1
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--rate", "fast"], "--rate: 'fast' is not a number"),
        (["--loss", "60"], "--loss: 60 is not in 0-50"),
        (["--controller", "vegas"], "--controller: 'vegas' is not one of"),
        (["--flows", "0"], "--flows: 0 is not in 1-1000"),
        (["--svg", "/no/where/x.svg"], "--svg: there is no folder"),
    ],
)
def test_usage_errors_are_one_line(arguments: list[str], fault: str) -> None:
    result = CliRunner().invoke(app, ["sim", *arguments])
    assert result.exit_code == 2
    assert fault in result.output
