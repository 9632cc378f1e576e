"""Layouts for a terminal: a grid of octets for each segment, and a table over methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .layouts import Cell, Layout, Segment

ACROSS: Final = 16
_COLOURS: Final = {"fixed": "dim", "inside": "cyan", "behind": "magenta", "stream": "yellow"}
_ZONES: Final = {
    "fixed": "fixed header",
    "inside": "inside Data Offset",
    "behind": "behind Data Offset",
    "stream": "in what old peers take for payload",
}
# A piece of more rows than this is shown by its first and its last.
_MOST_ROWS: Final = 3


def layout_text(layout: Layout) -> RenderableType:
    """Every segment of an exchange, octet by octet, and what does not fit."""
    parts: list[RenderableType] = [
        Text(f"{layout.method.name}: {layout.method.document}", style="bold"),
        *(_segment(segment) for segment in layout.segments),
        Text(misfits_text(layout), style="red" if layout.misfits else "green"),
        Text(
            f"{layout.packets} packets and {layout.handshake_octets} octets before data; payload of a full segment"
            f" {layout.payload} octets at MTU {layout.space.mtu}"
        ),
        Text(f"old peer: {layout.method.fallback}"),
        Text(f"stopped by: {layout.method.boxes}"),
        Text(f"assumed: {layout.method.assumed}"),
    ]
    return Group(*parts)


def misfits_text(layout: Layout) -> str:
    """What goes nowhere, in a few words."""
    if not layout.misfits:
        return "everything fits"
    return "does not fit: " + ", ".join(
        f"{want.name} ({len(want.octets)} octets, {part.value})" for part, want in layout.misfits
    )


def _segment(segment: Segment) -> RenderableType:
    laid = segment.laid
    title = f"{segment.title} of the {laid.sender}" + (", second connection" if laid.second else "")
    table = Table(
        title=f"{title}: Data Offset {laid.data_offset}, header {segment.header}, room for {laid.room}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    table.add_column("octet", justify="right", no_wrap=True)
    table.add_column("".join(f"{number:<3}" for number in range(ACROSS)), no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("where", no_wrap=True)
    zone = ""
    for cell in segment.cells:
        where = "" if cell.zone == zone else _ZONES[cell.zone]
        zone = cell.zone
        for number, (at, row) in enumerate(_rows(cell)):
            first = number == 0
            size = f", {cell.length} octets" if cell.length > ACROSS else ""
            what = cell.label + size + (" (promised)" if cell.promised else "") if first else ""
            table.add_row(at, Text(row, style=_COLOURS[cell.zone]), Text(what), where if first else "")
    below = [Text(f"  {laid.note}", style="italic")] if laid.note else []
    return Group(table, *below, Text(""))


def _rows(cell: Cell) -> Iterator[tuple[str, str]]:
    """Offsets and octets of one cell in rows, each octet in the column of its offset."""
    at, end = cell.offset, cell.offset + cell.length
    rows = []
    while at < end:
        until = min(at - at % ACROSS + ACROSS, end)
        octets = "?? " * (until - at)
        if cell.octets is not None:
            octets = cell.octets[at - cell.offset : until - cell.offset].hex(" ") + " "
        rows.append((str(at), "   " * (at % ACROSS) + octets))
        at = until
    if len(rows) > _MOST_ROWS:
        rows[1:-1] = [("", f".. {len(rows) - 2} rows ..")]
    yield from rows


def method_table(layouts: Sequence[Layout]) -> Table:
    """A line for each method."""
    table = Table(pad_edge=False, show_lines=True)
    for name, justify in (
        ("method", "left"),
        ("packets\nbefore data", "right"),
        ("octets\nof them", "right"),
        ("does not fit", "left"),
        ("payload", "right"),
        ("an old peer", "left"),
        ("stopped by", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for layout in layouts:
        missing = misfits_text(layout).removeprefix("does not fit: ")
        table.add_row(
            layout.method.name,
            str(layout.packets),
            str(layout.handshake_octets),
            Text("-" if not layout.misfits else missing, style="red" if layout.misfits else ""),
            str(layout.payload),
            layout.method.fallback,
            layout.method.boxes,
        )
    return table
