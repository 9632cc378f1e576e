"""The benchmark from its network to its rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import measures
from .machine import cores, load_average, machine
from .measures import Amount
from .network import network
from .summary import Row, Spread, rows


@dataclass(slots=True)
class Report:
    """Everything that ``bench`` prints."""

    machine: dict[str, object]
    conditions: dict[str, object]
    mtu: int
    base: Spread
    rows: list[Row]

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "machine": self.machine,
            "conditions": self.conditions,
            "rows": [row.to_json(self.mtu) for row in self.rows],
        }


def run(amount: Amount, rounds: int, mtu: int, progress: Callable[[str], None]) -> Report:
    """Measure everything ``rounds`` times in turn; ``progress`` gets the name of each measurement before it begins.

    Raises ProgramError, ``tun.errors.TunError`` or OSError.
    """
    pinned = cores()
    load = load_average()
    everything = (measures.BASE, *measures.OURS, measures.BASE_PLAIN)
    figures: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder, network(mtu) as ends:
        keys = measures.write_keys(Path(folder))
        for _ in range(rounds):
            figures.append({})
            for measure in everything:
                progress(measure.name)
                result = measures.run(measure, ends, amount, mtu, keys, pinned)
                figures[-1][measure.name] = result.gigabits
    conditions: dict[str, object] = {
        "unit": "Gbit/s of stream octets at the receiver",
        "mtu": mtu,
        "rounds": rounds,
        "seconds": None if amount.octets else amount.seconds,
        "octets": amount.octets or None,
        "load_average_before": load,
        "sender_core": pinned[0],
        "receiver_core": pinned[1],
        "congestion": measures.CONGESTION,
        "offloads": "veth: tso, gso, gro as the kernel sets them, off where named; TUN: none",
    }
    base = Spread.of([one[measures.BASE.name] for one in figures])
    return Report(machine(), conditions, mtu, base, rows(figures, measures.BASE.name))


def count(rounds: int) -> int:
    """Return how many measurements ``run`` makes."""
    return rounds * (2 + len(measures.OURS))
