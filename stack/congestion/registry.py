"""Congestion controllers by name."""

from __future__ import annotations

from typing import Final

from .base import CongestionControl
from .bbr import Bbr
from .cubic import Cubic
from .cubic_linux import CubicLinux
from .reno import Reno

CONTROLLERS: Final[dict[str, type[CongestionControl]]] = {
    "cubic": Cubic,
    "reno": Reno,
    "bbr": Bbr,
    "cubic-linux": CubicLinux,
}


def register(name: str, controller: type[CongestionControl]) -> None:
    """Make ``controller`` available under ``name``; raises ValueError if the name is taken."""
    if name in CONTROLLERS:
        raise ValueError(f"congestion controller {name!r} exists")
    CONTROLLERS[name] = controller


def find(name: str) -> type[CongestionControl]:
    """Return the controller called ``name``; raises ValueError naming those that there are."""
    if name not in CONTROLLERS:
        raise ValueError(f"congestion controller {name!r} is not one of {', '.join(CONTROLLERS)}")
    return CONTROLLERS[name]
