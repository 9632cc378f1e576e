"""Files with a line for each generation of each connection's agreed keys.

A key log has what ``edotun decrypt`` needs to read everything; a box's keys are what a box on the path needs to
sign what it changes, and nothing that opens a payload.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from ao.boxkeys import BoxKey
from ao.keylog import LoggedKeys

from .errors import TunError

_OWNER_ONLY = 0o600


class _Lines:
    """Appends to ``path``, which only its owner may read once it is made here; TunError where it cannot be opened.

    Each line is in the file when the call returns. A disk that is full loses lines, not connections: ``failed``
    says why the last one was not written.
    """

    _what = "key log"

    def __init__(self, path: str | Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
        except OSError as error:
            raise TunError(f"cannot write {self._what} {path}: {error.strerror}", error.errno or 0) from None
        self._file: TextIO = os.fdopen(descriptor, "a", encoding="ascii", buffering=1)
        self.failed: str | None = None

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            self.failed = error.strerror

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as fault:
            self.failed = fault.strerror


class KeyLog(_Lines):
    """The secrets that all keys of a generation come from, in a file."""

    def __call__(self, keys: LoggedKeys) -> None:
        """Write one line."""
        self._write(keys.line() + "\n")


class BoxKeyLog(_Lines):
    """The traffic keys of MACs, and no others, in a file for a box that may sign (``ao.boxkeys``)."""

    _what = "box keys"

    def __call__(self, keys: LoggedKeys) -> None:
        """Write a line for each direction, in one piece."""
        self._write("".join(key.line() + "\n" for key in BoxKey.of(keys)))
