"""Echoes of one octet: how long they take, and what CPU time they cost with many connections open.

``round_trips()`` returns rows over TUNs in network namespaces of its own (root is needed): kernel to kernel
over a veth pair, kernel to stack over the stack's TUN, stack to stack (two processes, two TUNs) in several
modes. A row is ``{"work": "echo, stack to stack, ao", "mode": "ao", "median": us, "p99": us, "unit": "us"}``:
the medians, over the rounds, of what was the median and the 99th percentile in each.

``growth(protect)`` returns a row for each number of open connections, between two stacks that a pair of sockets
joins (no root): ``{"work": "CPU of an echo, none", "mode": "none", "connections": n, "one_busy": us,
"round_robin": us, "growth": ratio, "growth_round_robin": ratio, "target": 1.1 or null, "unit": "us"}``. CPU
time, user and system, is that of the accepting process. ``one_busy`` has all echoes on one connection;
``round_robin`` takes each connection in turn, so that nothing of the next one is in the processor's caches.
(Where a connection's next turn is later than a delayed acknowledgment, the acknowledgment of an echo is a
segment of its own, one more to be received for each.) All numbers of connections stand at the same time, in
processes of their own, and are measured in turn: ``growth`` is the median over the rounds of the ratio to the
smallest number in the same round, and the other figures are medians.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from .crowd import Echoes, in_memory, joined, write_keys
from .crowd_worker import Post
from .machine import cores
from .network import End, network

SIZES: Final = (10, 100, 1_000, 10_000)
# The target for the CPU time of an echo with the most connections open, of that with the fewest.
TARGET: Final = 1.1
_US: Final = 1e6
# Not measured: caches and the estimate of the round trip settle.
_WARM: Final = 50


def _quiet(text: str) -> None:
    pass


# --- what echoes cost ----------------------------------------------------------------------------------------


def growth(
    protect: str = "none",
    sizes: Sequence[int] = SIZES,
    *,
    rounds: int = 5,
    times: int = 1_000,
    progress: Callable[[str], None] = _quiet,
) -> list[dict[str, object]]:
    """Return a row for each of ``sizes``, the smallest first, of ``times`` echoes in each round; ProgramError."""
    sizes = sorted(sizes)
    figures: list[list[tuple[float, float]]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edotun-bench-")))
        crowds = []
        for size in sizes:
            progress(f"{size} connections, {protect}")
            crowd = stack.enter_context(in_memory(protect, folder, cores()))
            crowd.grow(size)
            crowd.echo(_WARM, 1)
            crowds.append(crowd)
        for number in range(rounds):
            progress(f"CPU of an echo, {protect}, round {number + 1} of {rounds}")
            figures.append(
                [(crowd.echo(times, 1).accepted, crowd.echo(times, crowd.open).accepted) for crowd in crowds]
            )
    found: list[dict[str, object]] = []
    for index, size in enumerate(sizes):
        one, all_in_turn = ([line[index][kind] for line in figures] for kind in (0, 1))
        ratios = [[line[index][kind] / line[0][kind] for line in figures] for kind in (0, 1)]
        found.append(
            {
                "work": f"CPU of an echo, {protect}",
                "mode": protect,
                "connections": size,
                "one_busy": round(median(one) * _US, 1),
                "round_robin": round(median(all_in_turn) * _US, 1),
                "growth": round(median(ratios[0]), 3),
                "growth_round_robin": round(median(ratios[1]), 3),
                "target": TARGET if size == sizes[-1] else None,
                "unit": "us",
            }
        )
    return found


# --- how long they take --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """Between whom an echo goes: whether a stack opens and accepts (else the kernel), and its protection."""

    name: str
    opens: bool
    accepts: bool
    protect: str = "none"


WAYS: Final = (
    Way("kernel to kernel", opens=False, accepts=False),
    Way("kernel to stack, none", opens=False, accepts=True),
    Way("stack to stack, none", opens=True, accepts=True),
    Way("stack to stack, ao", opens=True, accepts=True, protect="ao"),
    Way("stack to stack, ao-enc-dh", opens=True, accepts=True, protect="ao-enc-dh"),
)


def _posts(way: Way, ends: tuple[End, End], mtu: int, keys: str) -> tuple[Post, Post, tuple[str, str]]:
    """Return both posts, the accepting one first, and their namespaces; a stack and a kernel share one."""
    opens, accepts = ends[0], ends[1] if way.opens == way.accepts else ends[0]
    if way.accepts:
        address = accepts.stack
    else:
        address = accepts.host if way.opens else accepts.kernel
    accepting, opening = (
        Post(
            accepts=side,
            orders=-1,
            address=address,
            stack=stack,
            own=at.own,
            host=at.host,
            netns=at.namespace.name,
            mtu=mtu,
            protect=way.protect,
            keys=keys,
            core=core,
        )
        for side, at, stack, core in (
            (True, accepts, way.accepts, cores()[1]),
            (False, opens, way.opens, cores()[0]),
        )
    )
    return accepting, opening, (accepts.namespace.name, opens.namespace.name)


def round_trips(
    ways: Sequence[Way] = WAYS,
    *,
    mtu: int = 1500,
    rounds: int = 5,
    times: int = 1_000,
    progress: Callable[[str], None] = _quiet,
) -> list[dict[str, object]]:
    """Return a row for each of ``ways``, of ``times`` echoes in each round; ProgramError, TunError or OSError."""
    figures: dict[str, list[Echoes]] = {way.name: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder, network(mtu) as ends:
        for number in range(rounds):
            for way in ways:
                progress(f"echo, {way.name}, round {number + 1} of {rounds}")
                accepting, opening, places = _posts(way, ends, mtu, write_keys(Path(folder), way.protect))
                with joined(accepting, opening, places) as crowd:
                    crowd.grow(1)
                    crowd.echo(_WARM, 1)
                    figures[way.name].append(crowd.echo(times, 1))
    return [
        {
            "work": f"echo, {way.name}",
            "mode": way.protect,
            "median": round(median(echoes.median for echoes in figures[way.name]) * _US, 1),
            "p99": round(median(echoes.p99 for echoes in figures[way.name]) * _US, 1),
            "unit": "us",
        }
        for way in ways
    ]
