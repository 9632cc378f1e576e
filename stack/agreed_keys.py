"""The connections of a stack that agreed on their keys, and new keys for them on request (profile.md §7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from .ports import Carrier, FlowKey


class Connected(Protocol):
    """What has connections."""

    @property
    def flows(self) -> Mapping[FlowKey, Carrier]:
        """The connections."""

    def touch(self, flow: Carrier) -> None:
        """The flow may have output."""


def connections(stack: Connected, address: bytes | None = None) -> Iterator[Carrier]:
    """Connections with agreed keys, those with ``address`` (4 or 16 octets) if one is given."""
    for flow in tuple(stack.flows.values()):
        if flow.handshake.facts.generation is not None and address in (None, flow.key[2]):
            yield flow


def rekey(stack: Connected, address: bytes | None = None) -> list[Carrier]:
    """Have new keys agreed on for the connections of ``connections``; those on which that can be."""
    asked = [flow for flow in connections(stack, address) if flow.handshake.rekey()]
    for flow in asked:
        stack.touch(flow)
    return asked
