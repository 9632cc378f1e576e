"""The figures as a table of Markdown, and their place in the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .run import Report

BEGIN: Final = "<!-- figures: edotun bench --write-docs -->"
END: Final = "<!-- end of figures -->"


class DocumentError(ValueError):
    """The document has no place for figures; one line."""


def table(report: Report) -> str:
    """Return machine, conditions and figures as Markdown."""
    facts, conditions = report.machine, report.conditions
    lasts = f"{conditions['octets']} octets" if conditions["octets"] else f"{conditions['seconds']:g} s"
    cores = (
        f"sender pinned to core {conditions['sender_core']}, receiver to core {conditions['receiver_core']}"
        if conditions["sender_core"] != conditions["receiver_core"]
        else "both ends on one core"
    )
    lines = [
        f"Measured on {facts['date']}: {facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"Python {facts['python']}, cryptography {facts['cryptography']}, numpy {facts['numpy']}.",
        "",
        f"MTU {report.mtu}; {conditions['rounds']} rounds of {lasts} each, in turn; {cores}; congestion control "
        f"{conditions['congestion']} at every sender; {conditions['offloads']}. Load average before it began: "
        f"{conditions['load_average_before']}.",
        "",
        "| transfer | Gbit/s: median | minimum | maximum | of kernel to kernel |",
        "|---|---:|---:|---:|---:|",
        f"| kernel to kernel | {_figures(report.base)} | 100 % |",
    ]
    for row in report.rows:
        lines.append(f"| {row.work} | {_figures(row.ours)} | {100 * row.ratio:.2f} % |")
    return "\n".join(lines)


def _figures(spread: object) -> str:
    return " | ".join(f"{getattr(spread, name):.3f}" for name in ("median", "minimum", "maximum"))


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


def write(path: Path, report: Report) -> None:
    """Put the figures of goodput where they belong in the file ``path``; raises DocumentError or OSError."""
    put(path, BEGIN, table(report))
