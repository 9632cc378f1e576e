"""The pieces of the benchmark: what is measured, the jobs of its processes, rows, targets, documents."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ao.keyfile import load, load_with_md5
from tests.forms import of_sources
from tools.bench import document, profile, run, spied
from tools.bench.bars import draw
from tools.bench.job import Job, Result
from tools.bench.machine import cores, machine
from tools.bench.measures import BARE, KERNEL, STACK, Figure, Openings, Place, Transfer, _jobs
from tools.bench.network import End
from tools.bench.run import Report, Settings, estimate
from tools.bench.summary import Round, Row, Spread, row
from tools.bench.targets import TARGETS, Quantity, Target, judge
from tools.bench.works import AO_MACS, MTUS, Work, fastest_mac, handshakes, matches, transfers, works
from tools.programs import ProgramError


def end(name: str, number: int) -> End:
    space = cast(object, SimpleNamespace(name=name))
    return End(space, f"10.90.0.{number}", f"10.9{number}.0.2/24", f"10.9{number}.0.1")  # type: ignore[arg-type]


ENDS = (end("left", 1), end("right", 2))


def place(folder: Path = Path("keys")) -> Place:
    return Place(cast(Any, None), ENDS, 1400, (3, 5), 2.0, 0, folder)


# --- what is measured ----------------------------------------------------------------------------------------


def test_each_transfer_has_its_two_ends() -> None:
    for sends, receives, places, source, destination in (
        (KERNEL, KERNEL, ("left", "right"), "10.90.0.1", "10.90.0.2"),
        (STACK, STACK, ("left", "right"), "10.91.0.2", "10.92.0.2"),
        (BARE, BARE, ("left", "right"), "10.91.0.2", "10.92.0.2"),
        (KERNEL, STACK, ("left", "left"), "10.91.0.1", "10.91.0.2"),
        (STACK, KERNEL, ("left", "left"), "10.91.0.2", "10.91.0.1"),
    ):
        (opener, at), (listener, there) = _jobs(place(), sends, receives, congestion="cubic")
        assert (at.namespace.name, there.namespace.name) == places
        assert (opener.core, listener.core) == (3, 5)
        assert opener.address == listener.address == opener.peer == destination
        assert listener.peer == source
        assert opener.mtu == listener.mtu == 1400


def test_all_that_is_to_be_measured_has_a_row() -> None:
    rows = {work.name: work for work in transfers(9000, "hmac-sha-1-96")}
    for name in ("kernel to kernel", "kernel to kernel, offloads off", "kernel TCP-MD5", "TLS 1.3 over kernel TCP"):
        alone = rows[name]
        assert (alone.ours, alone.bare) == (None, None)
        assert isinstance(alone.base, Transfer)
        assert alone.bbr == replace(alone.base, congestion="bbr")
    for ends in ("kernel to stack", "stack to kernel", "stack to stack"):
        assert {f"{ends}, none", f"{ends}, md5"} <= set(rows)
    for mac in AO_MACS:
        assert f"stack to stack, ao, {mac}" in rows
    assert {f"stack to stack, {mode}, aes-128-cmac-96" for mode in ("ao-enc", "ao-enc-dh")} <= set(rows)
    assert "stack to stack, ao-enc-dh, hmac-sha-1-96" in rows
    assert len(transfers(1500, "aes-128-cmac-96")) == len(rows) - 1
    names = {work.name for work in handshakes(1500)}
    assert all(work.bare is not None for work in handshakes(1500))
    assert names == {
        f"handshakes {way}, {mode}" for way in ("accepted", "opened") for mode in ("none", "ao", "ao-enc-dh")
    }


def test_what_stands_beside_ours() -> None:
    """The kernel's TCP-MD5 beside what is protected, its plain TCP with offloads off beside the rest; the bare
    loop does the same work as ours."""
    for work in transfers(1500, "hmac-sha-1-96"):
        ours, base, bare = work.ours, work.base, work.bare
        if not isinstance(ours, Transfer):
            continue
        assert isinstance(base, Transfer)
        assert (base.sends, base.receives, base.congestion) == (KERNEL, KERNEL, ours.congestion)
        assert (base.protect, base.offloads) == (("none", False) if ours.protect == "none" else ("md5", True))
        if ours.sends == ours.receives or ours.protect == "none":
            ends = {"sends": ours.sends, "receives": ours.receives}
            assert bare == replace(ours, **{name: BARE for name, kind in ends.items() if kind == STACK})
        else:
            assert bare is None
        # Neighbours in time: the base before ours, the bare loop behind it.
        assert [name for name, _ in work.measures] == ["base", "ours", "bare"][: 2 + (bare is not None)]


def test_rows_are_chosen_by_their_names() -> None:
    assert matches("stack to stack, ao, kmac256-128", "KMAC")
    assert not matches("stack to stack, ao-enc, aes-128-cmac-96", "stack to stack, ao, *")
    chosen = works((1500, 9000), ("TLS*", "handshakes opened"))
    assert [(work.name, work.mtu) for work in chosen] == [
        ("TLS 1.3 over kernel TCP", 1500),
        ("TLS 1.3 over kernel TCP", 9000),
        *((f"handshakes opened, {mode}", 1500) for mode in ("none", "ao", "ao-enc-dh")),
    ]
    assert works((1500,), ("nonsense",)) == []
    every = works(MTUS)
    assert len({(work.name, work.mtu) for work in every}) == len(every)


def test_the_fastest_mac_is_none_that_collects_its_input() -> None:
    """KMAC256 takes several times as long as any other here, whatever the machine."""
    assert fastest_mac(9000, 1) in AO_MACS[:3]


def test_keys_files_are_ones_that_the_stack_takes(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert here.keys("none", "", "") == here.keys("ao-enc-dh", "aes-128-cmac-96", "aes-128-ctr") == ""
    for protect in ("ao", "ao-enc"):
        file = Path(here.keys(protect, "hmac-sha-1-96", "aes-128-ctr"))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (mkt,) = load(file)
        assert mkt.encrypt == (None if protect == "ao" else "aes-128-ctr")
        assert mkt.mac == "hmac-sha-1-96"
    assert len(load_with_md5(Path(here.keys("md5", "", "")))[1]) == 1


def test_jobs_and_results_cross() -> None:
    job = _jobs(place(), KERNEL, STACK, congestion="cubic", protect="md5")[0][0]
    assert Job.read(json.loads(json.dumps(job.to_json()))) == job
    result = Result(1_000_000_000, 4.0)
    assert Result.read(json.loads(json.dumps(result.to_json()))) == result
    assert result.gigabits == 2.0
    assert Result(5, 0.0).gigabits == 0.0


def test_cores_are_usable_ones() -> None:
    assert set(cores()) <= os.sched_getaffinity(0)


# --- rows ----------------------------------------------------------------------------------------------------


def test_rows_have_the_spread_and_the_median_of_the_ratios_of_neighbours() -> None:
    rounds = [Round(1.0, 10.0, 2.0), Round(2.0, 4.0, 8.0), Round(0.5, 2.0, 1.0)]
    found = row("one", 1500, "Gbit/s", rounds, beside="base")
    assert found.ours == Spread(1.0, 0.5, 2.0)
    assert found.base == Spread(4.0, 2.0, 10.0)
    assert found.bare == Spread(2.0, 1.0, 8.0)
    # 0.1, 0.5, 0.25: not the ratio of the medians.
    assert found.ratio_base == 0.25
    assert found.ratio_bare == 0.5
    assert found.bbr is None


def test_where_there_is_nothing_beside_there_is_no_ratio() -> None:
    alone = row("kernel", 1500, "Gbit/s", [Round(base=4.0, bbr=3.0)])
    assert (alone.ours, alone.ratio_base, alone.ratio_bare) == (None, None, None)
    assert row("one", 1500, "Gbit/s", [Round(1.0, 0.0)]).ratio_base is None
    empty = row("one", 1500, "Gbit/s", [], failed="it failed").to_json()
    assert empty["ours"] is None
    assert empty["failed"] == "it failed"


def report(*rows: Row) -> Report:
    conditions: dict[str, object] = {
        "rounds": 3,
        "seconds": 2.0,
        "octets": None,
        "quick": False,
        "load_average_before": 0.25,
        "sender_core": 0,
        "receiver_core": 1,
        "congestion": "cubic",
        "offloads": "as set",
        "virtio_net_header": True,
        "dropped_on_link": 17,
        "took": 12.5,
    }
    one = Row(
        "stack to stack, ao, aes-128-cmac-96",
        1500,
        "Gbit/s",
        "goodput",
        "kernel TCP-MD5",
        Spread(0.8, 0.7, 0.9),
        Spread(0.5, 0.4, 0.6),
        Spread(1.0, 0.9, 1.1),
        ratio_base=1.6,
        ratio_bare=0.65,
        dropped=3,
    )
    kernel = Row(
        "kernel TCP-MD5",
        1500,
        "Gbit/s",
        "goodput",
        "kernel TCP-MD5",
        base=Spread(0.5, 0.4, 0.6),
        bbr=Spread(0.3, 0.2, 0.4),
    )
    return Report(machine(), conditions, [kernel, one, *rows])


def test_json_has_the_names_that_programs_read() -> None:
    content = json.loads(json.dumps(report().to_json()))
    assert {"machine", "conditions", "rows", "targets"} <= set(content)
    kernel, one = content["rows"]
    assert {"work", "mtu", "ours", "base", "bare_loop", "unit", "ratio_base", "ratio_bare"} <= set(one)
    assert one["ours"] == {"median": 0.8, "minimum": 0.7, "maximum": 0.9}
    assert one["bare_loop"] == {"median": 1.0, "minimum": 0.9, "maximum": 1.1}
    assert kernel["ours"] is None
    assert kernel["ratio_base"] is None
    assert kernel["base_bbr"]["median"] == 0.3


# --- targets -------------------------------------------------------------------------------------------------


def test_every_target_has_a_row_that_can_reach_it() -> None:
    every = works(MTUS)
    for target in TARGETS:
        found = [work for work in every if work.mtu == target.mtu and fnmatchcase(work.name, target.work)]
        assert found, target.text
        for work in found:
            if target.quantity is Quantity.OF_BASE:
                assert work.base is not None, target.text
            if target.quantity is Quantity.OF_BARE:
                assert work.bare is not None, target.text


def test_targets_are_judged_by_the_best_row() -> None:
    other = Row("b, a, fast", 9000, "x", ours=Spread(99.0, 99.0, 99.0), ratio_base=99.0)

    def measured(work: str, mtu: int, median: float, of_base: float | None = None) -> Row:
        return Row(work, mtu, "x", ours=Spread(median, median, median), ratio_base=of_base)

    rows = [measured("a, slow", 9000, 2.0), measured("a, fast", 9000, 6.0), measured("a, fast", 1500, 2.0, 0.9)]
    rows.append(other)
    times = Target("a", "a, *", 9000, Quantity.OF_ROW, 2.5, other="a, *")
    of_base = Target("b", "a, *", 1500, Quantity.OF_BASE, 1.0)
    least = Target("c", "a, slow", 9000, Quantity.MEDIAN, 2.0)
    most = Target("d", "a, *", 9000, Quantity.MEDIAN, 2.5, at_most=True)
    none = Target("e", "a, *", 65_535, Quantity.MEDIAN, 1.0)
    found = judge(rows, (times, of_base, least, most, none))
    assert [(one.value, one.verdict) for one in found] == [
        (3.0, "met"),
        (0.9, "not met"),
        (2.0, "met"),
        (2.0, "met"),
        (None, "not measured"),
    ]
    assert found[4].to_json() == {"target": "e", "at_least": 1.0, "value": None, "met": None}


# --- the document --------------------------------------------------------------------------------------------


def test_figures_go_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"# Before\n\n{document.BEGIN}\nold\n{document.END}\n\nafter\n")
    opened = Row(
        "handshakes opened, none", 1500, "handshakes/CPU s", "handshakes", ours=Spread(9000.0, 8000.0, 9500.0)
    )
    failed = row("TLS 1.3 over kernel TCP", 1500, "Gbit/s", [], group="goodput", failed="no TLS here")
    for _ in range(2):
        document.write(file, report(failed, opened), {"goodput-1500": "figures/one.svg"})
    text = file.read_text()
    assert text.startswith("# Before\n\n")
    assert text.endswith(f"{document.END}\n\nafter\n")
    assert "old" not in text
    ours = "| 0.800 (0.700-0.900) | kernel TCP-MD5 | 0.500 (0.400-0.600) | 1.60 | 1.00 (0.900-1.10) | 0.65 |"
    assert text.count(f"| stack to stack, ao, aes-128-cmac-96 {ours}") == 1
    assert "| kernel TCP-MD5 |  |  | 0.500 (0.400-0.600) |  |  |  | 0.300 (0.200-0.400) |" in text
    assert "| of the bare loop | at least 0.7 | 0.650 | not met |".removeprefix("| ") in text
    assert "of kernel TCP-MD5 | at least 1.3 | 1.60 | met |" in text
    assert "| handshakes opened, none | 9,000 (8,000-9,500) |" in text
    assert "no TLS here" in text
    assert "stack to stack, ao, aes-128-cmac-96: 3." in text
    assert "](figures/one.svg)" in text
    for fact in ("Python", "cubic", "Load average before it began: 0.25", "on the link: 17"):
        assert fact in text
    for fact in ("it took 12.5 s", "TUN: with virtio-net header"):
        assert fact in text


def test_bars_are_drawn_for_each_group(tmp_path: Path) -> None:
    opened = Row(
        "handshakes opened, none", 1500, "handshakes/CPU s", "handshakes", ours=Spread(9000.0, 8000.0, 9500.0)
    )
    failed = row("nothing", 9000, "Gbit/s", [], group="goodput", failed="no figure")
    files = draw(report(opened, failed), tmp_path / "bars")
    assert sorted(path.name for path in files.values()) == ["bench-goodput-1500.svg", "bench-handshakes.svg"]
    first = files["goodput-1500"].read_bytes()
    assert b"<svg" in first
    # Equal figures give equal files.
    assert draw(report(opened), tmp_path)["goodput-1500"].read_bytes() == first


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.md"
    file.write_text(f"{document.END} {document.BEGIN}")
    with pytest.raises(document.DocumentError, match="no place for figures"):
        document.write(file, report(), {})


def test_the_performance_document_has_a_place() -> None:
    document.around(Path(__file__).parents[2] / "docs" / "performance.md")


# --- a run ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fixed:
    """A measurement whose figures are known; a None is an interruption, a text a failure."""

    name: str
    figures: Iterator[float | str | None]
    log: list[str]

    def lasts(self, seconds: float) -> float:
        return 2 * seconds

    def run(self, place: Place) -> Figure:
        self.log.append(self.name)
        figure = next(self.figures)
        if figure is None:
            raise KeyboardInterrupt
        if isinstance(figure, str):
            raise ProgramError(figure)
        return Figure(figure, dropped=1)


@contextmanager
def nowhere(mtu: int) -> Iterator[tuple[End, End]]:
    yield ENDS


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without namespaces and processes."""
    monkeypatch.setattr(run, "network", nowhere)
    monkeypatch.setattr(run, "link_drops", lambda ends: 5)
    monkeypatch.setattr(run, "Nursery", lambda: nowhere(0))


def fixed(log: list[str], name: str, *figures: float | str | None) -> Fixed:
    return Fixed(name, iter(figures), log)


@pytest.mark.usefixtures("quiet")
def test_rounds_alternate_and_one_failure_ends_one_row() -> None:
    log: list[str] = []
    seen: list[tuple[str, float]] = []
    both = Work(
        "both",
        1500,
        "x",
        "goodput",
        fixed(log, "a", 1.0, 2.0),
        fixed(log, "b", 2.0, 2.0),
        fixed(log, "c", 4.0, 4.0),
    )
    bad = Work("bad", 1500, "x", "goodput", fixed(log, "d", 3.0, "it broke"))
    last = Work("last", 9000, "x", "goodput", fixed(log, "e", 7.0, 7.0))
    settings = Settings(0.5, 2)
    assert estimate([both, bad, last], settings) == 10.0
    found = run.begin([both, bad, last], settings)
    run.run(found, [both, bad, last], settings, lambda name, lasts: seen.append((name, lasts)))
    assert log == ["b", "a", "c", "b", "a", "c", "d", "d", "e", "e"]
    assert seen[0] == ("1500: b", 1.0)
    first, second, third = found.rows
    assert (first.ours, first.ratio_base, first.ratio_bare) == (Spread(1.5, 1.0, 2.0), 0.75, 0.375)
    assert (first.beside, first.dropped, first.bare_dropped) == ("b", 2, 2)
    assert (second.ours, second.failed) == (Spread(3.0, 3.0, 3.0), "it broke")
    assert third.mtu == 9000
    assert found.failures == ["bad, MTU 1500: it broke"]
    # Once for each network.
    assert found.conditions["dropped_on_link"] == 10


@pytest.mark.usefixtures("quiet")
def test_an_interruption_leaves_what_was_measured() -> None:
    log: list[str] = []
    works_ = [
        Work("done", 1500, "x", "goodput", fixed(log, "a", 1.0, 2.0)),
        Work("half", 1500, "x", "goodput", fixed(log, "b", 5.0, None)),
        Work("never", 9000, "x", "goodput", fixed(log, "c", 1.0)),
    ]
    found = run.begin(works_, Settings(0.5, 2))
    with pytest.raises(KeyboardInterrupt):
        run.run(found, works_, Settings(0.5, 2), lambda name, lasts: None)
    assert [(one.work, one.ours and one.ours.median) for one in found.rows] == [("done", 1.5), ("half", 5.0)]


def test_handshakes_are_named_by_what_is_counted() -> None:
    assert Openings(KERNEL, STACK, "accepted").name == "handshakes accepted, none"
    assert Transfer(KERNEL, KERNEL, "md5").name == "kernel TCP-MD5"
    assert Transfer(BARE, BARE, "ao").name == "bare loop, ao, aes-128-cmac-96"
    assert Transfer(KERNEL, BARE).name == "bare loop, kernel to bare, none"


# --- the profile ---------------------------------------------------------------------------------------------


@of_sources("Python's profiler sees no compiled functions")
@pytest.mark.parametrize(("mode", "mac"), [("none", ""), ("ao-enc-dh", "hmac-sha-1-96")])
def test_a_profile_has_the_functions_that_a_segment_passes(mode: str, mac: str) -> None:
    found = profile.profile(profile.security_for(mode, mac), 1500, 200_000)
    # Segments of 1500 octets, less the headers of IP and TCP with their options (32 and 56 octets).
    assert found.segments == 200_000 // (1448 if mode == "none" else 1424)
    assert found.cpu > 0
    files = {cost.name.split()[0] for cost in found.costs if cost.calls > 0}
    assert "tools/bench/profile.py" in files
    if machine()["core"] == "interpreted":
        # Python's profiler does not see into what a compiler made.
        assert {"stack/host.py", "stack/connection.py"} <= files
    own = [cost.own for cost in found.costs]
    assert own == sorted(own, reverse=True)
    assert all(cost.own <= cost.all + 1e-9 for cost in found.costs)


def test_a_profile_of_no_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'nonsense' is not one of none, md5"):
        profile.security_for("nonsense", "")
    with pytest.raises(ValueError, match="MAC 'nonsense'"):
        profile.security_for("ao-dh", "nonsense")


def test_what_a_sampling_profiler_saw_is_told_apart_by_ends() -> None:
    """Lines of py-spy's raw format: frames from the outermost on, and how often they were seen."""
    begins = 'process 7:"python";main (tools/bench/worker.py:68);send (/home/x/tools/bench/ends/stack.py:64)'
    lines = [
        f"{begins};run (asyncio/runners.py:190);_packet (/home/x/stack/sealer.py:151);tag (ao/auth.py:173) 30",
        f"{begins};run (asyncio/runners.py:190);_packet (/home/x/stack/sealer.py:160) 10",
        "process 8;receive (tools/bench/bare.py:316);open (tools/bench/bare.py:25);open (tools/bench/bare.py:26) 5",
        "process 7;main (tools/bench/worker.py:10) 1000",
        "not a sample",
    ]
    found = spied.read(lines)
    assert list(found) == ["ends/stack send", "bare receive"]
    shares = {share.name: (share.own, share.all) for share in found["ends/stack send"]}
    assert shares == {"ao/auth.py tag": (75.0, 75.0), "stack/sealer.py _packet": (25.0, 100.0)}
    # A function that calls itself is counted once.
    assert found["bare receive"] == [spied.Share("tools/bench/bare.py open", 100.0, 100.0)]
    with pytest.raises(spied.NoSamples, match="no sample is of a measurement"):
        spied.read(lines[3:])
