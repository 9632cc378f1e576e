"""What telemetry in options costs: goodput with so many octets in every segment of data."""

from __future__ import annotations

import random
from typing import Any, Final

from construct import GreedyBytes, Struct

from edo.experiments import DATA, Experiment, experiment
from stack.config import TcpConfig
from stack.experimental import ExperimentalFlow
from stack.host import Stack
from stack.security import Security
from stack.simulator import Delay, RateLimit
from stack.simulator.world import World

from ..sim.programs import Acceptor
from .cell import Outcome

_SIZES: Final = (0, 8, 32, 64, 128, 250, 500)
_REDUCED: Final = (0, 8, 128)
_SPACES: Final = {"legacy": "off", "edo": "strict"}
_RATE: Final = 20e6  # bit/s
_RTT: Final = 0.02
_OCTETS: Final = 4_000_000
_BUFFER: Final = 1 << 20
_PORT: Final = 80


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Sizes, where there are 40 octets and where there are more."""
    return [(f"{size} octets", space) for size in (_REDUCED if reduced else _SIZES) for space in _SPACES]


def _telemetry(octets: int) -> Experiment:
    contents = bytes(octets)

    def send(_: Any) -> dict[str, object]:
        return {"contents": contents}

    fields = Struct("contents" / GreedyBytes)
    return experiment("telemetry", fields, exid=0xE0D0, most=octets, send=send, on=(DATA,), every=True)


def run(case: str, space: str, seed: int) -> Outcome:
    """Send 4 MB over 20 Mbit/s and 20 ms, with the option in every segment of data that has room for it."""
    octets = int(case.partition(" ")[0])
    declared = (_telemetry(octets),) if octets else ()
    security = Security(edo=_SPACES[space], experiments=declared)
    source = random.Random(seed)
    config = TcpConfig(receive_buffer=_BUFFER, send_buffer=_OCTETS + 1)
    world = World(source)
    client, server = (
        world.add(Stack([address], random=source.randbytes, config=config)) for address in ("10.0.0.1", "10.0.0.2")
    )
    world.link(client, server, RateLimit(_RATE / 8, int(_RATE / 8 * _RTT)), Delay(_RTT / 2))
    acceptor = Acceptor(server.stack.listen(_PORT, security=security), server, 0.0)
    attempt = client.stack.connect(("10.0.0.2", _PORT), security=security, now=world.now)
    attempt.write(bytes(_OCTETS))
    client.wake()

    def arrived() -> bool:
        return sum(one.octets for one in acceptor.receivers.values()) >= _OCTETS

    world.run(60.0, arrived)
    flow = attempt.flow
    counts = flow.experiments.counts["telemetry"] if isinstance(flow, ExperimentalFlow) else {}
    sent = counts.get("sent", 0)
    told = {
        "value": round(_OCTETS * 8 / world.now / 1e6, 3),
        "unit": "Mbit/s",
        "options sent": sent,
        "left out for want of room": counts.get("no_room", 0),
        "seconds": round(world.now, 4),
    }
    return Outcome("carried" if sent or not octets else "left out", told)
