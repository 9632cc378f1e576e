"""The plot of bursts that were repaired: time and needless repetitions over the number of SACK blocks, as SVG."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from .holes import Repair
from .plot import COLOURS, new_figure, save

# Where what 40 octets have room for stands, left of the numbers of blocks.
_LEGACY: Final = "40 octets"


def draw_repairs(repairs: list[Repair], path: Path) -> None:
    """Write a column for each thinning of acknowledgments, a line for each loss; raises NoPlots, OSError."""
    thinnings = sorted({repair.burst.thin for repair in repairs})
    losses = sorted({repair.burst.loss for repair in repairs})
    blocks = sorted({repair.burst.blocks for repair in repairs if repair.burst.edo})
    figure, grid = new_figure(2, len(thinnings), 3.4 + 3.4 * len(thinnings), 6.2, together=True)
    for column, thin in enumerate(thinnings):
        seconds, again = grid[:, column]
        for number, loss in enumerate(losses):
            chosen = [r for r in repairs if r.burst.thin == thin and r.burst.loss == loss]
            colour = COLOURS[number % len(COLOURS)]
            _line(seconds, chosen, blocks, median_seconds, colour, f"loss {loss:.0%}")
            _line(again, chosen, blocks, sent_per_lost, colour, f"loss {loss:.0%}")
        seconds.set_title("every acknowledgment is let through" if not thin else f"one in {thin * 1000:g} ms")
        for axis in (seconds, again):
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
        again.set_xticks(range(len(blocks) + 1), [_LEGACY, *map(str, blocks)])
        again.set_xlabel("SACK blocks: without EDO | with EDO")
    grid[0, 0].set_ylabel("seconds until all is acknowledged, median")
    grid[1, 0].set_ylabel("segments sent again for each one lost")
    grid[0, 0].legend(loc="best", fontsize="small", frameon=False)
    burst = repairs[0].burst
    figure.suptitle(
        f"A burst of {burst.segments} segments, {burst.rate / 1e6:g} Mbit/s, {burst.rtt * 1000:g} ms, "
        f"losses in both directions, {burst.recovery}"
    )
    save(figure, path)


def _line(axis: Any, repairs: list[Repair], blocks: list[int], of: Any, colour: str, label: str) -> None:
    plain = [repair for repair in repairs if not repair.burst.edo]
    if plain:
        axis.plot([0], [of(plain)], "s", color=colour, markerfacecolor="none")
    with_edo = [of([r for r in repairs if r.burst.edo and r.burst.blocks == count]) for count in blocks]
    axis.plot(range(1, len(blocks) + 1), with_edo, "o-", color=colour, lw=1.2, ms=4, label=label)


def median_seconds(repairs: list[Repair]) -> float:
    """The median time of a repair, seconds."""
    return median(repair.seconds for repair in repairs)


def sent_per_lost(repairs: list[Repair]) -> float:
    """Segments sent again for each that was lost; 1 where nothing was sent in vain."""
    return mean(repair.sent_again for repair in repairs) / max(mean(repair.lost for repair in repairs), 1e-9)
