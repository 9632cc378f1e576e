"""Plots of tables as SVG to stand in a page: shares of outcomes, figures by what they depend on."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any, Final

from ..sim.plot import COLOURS, new_figure
from .tables import Labels, Table
from .verdicts import MARKS, ORDER, Level, level_of, word_of

# The colours of cells, a little stronger, told apart without colours by hatches.
FILLS: Final = {
    Level.GOOD: ("#4fae78", ""),
    Level.COSTS: ("#5b9bd5", "//"),
    Level.LIMITED: ("#e0b23c", ".."),
    Level.FAILS: ("#e07b39", "\\\\"),
    Level.WORST: ("#c2274b", "xxx"),
    Level.FAULT: ("#777777", "++"),
    Level.OTHER: ("#aaaaaa", "--"),
    Level.FIGURE: ("#5b9bd5", ""),
}
_INK: Final = "#7a7f87"  # readable on white and on black
_WIDE: Final = 7.2  # inches
_MOST_SERIES: Final = 12
_MOST_BARS: Final = 24
_LOGARITHMIC: Final = 20.0
_MARKERS: Final = "os^Dv<>pP*hX"


def plot(table: Table) -> str | None:
    """The table's plot as an SVG element, None for nothing to draw; raises ``tools.sim.plot.NoPlots``."""
    if not table.of_figures:
        return _shares(table) if len(table.columns) > 1 else None
    if len(table.units) == 1 and len(table.rows) > 1:
        return _lines(table)
    return _bars(table) if len(table.rows) > 1 else None


def _shares(table: Table) -> str:
    """A bar for each column, parted by outcome, the good ones first."""
    names = [" / ".join(column) for column in table.columns]
    figure, grid = new_figure(1, 1, _WIDE, 1.1 + 0.3 * len(names), together=False)
    axes = grid[0, 0]
    counted = [
        Counter(word_of(one.run.outcome).text for row in table.rows for one in table.cells.get((row, column), ()))
        for column in table.columns
    ]
    words = sorted({word for counts in counted for word in counts}, key=lambda word: ORDER.index(level_of(word)))
    left = [0.0] * len(names)
    used: Counter[Level] = Counter()
    for word in words:
        level = level_of(word)
        fill, hatch = FILLS[level]
        widths = [100 * counts[word] / max(sum(counts.values()), 1) for counts in counted]
        axes.barh(
            names,
            widths,
            left=left,
            label=f"{MARKS[level]} {word}".strip(),
            color=fill,
            alpha=1 - 0.35 * min(used[level], 2),
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
        )
        used[level] += 1
        left = [one + other for one, other in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of runs")
    figure.legend(loc="outside lower center", ncols=min(len(words), 4), frameon=False, labelcolor=_INK)
    return _svg(figure, table.name, f"{table.name}: share of each outcome by {' and '.join(table.column_names)}")


def _lines(table: Table) -> str:
    """A line for each row or column, whichever are fewer, over the others."""
    figure, grid = new_figure(1, 1, _WIDE, 4.0, together=False)
    from matplotlib.ticker import LogLocator

    by_row = len(table.rows) <= len(table.columns)
    series, points = (table.rows, table.columns) if by_row else (table.columns, table.rows)
    axes = grid[0, 0]
    values: list[float] = []
    names = [" · ".join(point) for point in points]
    for index, one in enumerate(series[:_MOST_SERIES]):
        xs, ys = [], []
        for at, point in enumerate(points):
            value = _value(table, *((one, point) if by_row else (point, one)))
            if value is not None:
                xs.append(at)
                ys.append(value)
        values += ys
        colour, marker = COLOURS[index % len(COLOURS)], _MARKERS[index % len(_MARKERS)]
        axes.plot(xs, ys, marker=marker, ms=5, lw=1.3, color=colour, label=" · ".join(one))
    axes.set_xticks(range(len(names)), names, rotation=20 if max(map(len, names)) > 9 else 0, ha="center")
    axes.set_ylabel(next(iter(table.units)))
    if values and min(values) > 0 and max(values) / min(values) > _LOGARITHMIC:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=_INK)
    return _svg(
        figure, table.name, f"{table.name}: {next(iter(table.units))} by {' and '.join(table.column_names)}"
    )


def _bars(table: Table) -> str:
    """For each column a panel with a bar for each row."""
    rows = table.rows[:_MOST_BARS]
    columns = [column for column in table.columns if any(_value(table, row, column) is not None for row in rows)]
    across = min(len(columns), 2)
    down = -(-len(columns) // across)
    figure, grid = new_figure(down, across, _WIDE * 1.25, down * (0.8 + 0.17 * len(rows)), together=False)
    names = [" ".join(part for part in row if part != "-") for row in rows]
    for index, column in enumerate(columns):
        axes = grid[index // across, index % across]
        values = [_value(table, row, column) for row in rows]
        axes.barh(range(len(rows)), [value or 0 for value in values], color=COLOURS[index % 2], height=0.72)
        axes.set_yticks(range(len(rows)), names if index % across == 0 else [""] * len(rows), fontsize=7)
        axes.invert_yaxis()
        unit = next(one.unit for row in rows for one in table.cells.get((row, column), ()))
        title = " / ".join(column)
        axes.set_title(title if title.endswith(unit) else f"{title}, {unit}", fontsize=9)
    for index in range(len(columns), down * across):
        grid[index // across, index % across].set_visible(False)
    return _svg(figure, table.name, f"{table.name}: each figure by {', '.join(table.row_names)}")


def _value(table: Table, row: Labels, column: Labels) -> float | None:
    return next((one.value for one in table.cells.get((row, column), ())), None)


def _svg(figure: Any, prefix: str, label: str) -> str:
    """The element alone, its ids begun by ``prefix``, with text as text, transparent, as wide as there is room."""
    from matplotlib import rc_context

    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.grid(visible=True, color=_INK, alpha=0.25, lw=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_INK)
        for name in ("left", "right", "top", "bottom"):
            axes.spines[name].set_color(_INK)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set_color(_INK)
    out = io.StringIO()
    with rc_context({"svg.hashsalt": label, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    # Several stand in one page: each has names of its own.
    text = re.sub(r'((?:\bid="|url\(#|href="#))', rf"\1{prefix}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
