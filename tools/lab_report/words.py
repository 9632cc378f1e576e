"""A summary in words, made of the figures: sentences about tables of outcomes, and about tables of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .tables import Labels, Placed, Table
from .verdicts import LEVEL_TEXTS, ORDER, Level, level_of, word_of

_MOST_SENTENCES: Final = 8
# Figures that differ by less say nothing.
_WORTH_TELLING: Final = 1.1
_BAD: Final = (Level.FAILS, Level.WORST, Level.FAULT)


@dataclass(frozen=True, slots=True)
class Sentence:
    """``about`` is set apart, ``text`` follows; ``level`` is the worst of what it tells; ``runs`` are examples."""

    about: str
    text: str
    level: Level
    runs: tuple[int, ...] = ()


def summary(table: Table) -> list[Sentence]:
    """What the table says, the most important first."""
    faults = _faults(table)
    if table.of_figures:
        told = _along_rows(table) if len(table.units) == 1 else _along_columns(table)
        return [*faults, *told]
    return [*faults, *_by_column(table)]


def in_short(table: Table) -> Sentence:
    """One sentence for the whole table."""
    told = summary(table)
    if table.of_figures:
        first = told[0]
        about = "" if first.about == table.name else f"{first.about}: "
        return Sentence(table.name, about + first.text, first.level, first.runs)
    counted = of_levels(table.placed)
    levels = [level for level in ORDER if counted[level]]
    text = "; ".join(f"{counted[level]} {LEVEL_TEXTS[level]}" for level in levels)
    bad = [one for one in table.placed if level_of(one.run.outcome) in (Level.WORST, Level.FAULT)]
    return Sentence(table.name, f"{_runs(len(table.placed))}: {text}", levels[-1], _examples(bad))


def of_levels(placed: Iterable[Placed]) -> Counter[str]:
    """How often each level came."""
    return Counter(level_of(one.run.outcome) for one in placed)


def _faults(table: Table) -> list[Sentence]:
    found = [one for one in table.placed if level_of(one.run.outcome) is Level.FAULT]
    if not found:
        return []
    text = f"{_runs(len(found))} went wrong in the lab itself and say{'s' if len(found) == 1 else ''} nothing"
    return [Sentence(table.name, text, Level.FAULT, _examples(found))]


def _by_column(table: Table) -> list[Sentence]:
    """A sentence a column: how often each outcome came, from the best to the worst."""
    sentences = []
    for column in table.columns:
        placed = [one for row in table.rows for one in table.cells.get((row, column), ())]
        counted = Counter(word_of(one.run.outcome).text for one in placed)
        words = sorted(counted, key=lambda word: (ORDER.index(level_of(word)), -counted[word]))
        worst = level_of(words[-1])
        bad = [one for one in placed if level_of(one.run.outcome) in _BAD]
        text = f"{_runs(len(placed))}: " + ", ".join(f"{word} {counted[word]}" for word in words)
        sentences.append(Sentence(" / ".join(column), text, worst, _examples(bad)))
    return sentences


def _along_rows(table: Table) -> list[Sentence]:
    """Where all figures are in one unit: what a column makes of a row, the largest difference first."""
    found: list[tuple[float, Sentence]] = []
    for row in table.rows:
        values = _values(table, ((row, column) for column in table.columns), 1)
        if len(values) < 2:
            continue
        (low, least, one), (high, most, other) = (pick(values, key=_figure) for pick in (min, max))
        ratio = high / low if low > 0 else float("inf")
        if ratio < _WORTH_TELLING:
            continue
        unit = next(iter(table.units))
        text = f"{low:.4g} {unit} with {least}, {high:.4g} {unit} with {most}: {ratio:.1f} times as much"
        found.append((ratio, Sentence(" · ".join(row), text, Level.FIGURE, (one, other))))
    found.sort(key=lambda pair: -pair[0])
    told = [sentence for _, sentence in found[:_MOST_SENTENCES]]
    if not told:
        return [Sentence(table.name, "no column makes a difference of a tenth", Level.FIGURE)]
    return told


def _along_columns(table: Table) -> list[Sentence]:
    """Where each column has a unit of its own: its range over the rows, and what that is of the first row."""
    sentences = []
    for column in table.columns:
        values = _values(table, ((row, column) for row in table.rows), 0)
        if not values:
            continue
        (low, least, one), (high, most, other) = (pick(values, key=_figure) for pick in (min, max))
        unit = table.cells[next(key for key in table.cells if key[1] == column)][0].unit
        first = values[0]
        text = f"{low:.4g} {unit} ({least})"
        if high > low:
            text += f" to {high:.4g} {unit} ({most})"
            if first[0] > 0 and high / first[0] >= _WORTH_TELLING and first[1] != most:
                text += f", {high / first[0]:.1f} times that of {first[1]}"
        sentences.append(Sentence(" / ".join(column), text, Level.FIGURE, (one, other) if one != other else (one,)))
    return sentences


def _figure(found: tuple[float, str, int]) -> float:
    return found[0]


def _values(table: Table, keys: Iterable[tuple[Labels, Labels]], named_by: int) -> list[tuple[float, str, int]]:
    """(figure, label of its row or column, run) of each cell that has one."""
    return [
        (one.value, " · ".join(part for part in key[named_by] if part != "-"), one.number)
        for key in keys
        for one in table.cells.get(key, ())[:1]
        if one.value is not None
    ]


def _examples(placed: Sequence[Placed]) -> tuple[int, ...]:
    """A few runs to look at, the worst first."""
    worst = sorted(placed, key=lambda one: -ORDER.index(level_of(one.run.outcome)))
    return tuple(one.number for one in worst[:3])


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
