"""The figures of handshakes as a table of Markdown."""

from __future__ import annotations

from typing import Final

from .run import Report, Row

MARK: Final = "<!-- figures: edotun bench handshakes --write-docs -->"
COLUMNS: Final = ("a CPU second", "minimum", "maximum", "RTTs", "added, ms", "packets", "octets up", "octets down")


def cells(row: Row) -> tuple[str, ...]:
    """Return what stands in the columns behind the name."""
    rate = tuple(f"{figure:.0f}" for figure in (row.rate.median, row.rate.minimum, row.rate.maximum))
    if row.wire is None:
        return (*rate, *("",) * 5)
    wire = row.wire
    added = "" if row.added is None else f"{1000 * row.added:.1f}"
    packets = f"{wire.packets_up} + {wire.packets_down}"
    return (*rate, str(wire.round_trips), added, packets, str(wire.octets_up), str(wire.octets_down))


def markdown(report: Report) -> str:
    """Return machine, conditions and figures."""
    facts, conditions = report.machine, report.conditions
    missing = conditions["not_in_this_openssl"]
    lacks = f" (without {', '.join(missing)})" if isinstance(missing, list) and missing else ""
    lines = [
        f"Measured on {facts['date']}: {facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"Python {facts['python']}, cryptography {facts['cryptography']}; "
        f"ssl: {conditions['openssl_of_ssl']}{lacks}.",
        "",
        f"{conditions['rounds']} rounds of {conditions['seconds']:g} s of CPU time for each kind, in turn. "
        f"Load average before it began: {conditions['load_average_before']}.",
        "",
        f"| handshake | {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
    ]
    lines += [f"| {row.name} | {' | '.join(cells(row))} |" for row in report.rows]
    return "\n".join(lines)
