"""The header-protection matrix: every field and option, by attack, by protection."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

from stack.batch import Octets
from stack.box import Box, Direction, Emission
from stack.config import TcpConfig
from stack.ip import address_octets
from stack.security import Security

from ..attacks.registry import ATTACKS, Attack, Target
from ..attacks.segments import Parts
from .cell import Cell, Outcome, Value
from .commands import REAL
from .conversation import CLIENT, CLIENT_PORT, PORT, SERVER, Spoken, Talk, converse
from .judging import LEAKED, TOLERANCE, Wiretap, judge
from .protections import PROTECTIONS

_REDUCED: Final = ("none", "ao", "ao-enc-dh")
# Which segment with octets of each direction the path loses, so that there are SACK blocks and retransmissions.
_LOST: Final = 6
_READS: Final = "read"
# Enough for several round trips, retransmissions among them.
_OCTETS: Final = 24_000
# 2^32 octets and 4 MiB. No power of two, so that octets of the first round are wrong in the second.
_BLOCK: Final = 1_000_000
_BLOCKS: Final = ((1 << 32) + (1 << 22)) // _BLOCK
# With ECN, so that its flags mean something.
_CONFIG: Final = TcpConfig(ecn="offer", user_timeout=60.0)
# On real packets who waits for nothing gives up soon, and nobody's clock is exact; seconds.
_REAL_TIMEOUT: Final = 5.0
_REAL_TOLERANCE: Final = 0.05


class _LoseOne:
    """Loses one segment with octets of each direction, in every run alike."""

    next_deadline: float | None = None  # nothing waits here

    def __init__(self) -> None:
        self._count = [0, 0]

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let all but one through."""
        out: list[Emission] = []
        for packet in packets:
            parts = Parts.read(packet) if self._count[direction] < _LOST else None
            if parts is not None and parts.payload:
                self._count[direction] += 1
                if self._count[direction] == _LOST:
                    continue
            out.append((now, direction, packet))
        return out


class Headers:
    """``field`` by ``attack`` by ``phase``, for each ``mode``."""

    name = "headers"
    rows = ("field", "attack", "phase")
    columns = ("mode",)
    real = True

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every attack on every field and phase that it can be aimed at, under every protection or a few."""
        found: list[dict[str, Value]] = []
        for attack in ATTACKS.values():
            for field in attack.fields:
                if reduced and attack.stage == "round":
                    continue
                for phase in filter(partial(attack.aims, field), attack.phases):
                    row = {"field": field, "attack": attack.name, "phase": phase}
                    found += [{**row, "mode": mode} for mode in PROTECTIONS if not reduced or mode in _REDUCED]
        return [Cell(self.name, parameters, seed) for parameters in found]

    def real_cells(self, *, seed: int) -> list[Cell]:
        """Every attack, on the first field and in the last phase that it can be aimed at, on real packets."""
        found: list[dict[str, Value]] = []
        for attack in ATTACKS.values():
            aims = [
                (field, phase)
                for phase in attack.phases[::-1]
                for field in attack.fields
                if attack.aims(field, phase)
            ]
            if attack.stage != "once" or not aims:
                # What needs a connection before, or 2^32 octets, is for virtual time.
                continue
            row = {"field": aims[0][0], "attack": attack.name, "phase": aims[0][1]}
            found += [{**row, "mode": mode, REAL: True} for mode in _REDUCED]
        return [Cell(self.name, parameters, seed) for parameters in found]

    def run(self, cell: Cell) -> Outcome:
        """Have two programs speak with the attacker between them, and judge what they saw."""
        field, name, phase, mode = (str(cell.parameters[key]) for key in ("field", "attack", "phase", "mode"))
        attack, protection = ATTACKS.find(name), PROTECTIONS.find(mode)
        real = bool(cell.parameters.get(REAL))
        talk = _talk(cell.seed, attack.stage, real=real)
        box = attack.make(_target(cell.seed, field, phase, talk.up))
        wiretap = Wiretap()
        client, server = protection.make()
        spoken = _converse(real)(talk, client, server, [_LoseOne(), wiretap, box])
        visible = wiretap.found(talk.up) or wiretap.found(talk.down)
        base = _base(mode, talk, real)
        tolerance = _REAL_TOLERANCE if real else TOLERANCE
        outcome = judge(spoken, base, visible=visible, secret=protection.secret, tolerance=tolerance)
        if name == _READS and visible:
            outcome.outcome = LEAKED
        outcome.evidence = {"attack": attack.about, **_acts(attack, box), **outcome.evidence}
        return outcome


def _converse(real: bool) -> Callable[[Talk, Security, Security, Sequence[Box]], Spoken]:
    """What has two programs speak: in virtual time, or on this machine's TUNs."""
    if not real:
        return converse
    # Loaded only now: what makes namespaces and devices takes its time.
    from .real_headers import converse_really

    return converse_really


def _talk(seed: int, stage: str, *, real: bool) -> Talk:
    if real:
        return Talk(seed, _OCTETS, config=replace(_CONFIG, user_timeout=_REAL_TIMEOUT))
    if stage == "wrap":
        return Talk(seed, _OCTETS, config=_CONFIG, isn=(1 << 32) - _OCTETS // 2)
    if stage == "round":
        config = TcpConfig(mtu=65_535, user_timeout=60.0)
        return Talk(seed, _BLOCK, config=config, repeat=_BLOCKS, rate=10e9, most_steps=10_000_000)
    return Talk(seed, _OCTETS, config=_CONFIG, before=stage == "twice")


def _target(seed: int, field: str, phase: str, secret: bytes) -> Target:
    return Target(
        field,
        phase,
        random.Random(f"attacker {seed}"),
        address_octets(CLIENT),
        CLIENT_PORT,
        address_octets(SERVER),
        PORT,
        secret,
    )


def _acts(attack: Attack, box: Box) -> dict[str, object]:
    """What the attacker did, as far as his box tells (``acts``)."""
    acts = getattr(box, "acts", None)
    found: dict[str, object] = {"on path": attack.on_path, "acts": acts}
    if acts == 0:
        found["note"] = "no segment was there to be attacked so"
    return found


@lru_cache(maxsize=256)
def _base(mode: str, talk: Talk, real: bool) -> Spoken:
    """The same conversation without attack."""
    client, server = PROTECTIONS.find(mode).make()
    spoken = _converse(real)(talk, client, server, [_LoseOne(), Wiretap()])
    assert spoken.whole, spoken.told()
    return spoken


MATRIX: Final = Headers()
