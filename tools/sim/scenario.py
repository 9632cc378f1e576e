"""One simulated experiment: flows that share a link, measured in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from stack.box import Box, Direction
from stack.config import TcpConfig
from stack.experimental import ExperimentalFlow
from stack.host import Stack
from stack.memory import MEMORY
from stack.security import Security
from stack.simulator import Delay, Gather, Loss, RateLimit, Reorder
from stack.simulator.world import World
from stack.trace import Trace

from ..experiments import load_all
from .observer import Observer, Sample
from .paths import Paths
from .programs import SPARE, Acceptor, Sender

_PORT: Final = 80
# What is left out at the beginning, for slow start is not what is compared: this share of the time, or so many
# round trips where that is more, but not more than half of the time.
_WARM_UP: Final = 0.25
_WARM_UP_ROUNDS: Final = 16
# IP and TCP headers of a data segment, timestamps included, octets.
_HEADERS: Final = 52
# A queue holds no less, packets.
_LEAST_QUEUE: Final = 10
# The flows begin within so many round trips, each at a time of its own.
_BEGIN: Final = 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """A link and the flows on it.

    ``rate`` in bit/s, ``rtt`` in seconds without queueing, ``loss`` and ``reorder`` as probabilities for data
    (what is reordered comes up to a quarter of ``rtt`` late), ``buffer`` the queue in bandwidth-delay products,
    ``queue`` the same in octets (0: by ``buffer``). ``controller`` may name several joined by ``+``, which the
    ``flows`` take in turn; the last flow's round trip is ``rtt`` times ``rtt_ratio``, those between lie between.
    ``gather`` is the time in seconds within which arriving packets are handed over together, as fast devices
    do. ``seconds`` of virtual time. ``experiments`` are files that declare options (``tools.experiments``), which
    both sides then carry over EDO. Equal scenarios give equal results.
    """

    rate: float = 100e6
    rtt: float = 0.02
    loss: float = 0.0
    reorder: float = 0.0
    buffer: float = 1.0
    queue: int = 0
    controller: str = "cubic"
    recovery: str = "rack"
    pacing: str = "off"
    flows: int = 1
    rtt_ratio: float = 1.0
    seconds: float = 10.0
    protect: str = "none"
    mtu: int = 1500
    gather: float = 0.0
    seed: int = 1
    experiments: tuple[str, ...] = ()

    @property
    def product(self) -> float:
        """The bandwidth-delay product, octets."""
        return self.rate * self.rtt / 8

    @property
    def queue_octets(self) -> int:
        """The queue in octets, never less than ten packets."""
        return self.queue or max(int(self.product * self.buffer), _LEAST_QUEUE * self.mtu)

    @property
    def warm(self) -> float:
        """When measuring begins, seconds."""
        return min(max(self.seconds * _WARM_UP, _WARM_UP_ROUNDS * self.rtt), self.seconds / 2)


@dataclass(slots=True)
class Result:
    """What came of a scenario: goodput in bit/s per flow behind the warm-up; ``share`` of the link's rate for data.

    ``jain`` is Jain's fairness index (1: equal); ``stall`` the longest time in seconds in which a flow delivered
    nothing; ``silence`` the longest in which a sender sent nothing, ``overdue`` the longest without anything sent
    or acknowledged as a part of the sender's RTO then; ``rto`` the largest RTO; ``delay`` the mean round trip in
    seconds; ``dropped`` how many packets did not fit the queue. ``samples`` is one list per flow.
    ``experiments`` has by name what became of options of users at both ends together.
    """

    scenario: Scenario
    goodput: list[float]
    share: float
    jain: float
    retransmissions: int
    stall: float
    silence: float
    overdue: float
    rto: float
    delay: float
    dropped: int
    samples: list[list[Sample]] = field(default_factory=list)
    experiments: dict[str, dict[str, int]] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """The result without its samples, for JSON."""
        found = asdict(replace(self, samples=[]))
        del found["samples"]
        return found


def run(scenario: Scenario, *, samples: bool = False, trace: Trace | None = None) -> Result:
    """Run a scenario, with ``trace`` watching the senders; ValueError where its values name nothing."""
    source = random.Random(scenario.seed)
    # More than any controller has outstanding, retransmissions that are lost again included.
    window = min(max(int(scenario.product) * 6 + 4 * scenario.queue_octets, 1 << 20), 1 << 30)
    queued = window + SPARE
    configs = [
        TcpConfig(
            congestion=name,
            recovery=scenario.recovery,
            pacing=scenario.pacing,
            mtu=scenario.mtu,
            receive_buffer=window,
            send_buffer=2 * queued,
        )
        for name in scenario.controller.split("+")
    ]
    declared = load_all([Path(name) for name in scenario.experiments])
    security = Security(scenario.protect, edo="strict" if declared else None, experiments=declared)
    world = World(source)
    # No path is judged by how much memory two hosts have.
    memory = max(MEMORY, 4 * queued * scenario.flows)
    client, server = (
        world.add(Stack([address], random=source.randbytes, config=configs[0], memory=memory), name)
        for address, name in (("10.0.0.1", "senders"), ("10.0.0.2", "receivers"))
    )
    link = RateLimit(scenario.rate / 8, scenario.queue_octets)
    paths = Paths()
    world.link(client, server, *_boxes(scenario, source, paths, link))
    warm = scenario.warm
    observer = Observer(keep=samples, warm=warm, other=trace)
    client.stack.trace = observer
    acceptor = Acceptor(server.stack.listen(_PORT, security=security), server, warm)
    senders: list[Sender] = []

    def begin() -> None:
        number = len(senders)
        config = configs[number % len(configs)]
        attempt = client.stack.connect(("10.0.0.2", _PORT), security=security, config=config, now=world.now)
        if scenario.flows > 1:
            more = scenario.rtt * (scenario.rtt_ratio - 1) * number / (scenario.flows - 1)
            paths.lengthen(attempt.local[1], more / 2)
        senders.append(Sender(attempt, client, queued))

    begin()
    for _ in range(scenario.flows - 1):
        world.call_at(source.random() * _BEGIN * scenario.rtt, begin)
    world.run(scenario.seconds, most_steps=1 << 40)
    observer.finish(world.now)
    measured = scenario.seconds - warm
    receivers = [acceptor.receivers.get(sender.attempt.local[1]) for sender in senders]
    goodput = [receiver.octets * 8 / measured if receiver else 0.0 for receiver in receivers]
    connections = [sender.attempt.flow.connection for sender in senders]
    size = connections[0].segment_size
    return Result(
        scenario,
        goodput,
        sum(goodput) / (scenario.rate * size / (size + _HEADERS)),
        jain(goodput),
        sum(connection.retransmissions for connection in connections),
        max(receiver.stall if receiver else scenario.seconds for receiver in receivers),
        observer.silence,
        observer.overdue,
        observer.rto,
        observer.delay,
        link.lost,
        observer.samples if samples else [],
        _counted(senders, acceptor),
    )


def _counted(senders: Sequence[Sender], acceptor: Acceptor) -> dict[str, dict[str, int]]:
    """What became of the experiments' options at all ends together, by name."""
    counted: dict[str, Counter[str]] = {}
    receivers = acceptor.receivers.values()
    for attempt in (*(one.attempt for one in senders), *(one.attempt for one in receivers)):
        if isinstance(attempt.flow, ExperimentalFlow):
            for name, counts in attempt.flow.experiments.counts.items():
                counted.setdefault(name, Counter()).update(counts)
    return {name: dict(sorted(counts.items())) for name, counts in counted.items()}


def _boxes(scenario: Scenario, source: random.Random, paths: Paths, link: RateLimit) -> list[Box]:
    """What a packet meets on its way to the receivers; back the other way."""
    boxes: list[Box] = []
    if scenario.gather:
        boxes.append(Gather(scenario.gather, only=Direction.BACKWARD))
    if scenario.loss:
        boxes.append(Loss(scenario.loss, source, only=Direction.FORWARD))
    boxes.append(link)
    if scenario.reorder:
        boxes.append(Reorder(scenario.reorder, scenario.rtt / 4, source, only=Direction.FORWARD))
    boxes.append(Delay(scenario.rtt / 2))
    if scenario.rtt_ratio != 1.0:
        boxes.append(paths)
    if scenario.gather:
        boxes.append(Gather(scenario.gather, only=Direction.FORWARD))
    return boxes


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 where all are equal, 1/n where one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0
