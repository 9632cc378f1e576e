"""The matrices by name, each in a module of its own that is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Final, cast

from .cell import LabError, Matrix

MATRICES: Final[dict[str, tuple[str, str]]] = {
    "headers": ("tools.lab.headers", "What each protection is worth: every field, by attack, by mode."),
    "space": ("tools.lab.space", "Which options fit where, and what more room for them buys."),
    "cooperation": ("tools.lab.cooperation", "A box with keys for headers: what it can do to each protection."),
    "cost": ("tools.lab.cost", "Octets, round trips and CPU time of each protection, to begin and to go on."),
    "paths": ("tools.lab.paths", "Every middlebox by every way of carrying options and policy."),
    "questions": (
        "tools.lab.questions",
        "Crossed SYNs, option numbers, floods, changes of level, what a socket sees.",
    ),
}
"""For each name the module, whose ``MATRIX`` it is, and what the command's help says."""


def find(name: str) -> Matrix:
    """The matrix of this name. Raises LabError, one line with all names."""
    try:
        module, _ = MATRICES[name]
    except KeyError:
        raise LabError(f"{name!r} is not one of {', '.join(MATRICES)}") from None
    return cast(Matrix, importlib.import_module(module).MATRIX)
