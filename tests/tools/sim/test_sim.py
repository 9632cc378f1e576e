"""Simulated transfers: what they measure, that they repeat, and what the command prints."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from edo.options import Options
from stack.run import Run
from tests.stack.core.script import Script
from tools.cli.main import app
from tools.sim.matrix import product, run_all
from tools.sim.observer import Observer
from tools.sim.scenario import Scenario, jain, run


@pytest.mark.parametrize("controller", ["cubic", "reno"])
@pytest.mark.parametrize("rate", [5e6, 20e6])
def test_one_flow_fills_a_clean_link(rate: float, controller: str) -> None:
    scenario = Scenario(rate=rate, rtt=0.02, controller=controller, seconds=5.0)
    result = run(scenario)
    assert 0.9 <= result.share <= 1.01
    assert result.jain == 1.0
    assert result.stall < max(result.rto, 0.3)
    assert 0.0 < result.overdue < 1.0
    # Nobody waits longer than the whole queue, with the packet that is sent and the one that comes.
    assert 0.02 <= result.delay <= 0.02 + (scenario.queue_octets + 2 * 1500) * 8 / rate


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


def test_each_flow_has_its_own_path_and_controller() -> None:
    near = run(Scenario(rate=4e6, flows=2, seconds=4.0), samples=True)
    far = run(Scenario(rate=4e6, flows=2, seconds=4.0, rtt_ratio=10.0, controller="cubic+reno"), samples=True)
    shortest = [min(sample.srtt for sample in samples) for samples in near.samples]
    assert shortest[1] < 0.15
    shortest = [min(sample.srtt for sample in samples) for samples in far.samples]
    assert shortest[0] < 0.15
    assert shortest[1] > 0.2
    assert all(goodput > 0 for goodput in far.goodput)


def test_a_silence_beyond_the_timer_is_seen() -> None:
    """What the observer is for: a sender that has data and sends nothing for longer than its RTO."""
    observer = Observer(keep=False, warm=0.0)
    connection = Script().c
    flow = (b"", 1, b"", 2)
    data = Run(1, 1, 16, 0, Options(), [memoryview(b"x")], 1)
    observer.updated(flow, connection, 1.0)
    observer.segments_sent(flow, data, 1, 41, 1.1)
    connection.snd_una += 1
    observer.updated(flow, connection, 1.1 + 0.5 * connection.rtt.rto)
    assert observer.overdue == pytest.approx(0.5)
    observer.segments_sent(flow, data, 1, 41, 1.1 + 1.75 * connection.rtt.rto)
    assert observer.overdue == pytest.approx(1.25)
    assert observer.silence == pytest.approx(1.75 * connection.rtt.rto)
    observer.finish(1.1 + 5 * connection.rtt.rto)
    assert observer.overdue == pytest.approx(3.25)


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


def test_a_run_is_traced(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlog"
    result = CliRunner().invoke(app, ["sim", "--rate", "1", "--seconds", "1", "--qlog", str(path)])
    assert result.exit_code == 0, result.output
    header, *events = [json.loads(part) for part in path.read_text().split("\x1e")[1:]]
    assert header["trace"]["vantage_point"]["type"] == "client"
    assert len(events) > 100


def test_several_runs_are_drawn_as_a_map(tmp_path: Path) -> None:
    picture = tmp_path / "map.svg"
    arguments = ["sim", "--rate", "1,2", "--seconds", "1", "--loss", "0,1", "--controller", "reno,bbr"]
    result = CliRunner().invoke(app, [*arguments, "--plot", str(picture)])
    assert result.exit_code == 0, result.output
    assert result.output.count("bbr") == 4
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_command_prints_json_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    arguments = ["sim", "--rate", "2", "--seconds", "6", "--controller", "reno", "--json", "--plot", str(picture)]
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
        (["--plot", "/no/where/x.svg"], "--plot: there is no folder"),
        (["--recovery", "guess"], "--recovery: 'guess' is not one of rack, rfc6675"),
        (["--controller", "cubic+vegas"], "--controller: 'vegas' is not one of"),
        (["--buffer", "0"], "--buffer: 0 is not in 0.01-1000"),
        (["--rtt-ratio", "0.5"], "--rtt-ratio: 0.5 is not in 1-100"),
        (["--sweep", "huge"], "--sweep: 'huge' is not one of quick, full"),
        (["--qlog", "/tmp/x", "--rate", "1,2"], "--qlog traces one run, and there are several"),
        (["--qlog", "/no/where/x", "--seconds", "0.1"], "--qlog: cannot write"),
    ],
)
def test_usage_errors_are_one_line(arguments: list[str], fault: str) -> None:
    result = CliRunner().invoke(app, ["sim", *arguments])
    assert result.exit_code == 2
    assert fault in result.output
