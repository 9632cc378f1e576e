"""What a running command remembers of its peers: seen and forgotten over the control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stack.host import Stack
from stack.ip import address_octets

from .fault import OrderFault


class KnownPeers:
    """The memory of one stack, all kinds of it (``stack.peers``); ``now`` is the stack's clock."""

    def __init__(self, stack: Stack, now: Callable[[], float]) -> None:
        self._stack = stack
        self._now = now

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Do what ``order`` says; raises OrderFault."""
        match order.get("do"):
            case "list":
                return {"peers": list(self._stack.peers.rows(self._now()))}
            case "forget":
                return {"forgotten": self._forget(order.get("peer"), order.get("kind"))}
            case other:
                raise OrderFault(f"{other!r} is not one of list, forget")

    def _forget(self, peer: object, kind: object) -> int:
        try:
            address = None if peer is None else address_octets(str(peer))
            return self._stack.peers.forget(address, None if kind is None else str(kind))
        except ValueError as fault:
            raise OrderFault(str(fault)) from None
