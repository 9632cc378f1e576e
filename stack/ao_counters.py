"""TCP-AO's counters as Linux has them: of a key, of a connection, of the stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from ao.reasons import AoDrop

from .ports import Carrier, FlowKey


class Counting(Protocol):
    """What of a stack is counted: its connections, those that ended (``keep``), and drops of no connection."""

    drops: Counter[str]
    counters: Counter[str]

    @property
    def flows(self) -> Mapping[FlowKey, Carrier]:
        """The connections."""


NAMES = ("good", "bad", "key_not_found", "required", "dropped_icmp")


def of_connection(flow: Carrier) -> dict[str, int]:
    """Segments received: MAC ``good``; ``bad`` or of a wrong length; no such key; no MAC; and ICMP errors ignored.

    RFC 5925 §7.5 wants silent discards to be readable; names and meaning are those of Linux's TCP_AO_INFO.
    """
    tallies = flow.protection.tallies.values()
    drops = flow.drops
    return {
        "good": sum(tally.good for tally in tallies),
        "bad": sum(tally.bad for tally in tallies) + drops[AoDrop.ao_bad_length],
        "key_not_found": drops[AoDrop.ao_key_not_found],
        "required": drops[AoDrop.ao_required] + drops[AoDrop.clear_segment],
        "dropped_icmp": drops["icmp_ignored"],
    }


def of_keys(flow: Carrier) -> dict[int, dict[str, int]]:
    """The same of each key that verified anything, by its RecvID."""
    return {recv_id: {"good": tally.good, "bad": tally.bad} for recv_id, tally in flow.protection.tallies.items()}


def keep(flow: Carrier, counters: Counter[str]) -> None:
    """Add what a connection that ends has counted to ``counters``, under names with "ao_"."""
    if flow.protection.tallies:
        for name, n in of_connection(flow).items():
            counters["ao_" + name] += n


def of_stack(stack: Counting) -> dict[str, int]:
    """The sums of all connections, ended ones too, and of segments that came to none (Linux: TCPAOGood, ...)."""
    sums = Counter({name: stack.counters["ao_" + name] for name in NAMES})
    for flow in stack.flows.values():
        sums.update(of_connection(flow))
    drops = stack.drops
    sums["bad"] += drops[AoDrop.ao_bad_mac] + drops[AoDrop.ao_bad_length]
    sums["key_not_found"] += drops[AoDrop.ao_key_not_found]
    sums["required"] += drops[AoDrop.ao_required]
    return {name: sums[name] for name in NAMES}
