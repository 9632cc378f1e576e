"""``--experiment FILE.py``: the options that a user's file declares."""

from __future__ import annotations

from pathlib import Path

from edo.experiments import Experiment, check

from .userfile import UserFileError, run_file


class ExperimentFileError(ValueError):
    """The file cannot be run, or declares nothing; the message is one line."""


def load(path: Path) -> tuple[Experiment, ...]:
    """Run a user's Python file and return the experiments among its names, in their order.

    Raises ExperimentFileError, with the file and, where there is one, the line.
    """
    try:
        module = run_file(path)
    except UserFileError as error:
        raise ExperimentFileError(str(error)) from None
    found = tuple(value for value in vars(module).values() if isinstance(value, Experiment))
    if not found:
        raise ExperimentFileError(f"{path}: it declares no experiment (edotun.experiment)")
    return found


def load_all(paths: list[Path]) -> tuple[Experiment, ...]:
    """The experiments of several files; raises ExperimentFileError, for two of one name or number too."""
    found = tuple(one for path in paths for one in load(path))
    try:
        check(found)
    except ValueError as error:
        raise ExperimentFileError(str(error)) from None
    return found
