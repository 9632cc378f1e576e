"""The figures as bars, an SVG for each group of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..sim.plot import COLOURS, new_figure, save
from .document import groups, number
from .run import Report
from .summary import Row, Spread

_HEIGHT: Final = 0.18
_COLUMNS: Final = (("ours", "ours"), ("base", "beside it"), ("bare", "bare loop"), ("bbr", "with bbr"))


def draw(report: Report, folder: Path) -> dict[str, Path]:
    """Draw each group of rows into ``folder``, which is made; the files by the group's name.

    Raises ``tools.sim.plot.NoPlots`` or OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for name, title, rows in groups(report):
        known = [row for row in rows if _bars(row)]
        if known:
            files[name] = folder / f"bench-{name}.svg"
            _draw(title, known, files[name])
    return files


def _bars(row: Row) -> list[tuple[int, Spread]]:
    """The row's columns that have a figure, by their place."""
    found = ((place, getattr(row, name)) for place, (name, _) in enumerate(_COLUMNS))
    return [(place, one) for place, one in found if one is not None]


def _draw(title: str, rows: Sequence[Row], path: Path) -> None:
    bars = [_bars(row) for row in rows]
    height = 0.8 + sum(_HEIGHT * len(one) + 0.14 for one in bars)
    figure, grid = new_figure(1, 1, 9, height, together=False)
    axes: Any = grid[0, 0]
    labels: list[tuple[float, str]] = []
    shown: set[int] = set()
    top = 0.0
    for row, columns in zip(rows, bars, strict=True):
        for index, (place, one) in enumerate(columns):
            name = _COLUMNS[place][1]
            axes.barh(
                top + index * _HEIGHT,
                one.median,
                _HEIGHT * 0.9,
                color=COLOURS[place],
                label=None if place in shown else name,
                xerr=[[one.median - one.minimum], [one.maximum - one.median]],
                error_kw={"lw": 0.8, "capsize": 1.5},
            )
            axes.annotate(
                number(one.median),
                (one.maximum, top + index * _HEIGHT),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
            shown.add(place)
        labels.append((top + (len(columns) - 1) * _HEIGHT / 2, row.work))
        top += len(columns) * _HEIGHT + 0.14
    axes.set_yticks([place for place, _ in labels], [name for _, name in labels])
    axes.invert_yaxis()
    axes.set_title(f"{title}: median, minimum to maximum", loc="left", fontsize=10)
    axes.margins(x=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=8, loc="lower right")
    save(figure, path)
