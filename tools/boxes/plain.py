"""What every network does, by name: loss, delay, duplicates, other orders, narrow links."""

from __future__ import annotations

from random import Random

from stack.ip import address_octets
from stack.simulator.boxes import Corrupt, Delay, Duplicate, Loss, MtuLimit, RateLimit, Reorder

from .registry import box


@box("delay", "lets packets through later, in their order")
def delay(random: Random, *, seconds: float = 0.05, jitter: float = 0.0) -> Delay:
    """``seconds``, and up to ``jitter`` more."""
    return Delay(seconds, jitter, random)


@box("duplicate", "lets packets through twice")
def duplicate(random: Random, *, share: float = 0.1, seconds: float = 0.01) -> Duplicate:
    """``share`` of them (0-1), the second time after ``seconds``."""
    return Duplicate(share, random, seconds)


@box("loss", "loses packets")
def loss(random: Random, *, share: float = 0.01) -> Loss:
    """``share`` of them (0-1)."""
    return Loss(share, random)


@box("reorder", "holds packets back, so that later ones overtake them")
def reorder(random: Random, *, share: float = 0.1, seconds: float = 0.02) -> Reorder:
    """``share`` of them (0-1), each up to ``seconds``."""
    return Reorder(share, seconds, random)


@box("corrupt", "flips a bit of TCP segments")
def corrupt(random: Random, *, share: float = 0.01, repair: bool = True, payload: bool = False) -> Corrupt:
    """In ``share`` of them (0-1); ``repair``: the checksum fits again; ``payload``: headers are spared."""
    return Corrupt(share, random, repair=repair, payload_only=payload)


@box("mtu", "drops packets that are too large, and says so by ICMP where it has an address")
def mtu(*, most: int = 1280, address: str = "", address6: str = "") -> MtuLimit:
    """``most`` octets pass; ``address``, ``address6``: whose ICMP errors tell of others (none: a black hole)."""
    return MtuLimit(most, *(address_octets(text) for text in (address, address6) if text))


@box("rate", "is a line of limited rate with a queue before it")
def rate(*, octets: float = 1e6, queue: int = 100_000) -> RateLimit:
    """``octets`` a second; ``queue`` octets wait at most."""
    return RateLimit(octets, queue)
