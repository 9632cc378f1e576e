"""Plots of simulated runs as SVG: one run over time, or a matrix of many as a heat map."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any, Final

from .scenario import Result, Scenario

# Colours that stay apart for the colour-blind too, in the order of Okabe and Ito.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_UNBOUNDED: Final = 1 << 40


class NoPlots(RuntimeError):
    """The plotting library is not installed."""


def new_figure(rows: int, columns: int, width: float, height: float, *, together: bool) -> tuple[Any, Any]:
    """A figure of so many inches and its axes, ``together`` along one time; raises NoPlots."""
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPlots("plots need matplotlib: pip install 'edotun[plots]'") from None
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        return figure, figure.subplots(rows, columns, sharex=together, squeeze=False)


def save(figure: Any, path: Path) -> None:
    """Write a figure as SVG; raises OSError."""
    from matplotlib import rc_context

    # Equal results give equal files.
    with rc_context({"svg.hashsalt": "edotun"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def draw_run(result: Result, path: Path) -> None:
    """Write window, round-trip time and sequence over time of each flow; raises NoPlots, OSError."""
    figure, grid = new_figure(3, 1, 9, 7.8, together=True)
    window, delay, sequence = grid[:, 0]
    scenario = result.scenario
    many = len(result.samples) > 1
    controllers = scenario.controller.split("+")
    for number, samples in enumerate(result.samples):
        colour = COLOURS[number % len(COLOURS)]
        times = [sample.time for sample in samples]
        name = f"{number + 1} {controllers[number % len(controllers)]}" if many else "cwnd"
        window.step(times, [s.cwnd / 1000 for s in samples], where="post", label=name, lw=1.1, color=colour)
        if not many:
            # Before the first congestion event there is no threshold.
            known = [s for s in samples if s.ssthresh < _UNBOUNDED]
            window.step(
                [s.time for s in known],
                [s.ssthresh / 1000 for s in known],
                where="post",
                label="ssthresh",
                lw=0.9,
                color="0.5",
                ls="--",
            )
        delay.plot(times, [s.srtt * 1000 for s in samples], lw=1.1, color=colour)
        sequence.plot(times, [s.acknowledged / 1e6 for s in samples], lw=1.1, color=colour, label="acknowledged")
        if not many:
            sequence.plot(times, [s.sent / 1e6 for s in samples], lw=0.8, color=COLOURS[1], label="sent")
    product = scenario.product / 1000
    window.axhline(product, color="0.3", lw=0.8, ls=":", label="bandwidth x RTT")
    window.axhline(product + scenario.queue_octets / 1000, color="0.3", lw=0.8, ls="-.", label="... and the queue")
    delay.axhline(scenario.rtt * 1000, color="0.3", lw=0.8, ls=":")
    for axis, label in ((window, "window, kB"), (delay, "smoothed RTT, ms"), (sequence, "sequence, MB")):
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.margins(x=0.01)
    window.legend(loc="upper left", fontsize="small", ncols=6, bbox_to_anchor=(0, 1.24), frameon=False)
    if not many:
        sequence.legend(loc="lower right", fontsize="small", frameon=False)
    sequence.set_xlabel("time, s")
    figure.suptitle(describe(scenario))
    save(figure, path)


def describe(scenario: Scenario) -> str:
    """A scenario in one line."""
    parts = [scenario.controller, f"{scenario.rate / 1e6:g} Mbit/s", f"{scenario.rtt * 1000:g} ms"]
    if scenario.loss:
        parts.append(f"loss {scenario.loss:.2%}")
    if scenario.reorder:
        parts.append(f"reordered {scenario.reorder:.2%}")
    parts.append(f"queue {scenario.queue_octets / 1000:.0f} kB")
    if scenario.flows > 1:
        parts.append(f"{scenario.flows} flows")
    return ", ".join(parts)


def _row(scenario: Scenario) -> str:
    """What one row of the heat map has in common but for rate, round trip and controller."""
    parts = []
    if scenario.flows > 1:
        spread = f", RTT 1-{scenario.rtt_ratio:g}x" if scenario.rtt_ratio != 1.0 else ""
        parts.append(f"{scenario.flows} flows{spread}")
    if scenario.loss:
        parts.append(f"loss {scenario.loss:.1%}")
    if scenario.reorder:
        parts.append(f"reordered {scenario.reorder:.0%}")
    if not scenario.loss and not scenario.reorder and scenario.flows == 1:
        parts.append(f"queue {scenario.queue or scenario.buffer:g}{' B' if scenario.queue else ' x BDP'}")
    if scenario.recovery != "rack":
        parts.append(scenario.recovery)
    if scenario.pacing != "off":
        parts.append(f"paced {scenario.pacing}")
    return ", ".join(parts)


def draw_matrix(results: list[Result], path: Path) -> None:
    """Write each scenario's share of its link as a heat map, one for each controller; raises NoPlots, OSError."""
    controllers = list(dict.fromkeys(result.scenario.controller for result in results))
    links = sorted({(result.scenario.rate, result.scenario.rtt) for result in results})
    rows = list(dict.fromkeys(_row(result.scenario) for result in results))
    width = max(7.0, 2.6 + 0.5 * len(links))
    height = 1.3 + len(controllers) * (0.45 + 0.28 * max(len(rows), 2))
    figure, grid = new_figure(len(controllers), 1, width, height, together=True)
    image = None
    for axis, controller in zip(grid[:, 0], controllers, strict=True):
        cells = [[float("nan")] * len(links) for _ in rows]
        for result in results:
            scenario = result.scenario
            if scenario.controller == controller:
                cells[rows.index(_row(scenario))][links.index((scenario.rate, scenario.rtt))] = result.share
        image = axis.imshow(cells, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for y, row in enumerate(cells):
            for x, share in enumerate(row):
                if not isnan(share):
                    shade = "black" if share > 0.6 else "white"
                    axis.text(x, y, f"{share * 100:.0f}", ha="center", va="center", fontsize=7.5, color=shade)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.set_title(controller, loc="left", fontsize=10)
        axis.tick_params(length=0)
    last = grid[-1, 0]
    last.set_xticks(range(len(links)), [_link(*link) for link in links], fontsize=7.5)
    last.set_xlabel("rate of the link over its round-trip time")
    figure.colorbar(image, ax=list(grid[:, 0]), label="goodput, share of the link", shrink=0.9, aspect=40)
    save(figure, path)


def _link(rate: float, rtt: float) -> str:
    unit, size = ("G", 1e9) if rate >= 1e9 else ("M", 1e6)
    return f"{rate / size:g}{unit}\n{rtt * 1000:g}ms"
