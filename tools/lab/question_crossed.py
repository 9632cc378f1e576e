"""Who is the client where both ends open at once: crossed SYNs under each protection (profile.md §3)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ao.mkt import Mkt, MktTable
from stack.box import Box
from stack.config import TcpConfig
from stack.handshake.agreed_b import AgreedB
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, Direction, Filter
from stack.simulator.world import World

from .carrying import Way
from .cell import Outcome
from .crossing import CLIENT, SERVER, Crossed, Speaker, Talk
from .paths import judged

_PORT: Final = 4000
_DELAY: Final = 0.02
_PATIENCE: Final = 400.0
_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What both ends ask for; ``agrees``: one of them has to be A."""

    security: Callable[[], Security]
    mode: str

    @property
    def agrees(self) -> bool:
        return self.mode.endswith("-dh")


def _agreed(placement: str, **fields: object) -> _Asked:
    return _Asked(lambda: Security("ao-enc-dh", placements=(placement,), **fields), "ao-enc-dh")  # type: ignore[arg-type]


ENDS: Final = {
    "none": _Asked(Security, "none"),
    "ao": _Asked(lambda: Security("ao", keys=MktTable([Mkt("key", 1, 1, b"both ends have it")])), "ao"),
    "ao-enc-dh auto": _agreed("auto"),
    "ao-enc-dh late": _agreed("late"),
    "ao-enc-dh syn": _agreed("syn"),
    "ao-enc-dh compact": _agreed("compact"),
    "ao-enc-dh as RFC 8547": _agreed("auto", simopen="off"),
    "ao-enc-dh as RFC 8547; prefer": _agreed("auto", simopen="off", policy="prefer"),
}
_CASES: Final = ("both open at once", "and a SYN is lost")


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Both openings, by what is asked for."""
    return [(case, ends) for case in _CASES for ends in ENDS if not reduced or case == _CASES[0]]


def _lost_syn() -> Box:
    """Loses the first packet of the server's, its SYN."""
    lost: list[bool] = []

    def passes(packet: object, direction: Direction, now: float) -> bool:
        if direction is Direction.BACKWARD and not lost:
            lost.append(True)
            return False
        return True

    return Filter(passes)


def run(case: str, ends: str, seed: int) -> Outcome:
    """Have both connect to each other at the same moment, and speak."""
    asked = ENDS[ends]
    world = World(random.Random(f"crossed {seed}"))
    hosts = [
        world.add(Stack([f"{address}/24"], random=world.octets, config=TcpConfig(nagle=False)))
        for address in (CLIENT, SERVER)
    ]
    boxes = [_lost_syn()] if case == _CASES[1] else []
    world.link(hosts[0], hosts[1], *boxes, Delay(_DELAY))
    talk = Talk(seed, _PAUSE)
    speakers = []
    for host, peer, end in ((hosts[0], SERVER, "up"), (hosts[1], CLIENT, "down")):
        security = asked.security()
        attempt = host.stack.connect((peer, _PORT), security=security, now=world.now, local_port=_PORT)
        speakers.append(Speaker(host, attempt, end, talk))
        host.wake()
    isns = [one.attempt.flow.connection.iss & 0xFFFFFFFF for one in speakers]

    def over() -> bool:
        return all(one.closed_at is not None for one in speakers)

    while not over() and world.now < _PATIENCE and world.step():
        pass
    way = Way(
        ends,
        "require",
        lambda: (Security(), Security()),
        lambda *both: {one["mode"] for one in both} == {asked.mode},
    )
    outcome, found = judged(Crossed(speakers[0], speakers[1:], world.now, ended=over()), way)
    found["initial sequence numbers"] = isns
    if asked.agrees and outcome == "works":
        (b,) = (n for n, one in enumerate(speakers) if isinstance(one.attempt.flow.handshake, AgreedB))
        found["A"] = (CLIENT, SERVER)[1 - b]
        smaller = isns[1 - b] < isns[b]
        found["what"] = f"{found['what']}; A is {found['A']}, whose ISN is the {'smaller' if smaller else 'larger'}"
    found["ends"] = [one.told() for one in speakers]
    return Outcome(outcome, found)
