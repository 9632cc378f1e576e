"""Connections with agreed keys: listed, and given new keys, over the control socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ao.ends import endpoint
from stack import agreed_keys
from stack.host import Stack
from stack.ip import address_octets, address_text
from stack.ports import Carrier

from .fault import OrderFault


class AgreedKeys:
    """The connections of one stack that agreed on keys; ``wake`` is called when there is something to send."""

    def __init__(self, stack: Stack, wake: Callable[[], None]) -> None:
        self._stack = stack
        self._wake = wake

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Do what ``order`` says; raises OrderFault."""
        try:
            peer = None if order.get("peer") is None else address_octets(str(order["peer"]))
        except ValueError as fault:
            raise OrderFault(str(fault)) from None
        match order.get("do"):
            case "list":
                return {"connections": _rows(agreed_keys.connections(self._stack, peer))}
            case "rekey":
                before = len(list(agreed_keys.connections(self._stack, peer)))
                asked = _rows(agreed_keys.rekey(self._stack, peer))
                self._wake()
                return {"of": before, "asked": asked}
            case other:
                raise OrderFault(f"{other!r} is not one of list, rekey")


def _rows(flows: Iterable[Carrier]) -> list[dict[str, object]]:
    return [
        {
            "local": endpoint(address_text(flow.key[0]), flow.key[1]),
            "peer": endpoint(address_text(flow.key[2]), flow.key[3]),
            "generation": flow.handshake.facts.generation,
        }
        for flow in flows
    ]
