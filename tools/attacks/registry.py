"""Attacks by name, and the decorator by which a file adds one: ``edotun.attack``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from stack.box import Box

from ..registry import Registry

PHASES: Final = ("syn", "established")
"""``syn``: segments with SYN and those sent beside one (no flag at all); ``established``: all others."""

STAGES: Final = ("once", "twice", "wrap", "round")
"""``once``: one connection; ``twice``: another one between the same ports came before, and the attacker saw it;
``wrap``: the client's sequence numbers begin anew in mid-stream; ``round``: it sends 2^32 octets and more."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an attacker is told before anything was sent.

    ``field`` is the part of a segment that he is after and ``phase`` the segments (``PHASES``); addresses are
    octets, ``server_port`` is where the server listens. ``client_port`` is for attackers off path, who know that
    much. ``secret`` is what the client will send and he wants to find, ``random`` the only chance that he may use.
    """

    field: str
    phase: str
    random: Random
    client: bytes
    client_port: int
    server: bytes
    server_port: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: ``make`` returns the box that does it, new for each run, with FORWARD leading to the server.

    ``fields`` are those that it can be aimed at, ``phases`` when it can happen, ``on_path`` whether the attacker
    sees packets or only sends some, ``stage`` is one of ``STAGES``; ``about`` says what it does. ``aims(field,
    phase)`` is false where it cannot be aimed at that.
    """

    name: str
    about: str
    fields: tuple[str, ...]
    phases: tuple[str, ...]
    on_path: bool
    stage: str
    aims: Callable[[str, str], bool]
    make: Callable[[Target], Box]


ATTACKS: Final[Registry[Attack]] = Registry("attack", __package__)
"""All attacks; the modules of this package register the project's own."""

Maker = Callable[[Target], Box]


def attack(
    name: str,
    *,
    fields: tuple[str, ...] = ("segment",),
    phases: tuple[str, ...] = ("established",),
    on_path: bool = True,
    stage: str = "once",
    aims: Callable[[str, str], bool] = lambda field, phase: True,
    about: str = "",
) -> Callable[[Maker], Maker]:
    """Register what it decorates, a function of a ``Target`` that returns a Box, as an attack.

    ``about`` defaults to the first line of the docstring. Raises ValueError for a name that is taken and for a
    phase or stage that is none.
    """
    if stage not in STAGES:
        raise ValueError(f"attack: stage {stage!r} is not one of {', '.join(STAGES)}")
    for phase in phases:
        if phase not in PHASES:
            raise ValueError(f"attack: phase {phase!r} is not one of {', '.join(PHASES)}")

    def register(make: Maker) -> Maker:
        told = about or (make.__doc__ or name).strip().partition("\n")[0]
        ATTACKS.add(name, Attack(name, told, fields, phases, on_path, stage, aims, make))
        return make

    return register
