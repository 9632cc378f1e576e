"""Methods by name."""

from __future__ import annotations

from typing import Final

from edo.rivals.base import Method
from edo.rivals.extension import Edo
from edo.rivals.legacy import Legacy
from edo.rivals.syn_eos import SynEos

METHODS: Final[dict[str, Method]] = {method.name: method for method in (Legacy(), Edo(), SynEos())}
"""In the order in which tables list them."""


def register(method: Method) -> None:
    """Make ``method`` available under its name; raises ValueError if the name is taken."""
    if method.name in METHODS:
        raise ValueError(f"method {method.name!r} exists")
    METHODS[method.name] = method


def find(name: str) -> Method:
    """Return the method called ``name``; raises ValueError naming those that there are."""
    if name not in METHODS:
        raise ValueError(f"method {name!r} is not one of {', '.join(METHODS)}")
    return METHODS[name]
