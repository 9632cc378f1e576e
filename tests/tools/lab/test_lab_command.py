"""``edotun lab``: what it prints, how it ends, and that a sweep by processes is interrupted and gone on with."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cli.main import main

ROOT = Path(__file__).parent.parent.parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "lab"
ONE = "field=payload,attack=change,phase=established,mode=none"


def lab(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.cli.main", "lab", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_command_that_is_printed_repeats_the_cell(tmp_path: Path) -> None:
    db = str(tmp_path / "lab.sqlite")
    first = lab("headers", "--only", ONE, "--seed", "7", "--db", db)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("delivered wrong data\n")
    command = first.stdout.rstrip().splitlines()[-1]
    assert command == f"edotun lab headers --only {ONE} --seed 7"
    with sqlite3.connect(db) as kept:
        ((told, evidence),) = kept.execute("SELECT command, evidence FROM runs")
    assert told == command
    again = lab(*command.split()[2:], "--db", db, "--json")
    line = json.loads(again.stdout)
    assert line["outcome"] == "delivered wrong data"
    assert line["evidence"] == json.loads(evidence)


def test_an_interrupted_sweep_by_processes_goes_on(tmp_path: Path) -> None:
    db = tmp_path / "lab.sqlite"
    words = ["headers", "--only", "attack=set,mode=none", "--jobs", "1", "--db", str(db)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.cli.main", "lab", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def kept() -> int:
        if not db.exists():
            return 0
        with sqlite3.connect(db, timeout=30.0) as opened:
            tables = opened.execute("SELECT count(*) FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
            return int(opened.execute("SELECT count(*) FROM runs").fetchone()[0]) if tables else 0

    while not kept():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130, (out, error)
    assert "interrupted" in out
    before = kept()
    done = lab(*words)
    assert done.returncode == 0, done.stderr
    after = kept()
    assert f"{after - before} run, {before} done before" in done.stdout
    assert 0 < before < after


@pytest.mark.parametrize(
    ("file", "only", "rows"),
    [
        ("attack.py", "attack=push,mode=none,mode=ao-enc-dh", 2),
        ("protection.py", "mode=ao-sha256,field=seq,attack=change", 2),
    ],
)
def test_a_file_of_ones_own_joins_in_worker_processes_too(tmp_path: Path, file: str, only: str, rows: int) -> None:
    db = str(tmp_path / "lab.sqlite")
    done = lab("headers", "--with", str(EXAMPLES / file), "--only", only, "--db", db, "--json", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == rows
    for line in lines:
        assert line["evidence"]["acts"] > 0
        assert line["command"].endswith(f"--with {EXAMPLES / file}")
        good = ("dropped", "repaired", "no effect")
        assert line["outcome"] in good, line
    with sqlite3.connect(db) as kept:
        versions = {version for (version,) in kept.execute("SELECT version FROM runs")}
    # What ran it is the code and that file.
    assert all(version.count(".") == 3 for version in versions), versions


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("headers", "--only", "field=nothing"), "edotun: --only: field=nothing is not one of ack, ack-flag,"),
        (("headers", "--only", "row=1"), "edotun: --only: 'row' is not one of attack, field, mode, phase"),
        (("headers", "--jobs", "-1"), "edotun: --jobs: -1 is negative"),
        (("space", "--real"), "edotun: --real: space runs in virtual time only"),
        (("headers", "--with", "none.py"), "edotun: --with: none.py: No such file or directory"),
        (("headers", "--seed", "x"), "edotun: Invalid value for '--seed'"),
        (("headers", "--db", "README.md", "--only", ONE), "edotun: README.md: file is not a database"),
        (("unheard-of",), "edotun: No such command 'unheard-of'."),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("# This is text\n" * 100)
    monkeypatch.setattr(sys, "argv", ["edotun", "lab", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert error.startswith(told)
    assert error.count("\n") == 1
