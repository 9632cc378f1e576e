"""From the figures of all rounds to rows: median, minimum, maximum, and the ratio to the kernel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """Return the spread of one figure or more."""
        return cls(median(figures), min(figures), max(figures))

    def rounded(self) -> dict[str, float]:
        """Return it for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of transfer beside the base, Gbit/s; ``ratio`` is the median of the rounds' own ratios."""

    work: str
    ours: Spread
    base: Spread
    ratio: float

    def to_json(self, mtu: int) -> dict[str, object]:
        """Return the row by the names of ``bench --json``; the bare loop is not measured yet: null."""
        return {
            "work": self.work,
            "mtu": mtu,
            "ours": self.ours.rounded(),
            "base": self.base.rounded(),
            "bare_loop": None,
            "unit": "Gbit/s",
            "ratio_base": round(self.ratio, 4),
            "ratio_bare": None,
        }


def rows(rounds: Sequence[Mapping[str, float]], base: str) -> list[Row]:
    """Return a row for each name but ``base``, in the order of the first round; every round has every name."""
    bases = [one[base] for one in rounds]
    found: list[Row] = []
    for name in rounds[0]:
        if name == base:
            continue
        figures = [one[name] for one in rounds]
        ratios = [own / other if other else 0.0 for own, other in zip(figures, bases, strict=True)]
        found.append(Row(name, Spread.of(figures), Spread.of(bases), median(ratios)))
    return found
