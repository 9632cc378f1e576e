"""Which handshake invites denial of service: what SYNs of strangers take, and whether who is honest is served.

The strangers never see an answer. Memory is what the stack's own account holds (``stack.memory``); CPU time is
measured, of this machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import median
from typing import Final

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from edo.codepoints import POINTS
from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.listener import Listener
from stack.security import Security
from stack.simulator import Delay
from stack.simulator.world import SimRunner, World

from ..attacks.segments import EXTENSION, Parts
from .carrying import REQUIRE, Report, Way
from .cell import Outcome
from .crossing import CLIENT, PORT, SERVER, Crossed, Door, Speaker, Talk, over
from .paths import judged

_SYNS: Final = 600
_ADDRESSES: Final = 60  # of strangers, each with as many SYNs as the others
_BACKLOG: Final = 64  # of who is to be full
_ROUNDS: Final = 3
_PATIENCE: Final = 400.0
_DELAY: Final = 0.02
_KE: Final = POINTS.ke_exid.to_bytes(2)
# TCP-AO with a share in the place of the MAC, and with one of 96 bits (profile.md §5).
_SHARE_OCTETS: Final = 34


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the server and who is honest ask for, and what strangers send."""

    own: Callable[[], Security]
    strangers: Callable[[], Security]


def _alike(make: Callable[[], Security]) -> _Asked:
    return _Asked(make, make)


def _agreed(placement: str, *groups: str) -> _Asked:
    return _alike(partial(Security, "ao-enc-dh", placements=(placement,), groups=groups or ("x25519",)))


def _ao(secret: bytes) -> Security:
    return Security("ao", keys=MktTable([Mkt("key", 1, 1, secret)]))


def _md5(secret: bytes) -> Security:
    return Security("md5", md5_keys=Md5Table([Md5Key("key", secret)]))


ENDS: Final = {
    "none": _alike(Security),
    "md5": _Asked(partial(_md5, b"ours"), partial(_md5, b"guessed")),
    "ao": _Asked(partial(_ao, b"ours"), partial(_ao, b"guessed")),
    "ao-enc-dh auto": _agreed("auto"),
    "ao-enc-dh late": _agreed("late"),
    "ao-enc-dh compact": _agreed("compact"),
    "ao-enc-dh auto X25519MLKEM768": _agreed("auto", "X25519MLKEM768"),
}


class _Strangers:
    """Whoever sends SYNs with addresses of others: real clients that never hear anything."""

    def __init__(self, security: Security, seed: int) -> None:
        source = random.Random(f"strangers {seed}")
        self._stacks = [
            Stack([f"10.1.{one}.1/24"], random=source.randbytes, config=TcpConfig()) for one in range(_ADDRESSES)
        ]
        self._security = security

    def packets(self, syns: int, now: float) -> Iterator[list[bytes]]:
        """The packets of each SYN: it, and what goes beside it."""
        for one in range(syns):
            stack = self._stacks[one % _ADDRESSES]
            stack.connect((SERVER, PORT), security=self._security, now=now)
            yield [bytes(packet) for packet in stack.take_output(now).packets]


@dataclass(slots=True)
class _Flooded:
    """What a flood took: octets that came and were answered, agreements made, octets held, CPU seconds."""

    came: int = 0
    answered: int = 0
    agreements: int = 0
    held: int = 0
    seconds: float = 0.0


def _flood(stack: Stack, packets: list[list[bytes]], now: float, span: float) -> _Flooded:
    """Let the SYNs come evenly within ``span`` seconds."""
    flooded = _Flooded()
    before = stack.memory.held
    for number, of_one in enumerate(packets):
        at = now + span * number / len(packets)
        begun = time.process_time()
        stack.receive(Batch(of_one), at)
        answers = stack.take_output(at).packets
        flooded.seconds += time.process_time() - begun
        flooded.came += sum(map(len, of_one))
        flooded.answered += sum(map(len, answers))
        flooded.agreements += sum(_agrees(bytes(answer)) for answer in answers)
    flooded.held = stack.memory.held - before
    return flooded


def _agrees(packet: bytes) -> bool:
    """Whether a SYN-ACK has our share: somebody computed it."""
    parts = Parts.read(packet)
    if parts is None:
        return False
    options = (*parts.inside, *parts.behind)
    compact = any(one[0] == POINTS.ao and len(one) > _SHARE_OCTETS for one in options)
    return compact or any(one[0] in EXTENSION and one[2:4] == _KE for one in options)


@lru_cache(maxsize=16)
def _known_flood(ends: str, seed: int) -> _Flooded:
    """What a flood took, but for CPU time: the same in each run."""
    return _one_flood(ends, seed)


def _one_flood(ends: str, seed: int) -> _Flooded:
    asked = ENDS[ends]
    stack = Stack([f"{SERVER}/24"], random=random.Random(f"server {seed}").randbytes, config=TcpConfig())
    stack.listen(PORT, security=asked.own())
    return _flood(stack, list(_Strangers(asked.strangers(), seed).packets(_SYNS, 0.0)), 0.0, 1.0)


def _memory(ends: str, seed: int) -> Outcome:
    flooded = _known_flood(ends, seed)
    return _figure(flooded.held / _SYNS, "octets", syns=_SYNS)


def _answers(ends: str, seed: int) -> Outcome:
    flooded = _known_flood(ends, seed)
    return _figure(flooded.answered / flooded.came, "octets", came=flooded.came, answered=flooded.answered)


def _agreements(ends: str, seed: int) -> Outcome:
    return _figure(_known_flood(ends, seed).agreements, "agreements", syns=_SYNS)


def _cpu(ends: str, seed: int) -> Outcome:
    times = [round(_one_flood(ends, seed).seconds / _SYNS * 1e6, 1) for _ in range(_ROUNDS)]
    return Outcome("measured", {"value": median(times), "unit": "us", "least": min(times), "most": max(times)})


def _figure(value: float, unit: str, **more: object) -> Outcome:
    return Outcome("exact", {"value": round(value, 2), "unit": unit, **more})


def _honest(ends: str, seed: int) -> Outcome:
    """Connect while a backlog of 64 is full of strangers' SYNs, and speak."""
    asked = ENDS[ends]
    world = World(random.Random(f"honest {seed}"))
    here, there = (
        world.add(Stack([f"{address}/24"], random=world.octets, config=TcpConfig(nagle=False)))
        for address in (CLIENT, SERVER)
    )
    # What is answered to strangers goes to a host that does not know of it.
    world.link(here, there, Delay(_DELAY), to_first=[f"{CLIENT}/32", "10.1.0.0/16"])
    listener = there.stack.listen(PORT, security=asked.own(), backlog=_BACKLOG)
    _flood(there.stack, list(_Strangers(asked.strangers(), seed).packets(4 * _BACKLOG, 0.0)), 0.0, 0.0)
    full = listener.full
    speaker, crossed = _spoken(world, here, there, listener, asked.own(), seed)
    mode = asked.own().protect
    way = Way(ends, REQUIRE, lambda: (asked.own(), asked.own()), partial(_is, mode))
    outcome, found = judged(crossed, way)
    found |= {"backlog full": full, "cookies": there.stack.counters["cookies_good"]}
    placement = speaker.attempt.report()["placement"]
    by = ["by a cookie"] if found["cookies"] else [] if full else ["the backlog is not full"]
    by += [f"in placement {placement}"] if placement else []
    if by and outcome == "works":
        found["what"] = f"{found['what']}, {', '.join(by)}"
    return Outcome(outcome, found | {"client": speaker.told()})


def _spoken(
    world: World,
    here: SimRunner[Stack],
    there: SimRunner[Stack],
    listener: Listener,
    security: Security,
    seed: int,
) -> tuple[Speaker, Crossed]:
    talk = Talk(seed, 1.0)
    door = Door(there, listener, talk)
    attempt = here.stack.connect((SERVER, PORT), security=security, now=world.now)
    speaker = Speaker(here, attempt, "up", talk)
    here.wake()
    while not over(speaker, door) and world.now < _PATIENCE and world.step():
        pass
    return speaker, Crossed(speaker, door.speakers, world.now, ended=over(speaker, door))


def _is(mode: str, client: Report, server: Report) -> bool:
    return client["mode"] == server["mode"] == mode


CASES: Final[dict[str, Callable[[str, int], Outcome]]] = {
    "memory that a SYN holds": _memory,
    "octets answered for each that came": _answers,
    "key agreements for 600 SYNs in a second": _agreements,
    "who is honest beside 256 SYNs; backlog 64": _honest,
    "CPU of a SYN": _cpu,
}


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Every case, by what is asked for; reduced, what is exact."""
    return [(case, ends) for case in CASES for ends in ENDS if not reduced or not case.startswith("CPU")]


def run(case: str, ends: str, seed: int) -> Outcome:
    """Flood a server and look."""
    return CASES[case](ends, seed)
