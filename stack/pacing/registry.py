"""Pacers by name."""

from __future__ import annotations

from typing import Final

from .base import Pacer
from .even import Even
from .quantum import Quantum

# What stands in a configuration for none: then only controllers that cannot do without are paced, by the default.
OFF: Final = "off"
DEFAULT: Final = "quantum"
PACERS: Final[dict[str, type[Pacer]]] = {DEFAULT: Quantum, "even": Even}


def register(name: str, pacer: type[Pacer]) -> None:
    """Make ``pacer`` available under ``name``; raises ValueError if the name is taken."""
    if name in PACERS or name == OFF:
        raise ValueError(f"pacer {name!r} exists")
    PACERS[name] = pacer


def find(name: str) -> type[Pacer]:
    """Return the pacer called ``name``; raises ValueError naming those that there are."""
    if name not in PACERS:
        raise ValueError(f"pacer {name!r} is not one of {', '.join([OFF, *PACERS])}")
    return PACERS[name]
