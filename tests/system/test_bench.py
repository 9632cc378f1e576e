"""The benchmark itself, for a moment: that it measures, and ends as it should. No figure is judged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tun

ROOT = Path(__file__).parents[2]
BENCH = (sys.executable, "-m", "tools.cli.main", "bench")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (*BENCH, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def left_behind(bench: subprocess.Popen[str]) -> list[Path]:
    return list(Path("/run/netns").glob(f"edotun-bench-{bench.pid}-*"))


def test_every_kind_of_row_is_measured_and_nothing_is_left_behind(tmp_path: Path) -> None:
    document = tmp_path / "figures.md"
    document.write_text("<!-- figures: edotun bench --write-docs -->\n<!-- end of figures -->\n")
    rows = (
        "kernel TCP-MD5",
        "TLS 1.3 over kernel TCP",
        "kernel to stack, none",
        "stack to kernel, none",
        "stack to kernel, md5",
        "stack to stack, none",
        "stack to stack, ao, hmac-sha256-128",
        "stack to stack, ao-enc, aes-128-cmac-96",
        "stack to stack, ao-enc-dh, aes-128-cmac-96",
        "handshakes accepted, none",
        "handshakes opened, ao-enc-dh",
        "echo, stack to stack, ao-enc-dh, 99th percentile",
    )
    chosen = [argument for name in rows for argument in ("--only", f"{name[:-1]}?")]
    with start("--quick", "--json", "--octets", "3000000", "--write-docs", str(document), *chosen) as bench:
        out, err = bench.communicate()
    assert bench.returncode == 0, err
    content = json.loads(out)
    assert [row["work"] for row in content["rows"]] == list(rows)
    for row in content["rows"]:
        assert row["failed"] is None
        if "kernel TCP" not in row["work"]:
            assert row["ours"]["minimum"] > 0, row
        if row["group"] in ("goodput", "round-trips"):
            assert row["base"]["minimum"] > 0, row
        if row["work"].startswith("stack to stack") or row["work"].endswith("stack, none"):
            assert row["bare_loop"]["minimum"] > 0, row
            assert row["ratio_bare"] > 0
    assert content["conditions"]["congestion"] == "cubic"
    assert "about" in err
    text = document.read_text()
    assert "| stack to stack, ao-enc-dh, aes-128-cmac-96 |" in text
    assert (tmp_path / "figures" / "bench-goodput-1500.svg").exists()
    assert left_behind(bench) == []


def test_an_interruption_prints_what_was_measured() -> None:
    """The first row has all the time of the world, so that what ends the run is the signal."""
    with start("--only", "kernel to kernel*", "--rounds", "100", "--seconds", "600", "--mtu", "1500") as bench:
        assert bench.stderr is not None
        for line in bench.stderr:
            if "measurements, about" in line:
                break
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate()
    assert bench.returncode == 130, err
    assert "Interrupted: rows are missing." in out
    assert "Traceback" not in err
    assert left_behind(bench) == []


def test_a_row_that_is_none_is_refused() -> None:
    with start("--only", "nonsense") as bench:
        _, err = bench.communicate()
    assert bench.returncode == 2
    assert "no row is called 'nonsense'" in err


def test_handshakes_are_measured_beside_those_of_the_kernel() -> None:
    """What the kernel's TCP and ssl send is counted on its way (RFC 8446 §2: one round trip more)."""
    with start("handshakes", "--json", "--rounds", "1", "--seconds", "0.001") as bench:
        out, err = bench.communicate()
    assert bench.returncode == 0, err
    wires = {row["kind"]: row["wire"] for row in json.loads(out)["rows"]}
    plain, tls = wires["kernel's TCP"], wires["TLS 1.3 over the kernel's TCP, x25519"]
    assert (plain["packets_up"], plain["packets_down"]) == (2, 1)
    assert plain["octets_up"] == wires["none"]["octets_up"]
    assert 1 <= plain["round_trips"] < tls["round_trips"]
    assert tls["octets_down"] > 1000
    assert left_behind(bench) == []
