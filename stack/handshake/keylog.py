"""Tells the stack's key log, where there is one, of the keys of a generation."""

from __future__ import annotations

from ao.keylog import LoggedKeys
from ao.schedule import Schedule
from ao.suite import Suite

from ..flow import Flow

_MASK = 0xFFFFFFFF


def log_keys(flow: Flow, schedule: Schedule, suite: Suite, flags: int, generation: int, *, is_a: bool) -> None:
    """``schedule`` has just been made and not been wiped; ``is_a``: this side is the active opener's (RFC 8547)."""
    log = flow.stack.keylog
    if log is None:
        return
    local, local_port, remote, remote_port = flow.key
    connection = flow.connection
    ends = ((local, local_port), (remote, remote_port))
    isns = (connection.iss & _MASK, connection.irs & _MASK)
    a, b = (0, 1) if is_a else (1, 0)
    log(LoggedKeys(ends[a], ends[b], isns[a], isns[b], generation, suite, flags, schedule.prk))
