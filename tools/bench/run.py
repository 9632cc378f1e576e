"""The benchmark from its network to its rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tun.errors import TunError

from ..programs import ProgramError
from . import measures
from .machine import cores, has_virtio_net_header, load_average, machine
from .measures import Measure, Place
from .network import link_drops, network
from .nursery import Nursery
from .summary import Round, Row, row
from .targets import Judgement, judge
from .works import Work


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured: ``seconds`` of each transfer or ``octets`` where not 0, ``rounds`` of each row.

    ``quick`` says that figures are of no interest.
    """

    seconds: float
    rounds: int
    octets: int = 0
    quick: bool = False


@dataclass(slots=True)
class Report:
    """Everything that ``bench`` prints; ``interrupted`` where rows are missing because somebody ended it."""

    machine: dict[str, object]
    conditions: dict[str, object]
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    @property
    def judgements(self) -> list[Judgement]:
        """The targets beside what was measured."""
        return judge(self.rows)

    @property
    def failures(self) -> list[str]:
        """What could not be measured, a line each."""
        return [f"{one.work}, MTU {one.mtu}: {one.failed}" for one in self.rows if one.failed]

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "machine": self.machine,
            "conditions": self.conditions,
            "interrupted": self.interrupted,
            "rows": [one.to_json() for one in self.rows],
            "targets": [one.to_json() for one in self.judgements],
        }


def estimate(works: Sequence[Work], settings: Settings) -> float:
    """About how long it takes, seconds."""
    return sum(settings.rounds * one.lasts(settings.seconds) for work in works for _, one in work.measures)


def begin(works: Sequence[Work], settings: Settings) -> Report:
    """Return a report without rows: the machine as it is now, and the conditions."""
    pinned = cores()
    return Report(
        machine(),
        {
            "mtu": list(dict.fromkeys(work.mtu for work in works)),
            "rounds": settings.rounds,
            "seconds": None if settings.octets else settings.seconds,
            "octets": settings.octets or None,
            "quick": settings.quick,
            "load_average_before": load_average(),
            "sender_core": pinned[0],
            "receiver_core": pinned[1],
            "congestion": measures.CONGESTION,
            "offloads": "veth: tso, gso, gro as the kernel sets them; off (checksums stay on) where named",
            "virtio_net_header": has_virtio_net_header(),
            "dropped_on_link": 0,
            "took": 0.0,
        },
    )


def run(report: Report, works: Sequence[Work], settings: Settings, progress: Callable[[str, float], None]) -> None:
    """Measure ``works``, the rounds of each in turn, and add their rows to ``report``.

    ``progress`` gets the name of each measurement before it begins and how long it will last, seconds. A
    measurement that fails ends its row alone; after a KeyboardInterrupt the report has what was measured by then.
    Raises ProgramError, ``tun.errors.TunError`` or OSError where nothing can be measured at all.
    """
    pinned = cores()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder, Nursery() as nursery:
        for mtu, group in groupby(works, key=lambda work: work.mtu):
            with network(mtu) as ends, ExitStack() as after:
                seconds, octets = settings.seconds, settings.octets
                place = Place(nursery, ends, mtu, pinned, seconds, octets, Path(folder))
                after.callback(_take_stock, report.conditions, place, began)
                after.callback(place.let_go)
                session = ""
                for work in group:
                    if not session or work.session != session:
                        place.let_go()
                    session = work.session
                    _measure(work, place, settings, progress, report)


def _take_stock(conditions: dict[str, object], place: Place, began: float) -> None:
    """Note what the link has dropped by now, and how long it has taken, seconds."""
    conditions["took"] = round(time.monotonic() - began, 1)
    before = conditions["dropped_on_link"]
    assert isinstance(before, int)
    conditions["dropped_on_link"] = before + link_drops(place.ends)


def _measure(
    work: Work, place: Place, settings: Settings, progress: Callable[[str, float], None], report: Report
) -> None:
    """Add the row of ``work``, with as many rounds as there were before it failed or was interrupted."""
    rounds: list[Round] = []
    failed = None
    dropped = {"ours": 0, "bare": 0}
    try:
        for _ in range(settings.rounds):
            found: dict[str, float] = {}
            for column, measure in work.measures:
                progress(f"{work.mtu}: {measure.name}", measure.lasts(settings.seconds))
                figure = measure.run(place)
                found[column] = figure.value
                if column in dropped:
                    dropped[column] += figure.dropped
            rounds.append(Round(**found))
    except (ProgramError, TunError, OSError) as error:
        failed = str(error)
    finally:
        if rounds or failed is not None:
            beside = _name(work.base)
            report.rows.append(
                row(
                    work.name,
                    work.mtu,
                    work.unit,
                    rounds,
                    group=work.group,
                    beside=beside,
                    dropped=dropped["ours"],
                    bare_dropped=dropped["bare"],
                    failed=failed,
                )
            )


def _name(measure: Measure | None) -> str | None:
    return None if measure is None else measure.name
