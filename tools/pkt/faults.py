"""What may be wrong with a script, and where."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A place in a script; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ScriptFault(Exception):
    """Base of what stops a script; ``place`` says where, ``reason`` why, in one line."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Refused(ScriptFault):
    """The script uses what is not understood or not there: nothing is said about the stack."""


class Failed(ScriptFault):
    """The stack did something else than the script expects; ``expected`` and ``actual`` where they can be told."""

    def __init__(self, place: Place, reason: str, expected: str | None = None, actual: str | None = None) -> None:
        super().__init__(place, reason)
        self.expected = expected
        self.actual = actual
