"""Store: all that was run, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .cell import FAULT, Cell, LabError, Matrix, Outcome, Value

_SCHEMA = """
CREATE TABLE IF NOT EXISTS matrices (name TEXT PRIMARY KEY, rows TEXT NOT NULL, columns TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    matrix TEXT NOT NULL, parameters TEXT NOT NULL, seed INTEGER NOT NULL, outcome TEXT NOT NULL,
    evidence TEXT NOT NULL, command TEXT NOT NULL, seconds REAL NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (matrix, parameters, seed)
);
"""
_PATIENCE = 30.0  # for another process that writes, seconds


@dataclass(frozen=True, slots=True)
class Run:
    """A cell that was run: ``seconds`` is how long it took, ``version`` what ran it, ``command`` repeats it."""

    matrix: str
    parameters: dict[str, Value]
    seed: int
    outcome: str
    evidence: dict[str, object]
    command: str
    seconds: float
    version: str


class Store:
    """The file at ``path``, made where it does not exist; closed by ``with``. Raises LabError, one line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Each write is kept at once, so that sweeps of several matrices may share the file; by a log, which
            # waits for the disk only now and then.
            self._db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;{_SCHEMA}")
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise LabError(f"{path}: {error}") from None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.close()

    def declare(self, matrix: Matrix) -> None:
        """Write down which parameters make the rows and columns of a matrix."""
        self._db.execute(
            "REPLACE INTO matrices VALUES (?, ?, ?)",
            (matrix.name, json.dumps(matrix.rows), json.dumps(matrix.columns)),
        )

    def matrices(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each matrix the parameters that make its rows, and its columns."""
        found = self._db.execute("SELECT name, rows, columns FROM matrices ORDER BY name")
        return {name: (tuple(json.loads(rows)), tuple(json.loads(columns))) for name, rows, columns in found}

    def put(self, cell: Cell, outcome: Outcome, *, command: str, seconds: float, version: str) -> None:
        """Keep a run, in the place of an earlier one of the same cell."""
        evidence = json.dumps(outcome.evidence)
        row = (cell.matrix, cell.key, cell.seed, outcome.outcome, evidence, command, seconds, version)
        self._db.execute("REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def done(self, matrix: str) -> dict[tuple[str, int], str]:
        """For each cell that was run without a fault, by key and seed, the version that ran it."""
        found = self._db.execute(
            "SELECT parameters, seed, version FROM runs WHERE matrix = ? AND outcome != ?", (matrix, FAULT)
        )
        return {(parameters, seed): version for parameters, seed, version in found}

    def runs(self, matrix: str | None = None) -> Iterator[Run]:
        """All runs, or those of one matrix, in the order in which their cells came first."""
        where, values = ("", ()) if matrix is None else (" WHERE matrix = ?", (matrix,))
        query = "SELECT matrix, parameters, seed, outcome, evidence, command, seconds, version FROM runs"
        for row in self._db.execute(f"{query}{where} ORDER BY rowid", values):
            name, parameters, seed, outcome, evidence, command, seconds, version = row
            yield Run(name, json.loads(parameters), seed, outcome, json.loads(evidence), command, seconds, version)
