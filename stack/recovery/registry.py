"""Loss recovery algorithms by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .base import LossRecovery
from .newreno import NewReno
from .rack import Rack
from .sack6675 import Rfc6675

if TYPE_CHECKING:
    from ..tcb import Tcb

RECOVERIES: Final[dict[str, type[LossRecovery]]] = {"rack": Rack, "rfc6675": Rfc6675}


def register(name: str, recovery: type[LossRecovery]) -> None:
    """Make ``recovery`` available under ``name``; raises ValueError if the name is taken."""
    if name in RECOVERIES:
        raise ValueError(f"loss recovery {name!r} exists")
    RECOVERIES[name] = recovery


def find(name: str) -> type[LossRecovery]:
    """Return the algorithm called ``name``; raises ValueError naming those that there are."""
    if name not in RECOVERIES:
        raise ValueError(f"loss recovery {name!r} is not one of {', '.join(RECOVERIES)}")
    return RECOVERIES[name]


def make(tcb: Tcb) -> LossRecovery:
    """What recovers losses of this connection: the configured algorithm needs SACK, NewReno does without."""
    recovery = find(tcb.config.recovery)() if tcb.sack_ok else NewReno()
    recovery.start(tcb)
    return recovery
