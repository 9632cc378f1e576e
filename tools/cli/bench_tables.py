"""What ``edotun bench`` shows: a table for each group of rows, and the targets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from ..bench.document import groups, headline, number, ratio, spread

if TYPE_CHECKING:
    from ..bench.run import Report
    from ..bench.summary import Row

# What the tables need where nobody says how wide the output is.
_WIDTH: Final = 190
_COLOURS: Final = {True: "green", False: "red", None: "dim"}


def show(report: Report) -> None:
    """Print tables to standard output."""
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    for _, title, rows in groups(report):
        console.print(_table(title, rows))
    console.print(_targets(report))
    for text in headline(report):
        console.print(text, highlight=False)
    if report.conditions["quick"]:
        console.print("A quick run shows that everything works; its figures say nothing.")
    if report.interrupted:
        console.print("Interrupted: rows are missing.")


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("work")
    for name in ("ours", "beside it", "ratio", "bare loop", "ratio", "with bbr", "dropped"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.work,
            spread(row.ours),
            spread(row.base),
            ratio(row.ratio_base),
            spread(row.bare),
            ratio(row.ratio_bare),
            spread(row.bbr),
            str(row.dropped) if row.ours is not None else "",
        )
    return table


def _targets(report: Report) -> Table:
    table = Table(title="Targets", title_justify="left", title_style="bold")
    for name in ("target", "wanted", "measured", ""):
        table.add_column(name, justify="left" if name == "target" else "right")
    for one in report.judgements:
        wanted = f"{'at most' if one.target.at_most else 'at least'} {one.target.bound:g}"
        value = "" if one.value is None else number(one.value)
        table.add_row(one.target.text.replace("`", ""), wanted, value, f"[{_COLOURS[one.met]}]{one.verdict}[/]")
    return table
