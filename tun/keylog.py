"""A key log: a file with a line for each generation of each connection's agreed keys, for ``edotun decrypt``."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TextIO

from ao.keylog import LoggedKeys

from .errors import TunError

_OWNER_ONLY = 0o600


class KeyLog:
    """Appends to ``path``, which only its owner may read once it is made here; TunError where it cannot be opened.

    Each line is in the file when the call returns. A disk that is full loses lines, not connections: ``failed``
    says why the last one was not written.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
        except OSError as error:
            raise TunError(f"cannot write key log {path}: {error.strerror}", error.errno or 0) from None
        self._file: TextIO = os.fdopen(descriptor, "a", encoding="ascii", buffering=1)
        self.failed: str | None = None

    def __call__(self, keys: LoggedKeys) -> None:
        """Write one line."""
        try:
            self._file.write(keys.line() + "\n")
        except OSError as error:
            self.failed = error.strerror

    def __enter__(self) -> KeyLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as fault:
            self.failed = fault.strerror
