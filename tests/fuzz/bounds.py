"""What a stack may hold at most, and that its account knows of all of it."""

from __future__ import annotations

from collections.abc import Iterable

from stack.host import Stack
from stack.listener import Listener
from stack.memory import PENDING_SYN
from stack.ports import Carrier


def bounded(victim: Stack, listener: Listener | None, flows: Iterable[Carrier]) -> None:
    """The account is right and within its limit, and every store within its bound.

    ``flows`` are all connections that the stack ever had, those that are over too.
    """
    held = sum(flow.connection.charged for flow in flows)
    held += victim.half_open.charged
    if listener is not None:
        held += sum(pending.charge for pending in listener._pending.values())
    held += PENDING_SYN * len(victim.passive.out_of_band._early._kept)
    fragments = victim._fragments
    held += sum(1024 + each.held + 128 * len(each.pieces) for each in fragments._datagrams.values())
    assert victim.memory.held == held <= victim.memory.limit, f"{held} octets, the account has {victim.memory.held}"
    assert fragments.held <= 1 << 20
    assert len(victim.flows) <= 8
    assert len(victim.half_open) <= victim.half_open.limit
    assert len(victim._alarms._heap) <= 2 * (len(victim.flows) + len(victim.half_open)) + 140
    for flow in victim.flows.values():
        connection = flow.connection
        assert connection.incoming.octets + connection.incoming.held <= connection.receive_buffer + 65536
        assert len(connection.scoreboard.records) <= 1100
        assert connection.snd_una <= connection.snd_nxt
