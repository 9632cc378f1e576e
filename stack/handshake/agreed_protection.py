"""Segments under agreed keys, whose life is limited in octets (profile.md §7, Rekeying)."""

from __future__ import annotations

from collections.abc import Callable

from ao.generations import GenerationRing
from ao.rekey import Rekeying
from edo.codepoints import Dialect
from edo.plan import Plan

from ..protection import KeyedProtection
from ..run import Run
from ..sealer import Sealer


class AgreedProtection(KeyedProtection):
    """TCP-AO under the generations of one agreement; ``rekeying`` makes the next.

    A run that ends beyond stream number ``send_limit``, or acknowledges more than ``receive_limit``, is sent only
    if ``exceeded`` allows it: so octets are counted by run, not by segment, and those received when they are
    acknowledged.
    """

    __slots__ = ("exceeded", "generations", "receive_limit", "rekeying", "send_limit")

    def __init__(self, ring: GenerationRing, rekeying: Rekeying, dialect: Dialect) -> None:
        super().__init__(ring, dialect)
        self.generations = ring
        self.rekeying = rekeying
        self.send_limit: float = float("inf")
        self.receive_limit: float = float("inf")
        self.exceeded: Callable[[Run], bool] | None = None

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        beyond = run.seq + run.length > self.send_limit or run.ack > self.receive_limit
        if beyond and self.exceeded is not None and not self.exceeded(run):
            return
        key = self.ring.current
        sealer.seal(run, plan, room, out, key.sign, key.encrypt, key.cover_options)

    def wipe(self) -> None:
        super().wipe()
        self.rekeying.wipe()
