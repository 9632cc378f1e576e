"""The report as one page that needs nothing else: styles, script, plots and the runs themselves stand in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..lab.matrices import MATRICES
from ..sim.plot import NoPlots
from .files import figure_text
from .plots import plot
from .tables import Labels, Placed, Table
from .verdicts import LEVEL_TEXTS, MARKS, ORDER, Level, level_of, word_of
from .words import Sentence, in_short, of_levels, summary

_ABOUT: Final = {
    "space-fits": "Which sets of options have room: in 40 octets, behind, beside or after them.",
    "space-sack": "How soon bursts of 200 segments with losses are repaired over 150 ms, by SACK blocks.",
    "space-mac": "What a MAC leaves to SACK blocks, and how soon bursts with 20% loss are repaired then.",
    "space-keys": "What crosses the path until both ends have keys, by the group and by where its shares travel.",
    "space-telemetry": "Goodput with an option of so many octets in every data segment, over 20 Mbit/s and 20 ms.",
    "questions-crossed": "Both ends open at once, and who of them is A (profile.md, section 3).",
    "questions-numbers": "EDO under experimental and assigned numbers: octets, and boxes.",
    "questions-flood": "What SYNs of strangers take from a server, and who is served beside them.",
    "questions-level": "New keys, more protection and less, asked for in mid-connection.",
    "questions-failure": "What a program on a socket sees: the call that fails, its errno, and when.",
}


@dataclass(frozen=True, slots=True)
class Button:
    """A run in a cell: ``share`` is how much of the longest bar its figure makes, percent, None for none."""

    number: int
    level: Level
    mark: str
    word: str
    figure: str
    small: str
    share: int | None


@dataclass(frozen=True, slots=True)
class Section:
    """A table with all that stands around it."""

    table: Table
    title: str
    about: str
    sentences: list[Sentence]
    counts: list[tuple[Level, str, int]]
    picture: Markup | None
    buttons: dict[tuple[Labels, Labels], list[Button]]


@dataclass(frozen=True, slots=True)
class Page:
    """The page, and why it has no plots, None where it has."""

    html: str
    without_plots: str | None


def page(tables: Sequence[Table], *, made: datetime, source: str) -> Page:
    """Render the report; ``source`` names the file of the results, ``made`` is when."""
    missing: str | None = None
    sections = []
    for table in tables:
        picture = None
        try:
            svg = plot(table)
            # The element is this program's own; the texts in it were escaped by who drew it.
            picture = None if svg is None else Markup(svg)
        except NoPlots as error:
            missing = str(error)
        sections.append(_section(table, picture))
    placed = sorted((one for table in tables for one in table.placed), key=lambda one: one.number)
    environment = Environment(
        loader=PackageLoader("tools.lab_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.j2").render(
        sections=sections,
        short=[in_short(table) for table in tables],
        levels=[(level, MARKS[level], LEVEL_TEXTS[level]) for level in ORDER if level is not Level.FIGURE],
        runs=_data(placed),
        count=len(placed),
        versions=sorted({one.run.version for one in placed}),
        seconds=sum(one.run.seconds for one in placed),
        made=made.strftime("%Y-%m-%d %H:%M %Z").strip(),
        source=source,
        without_plots=missing,
    )
    return Page(html, missing)


def _section(table: Table, picture: Markup | None) -> Section:
    about = _ABOUT.get(table.name) or (MATRICES[table.matrix][1] if table.matrix in MATRICES else "")
    counted = of_levels(table.placed)
    counts: list[tuple[Level, str, int]] = [
        (level, MARKS[level], counted[level]) for level in ORDER if counted[level] and level is not Level.FIGURE
    ]
    longest = _longest(table)
    buttons = {
        key: [_button(one, longest.get(_scale(table, key[1], one))) for one in placed]
        for key, placed in table.cells.items()
    }
    title = table.matrix + (f": {table.section}" if table.section else "")
    return Section(table, title, about, summary(table), counts, picture, buttons)


def _scale(table: Table, column: Labels, one: Placed) -> tuple[str, Labels]:
    """Figures that are compared with each other: those of one unit, in one column where columns are figures."""
    return one.unit, () if len(table.units) == 1 else column


def _longest(table: Table) -> dict[tuple[str, Labels], float]:
    found: dict[tuple[str, Labels], float] = {}
    for (_, column), placed in table.cells.items():
        for one in placed:
            if one.value is not None:
                scale = _scale(table, column, one)
                found[scale] = max(found.get(scale, 0.0), one.value)
    return found


def _button(one: Placed, longest: float | None) -> Button:
    level = level_of(one.run.outcome)
    share = None
    if one.value is not None and longest:
        share = round(100 * max(one.value, 0.0) / longest)
    figure = "" if one.value is None else f"{one.value:.4g} {one.unit}".strip()
    word = "" if level is Level.FIGURE and figure else one.run.outcome
    small = [*one.rest.values(), *_told(one)]
    return Button(one.number, level, MARKS[level], word, figure, " · ".join(small), share)


def _told(one: Placed) -> list[str]:
    """What stands small below the word: what the evidence has to say first, without what the word says already."""
    evidence, outcome = one.run.evidence, one.run.outcome
    if isinstance(shown := evidence.get("shown"), str):
        return [shown]
    if isinstance(what := evidence.get("what"), str):
        _, said, rest = what.partition(outcome)
        return [rest.strip() if said else what]
    took, usual = evidence.get("seconds"), evidence.get("without attack")
    if level_of(outcome) is Level.COSTS and isinstance(took, float) and isinstance(usual, float):
        return [f"{took:.3g} s instead of {usual:.3g} s"]
    return ["measured"] if outcome == "measured" else []


def _data(placed: Sequence[Placed]) -> Markup:
    """The runs for the script, in their order; what would end the element is escaped."""
    rows: list[dict[str, Any]] = []
    for one in placed:
        run = one.run
        rows.append(
            {
                "m": run.matrix,
                "p": run.parameters,
                "s": run.seed,
                "o": run.outcome,
                "t": figure_text(one),
                "l": level_of(run.outcome),
                "w": word_of(run.outcome).meaning,
                "e": run.evidence,
                "c": run.command,
                "d": round(run.seconds, 3),
                "v": run.version,
            }
        )
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)
