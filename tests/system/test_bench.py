"""The benchmark itself, for a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench import echo

pytestmark = pytest.mark.tun

ROOT = Path(__file__).parents[2]


def test_every_transfer_is_measured_and_nothing_is_left_behind() -> None:
    command = (sys.executable, "-m", "tools.cli.main", "bench", "--json", "--rounds", "1", "--octets", "2000000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as bench:
        out, err = bench.communicate()
    assert bench.returncode == 0, err
    content = json.loads(out)
    assert [row["work"] for row in content["rows"]] == [
        "kernel to stack, none",
        "stack to kernel, none",
        "stack to stack, none",
        "stack to stack, ao",
        "stack to stack, ao-enc-dh",
        "kernel to kernel, tso gso gro off",
    ]
    for row in content["rows"]:
        assert row["ours"]["minimum"] > 0
        assert row["base"]["minimum"] > 0
    assert content["conditions"]["congestion"] == "cubic"
    assert list(Path("/run/netns").glob(f"edotun-bench-{bench.pid}-*")) == []


def test_handshakes_are_measured_beside_those_of_the_kernel() -> None:
    """What the kernel's TCP and ssl send is counted on its way (RFC 8446 §2: one round trip more)."""
    command = (sys.executable, "-m", "tools.cli.main", "bench", "handshakes", "--json", "--rounds", "1")
    with subprocess.Popen(
        (*command, "--seconds", "0.001"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as bench:
        out, err = bench.communicate()
    assert bench.returncode == 0, err
    wires = {row["kind"]: row["wire"] for row in json.loads(out)["rows"]}
    plain, tls = wires["kernel's TCP"], wires["TLS 1.3 over the kernel's TCP, x25519"]
    assert (plain["packets_up"], plain["packets_down"]) == (2, 1)
    assert plain["octets_up"] == wires["none"]["octets_up"]
    assert 1 <= plain["round_trips"] < tls["round_trips"]
    assert tls["octets_down"] > 1000
    assert list(Path("/run/netns").glob(f"edotun-bench-{bench.pid}-*")) == []


def test_echoes_cross_every_path() -> None:
    before = set(Path("/run/netns").glob("edotun-bench-*"))
    rows = echo.round_trips(rounds=1, times=3)
    assert [row["work"] for row in rows] == [f"echo, {way.name}" for way in echo.WAYS]
    for row in rows:
        assert 0 < float(str(row["median"])) <= float(str(row["p99"]))
    assert set(Path("/run/netns").glob("edotun-bench-*")) <= before
