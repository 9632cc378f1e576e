"""Handshakes of the stack, both ends in this process, joined by the simulator in virtual time."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Final

from ao.groups import GROUPS_BY_NAME
from ao.mkt import Mkt, MktTable
from stack.attempt import Attempt
from stack.batch import Octets
from stack.config import TcpConfig
from stack.events import Closed, Established
from stack.host import Stack
from stack.listener import Listener
from stack.security import Security
from stack.simulator import Delay, Direction, SimRunner, Tap, World

from .figures import RTT, Rate, Wire

PLAIN: Final = "none"
_PORT: Final = 443
_CLIENT, _SERVER = "10.0.0.1", "10.0.0.2"
# Virtual seconds in which a handshake is over, and in which both ends fall silent behind it.
_PATIENCE, _SILENCE = 60.0, 5.0
# Whoever measures agreements is not to be held to 200 a second with a client that has proven nothing.
_CONFIG: Final = TcpConfig(unproven_agreements=1e9)
_GROUPS: Final = ("x25519", "secp256r1", "x448", "X25519MLKEM768")


class Failed(RuntimeError):
    """A handshake came to nothing, or to another one than was to be measured; one line."""


class Hosts:
    """A client and a server, ``rtt`` seconds apart there and back, and what ``see`` is shown of their packets."""

    def __init__(self, server: Security, *boxes: Tap, rtt: float = 0.0) -> None:
        self.world = World(Random(int.from_bytes(os.urandom(8))))
        self.client: SimRunner[Stack]
        self.client, host = (
            self.world.add(Stack([address], random=os.urandom, config=_CONFIG)) for address in (_CLIENT, _SERVER)
        )
        self.world.link(self.client, host, *boxes, Delay(rtt / 2))
        self.listener: Listener = host.stack.listen(_PORT, security=server)

    def connect(self, security: Security) -> Attempt:
        """Begin a connection."""
        attempt = self.client.stack.connect((_SERVER, _PORT), security=security, now=self.world.now)
        self.client.wake()
        return attempt

    def opened(self, attempt: Attempt) -> Attempt:
        """Let time pass until both ends have said that the connection stands; the server's. Raises Failed."""
        stands = False

        def stop() -> bool:
            nonlocal stands
            while (event := attempt.next_event()) is not None:
                if isinstance(event, Closed):
                    raise Failed(f"the connection failed: {event.error}")
                stands = stands or isinstance(event, Established)
            return stands and self.listener.waiting > 0

        self.world.run(self.world.now + _PATIENCE, stop)
        accepted = self.listener.accept()
        if accepted is None:
            raise Failed("nothing was accepted")
        return accepted

    def silence(self) -> None:
        """Let time pass until both ends have told each other what there is to tell."""
        self.world.run(self.world.now + _SILENCE)


@dataclass(frozen=True, slots=True)
class Ours:
    """Handshakes under ``security``, that of a server too; ``expects`` are facts that both ends have to report.

    Each connection but the first is measured where it ``resumes``.
    """

    name: str
    security: Security
    expects: tuple[tuple[str, object], ...] = ()
    resumes: bool = False
    base: str = PLAIN

    def rate(self, seconds: float) -> Rate:
        """Make handshakes one after the other; what ends them does not count. Raises Failed."""
        # Both ends wait for the other's first good MAC, so all work on keys is in it.
        security = replace(self.security, confirm="wait") if self.security.agrees else self.security
        hosts = Hosts(security)
        self._one(hosts, security, expects=() if self.resumes else self.expects)
        count, spent = 0, 0.0
        while not count or spent < seconds:
            spent += self._one(hosts, security, expects=self.expects)
            count += 1
        return Rate(count, spent)

    def _one(self, hosts: Hosts, security: Security, expects: tuple[tuple[str, object], ...]) -> float:
        began = time.process_time()
        attempt = hosts.connect(security)
        accepted = hosts.opened(attempt)
        spent = time.process_time() - began
        self._check((attempt, accepted), expects)
        attempt.abort()
        hosts.client.wake()
        hosts.silence()
        return spent

    def _check(self, ends: tuple[Attempt, Attempt], expects: tuple[tuple[str, object], ...]) -> None:
        for end in ends:
            facts: dict[str, Any] = end.report()
            for name, value in expects:
                if facts[name] != value:
                    raise Failed(f"{self.name}: {name} is {facts[name]!r}, not {value!r}")

    def wire(self) -> Wire:
        """Count what a handshake with nothing behind it sends, and the round trips before an octet can be sent.

        Raises Failed.
        """
        wire = Wire()
        counting = False

        def see(packet: Octets, direction: Direction, _: float) -> None:
            if counting:
                wire.count(len(packet), up=direction is Direction.FORWARD)

        for writes in (False, True):
            hosts = Hosts(self.security, Tap(see), rtt=RTT)
            if self.resumes:
                attempt = hosts.connect(self.security)
                hosts.opened(attempt)
                hosts.silence()
                attempt.abort()
                hosts.client.wake()
                hosts.silence()
            counting = not writes
            began = hosts.world.now
            attempt = hosts.connect(self.security)
            if writes:
                attempt.write(b"!")
                accepted = hosts.opened(attempt)
                hosts.world.run(hosts.world.now + _PATIENCE, partial(_has_octets, accepted))
                wire.round_trips = round((hosts.world.now - began - RTT / 2) / RTT)
            else:
                ends = attempt, hosts.opened(attempt)
                hosts.silence()
                counting = False
                self._check(ends, self.expects)
        return wire


def _has_octets(attempt: Attempt) -> bool:
    return attempt.readable > 0


def kinds() -> list[Ours]:
    """All that are measured, in the order of the table; groups that the library does not compute are left out."""
    keys = Mkt("bench", 1, 1, os.urandom(16), mac="aes-128-cmac-96")
    found = [Ours(PLAIN, Security()), Ours("ao", Security("ao", keys=MktTable([keys])), (("mode", "ao"),))]

    def add(placement: str, group: str, resume: str = "off") -> None:
        if group not in GROUPS_BY_NAME:
            return
        expects = (("placement", placement), ("group", group), ("resumed", resume != "off"))
        security = Security("ao-enc-dh", placements=(placement,), groups=(group,), resume=resume)
        name = (
            f"{placement}, {group}" + {"off": "", "plain": ", resumed", "fresh": ", resumed with a share"}[resume]
        )
        found.append(Ours(f"ao-enc-dh, {name}", security, expects, resumes=resume != "off"))

    for group in _GROUPS:
        add("syn", group)
    for group in (_GROUPS[0], "ffdhe3072"):
        add("late", group)
    add("compact", "x25519")
    for resume in ("plain", "fresh"):
        add("syn", "x25519", resume)
    return found
