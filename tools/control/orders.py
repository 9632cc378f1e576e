"""The keys of a running command over the control socket; secrets cross it in hexadecimal, and one way only."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ao.ends import endpoint
from ao.md5 import Md5Table
from ao.mkt import Mkt, MktConflict, MktTable
from stack import ao_counters, rollover
from stack.handshake.md5 import Md5Protection
from stack.host import Stack

from .fault import OrderFault
from .rows import mkt_of, row_of, row_of_md5


class Keys:
    """The keys of a running command: its stack, and its tables by a gateway's forward or one name.

    ``wake`` is called when there is something to send. ``legacy`` are tables of TCP-MD5, whose keys are listed and
    do not change.
    """

    def __init__(
        self,
        stack: Stack,
        tables: Mapping[str, MktTable],
        wake: Callable[[], None],
        legacy: Mapping[str, Md5Table] | None = None,
    ) -> None:
        self._stack = stack
        self._tables = dict(tables)
        self._legacy = dict(legacy or {})
        self._wake = wake

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Do what ``order`` says; raises OrderFault."""
        match order.get("do"):
            case "list":
                rows = [row for forward, table in self._tables.items() for row in self._list(forward, table)]
                rows += [row for forward, keys in self._legacy.items() for row in self._list_md5(forward, keys)]
                return {"keys": rows}
            case "status":
                return self._status()
            case "add":
                return self._add(order)
            case "rotate":
                forward, table, mkt = self._named(order)
                if not mkt.lifetime.accepts(table.at):
                    raise OrderFault(f"key {mkt.name!r} is not accepted now (accept_from, accept_until)")
                asked = rollover.rotate(self._stack, table, mkt, sign=bool(order.get("sign")))
                self._wake()
                return {"key": mkt.name, "asked": asked, **self._progress(table, mkt)}
            case "progress":
                forward, table, mkt = self._named(order)
                return {"key": mkt.name, **self._progress(table, mkt)}
            case "remove":
                forward, table, mkt = self._named(order)
                try:
                    if order.get("check"):
                        rollover.demand_unused(self._stack, table, mkt)
                    else:
                        rollover.remove(self._stack, table, mkt)
                except rollover.InUse as fault:
                    raise OrderFault(f"{fault}: rotate to another first") from None
                return {"key": mkt.name, "forward": forward}
            case other:
                raise OrderFault(f"{other!r} is not one of list, status, add, rotate, progress, remove")

    def _list(self, forward: str, table: MktTable) -> list[dict[str, object]]:
        rows = []
        for mkt in table:
            row = row_of(mkt)
            signing = sum(
                ring.current.recv_id == mkt.recv_id and ring.current.send_id == mkt.send_id
                for _, _, ring in rollover.rings(self._stack, table)
            )
            rows.append(
                {
                    "forward": forward,
                    **row,
                    "sends": mkt.lifetime.sends(table.at),
                    "accepts": mkt.lifetime.accepts(table.at),
                    "connections": signing,
                }
            )
        return rows

    def _list_md5(self, forward: str, table: Md5Table) -> Iterator[dict[str, object]]:
        for key in table:
            signing = sum(
                isinstance(flow.protection, Md5Protection) and flow.protection.key is key
                for flow in self._stack.flows.values()
            )
            yield {"forward": forward, **row_of_md5(key), "sends": True, "accepts": True, "connections": signing}

    def _status(self) -> dict[str, object]:
        connections = []
        for forward, table in self._tables.items():
            for flow, protection, ring in rollover.rings(self._stack, table):
                names = {mkt.recv_id: mkt.name for mkt in table.matching(protection.pair)}
                pair = protection.pair
                connections.append(
                    {
                        "forward": forward,
                        "local": endpoint(str(ipaddress.ip_address(pair.local)), pair.local_port),
                        "peer": endpoint(str(ipaddress.ip_address(pair.remote)), pair.remote_port),
                        "current": names.get(ring.current.recv_id),
                        "rnext": names.get(ring.rnext.recv_id),
                        "heard": None if ring.heard is None else names.get(ring.heard.recv_id),
                        "heard_rnext": None if ring.heard_rnext < 0 else ring.heard_rnext,
                        "ao": ao_counters.of_connection(flow),
                        "keys": {
                            names.get(recv_id, str(recv_id)): counts
                            for recv_id, counts in ao_counters.of_keys(flow).items()
                        },
                    }
                )
        return {"connections": connections, "ao": ao_counters.of_stack(self._stack)}

    def _add(self, order: Mapping[str, Any]) -> dict[str, object]:
        forward, table = self._table(order.get("forward"))
        try:
            mkt = mkt_of(order.get("key"))
            taken = rollover.add(self._stack, table, mkt)
        except MktConflict as conflict:
            raise OrderFault(str(conflict)) from None
        except ValueError as fault:
            raise OrderFault(str(fault)) from None
        return {"key": mkt.name, "forward": forward, "connections": taken}

    def _table(self, forward: object) -> tuple[str, MktTable]:
        if forward is None and len(self._tables) == 1:
            return next(iter(self._tables.items()))
        if not isinstance(forward, str) or forward not in self._tables:
            known = ", ".join(self._tables) or "none"
            raise OrderFault(f"name the forward whose keys are meant (there are: {known})")
        return forward, self._tables[forward]

    def _named(self, order: Mapping[str, Any]) -> tuple[str, MktTable, Mkt]:
        """The key that an order names, in the one table that has it."""
        name = order.get("key")
        tables = self._tables.items() if order.get("forward") is None else [self._table(order.get("forward"))]
        found = [(forward, table, mkt) for forward, table in tables for mkt in table if mkt.name == name]
        if not found and any(key.name == name for legacy in self._legacy.values() for key in legacy):
            raise OrderFault(f"key {name!r} is one of TCP-MD5, which does not change while the command runs")
        if not found:
            raise OrderFault(f"there is no key {name!r}")
        if len(found) > 1:
            raise OrderFault(f"{len(found)} keys are called {name!r}: give them names, or name the forward")
        return found[0]

    def _progress(self, table: MktTable, mkt: Mkt) -> dict[str, int]:
        """Of the connections that may use a key: how many sign under it, and of how many the peer does."""
        signing = following = of = 0
        for _, _, ring in rollover.rings(self._stack, table):
            key = ring.find(mkt.recv_id)
            if key is not None and key.send_id == mkt.send_id:
                of += 1
                signing += ring.current is key
                following += ring.heard is key
        return {"connections": of, "signing": signing, "following": following}
