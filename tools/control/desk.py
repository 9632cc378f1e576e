"""What the control socket is asked about: each order goes to the part of the command that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ao.md5 import Md5Table
from ao.mkt import MktTable
from stack.host import Stack

from .agreed import AgreedKeys
from .fault import OrderFault
from .orders import Keys
from .peers import KnownPeers


class Clerk(Protocol):
    """Who carries out the orders about one thing."""

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Do what ``order`` says; raises OrderFault."""


class Desk:
    """Every subject of a running command; ``about`` in an order names one, keys where it names none."""

    def __init__(self, **clerks: Clerk) -> None:
        self._clerks = clerks

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Have an order carried out; raises OrderFault."""
        about = order.get("about", "keys")
        clerk = self._clerks.get(about) if isinstance(about, str) else None
        if clerk is None:
            raise OrderFault(f"{about!r} is not one of {', '.join(self._clerks)}")
        return clerk.carry_out(order)


def desk(
    stack: Stack,
    tables: Mapping[str, MktTable],
    wake: Callable[[], None],
    now: Callable[[], float],
    legacy: Mapping[str, Md5Table] | None = None,
) -> Desk:
    """What a command is asked about: configured keys (tables as ``Keys`` has them), agreed ones, its memory.

    ``now`` is the stack's clock.
    """
    return Desk(
        keys=Keys(stack, tables, wake, legacy or {}), peers=KnownPeers(stack, now), agreed=AgreedKeys(stack, wake)
    )
