"""Neighbours among received segments are joined to one run where nothing tells them apart."""

from __future__ import annotations

from typing import Final

from .run import ACK, PSH, Run, same_clock

_NOT_PSH: Final = ~PSH
# No run grows beyond this many octets: a batch of 64 segments of an Ethernet's size is one run, and half of what
# a buffer that grows by itself begins with.
_LIMIT: Final = 1 << 17


def add(runs: list[Run], last: Run | None, run: Run) -> Run | None:
    """Join a received run to ``last``, the one before it, or append it to ``runs``.

    Returns the run that the next may join, None where that must not be: a pure ACK is never merged, since each may
    be a duplicate that counts (RFC 5681 §3.2).
    """
    alone = run.flags & _NOT_PSH != ACK or not run.length or run.options.sack
    if (
        last is not None
        and not alone
        and last.seq + last.length == run.seq
        and run.ack == last.ack
        and run.window == last.window
        and run.cipher is last.cipher
        and run.ecn == last.ecn
        and last.length + run.length <= _LIMIT
        and same_clock(last.options, run.options)
    ):
        last.payload.extend(run.payload)  # type: ignore[attr-defined]  # a list, as that of every received run
        last.length += run.length
        last.segments += run.segments
        last.flags |= run.flags
        return last
    runs.append(run)
    return None if alone else run


def room(last: Run, octets: int) -> int:
    """How many segments of ``octets`` each (>= 1) ``add`` would join to ``last``."""
    return max(_LIMIT - last.length, 0) // octets
