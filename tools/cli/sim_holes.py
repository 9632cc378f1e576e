"""``edotun sim --sack-blocks``: how the number of SACK blocks tells on the repair of a burst with losses."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from . import options

if TYPE_CHECKING:
    from ..sim.holes import Burst, Repair


def bursts(
    blocks: list[int],
    *,
    losses: list[float],
    thinnings: list[float],
    rate: float,
    rtt: float,
    segments: int,
    recovery: str,
    runs: int,
    seed: int,
) -> list[Burst]:
    """Every combination, with EDO and once without, ``runs`` times with other seeds."""
    from ..sim.holes import Burst

    return [
        Burst(count, edo, loss, rtt, segments, rate, thin, recovery, seed + run)
        for thin in thinnings
        for loss in losses
        for edo, count in ((False, max(blocks)), *((True, count) for count in blocks))
        for run in range(runs)
    ]


def compare(asked: list[Burst], plot: Path | None, *, json_: bool) -> None:
    """Run the bursts, print what came of them, and draw it where ``plot`` says."""
    from ..sim.holes import repair_all
    from ..sim.plot import NoPlots
    from ..sim.plot_holes import draw_repairs

    results = repair_all(asked)
    if json_:
        for result in results:
            print(json.dumps(asdict(result) | {"needless": result.needless}))
    else:
        console = Console()
        Console(width=None if console.is_terminal else 100).print(_table(results))
    if plot is not None:
        try:
            draw_repairs(results, plot)
        except (NoPlots, OSError) as error:
            options.wrong(f"--plot: {error}")


def _table(results: list[Repair]) -> Table:
    from ..sim.plot_holes import median_seconds, sent_per_lost

    table = Table("ACK in ms", "loss", "blocks", title="Bursts with losses, repaired")
    for name in ("median s", "slowest tenth s", "lost", "sent again", "for each lost"):
        table.add_column(name, justify="right")
    kinds: dict[tuple[float, float, bool, int], list[Repair]] = {}
    for result in results:
        burst = result.burst
        kinds.setdefault((burst.thin, burst.loss, burst.edo, burst.blocks), []).append(result)
    for (thin, loss, edo, blocks), repairs in kinds.items():
        times = sorted(repair.seconds for repair in repairs)
        table.add_row(
            f"{thin * 1000:g}" if thin else "all",
            f"{loss:.0%}",
            f"{blocks}" if edo else "without EDO",
            f"{median_seconds(repairs):.2f}",
            f"{times[len(times) * 9 // 10]:.2f}",
            f"{sum(repair.lost for repair in repairs) / len(repairs):.1f}",
            f"{sum(repair.sent_again for repair in repairs) / len(repairs):.1f}",
            f"{sent_per_lost(repairs):.2f}",
        )
    return table
