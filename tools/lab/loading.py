"""``--with FILE.py``: attacks, protections and boxes of a user's file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from ..attacks.registry import ATTACKS
from ..boxes.registry import BOXES
from ..registry import Registry
from ..userfile import UserFileError, run_file
from .cell import LabError
from .protections import PROTECTIONS

REGISTRIES: Final[tuple[Registry[object], ...]] = (ATTACKS, BOXES, PROTECTIONS)  # type: ignore[assignment]
"""Where files register what they declare, by ``edotun.attack`` and the like."""

_loaded: dict[Path, frozenset[str]] = {}


def load(paths: Iterable[Path]) -> frozenset[str]:
    """Run the files that this process has not run yet; the names that all of them registered.

    Raises LabError, one line, for a file that cannot be run, declares nothing, or a name that is taken.
    """
    names: set[str] = set()
    for path in paths:
        whole = path.resolve()
        if whole not in _loaded:
            _loaded[whole] = _run(path)
        names |= _loaded[whole]
    return frozenset(names)


def _run(path: Path) -> frozenset[str]:
    before = {id(registry): set(registry) for registry in REGISTRIES}
    try:
        run_file(path)
    except UserFileError as error:
        raise LabError(f"--with: {error}") from None
    found = frozenset(name for registry in REGISTRIES for name in set(registry) - before[id(registry)])
    if not found:
        raise LabError(f"--with: {path}: it declares no {_either([one.what for one in REGISTRIES])}")
    return found


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]} (edotun.{words[0]} and the like)"
