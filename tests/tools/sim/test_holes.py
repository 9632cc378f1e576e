"""Bursts with losses: what is measured of SACK blocks, that it repeats, and what the command prints and draws."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from tools.cli.main import app
from tools.sim.holes import Burst, repair, repair_all


def bursts(blocks: int, *, edo: bool = True, seeds: int = 4) -> list[Burst]:
    return [Burst(blocks, edo, 0.1, 0.15, 150, 50e6, 0.02, seed=seed) for seed in range(seeds)]


def test_equal_bursts_give_equal_results() -> None:
    assert repair(Burst(loss=0.1)) == repair(Burst(loss=0.1))
    assert repair(Burst(loss=0.1)) != repair(Burst(loss=0.1, seed=2))


def test_without_losses_a_burst_takes_its_round_trip() -> None:
    result = repair(Burst(loss=0.0, segments=100))
    assert (result.lost, result.sent_again, result.needless) == (0, 0, 0)
    assert 0.15 < result.seconds < 0.2


def test_every_octet_lost_is_sent_again_and_with_many_blocks_little_else() -> None:
    """Acknowledgments that come one in 20 ms tell of a few ranges each; more blocks, fewer needless repetitions."""
    with ThreadPoolExecutor(1) as pool:
        few, many = (repair_all(bursts(blocks), executor=pool) for blocks in (3, 16))
    for result in (*few, *many):
        assert result.sent_again >= result.lost > 0
        assert result.seconds < 300.0
    assert mean(r.needless for r in many) < mean(r.needless for r in few) / 4


def test_without_edo_sixteen_blocks_are_three() -> None:
    """Timestamps leave room for no more (RFC 2018 §3)."""
    plain, three = ([repair(burst) for burst in bursts(n, edo=edo, seeds=2)] for n, edo in ((16, False), (3, True)))
    assert [(r.lost, r.sent_again) for r in plain] == [(r.lost, r.sent_again) for r in three]


@pytest.mark.parametrize("json_", [True, False])
def test_the_command_compares_and_draws(tmp_path: Path, json_: bool) -> None:
    plot = tmp_path / "sack.svg"
    call = ["sim", "--sack-blocks", "3,16", "--loss", "10", "--rtt", "100", "--burst", "40", "--runs", "1"]
    call += ["--thin", "0,20", "--plot", str(plot), *(["--json"] if json_ else [])]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    if json_:
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert len(rows) == 2 * 3
        assert {(row["burst"]["edo"], row["burst"]["blocks"]) for row in rows} == {
            (False, 16),
            (True, 3),
            (True, 16),
        }
    else:
        assert "without EDO" in result.stdout
    drawn = ElementTree.parse(plot).getroot()
    assert drawn.tag.endswith("svg")
    text = plot.read_text()
    assert "SACK blocks" in text
    assert "one in 20 ms" in text


@pytest.mark.parametrize(
    ("call", "fault"), [(["32"], "--sack-blocks: 32 is not in 1-31"), (["4", "--runs", "0"], "1-10000")]
)
def test_usage(call: list[str], fault: str) -> None:
    result = CliRunner().invoke(app, ["sim", "--sack-blocks", *call])
    assert result.exit_code == 2
    assert fault in result.stderr
