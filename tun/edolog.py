"""A line a second and reason for signs of tampering on connections with EDO (draft-ietf-tcpm-tcp-edo, logging)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from edo.reasons import EdoDrop
from stack.host import Stack

from .droplog import DropWatcher, telling

_EVERY = 1.0
_WORDS: Final[dict[str, str]] = {
    EdoDrop.EDO_MISSING: "there is no Extension",
    EdoDrop.EDO_HEADER_LENGTH: "Header_Length cannot be",
    EdoDrop.EDO_SEGMENT_LENGTH: "Segment_Length is not the segment's",
    EdoDrop.MALFORMED_OPTION: "an option is malformed",
}

log = logging.getLogger("edotun.edo")


class EdoWatcher(DropWatcher):
    """What has been told already of one stack's drops on connections with EDO, and of peers left alone since."""

    __slots__ = ("_damaged",)

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, _WORDS, lambda _: "EDO")
        self._damaged = stack.counters["edo_damaged"]

    def count(self, reason: str) -> int:
        """How often it was counted; malformed options on connections without EDO are no matter of this log."""
        if reason == EdoDrop.MALFORMED_OPTION:
            return self._stack.counters["edo_malformed"]
        return super().count(reason)

    def lines(self) -> list[str]:
        """Drops since the last call, and where EDO was found damaged."""
        found = super().lines()
        more = self._stack.counters["edo_damaged"] - self._damaged
        if more:
            self._damaged += more
            latest = self._stack.peers.latest_edo_damage
            told = f"EDO: {more} connection{'s' if more > 1 else ''} damaged (edo_damaged)"
            found.append(
                told if latest is None else f"{told}: left alone for a while with {latest[0]}: {latest[1]}"
            )
        return found


def tell_tampering(stack: Stack, say: Callable[[str], object] = log.warning) -> AbstractAsyncContextManager[None]:
    """Inside, ``say`` gets a line for each reason for which segments were dropped, at most one a second."""
    return telling(EdoWatcher(stack), say, _EVERY)
