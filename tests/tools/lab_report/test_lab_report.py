"""The report says what the results file has: as tables, in words, as CSV, and on a page that needs nothing else."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tools.lab_report.results import fill
from tools.cli.main import app
from tools.lab.cell import LabError
from tools.lab.store import Store
from tools.lab_report import plots
from tools.lab_report.report import write
from tools.lab_report.tables import Table, tables
from tools.lab_report.verdicts import MARKS, Level, level_of
from tools.lab_report.words import summary
from tools.sim.plot import NoPlots

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "lab.sqlite"
    fill(path)
    return path


@pytest.fixture(scope="module")
def written(database: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report's files by name."""
    return {path.name: path for path in write(database, tmp_path_factory.mktemp("out"), made=MADE).files}


@pytest.fixture
def found(database: Path) -> dict[str, Table]:
    with Store(database) as store:
        return {table.name: table for table in tables(store)}


class Page(HTMLParser):
    """What a page loads or links to, the text of its cells by run, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.cells: dict[int, str] = {}
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._open: int | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append(tag)
        for name in ("src", "href", "xlink:href", "action"):
            value = found.get(name)
            if value and not value.startswith(("#", "data:")):
                self.outside.append(value)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "button" and "cell" in (found.get("class") or "").split():
            self._open = int(str(found["data-run"]))
            self.cells[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.cells[self._open] += data


def test_a_matrix_with_few_of_its_cells_is_a_table_for_each_question(found: dict[str, Table]) -> None:
    # In the order of the lab's commands.
    assert [name for name in found if name != "headers"] == ["space-sack", "space-fits", "cost"]
    assert found["headers"].rows == [
        ("seq", "change"),
        ("seq", "replay"),
        ("window", "change"),
        ("payload", "change"),
    ]
    # Most fields have but one row here.
    assert found["headers"].groups == [("", found["headers"].rows)]
    assert found["space-sack"].row_names == ("case",)
    cell = found["headers"].cells[("seq", "change"), ("none",)]
    assert [(one.run.outcome, one.rest) for one in cell] == [("reset", {}), ("stalled", {"phase": "late"})]


def test_rows_are_grouped_where_there_are_several_of_one_kind() -> None:
    rows = [(field, attack) for field in ("seq", "ack") for attack in ("change", "replay")]
    table = Table("headers", "", ("field", "attack"), ("mode",), rows, [("none",)])
    assert [(name, len(of)) for name, of in table.groups] == [("seq", 2), ("ack", 2)]


def test_the_summary_is_made_of_the_figures(found: dict[str, Table]) -> None:
    said = {(one.about, one.level): one.text for one in summary(found["headers"])}
    assert said["headers", Level.FAULT] == "1 run went wrong in the lab itself and says nothing"
    assert said["none", Level.WORST] == "4 runs: repaired 1, reset 1, stalled 1, delivered wrong data 1"
    (one,) = summary(found["space-sack"])
    assert (one.about, one.text) == ("20% lost", "2.5 s with edo, 7.5 s with legacy: 3.0 times as much")
    figures = {one.about: one.text for one in summary(found["cost"])}
    assert figures == {
        "octets": "172 octets (none) to 220 octets (ao), 1.3 times that of none",
        "CPU": "300.5 us (none) to 512.2 us (ao), 1.7 times that of none",
    }
    worst = next(one for one in summary(found["headers"]) if one.about == "none")
    first = next(one for one in found["headers"].placed if one.number == worst.runs[0])
    assert first.run.outcome == "delivered wrong data"


def test_every_level_has_a_mark_that_is_no_other_s() -> None:
    marks = [MARKS[level] for level in Level if level is not Level.FIGURE]
    assert len(set(marks)) == len(marks)
    assert all(marks)


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("no effect", Level.GOOD),
        ("repaired after 1.2 s", Level.COSTS),
        ("works", Level.GOOD),
        ("works after fallback to late in 0.4 s", Level.COSTS),
        ("fails with ETIMEDOUT after 4 s", Level.FAILS),
        ("silent corruption", Level.WORST),
        ("something new", Level.OTHER),
    ],
)
def test_outcomes_are_known_by_how_they_begin(outcome: str, level: Level) -> None:
    assert level_of(outcome) is level


def test_the_page_has_every_run_and_needs_nothing_else(database: Path, written: dict[str, Path]) -> None:
    text = written["index.html"].read_text("utf-8")
    page = Page(text)
    assert page.outside == []
    assert not re.search(r"@import|url\((?!['\"]?(?:#|data:))", text)
    assert len(page.ids) == len(set(page.ids))
    # What a run holds is text of the page: two scripts, the data and the program.
    assert page.tags.count("script") == 2
    assert "2026-01-02 03:04" in text
    rows = sqlite3.connect(database).execute("SELECT outcome, command FROM runs").fetchall()
    data = json.loads(text.split('id="runs">', 1)[1].split("</script>", 1)[0])
    assert sorted((one["o"], one["c"]) for one in data) == sorted(rows)
    assert sorted(page.cells) == list(range(len(rows)))
    for number, one in enumerate(data):
        shown = page.cells[number]
        assert one["o"] in shown or f"{one['e']['value']:g}" in shown
    assert "measured" in page.cells[next(n for n, one in enumerate(data) if one["o"] == "measured")]


def test_equal_results_make_equal_files(database: Path, written: dict[str, Path], tmp_path: Path) -> None:
    for path in write(database, tmp_path, made=MADE).files:
        assert path.read_bytes() == written[path.name].read_bytes()


def test_csv_has_the_same(database: Path, written: dict[str, Path]) -> None:
    with written["headers.csv"].open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    stored = sqlite3.connect(database).execute(
        "SELECT outcome, evidence, command FROM runs WHERE matrix = 'headers' ORDER BY rowid"
    )
    expected = [(outcome, json.loads(evidence), command) for outcome, evidence, command in stored]
    assert [(row["outcome"], json.loads(row["evidence"]), row["command"]) for row in runs] == expected
    assert {row["phase"] for row in runs} == {"", "late"}
    with written["headers-table.csv"].open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["field", "attack", "none", "ao"]
    assert table[1] == ["seq", "change", "reset; stalled", "dropped"]
    with written["cost-table.csv"].open(encoding="utf-8", newline="") as file:
        assert next(row for row in csv.reader(file) if row[0] == "ao") == ["ao", "-", "220 octets", "512.25 us"]


def test_without_the_plotting_library_there_are_no_plots(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise NoPlots("plots need matplotlib")

    monkeypatch.setattr(plots, "new_figure", missing)
    plain = write(database, tmp_path)
    assert plain.without_plots == "plots need matplotlib"
    text = plain.files[0].read_text("utf-8")
    assert "<svg" not in text
    assert "This page has no plots" in text


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there are no results"):
        write(tmp_path / "none.sqlite", tmp_path / "out")
    with Store(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(LabError, match="it has no runs"):
        write(tmp_path / "empty.sqlite", tmp_path / "out")
    fill(tmp_path / "lab.sqlite")
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="file"):
        write(tmp_path / "lab.sqlite", tmp_path / "file")


def test_the_command_says_what_it_wrote_and_what_it_lacks(database: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["lab", "report", str(tmp_path / "out"), "--db", str(database)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'out' / 'index.html'}: 4 tables, 18 runs; 7 CSV files beside it\n"
    done = CliRunner().invoke(app, ["lab", "report", str(tmp_path), "--db", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"edotun: {tmp_path / 'none'}: there are no results")
    assert done.stderr.count("\n") == 1
