"""Many scenarios, on all cores, in the order in which they were asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
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
    """Run all of them on ``executor`` (default: a process for each core); ``progress`` is called after each."""
    if executor is not None:
        return _collect(scenarios, progress, executor)
    with ProcessPoolExecutor() as pool:
        return _collect(scenarios, progress, pool)


def _collect(scenarios: Sequence[Scenario], progress: Callable[[], None], executor: Executor) -> list[Result]:
    # Those with most packets first, so that the last ones to end are short.
    order = sorted(range(len(scenarios)), key=lambda index: -scenarios[index].rate * scenarios[index].seconds)
    futures = {index: executor.submit(run, scenarios[index]) for index in order}
    for future in as_completed(futures.values()):
        future.result()
        progress()
    return [futures[index].result() for index in range(len(scenarios))]
