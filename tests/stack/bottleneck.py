"""Flows from one host to another over one link with a queue, measured: the unit of the congestion tests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from stack.attempt import Attempt
from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import parse
from stack.simulator import Delay, Loss, RateLimit, Tap
from stack.simulator.world import World
from tests.stack.matrix import Acceptor, Reader

_CHUNK = bytes(1 << 18)


class _Source(Reader):
    """Keeps a connection's send buffer full."""

    def on_ready(self) -> None:
        """Write on."""
        while self.attempt.next_event() is not None:
            pass
        while self.attempt.unsent < 1 << 21:
            self.attempt.write(_CHUNK)
        self.runner.wake()


class _Sink(Acceptor):
    """Accepts one connection and counts what comes."""

    octets = 0
    attempt: Attempt | None = None

    def on_ready(self) -> None:
        """Accept and read."""
        while (attempt := self.listener.accept()) is not None:  # type: ignore[attr-defined]
            self.attempt = attempt
            attempt.owner = self
        while self.attempt is not None and (octets := self.attempt.read()):
            self.octets += len(octets)
        self.runner.wake()


@dataclass(slots=True)
class Outcome:
    """``shares`` of the link's rate that each flow delivered behind the warm-up; ``arrivals`` of data at the link
    (time, octets); ``queue`` the longest wait in it, seconds."""

    shares: list[float] = field(default_factory=list)
    lost: int = 0
    marked: int = 0
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    retransmissions: int = 0

    @property
    def jain(self) -> float:
        """Jain's fairness index."""
        return sum(self.shares) ** 2 / (len(self.shares) * sum(share * share for share in self.shares))


def run(
    *configs: TcpConfig,
    rate: float = 10e6,
    rtt: float = 0.04,
    queue: float = 1.0,
    mark: float | None = None,
    loss: float = 0.0,
    seconds: float = 20.0,
    warm: float = 5.0,
    seed: int = 1,
) -> Outcome:
    """One flow for each of ``configs``; ``rate`` in bit/s, ``queue`` and ``mark`` in bandwidth-delay products."""
    source = random.Random(seed)
    world = World(source)
    product = rate * rtt / 8
    link = RateLimit(rate / 8, int(product * queue), mark=None if mark is None else int(product * mark))
    outcome = Outcome()

    def see(packet: object, _: object, now: float) -> None:
        outcome.arrivals.append((now, len(packet)))  # type: ignore[arg-type]

    server = world.add(Stack(["10.0.0.1"], random=source.randbytes))
    sinks = []
    flows = []
    for index, config in enumerate(configs):
        address = f"10.0.1.{index + 1}"
        client = world.add(Stack([address], random=source.randbytes, config=config))
        boxes = [Tap(see), Loss(loss, source), link, Delay(rtt / 2)]
        world.link(client, server, *boxes, to_first=[f"{address}/32"])
        listener = server.stack.listen(80 + index)
        sink = _Sink(listener, server, b"")
        listener.owner = sink
        attempt = client.stack.connect(("10.0.0.1", 80 + index), now=world.now)
        flow = _Source(attempt, client)
        flow.on_ready()
        sinks.append(sink)
        flows.append(flow)
    world.run(warm)
    before = [sink.octets for sink in sinks]
    world.run(seconds)
    for sink, octets in zip(sinks, before, strict=True):
        outcome.shares.append((sink.octets - octets) * 8 / rate / (seconds - warm))
    outcome.lost = link.lost
    outcome.marked = link.marked
    outcome.retransmissions = sum(int(str(flow.attempt.report()["retransmissions"])) for flow in flows)
    return outcome


def data_of(packet: bytes) -> int:
    """Payload octets of a TCP packet."""
    ip = parse(packet)
    return len(ip.payload(packet)) - ((packet[ip.header_octets + 12] >> 4) << 2)  # type: ignore[union-attr]
