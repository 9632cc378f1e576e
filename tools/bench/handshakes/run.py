"""The measurement of handshakes: rounds in which each kind comes once, and the rows of it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from ...namespaces import own_namespaces
from ..machine import load_average, machine
from ..summary import Spread
from .figures import RTT, Kind, Wire
from .ours import kinds
from .relay import relay
from .tls import in_memory, over_kernel

PREFIX: Final = "edotun-bench-"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind: handshakes a CPU second, both ends together, and what one puts on the wire.

    ``added`` is how much later than without keys the first octet of the stream can be sent, seconds at ``RTT``: the
    round trips more, and the CPU time more. None where the kind is looked at beside none.
    """

    name: str
    rate: Spread
    wire: Wire | None
    added: float | None

    def to_json(self) -> dict[str, object]:
        """Return the row for ``--json``."""
        return {
            "kind": self.name,
            "per_cpu_second": self.rate.rounded(),
            "cpu_milliseconds": round(1000 / self.rate.median, 4) if self.rate.median else None,
            "added_milliseconds": None if self.added is None else round(1000 * self.added, 3),
            "wire": None if self.wire is None else asdict(self.wire),
        }


@dataclass(slots=True)
class Report:
    """Everything that is printed."""

    machine: dict[str, object]
    conditions: dict[str, object]
    rows: list[Row]

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "machine": self.machine,
            "conditions": self.conditions,
            "rows": [row.to_json() for row in self.rows],
        }


@contextmanager
def everything() -> Iterator[tuple[list[Kind], list[str]]]:
    """All kinds, and the groups that OpenSSL does not have; inside stands what they need. Raises TunError."""
    alone, missing = in_memory()
    with own_namespaces(PREFIX, ("client", "server")) as (client, server), relay(client, server) as link:
        yield [*kinds(), *over_kernel(client, link), *alone], missing


def run(
    measured: Sequence[Kind],
    seconds: float,
    rounds: int,
    progress: Callable[[str], None],
    missing: Sequence[str] = (),
) -> Report:
    """Measure each kind for ``seconds`` of CPU time, ``rounds`` times in turn; ``progress`` gets each one's name.

    Raises what the kinds do: ``ours.Failed``, RuntimeError or OSError.
    """
    load = load_average()
    rates: dict[str, list[float]] = {kind.name: [] for kind in measured}
    wires: dict[str, Wire] = {}
    for _ in range(rounds):
        for kind in measured:
            progress(kind.name)
            rates[kind.name].append(kind.rate(seconds).per_second)
            wire = kind.wire()
            # A machine that is busy may add a round trip to a real clock.
            if wire is not None and wire.round_trips < wires.get(kind.name, _NEVER).round_trips:
                wires[kind.name] = wire
    conditions: dict[str, object] = {
        "unit": "handshakes a second of CPU time, both ends in one process",
        "rounds": rounds,
        "seconds": seconds,
        "rtt": RTT,
        "load_average_before": load,
        "openssl_of_ssl": ssl.OPENSSL_VERSION,
        "not_in_this_openssl": list(missing),
    }
    return Report(machine(), conditions, rows(measured, rates, wires))


_NEVER: Final = Wire(round_trips=1 << 30)


def rows(measured: Sequence[Kind], rates: dict[str, list[float]], wires: dict[str, Wire]) -> list[Row]:
    """Return a row for each kind, in their order."""
    found = []
    for kind in measured:
        rate, wire = Spread.of(rates[kind.name]), wires.get(kind.name)
        added = None
        if kind.base and kind.base != kind.name and wire is not None and rate.median:
            base = Spread.of(rates[kind.base]).median
            more = wire.round_trips - wires[kind.base].round_trips
            added = more * RTT + 1 / rate.median - 1 / base
        found.append(Row(kind.name, rate, wire, added))
    return found
