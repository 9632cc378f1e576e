"""The pieces of the benchmark: figures, rows, documents, the jobs of its processes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ao.keyfile import load
from tools.bench import document, measures
from tools.bench.job import Job, Result
from tools.bench.machine import cores, machine
from tools.bench.measures import BASE, BASE_PLAIN, OURS, Amount, Measure
from tools.bench.network import End
from tools.bench.run import Report, count
from tools.bench.summary import Row, Spread, rows


def end(name: str, number: int) -> End:
    space = cast(object, SimpleNamespace(name=name))
    return End(space, f"10.90.0.{number}", f"10.9{number}.0.2/24", f"10.9{number}.0.1")  # type: ignore[arg-type]


ENDS = (end("left", 1), end("right", 2))


def planned(measure: Measure) -> tuple[Job, str, Job, str]:
    (sender, sends_in), (receiver, receives_in) = measures.jobs(
        measure, ENDS, Amount(2.0, 0), 1400, Path("keys"), (3, 5)
    )
    assert (sender.sends, receiver.sends) == (True, False)
    assert (sender.core, receiver.core) == (3, 5)
    assert (sender.stack, receiver.stack) == (measure.sends, measure.receives)
    assert sender.address == receiver.address
    assert sender.congestion == receiver.congestion == "cubic"
    assert sender.mtu == 1400
    return sender, sends_in, receiver, receives_in


def test_each_transfer_has_its_two_ends() -> None:
    for measure, places, address in (
        (BASE, ("left", "right"), "10.90.0.2"),
        (BASE_PLAIN, ("left", "right"), "10.90.0.2"),
        (OURS[0], ("left", "left"), "10.91.0.2"),
        (OURS[1], ("left", "left"), "10.91.0.1"),
        (OURS[4], ("left", "right"), "10.92.0.2"),
    ):
        sender, sends_in, _, receives_in = planned(measure)
        assert (sends_in, receives_in) == places
        assert sender.address == address


def test_only_configured_keys_need_a_file() -> None:
    assert [planned(measure)[0].keys for measure in OURS] == ["", "", "", "keys", ""]
    assert [planned(measure)[2].protect for measure in OURS] == ["none", "none", "none", "ao", "ao-enc-dh"]


def test_the_keys_file_is_one_that_the_stack_takes(tmp_path: Path) -> None:
    file = measures.write_keys(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (mkt,) = load(file)
    assert (mkt.send_id, mkt.recv_id) == (1, 1)


def test_jobs_and_results_cross_as_a_line() -> None:
    job = planned(OURS[3])[0]
    assert Job.read(job.line()) == job
    assert "\n" not in job.line()
    result = Result(1_000_000_000, 4.0)
    assert Result.read(result.line()) == result
    assert result.gigabits == 2.0
    assert Result(5, 0.0).gigabits == 0.0


def test_rows_have_the_spread_and_the_median_of_the_rounds_ratios() -> None:
    rounds = [{"base": 10.0, "one": 1.0}, {"base": 4.0, "one": 2.0}, {"base": 2.0, "one": 0.5}]
    (row,) = rows(rounds, "base")
    assert row.ours == Spread(1.0, 0.5, 2.0)
    assert row.base == Spread(4.0, 2.0, 10.0)
    # 0.1, 0.5, 0.25: not the ratio of the medians.
    assert row.ratio == 0.25
    assert rows([{"base": 0.0, "one": 1.0}], "base")[0].ratio == 0.0


def report() -> Report:
    conditions: dict[str, object] = {
        "rounds": 3,
        "seconds": 2.0,
        "octets": None,
        "load_average_before": 0.25,
        "sender_core": 0,
        "receiver_core": 1,
        "congestion": "cubic",
        "offloads": "as set",
    }
    row = Row("stack to stack, ao", Spread(0.5, 0.4, 0.6), Spread(9.0, 8.0, 10.0), 0.0555)
    return Report(machine(), conditions, 1500, Spread(9.0, 8.0, 10.0), [row])


def test_json_has_the_names_that_programs_read() -> None:
    content = json.loads(json.dumps(report().to_json()))
    assert set(content) == {"machine", "conditions", "rows"}
    (row,) = content["rows"]
    names = {"work", "mtu", "ours", "base", "bare_loop", "unit", "ratio_base", "ratio_bare"}
    assert set(row) == names
    assert row["ours"] == {"median": 0.5, "minimum": 0.4, "maximum": 0.6}
    assert row["bare_loop"] is None


def test_figures_go_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"# Before\n\n{document.BEGIN}\nold\n{document.END}\n\nafter\n")
    for _ in range(2):
        document.write(file, report())
    text = file.read_text()
    assert text.startswith("# Before\n\n")
    assert text.endswith(f"{document.END}\n\nafter\n")
    assert "old" not in text
    assert text.count("| kernel to kernel | 9.000 | 8.000 | 10.000 | 100 % |") == 1
    assert "| stack to stack, ao | 0.500 | 0.400 | 0.600 | 5.55 % |" in text
    assert "Python" in text
    assert "0.25" in text
    assert "cubic" in text


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.md"
    file.write_text(f"{document.END} {document.BEGIN}")
    with pytest.raises(document.DocumentError, match="no place for figures"):
        document.write(file, report())


def test_the_performance_document_has_a_place() -> None:
    document.around(Path(__file__).parents[2] / "docs" / "performance.md")


def test_cores_are_usable_ones() -> None:
    assert set(cores()) <= os.sched_getaffinity(0)
    assert count(3) == 21
