"""A line a second and reason for what a stack dropped: it names the peer, and never a key.

The stack counts and says nothing. Once a second the counters are compared with those of a second ago, so a flood
costs no more lines than a single segment, and nothing at all on a packet's way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from ao.ends import endpoint
from stack.host import Stack
from stack.ports import FlowKey


class Telling(Protocol):
    """What has something to tell now and then."""

    def lines(self) -> list[str]:
        """What there is to tell since the last call."""


class DropWatcher:
    """What has been told already of one stack's drops, of the reasons in ``words``; ``label`` begins a line."""

    __slots__ = ("_flows", "_label", "_seen", "_stack", "_words")

    def __init__(self, stack: Stack, words: Mapping[str, str], label: Callable[[str], str]) -> None:
        self._stack = stack
        self._words = words
        self._label = label
        self._seen = {reason: self.count(reason) for reason in words}
        self._flows: dict[FlowKey, Mapping[str, int]] = {}

    def count(self, reason: str) -> int:
        """How often it was counted so far."""
        return self._stack.drops[reason]

    def lines(self) -> list[str]:
        """What was dropped since the last call: a line for each reason, with the peer of which most was dropped."""
        grown = {reason: more for reason, n in self._seen.items() if (more := self.count(reason) - n) > 0}
        if not grown:
            return []
        before = self._flows
        self._flows = {key: dict(flow.drops) for key, flow in self._stack.flows.items() if flow.drops}
        for reason, more in grown.items():
            self._seen[reason] += more
        return [
            f"{self._label(reason)}: {n} dropped, {self._words[reason]} ({reason}){self._peer(reason, before)}"
            for reason, n in grown.items()
        ]

    def _peer(self, reason: str, before: Mapping[FlowKey, Mapping[str, int]]) -> str:
        """Where most came from, as the end of a line; the last refused SYN's peer where no connection had any."""
        most: FlowKey | None = None
        n = 0
        for key, counts in self._flows.items():
            more = counts.get(reason, 0) - before.get(key, {}).get(reason, 0)
            if more > n:
                most, n = key, more
        if most is None:
            most = self._stack.passive.refused.get(reason)
        if most is None:
            return ""
        local, local_port, remote, remote_port = most
        return f": {endpoint(remote, remote_port)} to {endpoint(local, local_port)}"


@contextlib.asynccontextmanager
async def telling(watcher: Telling, say: Callable[[str], object], every: float) -> AsyncIterator[None]:
    """Inside, ``say`` gets what ``watcher`` has to tell, ``every`` so many seconds, and at the end."""
    task = asyncio.ensure_future(_watch(watcher, say, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for line in watcher.lines():
            say(line)


async def _watch(watcher: Telling, say: Callable[[str], object], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        for line in watcher.lines():
            say(line)
