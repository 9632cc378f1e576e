"""An asyncio event loop whose clock jumps: nothing waits in real time but what a descriptor has not got yet."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(10)
            assert ready, "nothing will ever happen"
            return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop, with what went to its exception handler in ``problems``."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.problems: list[dict[str, Any]] = []
        self.set_exception_handler(lambda loop, context: self.problems.append(context))

    def time(self) -> float:
        return self._virtual.now


def run(main: Coroutine[Any, Any, None]) -> VirtualLoop:
    """Run ``main`` to its end on a new loop and return the loop, closed."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main)
    finally:
        loop.close()
    return loop
