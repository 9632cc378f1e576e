"""How long a burst with losses takes to be repaired, by the number of SACK blocks in a segment (RFC 2018)."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from ao.mkt import Mkt, MktTable
from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, RateLimit, Stalled
from stack.simulator.world import World

_PORT: Final = 80
_BUFFER: Final = 1 << 24
# A burst that is not repaired by then, seconds, counts as long as that.
_GIVE_UP: Final = 300.0


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst over a long path.

    ``blocks`` (1-31) SACK blocks at most, as far as there is room; ``edo``: in extended option space, else in the
    40 octets. ``loss`` is the probability with which a packet is lost, both ways alike, ``rtt`` in seconds,
    ``segments`` how many leave at once, over a line of ``rate`` bit/s. ``thin`` is the time in seconds within which
    the way back lets but one acknowledgment through, the latest, as modems for cable, satellites and mobile
    networks do (0: all). ``mac`` names a MAC of TCP-AO that signs every segment, and takes its room. Equal bursts
    give equal results.
    """

    blocks: int = 16
    edo: bool = True
    loss: float = 0.05
    rtt: float = 0.15
    segments: int = 200
    rate: float = 50e6
    thin: float = 0.0
    recovery: str = "rack"
    seed: int = 1
    mac: str = ""


@dataclass(slots=True)
class Repair:
    """What came of it: ``seconds`` until everything was acknowledged, data segments ``lost`` and ``sent_again``."""

    burst: Burst
    seconds: float
    lost: int
    sent_again: int

    @property
    def needless(self) -> int:
        """Segments sent again that had arrived."""
        return max(self.sent_again - self.lost, 0)


class _Lossy:
    """Loses packets in both directions from the moment when it is switched on; ``lost`` counts those with data."""

    next_deadline: float | None = None  # nothing waits here

    def __init__(self, loss: float, source: random.Random) -> None:
        self.on = False
        self.lost = 0
        self._loss = loss
        self._random = source

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let through what is not lost."""
        if not self.on:
            return [(now, direction, packet) for packet in packets]
        kept: list[Emission] = []
        for packet in packets:
            if self._random.random() >= self._loss:
                kept.append((now, direction, packet))
            elif direction is Direction.FORWARD:
                self.lost += 1
        return kept


class _Thin:
    """Of what comes back within each interval the latest alone goes on, at its end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: Octets | None = None
        self.next_deadline: float | None = None

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Keep the latest."""
        if direction is Direction.BACKWARD and packets and self._seconds:
            self._kept = bytes(packets[-1])
            if self.next_deadline is None:
                self.next_deadline = now + self._seconds
            return []
        out = [(now, direction, packet) for packet in packets]
        if self._kept is not None and self.next_deadline is not None and self.next_deadline <= now:
            out.append((now, Direction.BACKWARD, self._kept))
            self._kept = self.next_deadline = None
        return out


class _Reader:
    """Reads whatever comes."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None

    def take(self, attempt: Attempt) -> None:
        """Read from this connection."""
        self._attempt = attempt
        attempt.owner = self

    def on_ready(self) -> None:
        """Something came."""
        if self._attempt is not None:
            while self._attempt.next_event() is not None:
                pass
            self._attempt.read()


def _security(burst: Burst) -> Security:
    edo = "strict" if burst.edo else "off"
    if not burst.mac:
        return Security(edo=edo)
    return Security("ao", keys=MktTable([Mkt("key", 1, 1, b"of both ends", mac=burst.mac)]), edo=edo)


def repair(burst: Burst) -> Repair:
    """Send one burst and see it through."""
    source = random.Random(burst.seed)
    config = TcpConfig(
        initial_window=burst.segments,
        sack_blocks=burst.blocks,
        recovery=burst.recovery,
        receive_buffer=_BUFFER,
        send_buffer=_BUFFER,
        nagle=False,
    )
    security = _security(burst)
    world = World(source)
    client = world.add(Stack(["10.0.0.1"], random=source.randbytes, config=config), "sender")
    server = world.add(Stack(["10.0.0.2"], random=source.randbytes, config=config), "receiver")
    lossy = _Lossy(burst.loss, source)
    line = RateLimit(burst.rate / 8, 1 << 30)
    world.link(client, server, lossy, line, Delay(burst.rtt / 2), _Thin(burst.thin))
    reader = _Reader()
    listener = server.stack.listen(_PORT, security=security)
    attempt = client.stack.connect(("10.0.0.2", _PORT), security=security, now=world.now)
    world.run(2 * burst.rtt, None)
    accepted = listener.accept()
    assert accepted is not None
    reader.take(accepted)
    # One octet first: with its acknowledgment comes the whole window, and EDO's first Extension.
    attempt.write(b"!")
    client.wake()
    world.run(world.now + 2 * burst.rtt, None)
    connection = attempt.flow.connection
    before = connection.retransmissions
    began = world.now
    lossy.on = True
    attempt.write(bytes(burst.segments * connection.segment_size))
    client.wake()
    end = connection.sending.end
    with contextlib.suppress(Stalled):
        world.run(began + _GIVE_UP, lambda: connection.snd_una >= end)
    return Repair(burst, world.now - began, lossy.lost, connection.retransmissions - before)


def repair_all(bursts: Sequence[Burst], *, executor: Executor | None = None) -> list[Repair]:
    """All of them, in their order, on ``executor`` (default: a process for each core)."""
    if executor is not None:
        return list(executor.map(repair, bursts))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(repair, bursts, chunksize=8))
