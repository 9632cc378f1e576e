"""Keychains on time: tells tables of keys what time it is, and their connections to change keys (RFC 5925 §3.1)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from ao.lifetime import ALWAYS
from ao.mkt import MktTable
from stack import rollover
from stack.host import Stack

# The clock is looked at so often at least, seconds: it may be set, and keys may be added.
_AT_LEAST = 5.0


@contextlib.asynccontextmanager
async def keep_time(
    stack: Stack, tables: Sequence[MktTable], wake: Callable[[], None], clock: Callable[[], float] = time.time
) -> AsyncIterator[None]:
    """Inside, keys of ``tables`` begin and cease to serve on time; ``clock`` gives seconds since 1970.

    ``wake`` is called when there may be something to send.
    """
    for table in tables:
        rollover.keep_time(stack, table, clock())
    wake()
    task = asyncio.ensure_future(_follow(stack, tables, wake, clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(
    stack: Stack, tables: Sequence[MktTable], wake: Callable[[], None], clock: Callable[[], float]
) -> None:
    known = [tuple(table) for table in tables]
    while True:
        change = min(table.next_change for table in tables)
        await asyncio.sleep(min(max(change - clock(), 0.0), _AT_LEAST))
        now = clock()
        changed = False
        for index, table in enumerate(tables):
            keys = tuple(table)
            table.at = now
            # Of keys without bounds time changes nothing, and all connections would be gone through.
            if keys != known[index] or any(mkt.lifetime != ALWAYS for mkt in keys):
                known[index] = keys
                rollover.keep_time(stack, table, now)
                changed = True
        if changed:
            wake()
