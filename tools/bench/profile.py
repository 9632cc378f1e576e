"""Where the time of a segment goes: two stacks in this process, a stream between them, function by function."""

from __future__ import annotations

import cProfile
import os
import pstats
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security

_ROOT: Final = Path(__file__).parents[2]
_CLIENT, _SERVER, _PORT = "10.0.0.1", "10.0.0.2", 5001
# Virtual seconds that a batch takes from one stack to the other.
_DELAY: Final = 1e-4
_CHUNK: Final = bytes(1 << 18)
_BATCH: Final = 64
_SECRET: Final = b"a secret that both ends have"
CIPHER: Final = "aes-128-ctr"
_HANDSHAKE_TURNS: Final = 100
# Turns without an octet after which none is expected: longer than any timer of a connection in use.
_PATIENCE: Final = 1_000_000
_US: Final = 1e6


class Failed(RuntimeError):
    """The stream did not get through; one line."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One function: ``calls`` of it and ``own`` microseconds in it alone, ``all`` with what it calls, a segment."""

    name: str
    calls: float
    own: float
    all: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What ``segments`` cost both stacks together: ``cpu`` microseconds each without the profiler, and with it."""

    segments: int
    cpu: float
    profiled: float
    costs: list[Cost]


def security_for(mode: str, mac: str) -> Security:
    """Security in ``mode`` with ``mac`` where it has one, for both ends; ValueError for a name that is none."""
    if mode == "md5":
        return Security(mode, md5_keys=Md5Table([Md5Key("profile", _SECRET)]))
    if mode in ("ao", "ao-enc"):
        encrypt = CIPHER if mode == "ao-enc" else None
        return Security(mode, keys=MktTable([Mkt("profile", 1, 1, _SECRET, mac=mac, encrypt=encrypt)]))
    if mode.endswith("-dh"):
        return Security(mode, suites=(f"{mac}+{CIPHER}",))
    return Security(mode)


class _Pair:
    """Two stacks and a connection between them, in virtual time."""

    def __init__(self, security: Security, mtu: int) -> None:
        config = TcpConfig(nagle=False, mtu=mtu, mtu_probing="black-hole", unproven_agreements=1e9)
        self._now = 0.0
        self._client, self._server = (
            Stack([address], random=os.urandom, config=config) for address in (_CLIENT, _SERVER)
        )
        self._room = mtu
        listener = self._server.listen(_PORT, security=security)
        self._sends = self._client.connect((_SERVER, _PORT), security=security, now=self._now)
        for _ in range(_HANDSHAKE_TURNS):
            self._turn()
        accepted = listener.accept()
        if accepted is None:
            raise Failed("the connection does not stand")
        self._receives: Attempt = accepted

    def _turn(self) -> None:
        """Carry what either has to send to the other, as a device does: so many at a time."""
        for one, other in ((self._client, self._server), (self._server, self._client)):
            self._now += _DELAY
            deadline = one.next_deadline
            if deadline is not None and deadline <= self._now:
                one.advance(self._now)
            batch = one.take_output(self._now)
            for start in range(0, len(batch), _BATCH):
                stop = start + _BATCH
                packets, checksums, sizes = batch.packets, batch.checksums, batch.gso_sizes
                other.receive(
                    Batch(
                        packets[start:stop],
                        None if checksums is None else checksums[start:stop],
                        None if sizes is None else sizes[start:stop],
                    ),
                    self._now,
                )
            if one is self._client and len(batch):
                # IPv4 without options: Data Offset is in the twelfth octet of what follows it.
                self._header = 20 + (batch.packets[-1][32] >> 4 << 2)

    def transfer(self, octets: int) -> None:
        """Have so many octets read at the other end; raises Failed."""
        sends, receives = self._sends, self._receives
        left, read, idle = octets, 0, 0
        while read < octets:
            count = min(len(_CHUNK), left, sends.send_buffer - sends.unsent)
            if count > 0:
                sends.write(_CHUNK[:count])
                left -= count
            self._turn()
            came = len(receives.read())
            read += came
            idle = 0 if came else idle + 1
            if idle > _PATIENCE:
                raise Failed(f"{read} of {octets} octets have come, and no more do")

    @property
    def room(self) -> int:
        """Payload octets of a full segment."""
        return self._room - self._header


def profile(security: Security, mtu: int, octets: int) -> Profile:
    """Send ``octets`` without the profiler, then as many with it; raises Failed.

    Devices, system calls and the copy to a program are not in it. The profiler makes short functions look longer
    than they are, and what a compiler made is one entry.
    """
    pair = _Pair(security, mtu)
    # Caches, buffers and the window grow meanwhile.
    pair.transfer(octets // 4)
    began = time.process_time()
    pair.transfer(octets)
    plain = time.process_time() - began
    watch = cProfile.Profile()
    watch.enable()
    pair.transfer(octets)
    watch.disable()
    segments = max(octets // pair.room, 1)
    # What typeshed knows of Stats are the functions' names alone, without their files.
    entries: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(pstats.Stats(watch))["stats"]
    each = _US / segments
    costs = [
        Cost(_name(file, function), calls / segments, own * each, whole * each)
        for (file, _line, function), (_, calls, own, whole, _callers) in entries.items()
    ]
    costs.sort(key=lambda cost: -cost.own)
    return Profile(segments, plain * each, sum(cost.own for cost in costs), costs)


def _name(file: str, function: str) -> str:
    """A function as it is found: its file within the project, or that it is built in."""
    if file == "~":
        return function.strip("<>")
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return f"{path.relative_to(_ROOT).as_posix()} {function}"
    return f"{path.name} {function}"
