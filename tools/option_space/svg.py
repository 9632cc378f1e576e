"""Layouts as SVG: a cell for each octet of each segment, or a bar for each segment of all methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from .draw import misfits_text
from .layouts import Cell, Layout, Segment

ACROSS: Final = 16
_CELL: Final = 44
_ROW: Final = 34
_LEFT: Final = 52
_GAP: Final = 26
_WIDTH: Final = _LEFT + ACROSS * _CELL + 20
# A cell of more rows than this is drawn by its first and its last.
_MOST_ROWS: Final = 3
_FONT: Final = "font-family:ui-monospace,Menlo,Consolas,monospace"
_WORDS: Final = (
    ("fixed", "#e8e8e8", "fixed header"),
    ("inside", "#bfe3ee", "options inside Data Offset"),
    ("behind", "#e3c7ef", "header behind Data Offset"),
    ("stream", "#f6e1a6", "options in what old peers take for payload"),
    ("payload", "#cfeccb", "payload"),
)
_FILL: Final = {zone: fill for zone, fill, _ in _WORDS}
_LETTER: Final = 6.1


class _Canvas:
    """An SVG document that grows downwards; lengths in pixels."""

    def __init__(self, width: int, title: str) -> None:
        self.width = width
        self.y = 10
        self._root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
        ElementTree.SubElement(self._root, "title").text = title
        self._background = ElementTree.SubElement(self._root, "rect", {"fill": "#ffffff"})

    def rect(self, x: float, y: float, width: float, height: float, fill: str, tip: str = "") -> None:
        """A bordered rectangle; ``tip`` is shown when a pointer rests on it."""
        box = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}"}
        element = ElementTree.SubElement(self._root, "rect", box | {"fill": fill, "stroke": "#555555"})
        if tip:
            ElementTree.SubElement(element, "title").text = tip

    def text(
        self, x: float, y: float, words: str, size: int = 11, *, end: bool = False, bold: bool = False
    ) -> None:
        """A line of text; ``end``: it ends at ``x``."""
        style = f"{_FONT};font-size:{size}px" + (";font-weight:bold" if bold else "")
        place = {"x": f"{x:g}", "y": f"{y:g}", "style": style} | ({"text-anchor": "end"} if end else {})
        ElementTree.SubElement(self._root, "text", place).text = words

    def legend(self) -> None:
        """What the colours mean."""
        x = 10.0
        for zone, fill, words in _WORDS:
            self.rect(x, self.y, 12, 12, fill)
            self.text(x + 17, self.y + 10, words, 10)
            x += 32 + len(words) * _LETTER
            if x > self.width - 150 and zone != _WORDS[-1][0]:
                x, self.y = 10.0, self.y + 18
        self.y += 30

    def finish(self) -> str:
        """The document."""
        size = {"width": str(self.width), "height": str(self.y)}
        self._root.attrib.update(size | {"viewBox": f"0 0 {self.width} {self.y}"})
        self._background.attrib.update(size)
        ElementTree.indent(self._root, " ")
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"


def layouts_svg(layouts: Sequence[Layout]) -> str:
    """Every segment of every method, octet by octet."""
    canvas = _Canvas(_WIDTH, "TCP option space: " + ", ".join(layout.method.name for layout in layouts))
    canvas.legend()
    for layout in layouts:
        canvas.text(10, canvas.y + 4, f"{layout.method.name} ({layout.method.document})", 14, bold=True)
        canvas.y += _GAP
        for segment in layout.segments:
            _segment(canvas, segment)
        canvas.text(10, canvas.y, misfits_text(layout), 11, bold=bool(layout.misfits))
        canvas.y += _GAP
    return canvas.finish()


def _segment(canvas: _Canvas, segment: Segment) -> None:
    laid = segment.laid
    words = f"{segment.title} of the {laid.sender}: Data Offset {laid.data_offset}, header {segment.header}"
    canvas.text(10, canvas.y, words + (", on a second connection" if laid.second else ""), 12, bold=True)
    canvas.y += 8
    if laid.note:
        canvas.text(10, canvas.y + 7, laid.note, 10)
        canvas.y += 14
    top, hidden = canvas.y, 0
    for cell in segment.cells:
        hidden = _draw(canvas, cell, top, hidden)
    rows = -(-segment.header // ACROSS) - hidden
    canvas.y = top + rows * _ROW + 4
    canvas.rect(_LEFT, canvas.y, ACROSS * _CELL, 20, _FILL["payload"])
    canvas.text(_LEFT + 6, canvas.y + 14, f"payload: up to {laid.room} octets" if laid.room else "no payload")
    canvas.y += 20 + _GAP


def _draw(canvas: _Canvas, cell: Cell, top: int, hidden: int) -> int:
    """Draw one cell, ``hidden`` rows above it being left out; return how many are left out below it."""
    first, last = cell.offset // ACROSS, (cell.offset + cell.length - 1) // ACROSS
    skip = last - first - 1 if last - first + 1 > _MOST_ROWS + 1 else 0
    tip = f"{cell.label}: octets {cell.offset} to {cell.offset + cell.length - 1}"
    at = cell.offset
    while at < cell.offset + cell.length:
        row = at // ACROSS
        until = min((row + 1) * ACROSS, cell.offset + cell.length)
        if skip and first < row < last - (skip > 1):
            at = until
            continue
        gone = hidden + (max(skip - 1, 0) if row > first else 0)
        marker = bool(skip) and first < row < last
        y = top + (row - gone) * _ROW
        _run(canvas, cell, at, until, y, tip, marker)
        if marker:
            canvas.text(_LEFT + 6, y + 21, f"... {skip} rows of {ACROSS} octets ...", 11)
        at = until
    return hidden + max(skip - 1, 0)


def _run(canvas: _Canvas, cell: Cell, at: int, until: int, y: float, tip: str, marker: bool) -> None:
    """One row's part of a cell: a box, its label if it is the first, and the octets."""
    x = _LEFT + (at % ACROSS) * _CELL
    width = (until - at) * _CELL
    canvas.rect(x, y, width, _ROW, _FILL[cell.zone], tip)
    if marker:
        return
    if at % ACROSS == 0:
        canvas.text(_LEFT - 6, y + 21, str(at), 9, end=True)
    if at == cell.offset:
        room = int((width - 6) / _LETTER)
        label = cell.label if len(cell.label) <= room else cell.label[: max(room - 1, 1)] + "…"
        canvas.text(x + 3, y + 12, label, 10)
    for index in range(at, until):
        octet = "··" if cell.octets is None else f"{cell.octets[index - cell.offset]:02x}"
        canvas.text(_LEFT + (index % ACROSS) * _CELL + 14, y + 28, octet, 10)


def overview_svg(layouts: Sequence[Layout]) -> str:
    """A bar for each segment of each method, as long as its header; payload is not drawn."""
    canvas = _Canvas(1000, "TCP option space: methods compared")
    canvas.legend()
    longest = max((segment.header for layout in layouts for segment in layout.segments), default=20)
    scale = (canvas.width - 330) / longest
    for layout in layouts:
        canvas.text(10, canvas.y + 4, layout.method.name, 13, bold=True)
        words = f"{layout.packets} packets before data, payload {layout.payload}; {misfits_text(layout)}"
        canvas.text(120, canvas.y + 4, words if len(words) < 130 else words[:127] + "...", 10)
        canvas.y += 14
        for segment in layout.segments:
            canvas.text(190, canvas.y + 12, segment.title, 10, end=True)
            x = 200.0
            for cell in segment.cells:
                tip = f"{cell.label}, {cell.length} octets"
                canvas.rect(x, canvas.y, cell.length * scale, 16, _FILL[cell.zone], tip)
                x += cell.length * scale
            canvas.text(x + 8, canvas.y + 12, f"{segment.header} octets", 10)
            canvas.y += 20
        canvas.y += 18
    return canvas.finish()
