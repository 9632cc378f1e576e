"""Keys that change while connections live: added, asked for, signed under, retired (RFC 5925 §3.1, §7.5).

All functions work on the connections of one table. What TCP-AO leaves to management is here: the protocol itself
never changes which key is asked for, and follows what the peer asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ao.keys import Key, KeyRing
from ao.mkt import Mkt, MktTable

from .handshake.configured import ConfiguredProtection
from .ports import Carrier, FlowKey
from .states import State

# Nothing is to be sent or read in these any more.
_ENDING = frozenset((State.CLOSING, State.LAST_ACK, State.TIME_WAIT))


class InUse(ValueError):
    """A key that signs, or is asked for, on ``connections`` of them."""

    def __init__(self, mkt: Mkt, connections: int) -> None:
        super().__init__(f"key {mkt.name!r} is in use on {connections} connection{'s' if connections > 1 else ''}")
        self.connections = connections


class Connected(Protocol):
    """What has connections."""

    now: float

    @property
    def flows(self) -> Mapping[FlowKey, Carrier]:
        """The connections."""

    def touch(self, flow: Carrier) -> None:
        """The flow may have output."""


def rings(stack: Connected, table: MktTable) -> Iterator[tuple[Carrier, ConfiguredProtection, KeyRing]]:
    """The connections under keys of ``table`` that somebody uses: both ISNs are known, and it is not closed.

    One that only waits for its end keeps the keys that it has.
    """
    for flow in tuple(stack.flows.values()):
        protection = flow.protection
        if isinstance(protection, ConfiguredProtection) and protection.table is table:
            ring = protection.ring
            connection = flow.connection
            if ring is not None and not (flow.over or connection.read_closed or connection.state in _ENDING):
                yield flow, protection, ring


def add(stack: Connected, table: MktTable, mkt: Mkt) -> int:
    """Take a key, for connections that stand too; how many may use it now.

    Raises MktConflict where its ids are another's, ValueError where a standing connection has such an id.
    """
    table.add(mkt)
    taken = 0
    for _, protection, _ in rings(stack, table):
        if mkt.matches(protection.pair):
            protection.add(mkt)
            taken += 1
    return taken


def rotate(stack: Connected, table: MktTable, mkt: Mkt, *, sign: bool = False) -> int:
    """Ask the peers for ``mkt``; with ``sign`` begin to sign under it as well. How many connections.

    The request goes at once (RFC 5925 §7.5.2), by a segment that draws an acknowledgment; a peer that has the key
    signs it under that. To sign before the peer asks for the key is right where it is known to have it.
    """
    asked = 0
    for flow, _, ring in rings(stack, table):
        key = ring.find(mkt.recv_id)
        if key is None or key.send_id != mkt.send_id:
            continue
        asked += 1
        if ring.rnext is key and (not sign or ring.current is key):
            continue
        ring.ask_for(mkt.recv_id)
        if sign:
            ring.sign_under(mkt.send_id)
        flow.connection.probe(stack.now)
        stack.touch(flow)
    return asked


def remove(stack: Connected, table: MktTable, mkt: Mkt) -> None:
    """Retire a key: from now on nothing verifies under it.

    Raises KeyError where the table does not have it, InUse while it signs or is asked for somewhere.
    """
    demand_unused(stack, table, mkt)
    table.remove(mkt)
    _forget(stack, table, mkt)


def demand_unused(stack: Connected, table: MktTable, mkt: Mkt) -> None:
    """Raise InUse while a key signs or is asked for somewhere."""
    users = sum(_uses(ring, mkt) for _, _, ring in rings(stack, table))
    if users:
        raise InUse(mkt, users)


def _uses(ring: KeyRing, mkt: Mkt) -> bool:
    return any(_is(key, mkt) for key in (ring.current, ring.rnext))


def _is(key: Key, mkt: Mkt) -> bool:
    return (key.send_id, key.recv_id) == (mkt.send_id, mkt.recv_id)


def _forget(stack: Connected, table: MktTable, mkt: Mkt) -> None:
    for _, _, ring in rings(stack, table):
        key = ring.find(mkt.recv_id)
        if key is not None and _is(key, mkt) and not _uses(ring, mkt):
            ring.remove(mkt.recv_id)


def keep_time(stack: Connected, table: MktTable, at: float) -> None:
    """It is ``at``, seconds since 1970: keys whose intervals began or ended begin or cease to serve.

    A connection signs under, and asks for, what a new one would begin with. A key that is not accepted any more
    is forgotten, unless it is the only one that the peer has shown to have: a connection is not cut off.
    """
    table.at = at
    for flow, protection, ring in rings(stack, table):
        for mkt in table.matching(protection.pair):
            if mkt.lifetime.accepts(at) and ring.find(mkt.recv_id) is None:
                protection.add(mkt)
        best = table.outgoing(protection.pair)
        key = None if best is None else ring.find(best.recv_id)
        if key is not None and (ring.rnext is not key or ring.current is not key):
            # Both ends go by the clock; until the peer asks for the new key it may draw this side back once more.
            ring.ask_for(key.recv_id)
            ring.sign_under(key.send_id)
            flow.connection.probe(stack.now)
            stack.touch(flow)
    for mkt in table:
        if not mkt.lifetime.accepts(at):
            _forget(stack, table, mkt)
