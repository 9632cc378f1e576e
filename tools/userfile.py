"""A user's Python file, run for what it declares; what is wrong with it is told in one line."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import ModuleType


class UserFileError(ValueError):
    """The file cannot be read or run; the message is one line with the file and, where there is one, the line."""


def run_file(path: Path) -> ModuleType:
    """Run the file and return it as a module. Raises UserFileError."""
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise UserFileError(f"{path}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UserFileError(f"{path}{line}: {' '.join(str(getattr(error, 'msg', error)).split())}") from None
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(code, module.__dict__)
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserFileError(f"{path}:{lines[-1] if lines else 1}: {text}") from None
    return module
