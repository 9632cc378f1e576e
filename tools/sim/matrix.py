"""Many scenarios, on all cores, in the order in which they were asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace

from .scenario import Result, Scenario, run


def product(base: Scenario, **choices: Sequence[object]) -> list[Scenario]:
    """Every combination of ``choices`` (a list for a field of Scenario), the last field changing fastest."""
    names = list(choices)
    return [
        replace(base, **dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        for values in itertools.product(*choices.values())
    ]


def run_all(
    scenarios: Sequence[Scenario], *, progress: Callable[[], None] = lambda: None, executor: Executor | None = None
) -> list[Result]:
    """Run all of them on ``executor`` (default: a process for each core)."""
    if executor is not None:
        return _collect(scenarios, progress, executor)
    with ProcessPoolExecutor() as pool:
        return _collect(scenarios, progress, pool)


def _collect(scenarios: Sequence[Scenario], progress: Callable[[], None], executor: Executor) -> list[Result]:
    results = []
    for result in executor.map(run, scenarios):
        results.append(result)
        progress()
    return results
