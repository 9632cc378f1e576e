"""Run the cells of a matrix over all cores, keep what comes, and leave out what was run already."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from . import loading, matrices
from .cell import FAULT, Cell, LabError, Matrix, Outcome
from .commands import command
from .store import Store
from .version import version, version_with


@dataclass(slots=True)
class Swept:
    """What a sweep did: cells that it ``ran`` and ``skipped``, ``faults`` among the former, whether interrupted."""

    ran: int = 0
    skipped: int = 0
    faults: int = 0
    interrupted: bool = False
    outcomes: list[tuple[Cell, Outcome]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status of a command that swept: 130 interrupted, 1 with faults."""
        return 130 if self.interrupted else int(self.faults > 0)


def run_cell(cell: Cell) -> tuple[Outcome, float]:
    """Run one cell in this process; what came of it and how long it took, seconds. What it raises is a fault."""
    begun = time.perf_counter()
    try:
        outcome = matrices.find(cell.matrix).run(cell)
    except Exception as error:
        outcome = Outcome(FAULT, {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
    return outcome, time.perf_counter() - begun


def sweep(
    matrix: Matrix,
    cells: Sequence[Cell],
    store: Store,
    *,
    files: Sequence[Path] = (),
    again: bool = False,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Swept:
    """Run ``cells`` on ``executor`` (default: a process for each core, or ``jobs``); ``store`` keeps what came.

    Cells that this version ran without a fault are skipped, unless ``again``. ``files`` are those of ``--with``;
    worker processes run them too. ``progress(done, total)`` is called behind each. KeyboardInterrupt ends it with
    what is done kept. Raises LabError where a worker process dies.
    """
    names = loading.load(files)
    store.declare(matrix)
    versions = [_version(cell, names, files) for cell in cells]
    done = {} if again else store.done(matrix.name)
    waiting = [
        (cell, ran_by)
        for cell, ran_by in zip(cells, versions, strict=True)
        if done.get((cell.key, cell.seed)) != ran_by
    ]
    swept = Swept(skipped=len(cells) - len(waiting))
    if not waiting:
        return swept
    with _on(executor, files, min(jobs or multiprocessing.cpu_count(), len(waiting))) as pool:
        futures = {pool.submit(run_cell, cell): (cell, ran_by) for cell, ran_by in waiting}
        left = dict(futures)
        try:
            for future in as_completed(futures):
                _keep(store, swept, future, *left.pop(future), files)
                progress(swept.ran, len(waiting))
        except KeyboardInterrupt:
            swept.interrupted = True
            for future in left:
                future.cancel()
            for future, (cell, ran_by) in left.items():
                with contextlib.suppress(CancelledError):
                    _keep(store, swept, future, cell, ran_by, files)
        except BrokenProcessPool:
            raise LabError(f"a worker process died; what was done is in {store.path}") from None
    return swept


def _keep(
    store: Store,
    swept: Swept,
    future: Future[tuple[Outcome, float]],
    cell: Cell,
    ran_by: str,
    files: Sequence[Path],
) -> None:
    outcome, seconds = future.result()
    store.put(cell, outcome, command=command(cell, files), seconds=seconds, version=ran_by)
    swept.ran += 1
    swept.faults += outcome.outcome == FAULT
    swept.outcomes.append((cell, outcome))


def _version(cell: Cell, names: frozenset[str], files: Sequence[Path]) -> str:
    """What runs a cell: its results depend on a user's files only where it names something of theirs."""
    return version_with(files) if names.intersection(map(str, cell.parameters.values())) else version()


@contextlib.contextmanager
def _on(executor: Executor | None, files: Sequence[Path], jobs: int) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    # Not by fork: whoever draws a progress bar has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(tuple(files),)) as pool:
        yield pool


def _begin(files: tuple[Path, ...]) -> None:
    # Ctrl-C reaches every process of the terminal; who runs cells ends the one in hand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loading.load(files)
