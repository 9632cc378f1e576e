"""The figures as Markdown, and their place in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .run import Report
from .summary import Row, Spread
from .works import GOODPUT, GROUPS

BEGIN: Final = "<!-- figures: edotun bench --write-docs -->"
END: Final = "<!-- end of figures -->"


class DocumentError(ValueError):
    """The document has no place for figures; one line."""


def number(value: float) -> str:
    """A figure with as many digits as tell something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def spread(one: Spread | None) -> str:
    """A median with its spread."""
    return "" if one is None else f"{number(one.median)} ({number(one.minimum)}-{number(one.maximum)})"


def ratio(value: float | None) -> str:
    """A ratio, empty where there is none."""
    return "" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def headline(report: Report) -> list[str]:
    """On what machine it was measured, and how, a sentence or more each."""
    facts, conditions = report.machine, report.conditions
    lasts = f"{conditions['octets']} octets" if conditions["octets"] else f"{conditions['seconds']} s"
    cores = (
        f"sender pinned to core {conditions['sender_core']}, receiver to core {conditions['receiver_core']}"
        if conditions["sender_core"] != conditions["receiver_core"]
        else "both ends on one core"
    )
    return [
        f"Measured on {facts['date']}: {facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"Python {facts['python']}, cryptography {facts['cryptography']} ({facts['openssl']}), "
        f"numpy {facts['numpy']}; the stack {facts['core']}.",
        f"{conditions['rounds']} rounds of {lasts} for each row, in turn with what stands beside it; {cores}; "
        f"{conditions['congestion']} at every sender, bbr where named; {conditions['offloads']}; TUN: "
        f"{'with' if conditions['virtio_net_header'] else 'without'} virtio-net header. Packets dropped "
        f"on the link: {conditions['dropped_on_link']}. Load average before it began: "
        f"{conditions['load_average_before']}; it took {conditions['took']} s.",
    ]


def targets(report: Report) -> list[str]:
    """The targets beside what was measured, as lines of a table."""
    lines = ["| target | wanted | measured | |", "|---|---:|---:|---|"]
    for one in report.judgements:
        wanted = f"{'at most' if one.target.at_most else 'at least'} {one.target.bound:g}"
        value = "" if one.value is None else number(one.value)
        lines.append(f"| {one.target.text} | {wanted} | {value} | {one.verdict} |")
    return lines


def table(rows: Sequence[Row]) -> list[str]:
    """Rows of one unit at one MTU, as lines of a table."""
    with_bbr = any(row.bbr is not None for row in rows)
    names = ["ours", "beside", "its figure", "ratio", "bare loop", "ratio"] + ["with bbr"] * with_bbr
    lines = [f"| work | {' | '.join(names)} |", f"|---|---:|---|{'---:|' * (len(names) - 2)}"]
    for row in rows:
        cells = [
            row.failed if row.ours is None and row.base is None and row.failed else spread(row.ours),
            row.beside if row.beside and row.beside != row.work else "",
            spread(row.base),
            ratio(row.ratio_base),
            spread(row.bare),
            ratio(row.ratio_bare),
        ]
        lines.append(f"| {row.work} | {' | '.join(cells + [spread(row.bbr)] * with_bbr)} |")
    lost = [f"{row.work}: {row.dropped}" for row in rows if row.dropped]
    lost += [f"bare loop of {row.work}: {row.bare_dropped}" for row in rows if row.bare_dropped]
    if lost:
        lines += ["", f"Packets that were dropped: {'; '.join(lost)}."]
    return lines


def groups(report: Report) -> list[tuple[str, str, list[Row]]]:
    """Rows that stand together, each group with a name for files and a title, in the order of the report."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        name, title = row.group, GROUPS[row.group]
        if name == GOODPUT:
            name, title = f"{name}-{row.mtu}", f"{title}, MTU {row.mtu:,}"
        found.setdefault((name, title), []).append(row)
    return [(name, title, rows) for (name, title), rows in found.items()]


def markdown(report: Report, pictures: dict[str, str]) -> str:
    """Return machine, conditions, targets and figures; ``pictures`` has a path for each group that is drawn."""
    lines: list[str] = []
    for text in headline(report):
        lines += [text, ""]
    if report.interrupted:
        lines += ["This run was interrupted: rows are missing.", ""]
    lines += ["### Targets", "", *targets(report)]
    for name, title, rows in groups(report):
        lines += ["", f"### {title}", ""]
        if name in pictures:
            lines += [f"![{title}]({pictures[name]})", ""]
        lines += table(rows)
    return "\n".join(lines)


def around(path: Path, mark: str = BEGIN) -> tuple[str, str]:
    """Return what stands before ``mark`` in ``path`` and behind the next END; raises DocumentError or OSError."""
    before, begin, rest = path.read_text().partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DocumentError(f"{path}: there is no place for figures ({mark} ... {END})")
    return before, after


def put(path: Path, mark: str, text: str) -> None:
    """Put ``text`` between ``mark`` and the next END of the file ``path``; raises DocumentError or OSError."""
    before, after = around(path, mark)
    path.write_text(f"{before}{mark}\n\n{text}\n\n{END}{after}")


def write(path: Path, report: Report, pictures: dict[str, str]) -> None:
    """Put the figures where they belong in the file ``path``; raises DocumentError or OSError."""
    put(path, BEGIN, markdown(report, pictures))
