"""A line a second and reason for what authentication dropped: it names the peer and never a key (RFC 5925 §7.5).

The stack counts and says nothing. Once a second the counters are compared with those of a second ago, so a flood
costs no more lines than a single segment, and nothing at all on a packet's way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from ao.reasons import AoDrop
from stack.host import Stack
from stack.ip import address_text
from stack.ports import FlowKey

_EVERY = 1.0
_WORDS: Final = {
    AoDrop.ao_bad_mac: "the MAC is wrong",
    AoDrop.ao_bad_length: "the option or the MAC has a wrong length",
    AoDrop.ao_key_not_found: "no key has this KeyID",
    AoDrop.ao_required: "there is no TCP-AO, and it is required",
    AoDrop.ao_md5_conflict: "TCP-AO and TCP-MD5 stand together",
    AoDrop.md5_bad: "the digest is wrong",
    AoDrop.md5_required: "there is no digest, and it is required",
    AoDrop.md5_unexpected: "there is a digest, and no key for this peer",
    "icmp_ignored": "ICMP errors are not believed (accept_icmps)",
}

log = logging.getLogger("edotun.ao")


class Watcher:
    """What has been told already of one stack's drops."""

    __slots__ = ("_flows", "_seen", "_stack")

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._seen = {reason: stack.drops[reason] for reason in _WORDS}
        self._flows: dict[FlowKey, Mapping[str, int]] = {}

    def lines(self) -> list[str]:
        """What was dropped since the last call: a line for each reason, with the peer of which most was dropped."""
        drops = self._stack.drops
        grown = {reason: drops[reason] - n for reason, n in self._seen.items() if drops[reason] > n}
        if not grown:
            return []
        before = self._flows
        self._flows = {key: dict(flow.drops) for key, flow in self._stack.flows.items() if flow.drops}
        self._seen.update((reason, drops[reason]) for reason in grown)
        return [
            f"{_option(reason)}: {n} dropped, {_WORDS[reason]} ({reason}){self._peer(reason, before)}"
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
        return f": {_end(remote, remote_port)} to {_end(local, local_port)}"


def _option(reason: str) -> str:
    return "TCP-MD5" if reason.startswith("md5") else "TCP-AO"


def _end(address: bytes, port: int) -> str:
    text = address_text(address)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


@contextlib.asynccontextmanager
async def tell_drops(stack: Stack, say: Callable[[str], object] = log.warning) -> AsyncIterator[None]:
    """Inside, ``say`` gets a line for each reason for which segments were dropped, at most one a second."""
    task = asyncio.ensure_future(_watch(Watcher(stack), say))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch(watcher: Watcher, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(_EVERY)
        for line in watcher.lines():
            say(line)
