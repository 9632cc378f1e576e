"""``--experiment FILE.py``: the options that a user's file declares."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import ModuleType

from edo.experiments import Experiment, check


class ExperimentFileError(ValueError):
    """The file cannot be run, or declares nothing; the message is one line."""


def load(path: Path) -> tuple[Experiment, ...]:
    """Run a user's Python file and return the experiments among its names, in their order.

    Raises ExperimentFileError, with the file and, where there is one, the line.
    """
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise ExperimentFileError(f"{path}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ExperimentFileError(f"{path}{line}: {' '.join(str(getattr(error, 'msg', error)).split())}") from None
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(code, module.__dict__)
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ExperimentFileError(f"{path}:{lines[-1] if lines else 1}: {text}") from None
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
