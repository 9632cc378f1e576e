"""What is measured: the rows of the benchmark, each with what stands beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from ao.macs import MACS

from .echo import FEW, MEDIAN, P99, WAYS, Cost, RoundTrip
from .idle import CONNECTIONS, Memory
from .measures import BARE, BBR, KERNEL, MAC, STACK, Measure, Openings, Transfer

GIGABITS: Final = "Gbit/s"
PER_SECOND: Final = "handshakes/CPU s"
GOODPUT, HANDSHAKES, ROUND_TRIPS, COST, MEMORY = "goodput", "handshakes", "round-trips", "echoes", "memory"
GROUPS: Final = {
    GOODPUT: "Goodput, Gbit/s",
    HANDSHAKES: "Handshakes a second of CPU time of the stack's process",
    ROUND_TRIPS: "Round-trip time of an echo of one octet, us",
    COST: "CPU time of an echo at the end that accepted, us, beside the same with few connections open",
    MEMORY: "Memory of an idle connection, octets resident",
}
MODES: Final = ("none", "ao", "ao-enc-dh")
MTUS: Final = (1500, 9000, 65_535)
AO_MACS: Final = ("aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha256-128", "kmac256-128")
KERNEL_TO_KERNEL: Final = Transfer(KERNEL, KERNEL)
OFFLOADS_OFF: Final = replace(KERNEL_TO_KERNEL, offloads=False)
KERNEL_MD5: Final = Transfer(KERNEL, KERNEL, "md5")
TLS: Final = Transfer(KERNEL, KERNEL, "tls")


@dataclass(frozen=True, slots=True)
class Work:
    """One row: ``ours`` beside ``base`` and the ``bare`` loop; one of the kernel's alone has ``bbr`` beside it.

    ``group`` is a key of GROUPS. Works that follow each other in one ``session`` use the same connections.
    """

    name: str
    mtu: int
    unit: str
    group: str
    ours: Measure | None = None
    base: Measure | None = None
    bare: Measure | None = None
    bbr: Measure | None = None
    session: str = ""

    @property
    def measures(self) -> tuple[tuple[str, Measure], ...]:
        """Everything of a round by its column, so that ours has its base before it and the bare loop behind it."""
        columns = (("base", self.base), ("ours", self.ours), ("bare", self.bare), ("bbr", self.bbr))
        return tuple((name, measure) for name, measure in columns if measure is not None)


def fastest_mac(octets: int, rounds: int = 5) -> str:
    """The MAC that takes least CPU time over a segment of ``octets``, by a few hundred of each here and now."""
    message = bytes(octets)

    def cost(name: str) -> float:
        algorithm = MACS[name]
        mac = algorithm.prepare(os.urandom(algorithm.key_octets))
        best = float("inf")
        for _ in range(rounds):
            began = time.process_time()
            for _number in range(50):
                mac.tag(message)
            best = min(best, time.process_time() - began)
        return best

    return min(AO_MACS, key=cost)


def transfers(mtu: int, fastest: str) -> list[Work]:
    """The rows of goodput at an MTU; agreed keys are measured with the default MAC and the ``fastest``."""
    rows = [
        Work(base.name, mtu, GIGABITS, GOODPUT, base=base, bbr=replace(base, congestion=BBR))
        for base in (KERNEL_TO_KERNEL, OFFLOADS_OFF, KERNEL_MD5, TLS)
    ]

    def add(sends: str, receives: str, protect: str, base: Transfer, mac: str = MAC) -> None:
        ours = Transfer(sends, receives, protect, mac)
        bare = None
        if sends == receives or protect == "none":
            first, second = (BARE if kind == STACK else kind for kind in (sends, receives))
            bare = Transfer(first, second, protect, mac)
        rows.append(Work(ours.name, mtu, GIGABITS, GOODPUT, ours, base, bare))

    for sends, receives in ((KERNEL, STACK), (STACK, KERNEL), (STACK, STACK)):
        add(sends, receives, "none", OFFLOADS_OFF)
        add(sends, receives, "md5", KERNEL_MD5)
    for mac in AO_MACS:
        add(STACK, STACK, "ao", KERNEL_MD5, mac)
    add(STACK, STACK, "ao-enc", KERNEL_MD5)
    for mac in dict.fromkeys((MAC, fastest)):
        add(STACK, STACK, "ao-enc-dh", KERNEL_MD5, mac)
    return rows


def handshakes(mtu: int) -> list[Work]:
    """The rows of connections: the kernel opens and accepts where there are no keys, else another stack."""
    rows = []
    for protect in MODES:
        peer = KERNEL if protect == "none" else STACK
        for counted, opens, accepts in (("accepted", peer, STACK), ("opened", STACK, peer)):
            ours = Openings(opens, accepts, counted, protect)
            bare = Openings(BARE, BARE, counted, protect)
            rows.append(Work(ours.name, mtu, PER_SECOND, HANDSHAKES, ours, bare=bare))
    return rows


def echoes(mtu: int) -> list[Work]:
    """The rows of round trips: the kernel's own stand beside each."""
    kernel, *others = WAYS
    rows = []
    for quantile in (MEDIAN, P99):
        base = RoundTrip(kernel, quantile)
        for way in others:
            ours = RoundTrip(way, quantile)
            rows.append(Work(ours.name, mtu, "us", ROUND_TRIPS, ours, base))
    return rows


def crowds(mtu: int, connections: int) -> list[Work]:
    """The rows of many connections: what one takes, and what an echo costs beside the same with few."""
    rows = []
    for protect in MODES:
        memory = Memory(protect, connections)
        rows.append(Work(memory.name, mtu, "octets", MEMORY, memory))
    for protect in MODES:
        for in_turn in (False, True):
            ours, base = (Cost(protect, number, in_turn) for number in (connections, FEW))
            rows.append(Work(ours.name, mtu, "us", COST, ours, base, session=f"crowd, {protect}"))
    return rows


def works(mtus: Sequence[int], patterns: Sequence[str] = (), connections: int = CONNECTIONS) -> list[Work]:
    """All rows whose name one of ``patterns`` matches (none: all): goodput at these MTUs, the rest at the first."""
    rows = [work for mtu in mtus for work in transfers(mtu, fastest_mac(mtu))]
    rows += handshakes(mtus[0]) + echoes(mtus[0]) + crowds(mtus[0], connections)
    return [work for work in rows if not patterns or any(matches(work.name, pattern) for pattern in patterns)]


def matches(name: str, pattern: str) -> bool:
    """Whether ``pattern`` names a row: a part of its name, or with ``*`` and ``?`` a pattern for all of it."""
    name, pattern = name.casefold(), pattern.casefold()
    return fnmatchcase(name, pattern) if any(sign in pattern for sign in "*?") else pattern in name
