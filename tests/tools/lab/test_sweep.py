"""Sweeps: over any executor, interrupted and gone on with, faults and all, into one file."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.tools.lab import counting
from tools.lab import sweep as sweeping
from tools.lab.cell import Cell, LabError
from tools.lab.commands import choose, command, parse_only
from tools.lab.matrices import MATRICES, find
from tools.lab.store import Store
from tools.lab.sweep import Swept, sweep


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> counting.Counting:
    monkeypatch.setitem(MATRICES, "counting", ("tests.tools.lab.counting", "Counts."))
    made = counting.Counting()
    monkeypatch.setattr(counting, "MATRIX", made)
    # The module may have been loaded under another name by importlib mode.
    monkeypatch.setattr(sweeping.matrices, "find", lambda name: made if name == "counting" else find(name))
    return made


class Direct(Executor):
    """Runs at once what it is given."""

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **more))
        return future


def swept(matrix: counting.Counting, path: Path, executor: Executor | None = None, **more: Any) -> Swept:
    with Store(path) as store:
        return sweep(matrix, matrix.cells(reduced=False, seed=7), store, executor=executor or Direct(), **more)


@pytest.mark.parametrize("executor", [Direct, lambda: ThreadPoolExecutor(3)], ids=["direct", "threads"])
def test_every_cell_is_run_once_and_kept(matrix: counting.Counting, tmp_path: Path, executor: Any) -> None:
    with executor() as pool:
        assert swept(matrix, tmp_path / "new" / "lab.sqlite", pool).status == 0
    assert len(matrix.ran) == 12
    with Store(tmp_path / "new" / "lab.sqlite") as store:
        assert store.matrices() == {"counting": (("x",), ("mode",))}
        runs = list(store.runs("counting"))
        assert list(store.runs("other")) == []
    assert len(runs) == 12
    one = next(run for run in runs if run.parameters == {"x": 5, "mode": "b"})
    assert (one.outcome, one.evidence, one.seed) == ("odd", {"twice": 14}, 7)
    assert one.command == "edotun lab counting --only x=5,mode=b --seed 7"
    assert one.seconds >= 0
    assert "+" in one.version


def test_the_file_has_the_table_that_others_read(matrix: counting.Counting, tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    swept(matrix, path)
    with sqlite3.connect(path) as db:
        (row,) = db.execute(
            "SELECT outcome, evidence FROM runs WHERE matrix = 'counting' AND parameters = ? AND seed = 7",
            (json.dumps({"mode": "a", "x": 4}, sort_keys=True),),
        )
        keys = [name for _, name, _, _, _, key in db.execute("PRAGMA table_info(runs)") if key]
    assert row == ("even", '{"twice": 14}')
    assert keys == ["matrix", "parameters", "seed"]


def test_what_was_done_is_not_run_again_unless_asked(matrix: counting.Counting, tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    swept(matrix, path)
    second = swept(matrix, path)
    assert (second.ran, second.skipped) == (0, 12)
    assert set(matrix.ran.values()) == {1}
    assert swept(matrix, path, again=True).ran == 12
    assert set(matrix.ran.values()) == {2}


def test_other_code_and_another_seed_are_run_anew(
    matrix: counting.Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.sqlite"
    swept(matrix, path)
    with Store(path) as store:
        assert sweep(matrix, matrix.cells(reduced=True, seed=8), store, executor=Direct()).ran == 6
    monkeypatch.setattr(sweeping, "version", lambda: "0.1.0+ffffffffff")
    assert swept(matrix, path).ran == 12
    with Store(path) as store:
        assert {run.version for run in store.runs() if run.seed == 7} == {"0.1.0+ffffffffff"}


def test_an_interrupted_sweep_keeps_what_is_done_and_goes_on(matrix: counting.Counting, tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    pending: list[Future[Any]] = []

    class Slow(Direct):
        """Runs four and holds the rest back."""

        def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
            if len(pending) < 4:
                pending.append(super().submit(fn, *args, **more))
            else:
                pending.append(Future())
            return pending[-1]

    def progress(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    first = swept(matrix, path, Slow(), progress=progress)
    assert (first.interrupted, first.status, first.ran) == (True, 130, 4)
    assert all(future.cancelled() for future in pending[4:])
    second = swept(matrix, path)
    assert (second.interrupted, second.status, second.ran, second.skipped) == (False, 0, 8, 4)
    assert set(matrix.ran.values()) == {1}


def test_a_cell_that_raises_is_a_fault_with_its_traceback_and_is_run_again(
    matrix: counting.Counting, tmp_path: Path
) -> None:
    path = tmp_path / "lab.sqlite"
    matrix.failing = True
    first = swept(matrix, path)
    assert (first.status, first.faults, first.ran) == (1, 2, 12)
    with Store(path) as store:
        broken = [run for run in store.runs() if run.outcome == "fault"]
    assert [run.parameters["x"] for run in broken] == [3, 3]
    assert "RuntimeError: cell" in str(broken[0].evidence["error"])
    assert "counting.py" in str(broken[0].evidence["traceback"])
    matrix.failing = False
    second = swept(matrix, path)
    assert (second.status, second.ran, second.skipped) == (0, 2, 10)
    with Store(path) as store:
        assert "fault" not in {run.outcome for run in store.runs()}


def test_a_file_that_is_no_store_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    path.write_bytes(b"this is no database, and long enough for one" * 100)
    with pytest.raises(LabError, match=r"lab\.sqlite: file is not a database"):
        Store(path)
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"file"):
        Store(tmp_path / "file" / "lab.sqlite")


# --- which cells ---------------------------------------------------------------------------------------------


def test_the_command_of_a_cell_chooses_that_cell() -> None:
    cells = counting.Counting().cells(reduced=False, seed=7)
    for cell in cells:
        words = command(cell, [Path("my file.py")]).split(" --")
        only = next(word.removeprefix("only ") for word in words if word.startswith("only "))
        assert choose(cells, only) == [cell]
        assert words[-1] == "with 'my file.py'"


def test_booleans_and_real_packets_on_the_command_line() -> None:
    cell = Cell("paths", {"box": "nat", "late": True, "loss": 0.05, "real": True}, 3)
    assert command(cell) == "edotun lab paths --only box=nat,late=true,loss=0.05 --seed 3 --real"
    assert choose([cell], "late=true,loss=0.05") == [cell]


def test_a_key_that_comes_twice_lets_either_value_pass() -> None:
    cells = counting.Counting().cells(reduced=False, seed=7)
    assert parse_only("x=1,x=2,mode=a") == {"x": {"1", "2"}, "mode": {"a"}}
    assert [cell.parameters["x"] for cell in choose(cells, "x=1,x=2,mode=a")] == [1, 2]
    assert choose(cells, "") == cells


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ("x", "--only: 'x' is not KEY=VALUE"),
        ("=1", "--only: '=1' is not KEY=VALUE"),
        ("y=1", "--only: 'y' is not one of mode, x"),
        ("x=9", "--only: x=9 is not one of 0, 1, 2, 3, 4, 5"),
    ],
)
def test_a_choice_of_nothing_names_what_there_is(only: str, told: str) -> None:
    with pytest.raises(LabError) as caught:
        choose(counting.Counting().cells(reduced=False, seed=7), only)
    assert str(caught.value) == told


def test_a_value_that_no_command_can_name_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be named"):
        Cell("paths", {"box": "a,b"}, 1)


def test_two_sweeps_share_a_file(matrix: counting.Counting, tmp_path: Path) -> None:
    """What one has written does not stand in the other's way, though neither is done."""
    path = tmp_path / "lab.sqlite"
    cells = matrix.cells(reduced=False, seed=7)
    with Store(path) as one, Store(path) as other:
        for number, cell in enumerate(cells):
            (one, other)[number % 2].put(cell, matrix.run(cell), command="", seconds=0.1, version="0")
        assert len(list(one.runs())) == len(list(other.runs())) == len(cells)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["lab.sqlite"]
