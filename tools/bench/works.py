"""What is measured: the rows of the benchmark, each with what stands beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from ao.macs import MACS

from .measures import BARE, BBR, GIGABITS, HANDSHAKES, KERNEL, MAC, STACK, Handshakes, Measure, Transfer

MTUS: Final = (1500, 9000, 65_535)
AO_MACS: Final = ("aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha256-128", "kmac256-128")
KERNEL_TO_KERNEL: Final = Transfer(KERNEL, KERNEL)
OFFLOADS_OFF: Final = replace(KERNEL_TO_KERNEL, offloads=False)
KERNEL_MD5: Final = Transfer(KERNEL, KERNEL, "md5")
TLS: Final = Transfer(KERNEL, KERNEL, "tls")


@dataclass(frozen=True, slots=True)
class Work:
    """One row: ``ours`` beside ``base`` and the ``bare`` loop; one of the kernel's alone has ``bbr`` beside it."""

    name: str
    mtu: int
    unit: str
    ours: Measure | None = None
    base: Measure | None = None
    bare: Measure | None = None
    bbr: Measure | None = None

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
        Work(base.name, mtu, GIGABITS, base=base, bbr=replace(base, congestion=BBR))
        for base in (KERNEL_TO_KERNEL, OFFLOADS_OFF, KERNEL_MD5, TLS)
    ]

    def add(sends: str, receives: str, protect: str, base: Transfer, mac: str = MAC) -> None:
        ours = Transfer(sends, receives, protect, mac)
        bare = Transfer(BARE, BARE, protect, mac) if sends == receives else None
        rows.append(Work(ours.name, mtu, GIGABITS, ours, base, bare))

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
    for protect in ("none", "ao", "ao-enc-dh"):
        peer = KERNEL if protect == "none" else STACK
        for counted, opens, accepts in (("accepted", peer, STACK), ("opened", STACK, peer)):
            ours = Handshakes(opens, accepts, counted, protect)
            rows.append(Work(ours.name, mtu, HANDSHAKES, ours))
    return rows


def works(mtus: Sequence[int], patterns: Sequence[str] = ()) -> list[Work]:
    """All rows at these MTUs whose name one of ``patterns`` matches (none: all); connections at the first."""
    rows = [work for mtu in mtus for work in transfers(mtu, fastest_mac(mtu))] + handshakes(mtus[0])
    return [work for work in rows if not patterns or any(matches(work.name, pattern) for pattern in patterns)]


def matches(name: str, pattern: str) -> bool:
    """Whether ``pattern`` names a row: a part of its name, or with ``*`` and ``?`` a pattern for all of it."""
    name, pattern = name.casefold(), pattern.casefold()
    return fnmatchcase(name, pattern) if any(sign in pattern for sign in "*?") else pattern in name
