"""What protection costs: octets, round trips and CPU time of each mode and placement, to begin and to go on.

Octets and round trips are exact. CPU times are measured in this process, both ends and the simulated path together;
they are of this machine and of this moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Final

from ao.groups import GROUPS_BY_NAME
from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from stack.batch import Octets
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, Direction, Tap
from stack.simulator.world import World

from ..bench.handshakes.figures import RTT
from ..bench.handshakes.ours import Ours
from ..sim.programs import Acceptor
from .cell import Cell, Outcome

_PORT: Final = 80
_OCTETS: Final = 2_000_000
_BUFFER: Final = 1 << 22
_LONGEST_HEADER: Final = 120
_ROUNDS: Final = 3
# CPU seconds of each round in which handshakes are made.
_SECONDS: Final = 0.3
_NONE: Final = "-"
_SECRET: Final = b"a key that both ends have"


@dataclass(frozen=True, slots=True)
class Kind:
    """A row: ``mode``, ``placement`` and how keys come about; ``security`` makes what both ends ask for."""

    mode: str
    placement: str
    keys: str
    security: Callable[[], Security]
    resumes: bool = False


def _configured(mode: str, cipher: str | None = None, *, cover_options: bool = True) -> Callable[[], Security]:
    mkt = Mkt("key", 1, 1, _SECRET, encrypt=cipher, cover_options=cover_options)
    return lambda: Security(mode, keys=MktTable([mkt]))


def _agreed(mode: str, placement: str, group: str, resume: str = "off") -> Callable[[], Security]:
    return lambda: Security(mode, placements=(placement,), groups=(group,), resume=resume)


def kinds() -> list[Kind]:
    """Every row, in the order of the table; groups that the library does not compute are left out."""
    found = [
        Kind("none", _NONE, _NONE, Security),
        Kind("md5", _NONE, "configured", lambda: Security("md5", md5_keys=Md5Table([Md5Key("key", _SECRET)]))),
        Kind("ao", _NONE, "configured", _configured("ao")),
        Kind("ao", _NONE, "configured; options not covered", _configured("ao", cover_options=False)),
        Kind("ao-enc", _NONE, "configured", _configured("ao-enc", "aes-128-ctr")),
    ]
    for mode in ("ao-dh", "ao-enc-dh"):
        for placement, group in (("syn", "x25519"), ("late", "x25519")):
            found.append(Kind(mode, placement, group, _agreed(mode, placement, group)))
    mode = "ao-enc-dh"
    found.append(Kind(mode, "compact", "x25519", _agreed(mode, "compact", "x25519")))
    for placement, group in (
        ("syn", "secp256r1"),
        ("syn", "x448"),
        ("syn", "X25519MLKEM768"),
        ("late", "X25519MLKEM768"),
        ("late", "ffdhe3072"),
    ):
        if group in GROUPS_BY_NAME:
            found.append(Kind(mode, placement, group, _agreed(mode, placement, group)))
    for resume in ("plain", "fresh"):
        keys = "x25519 resumed" + (" with a share" if resume == "fresh" else "")
        found.append(Kind(mode, "syn", keys, _agreed(mode, "syn", "x25519", resume), resumes=True))
    return found


@dataclass(slots=True)
class _Passed:
    """What crossed the path from the sender of data."""

    packets: int = 0
    octets: int = 0

    def see(self, packet: Octets, direction: Direction, now: float) -> None:
        """Count packets with data, which are longer than any header."""
        if direction is Direction.FORWARD and len(packet) > _LONGEST_HEADER:
            self.packets += 1
            self.octets += len(packet)


def _transfer(kind: Kind, seed: int) -> tuple[_Passed, float]:
    """Send 2 MB over a path without loss; what crossed, and the CPU seconds that it took."""
    source = Random(seed)
    config = TcpConfig(receive_buffer=_BUFFER, send_buffer=_BUFFER)
    world = World(source)
    client, server = (
        world.add(Stack([address], random=source.randbytes, config=config)) for address in ("10.0.0.1", "10.0.0.2")
    )
    passed = _Passed()
    world.link(client, server, Tap(passed.see), Delay(0.005))
    security = kind.security()
    acceptor = Acceptor(server.stack.listen(_PORT, security=security), server, 0.0)
    attempt = client.stack.connect(("10.0.0.2", _PORT), security=security, now=world.now)
    client.wake()
    world.run(1.0)
    attempt.write(bytes(_OCTETS))
    begun = time.process_time()
    client.wake()
    world.run(60.0, lambda: sum(one.octets for one in acceptor.receivers.values()) >= _OCTETS)
    return passed, time.process_time() - begun


def _handshake(kind: Kind) -> Ours:
    expects = (("resumed", True),) if kind.resumes else ()
    return Ours(f"{kind.mode} {kind.placement} {kind.keys}", kind.security(), expects, resumes=kind.resumes)


def _exact(value: float, unit: str, **more: object) -> Outcome:
    return Outcome("exact", {"value": value, "unit": unit, **more})


def _measured(values: list[float]) -> Outcome:
    times = [round(value * 1e6, 2) for value in values]
    told = {"value": median(times), "unit": "us", "least": min(times), "most": max(times), "rounds": len(times)}
    return Outcome("measured", told)


def _packets(kind: Kind, seed: int) -> Outcome:
    wire = _handshake(kind).wire()
    return _exact(wire.packets_up + wire.packets_down, "packets", up=wire.packets_up, down=wire.packets_down)


def _octets(kind: Kind, seed: int) -> Outcome:
    wire = _handshake(kind).wire()
    return _exact(wire.octets_up + wire.octets_down, "octets", up=wire.octets_up, down=wire.octets_down)


def _round_trips(kind: Kind, seed: int) -> Outcome:
    return _exact(_handshake(kind).wire().round_trips, "RTT", rtt=RTT)


def _handshake_cpu(kind: Kind, seed: int) -> Outcome:
    rates = [_handshake(kind).rate(_SECONDS) for _ in range(_ROUNDS)]
    return _measured([rate.seconds / rate.handshakes for rate in rates])


def _header(kind: Kind, seed: int) -> Outcome:
    passed, _ = _transfer(kind, seed)
    return _exact(round((passed.octets - _OCTETS) / passed.packets, 1), "octets", packets=passed.packets)


def _share(kind: Kind, seed: int) -> Outcome:
    passed, _ = _transfer(kind, seed)
    return _exact(round(100 * _OCTETS / passed.octets, 2), "%", packets=passed.packets, octets=passed.octets)


def _segment_cpu(kind: Kind, seed: int) -> Outcome:
    found = [_transfer(kind, seed) for _ in range(_ROUNDS)]
    return _measured([seconds / passed.packets for passed, seconds in found])


FIGURES: Final[dict[str, Callable[[Kind, int], Outcome]]] = {
    "handshake packets": _packets,
    "handshake octets": _octets,
    "handshake round trips": _round_trips,
    "handshake CPU": _handshake_cpu,
    "header of a segment": _header,
    "payload of all octets": _share,
    "CPU of a segment": _segment_cpu,
}
_REDUCED: Final = ("handshake octets", "handshake round trips", "header of a segment")


class Cost:
    """A row for each mode, placement and group; a column for each figure."""

    name = "cost"
    rows = ("mode", "placement", "keys")
    columns = ("figure",)
    real = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every figure of every kind; reduced, what is exact of the handshake and of a segment."""
        return [
            Cell(
                self.name,
                {"mode": kind.mode, "placement": kind.placement, "keys": kind.keys, "figure": figure},
                seed,
            )
            for kind in kinds()
            for figure in (_REDUCED if reduced else FIGURES)
            # How keys came about makes no difference to what follows.
            if not kind.resumes or figure.startswith("handshake")
        ]

    def run(self, cell: Cell) -> Outcome:
        """Find out one figure. Raises ``tools.bench.handshakes.ours.Failed`` where a handshake comes to nothing."""
        asked = tuple(cell.parameters[name] for name in self.rows)
        kind = next(kind for kind in kinds() if (kind.mode, kind.placement, kind.keys) == asked)
        return FIGURES[str(cell.parameters["figure"])](kind, cell.seed)


MATRIX: Final = Cost()
