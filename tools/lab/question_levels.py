"""Whether the level of protection can change within a connection: new keys, and more or less than was agreed on."""

from __future__ import annotations

import random
from functools import partial
from typing import Final

from ao.keys import KeyRing
from ao.mkt import Mkt, MktTable
from stack import agreed_keys, rollover
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay
from stack.simulator.world import SimRunner, World
from stack.socket_core import Blocked, SocketCore, SocketError
from stack.socket_core.numbers import AF_INET, IPPROTO_TCP, TCP_ENO_ENABLED

from .carrying import REQUIRE, Report, Way
from .cell import Outcome
from .crossing import CLIENT, PORT, SERVER, Crossed, Door, Speaker, Talk, over
from .paths import judged

_DELAY: Final = 0.02
_PAUSE: Final = 2.0
_CHANGE_AT: Final = 0.5
_LOOK_AT: Final = 1.5
_PATIENCE: Final = 400.0
REFUSED: Final = "refused"
"""The outcome where a change cannot be asked for."""

_CIPHERS: Final = {"ao": None, "ao-enc": "aes-128-ctr"}
_OTHERS: Final = {"ao": None, "ao-enc": "chacha20"}
_MODES: Final = ("none", "ao", "ao-enc", "ao-dh", "ao-enc-dh")
_CONFIGURED: Final = tuple(_CIPHERS)
_NEW_KEYS, _MORE, _LESS = "new keys", "encrypt from now on", "encrypt no longer"


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Each change in each mode in which it would be one."""
    more = [(_MORE, mode) for mode in _MODES if "enc" not in mode]
    less = [(_LESS, mode) for mode in _MODES if "enc" in mode]
    return [(_NEW_KEYS, mode) for mode in _MODES] + more + less


def _mkt(number: int, cipher: str | None, mac: str = "aes-128-cmac-96") -> Mkt:
    return Mkt(f"key {number}", number, number, f"secret {number}".encode(), mac=mac, encrypt=cipher)


def _ends(mode: str) -> tuple[Security, Security]:
    if mode in _CONFIGURED:
        return tuple(Security(mode, keys=MktTable([_mkt(1, _CIPHERS[mode])])) for _ in range(2))  # type: ignore[return-value]
    return Security(mode), Security(mode)


class _Change:
    """What is asked for in the middle of a connection, and what came of asking."""

    def __init__(self, mode: str, hosts: list[SimRunner[Stack]], ends: tuple[Security, Security]) -> None:
        self.refusal = ""
        self._mode = mode
        self._hosts = hosts
        self._tables = [end.keys for end in ends if end.keys is not None]

    def new_keys(self) -> None:
        """Another MAC and cipher under configured keys, another generation of agreed ones."""
        if self._mode in _CONFIGURED:
            self._add(_mkt(2, _OTHERS[self._mode], "hmac-sha256-128"), ask=True)
        elif not agreed_keys.rekey(self._hosts[0].stack):
            self.refusal = "the connection has no agreed keys"
        self._hosts[0].wake()

    def other_level(self) -> None:
        """A key of the other mode."""
        self._add(_mkt(2, None if self._mode == "ao-enc" else "aes-128-ctr"), ask=False)

    def _add(self, mkt: Mkt, *, ask: bool) -> None:
        try:
            for host, table in zip(self._hosts, self._tables, strict=True):
                rollover.add(host.stack, table, mkt)
        except ValueError as error:
            self.refusal = str(error)
        else:
            if ask:
                for host, table in zip(self._hosts, self._tables, strict=True):
                    rollover.rotate(host.stack, table, mkt)
                    host.wake()


def _world(seed: int) -> tuple[World, list[SimRunner[Stack]]]:
    world = World(random.Random(f"level {seed}"))
    hosts = [
        world.add(Stack([f"{address}/24"], random=world.octets, config=TcpConfig(nagle=False)))
        for address in (CLIENT, SERVER)
    ]
    world.link(hosts[0], hosts[1], Delay(_DELAY))
    return world, hosts


def _is(mode: str, client: Report, server: Report) -> bool:
    return client["mode"] == server["mode"] == mode


def _state(speaker: Speaker) -> str:
    """The key that signs, not the report: that names the MAC and cipher with which the connection began."""
    ring: KeyRing | None = getattr(speaker.attempt.flow.protection, "ring", None)
    if ring is None:
        return "no keys"
    generation = speaker.attempt.report()["generation"]
    which = f"key {ring.current.send_id}" if generation is None else f"generation {generation}"
    return f"{which}, a MAC of {ring.current.mac_octets} octets"


def _by_management(case: str, mode: str, seed: int) -> Outcome:
    """Ask in mid-connection as whoever manages keys would, and let both ends go on."""
    world, hosts = _world(seed)
    ends = _ends(mode)
    talk = Talk(seed, _PAUSE)
    door = Door(hosts[1], hosts[1].stack.listen(PORT, security=ends[1]), talk)
    attempt = hosts[0].stack.connect((SERVER, PORT), security=ends[0], now=world.now)
    speaker = Speaker(hosts[0], attempt, "up", talk)
    hosts[0].wake()
    change = _Change(mode, hosts, ends)
    states: list[str] = []

    def note() -> None:
        states.append(_state(speaker))

    hosts[0].call_at(_CHANGE_AT, note)
    hosts[0].call_at(_CHANGE_AT, change.new_keys if case == _NEW_KEYS else change.other_level)
    hosts[0].call_at(_LOOK_AT, note)
    while not over(speaker, door) and world.now < _PATIENCE and world.step():
        pass
    crossed = Crossed(speaker, door.speakers, world.now, ended=over(speaker, door))
    way = Way(mode, REQUIRE, partial(_ends, mode), partial(_is, mode))
    outcome, found = judged(crossed, way)
    found |= {"before": states[0], "after": states[-1], "client": speaker.told()}
    if change.refusal:
        return Outcome(REFUSED, {**found, "what": change.refusal})
    if outcome == "works":
        found["what"] = f"{states[0]}; then {states[-1]}"
    return Outcome(outcome, found)


def _by_socket(mode: str, seed: int) -> Outcome:
    """Ask a socket that is connected."""
    world, hosts = _world(seed)
    client, server = _ends(mode)
    hosts[1].stack.listen(PORT, security=server)
    core = SocketCore(hosts[0].stack, family=AF_INET, security=client)
    core.connect(SERVER, PORT, world.now)
    hosts[0].wake()
    world.run(10.0, lambda: not isinstance(core.connect(SERVER, PORT, world.now), Blocked))
    try:
        core.setsockopt(IPPROTO_TCP, TCP_ENO_ENABLED, 0 if "enc" in mode else 1)
    except SocketError as error:
        return Outcome(REFUSED, {"what": f"TCP_ENO_ENABLED: {error.strerror}", "errno": error.errno})
    return Outcome("works", {"what": "TCP_ENO_ENABLED was set"})


def run(case: str, ends: str, seed: int) -> Outcome:
    """Ask for the change where a program or a keys file could."""
    if case == _NEW_KEYS or ends in _CONFIGURED:
        return _by_management(case, ends, seed)
    return _by_socket(ends, seed)
