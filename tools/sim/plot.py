"""Plots of simulated runs as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .scenario import Result


class NoPlots(RuntimeError):
    """The plotting library is not installed."""


def _figure(rows: int) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPlots("plots need matplotlib: pip install 'edotun[plots]'") from None
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, 1, sharex=rows > 1, squeeze=False)[:, 0]


def draw_run(result: Result, path: Path) -> None:
    """Write window, round-trip time and sequence over time of each flow; raises NoPlots, OSError."""
    figure, axes = _figure(3)
    for number, samples in enumerate(result.samples, 1):
        times = [sample.time for sample in samples]
        axes[0].step(
            times, [sample.cwnd / 1000 for sample in samples], where="post", label=f"flow {number}", lw=0.9
        )
        axes[1].plot(times, [sample.srtt * 1000 for sample in samples], lw=0.9)
        axes[2].plot(times, [sample.sequence / 1e6 for sample in samples], lw=0.9)
    for axis, label in zip(axes, ("cwnd, kB", "smoothed RTT, ms", "acknowledged, MB"), strict=True):
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[2].set_xlabel("seconds")
    axes[0].legend(loc="upper right", fontsize="small")
    scenario = result.scenario
    figure.suptitle(
        f"{scenario.controller}, {scenario.rate / 1e6:g} Mbit/s, {scenario.rtt * 1000:g} ms, "
        f"loss {scenario.loss:.2%}, {scenario.flows} flow(s), seed {scenario.seed}"
    )
    figure.savefig(path, format="svg")


def draw_matrix(results: list[Result], path: Path) -> None:
    """Write each scenario's share of its link as bars, a colour for each controller; raises NoPlots, OSError."""
    figure, axes = _figure(1)
    axis = axes[0]
    controllers = list(dict.fromkeys(result.scenario.controller for result in results))
    links: dict[str, dict[str, float]] = {}
    for result in results:
        scenario = result.scenario
        link = f"{scenario.rate / 1e6:g}M\n{scenario.rtt * 1000:g}ms\n{scenario.loss:.1%}"
        links.setdefault(link, {})[scenario.controller] = result.share
    width = 0.8 / len(controllers)
    for index, controller in enumerate(controllers):
        places = [place + index * width for place in range(len(links))]
        axis.bar(places, [shares.get(controller, 0.0) for shares in links.values()], width, label=controller)
    axis.set_xticks([place + 0.4 - width / 2 for place in range(len(links))], list(links), fontsize="xx-small")
    axis.set_ylabel("share of the link")
    axis.axhline(1.0, color="black", lw=0.5)
    axis.legend(fontsize="small")
    figure.savefig(path, format="svg")
