"""``edotun pkt``: folders, counts, the report, exit status (interfaces.md, "Reports of tools")."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.cli.main import app

GOOD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n"
BAD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = -1 EBADF\n"
UNKNOWN = "0 `setkey -D`\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.pkt").write_text(GOOD)
    (tmp_path / "inner" / "b.pkt").write_text(BAD)
    (tmp_path / "inner" / "c.pkt").write_text(UNKNOWN)
    (tmp_path / "inner" / "d.txt").write_text("not a script")
    return tmp_path


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["pkt", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("names", "status"),
    [(["a.pkt"], 0), (["a.pkt", "inner/c.pkt"], 2), (["inner/b.pkt"], 1), (["inner"], 1), (["none.pkt"], 2)],
)
def test_exit_status(folder: Path, names: list[str], status: int) -> None:
    assert invoke(*(str(folder / name) for name in names))[0] == status


def test_a_folder_ends_with_counts_and_tells_what_failed_and_what_was_refused(folder: Path) -> None:
    _, output = invoke(str(folder))
    lines = output.splitlines()
    assert lines[-1] == "1 passed, 1 failed, 1 refused"
    assert f"{folder}/inner/b.pkt:2: bad result of close (profile own)" in lines
    assert "  expected: -1 EBADF" in lines
    assert "    actual: 0" in lines
    assert f"{folder}/inner/c.pkt:1: refused: not understood: a line for a shell with 'setkey'" in lines


def test_the_report_has_the_names_of_the_interface(folder: Path) -> None:
    status, output = invoke("--json", str(folder))
    report = json.loads(output)
    assert status == 1
    assert list(report) == ["passed", "failed", "refused", "scripts"]
    assert (report["passed"], report["failed"], report["refused"]) == (1, 1, 1)
    good, bad, unknown = report["scripts"]
    assert list(bad) == ["script", "line", "result", "reason", "expected", "actual", "profile"]
    assert (good["result"], good["line"], good["reason"]) == ("passed", None, None)
    assert (bad["script"], bad["line"], bad["result"]) == (f"{folder}/inner/b.pkt", 2, "failed")
    assert (bad["expected"], bad["actual"], bad["profile"]) == ("-1 EBADF", "0", "own")
    assert (unknown["result"], unknown["profile"]) == ("refused", "own")


def test_many_scripts_run_on_all_cores_in_their_order(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.pkt").write_text(BAD if number == 7 else GOOD)
    status, output = invoke("--json", "--workers", "2", str(tmp_path))
    results = [script["result"] for script in json.loads(output)["scripts"]]
    assert status == 1
    assert results == ["passed"] * 7 + ["failed"] + ["passed"] * 12


def test_a_profile_may_be_chosen_and_an_unknown_one_is_an_error(tmp_path: Path) -> None:
    script = tmp_path / "s.pkt"
    script.write_text("#ifdef FreeBSD\n0 close(3) = 0\n#endif\n")
    assert invoke(str(script))[0] == 0
    assert invoke("--profile", "freebsd", str(script))[0] == 1
    status, output = invoke("--profile", "plan9", str(script))
    assert status == 2
    assert "'plan9' is not one of own, linux, freebsd" in output


def test_a_script_that_is_no_text_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "s.pkt"
    script.write_bytes(b"\xff\xfe\x00")
    status, output = invoke(str(script))
    assert status == 2
    assert output.endswith("0 passed, 0 failed, 1 refused\n")
