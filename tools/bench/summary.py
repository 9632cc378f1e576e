"""From the figures of all rounds to rows: median, minimum, maximum, and the median of the ratios of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
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
class Round:
    """What one repetition found, one measurement after the other; None where there is no such column."""

    ours: float | None = None
    base: float | None = None
    bare: float | None = None
    bbr: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work at one MTU; figures in ``unit``, and ``group`` names the rows beside which it is shown.

    ``base`` is what ours is compared with (named ``beside``), ``bare`` the bare loop, ``bbr`` the base under that
    congestion control. ``dropped`` counts packets that devices lost under ours, ``bare_dropped`` the gaps that the
    bare loop met; ``failed`` says why there are fewer rounds than there were to be.
    """

    work: str
    mtu: int
    unit: str
    group: str = ""
    beside: str | None = None
    ours: Spread | None = None
    base: Spread | None = None
    bare: Spread | None = None
    bbr: Spread | None = None
    ratio_base: float | None = None
    ratio_bare: float | None = None
    dropped: int = 0
    bare_dropped: int = 0
    failed: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the row by the names of ``bench --json``."""

        def spread(one: Spread | None) -> dict[str, float] | None:
            return None if one is None else one.rounded()

        def ratio(one: float | None) -> float | None:
            return None if one is None else round(one, 4)

        return {
            "work": self.work,
            "mtu": self.mtu,
            "ours": spread(self.ours),
            "base": spread(self.base),
            "bare_loop": spread(self.bare),
            "unit": self.unit,
            "ratio_base": ratio(self.ratio_base),
            "ratio_bare": ratio(self.ratio_bare),
            "group": self.group,
            "base_work": self.beside,
            "base_bbr": spread(self.bbr),
            "dropped": self.dropped,
            "bare_dropped": self.bare_dropped,
            "failed": self.failed,
        }


def _spread(figures: Sequence[float | None]) -> Spread | None:
    known = [figure for figure in figures if figure is not None]
    return Spread.of(known) if known else None


def _ratio(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """The median of the quotients, of neighbours in time; None where none can be made."""
    known = [one / other for one, other in pairs if one is not None and other]
    return median(known) if known else None


def row(
    work: str,
    mtu: int,
    unit: str,
    rounds: Sequence[Round],
    *,
    group: str = "",
    beside: str | None = None,
    dropped: int = 0,
    bare_dropped: int = 0,
    failed: str | None = None,
) -> Row:
    """Return the row of all rounds of one work."""
    return Row(
        work,
        mtu,
        unit,
        group,
        beside,
        _spread([one.ours for one in rounds]),
        _spread([one.base for one in rounds]),
        _spread([one.bare for one in rounds]),
        _spread([one.bbr for one in rounds]),
        _ratio([(one.ours, one.base) for one in rounds]),
        _ratio([(one.ours, one.bare) for one in rounds]),
        dropped,
        bare_dropped,
        failed,
    )
