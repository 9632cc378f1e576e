"""One simulated experiment: flows that share a link, measured in virtual time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from stack.attempt import Attempt
from stack.box import Box, Direction
from stack.config import TcpConfig
from stack.connection import Connection
from stack.events import Closed
from stack.host import Stack
from stack.listener import Listener
from stack.run import Run
from stack.runner import Runner
from stack.security import Security
from stack.segment import Segment
from stack.simulator import Delay, Loss, RateLimit, Reorder
from stack.simulator.world import World
from stack.trace import FlowName

_PORT = 80
# What a sender keeps queued, octets: more than any window it can have.
_QUEUED = 1 << 22
_CHUNK = bytes(1 << 18)
# Share of the time that is left out at the beginning: slow start is not what is compared.
_WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Scenario:
    """A link and the flows on it.

    ``rate`` in bit/s, ``rtt`` in seconds without queueing, ``loss`` and ``reorder`` as probabilities each way for
    data, ``queue`` in octets (0: one bandwidth-delay product), ``seconds`` of virtual time. Equal scenarios give
    equal results.
    """

    rate: float = 100e6
    rtt: float = 0.02
    loss: float = 0.0
    reorder: float = 0.0
    queue: int = 0
    controller: str = "cubic"
    flows: int = 1
    seconds: float = 10.0
    protect: str = "none"
    seed: int = 1

    @property
    def queue_octets(self) -> int:
        """The queue in octets, never less than ten packets."""
        return self.queue or max(int(self.rate * self.rtt / 8), 15_000)


@dataclass(slots=True)
class Sample:
    """One connection's state at ``time`` (seconds): octets, seconds and octets since the start."""

    time: float
    cwnd: int
    srtt: float
    sequence: int


@dataclass(slots=True)
class Result:
    """What came of a scenario: goodput in bit/s per flow behind the warm-up; ``share`` of the link's rate for data.

    ``jain`` is Jain's fairness index (1: equal), ``stall`` the longest time in seconds in which a flow delivered
    nothing, ``rto`` the largest retransmission timeout that a sender had, ``samples`` one list per flow.
    """

    scenario: Scenario
    goodput: list[float]
    share: float
    jain: float
    retransmissions: int
    stall: float
    rto: float
    samples: list[list[Sample]] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        """The result without its samples, for JSON."""
        found = asdict(replace(self, samples=[]))
        del found["samples"]
        return found


class _Sampler:
    """Observes the senders' stack: at most one sample a flow in each millisecond of virtual time."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.samples: dict[FlowName, list[Sample]] = {}
        self.rto = 0.0

    def segment_received(self, flow: FlowName, segment: Segment, now: float) -> None:
        """Not looked at."""

    def segment_dropped(self, flow: FlowName, reason: str, now: float) -> None:
        """Not looked at."""

    def segments_sent(self, flow: FlowName, run: Run, count: int, octets: int, now: float) -> None:
        """Not looked at."""

    def updated(self, flow: FlowName, connection: Connection, now: float) -> None:
        """Take a sample."""
        self.rto = max(self.rto, connection.rtt.rto)
        if not self.keep:
            return
        samples = self.samples.setdefault(flow, [])
        if not samples or now - samples[-1].time >= 0.001:
            sequence = connection.snd_una - connection.iss
            samples.append(Sample(now, int(connection.control.cwnd), connection.rtt.srtt, sequence))


class _Sender:
    """Keeps one connection's send buffer full."""

    def __init__(self, attempt: Attempt, runner: Runner) -> None:
        self.attempt = attempt
        self._runner = runner
        self.failed: str | None = None
        attempt.owner = self
        self.fill()

    def on_ready(self) -> None:
        """There is room again, or it is over."""
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.failed = str(event.error)
                return
        self.fill()

    def fill(self) -> None:
        """Write as much as is to be queued."""
        while self.attempt.unsent < _QUEUED:
            self.attempt.write(_CHUNK)
        self._runner.wake()


class _Receiver:
    """Reads everything, and notes when and how much."""

    def __init__(self, attempt: Attempt, runner: Runner, warm: float) -> None:
        self.attempt = attempt
        self._runner = runner
        self._warm = warm
        self._last = runner.now()
        self.octets = 0
        self.stall = 0.0
        attempt.owner = self

    def on_ready(self) -> None:
        """Read what is there."""
        now = self._runner.now()
        while self.attempt.next_event() is not None:
            pass
        octets = 0
        while data := self.attempt.read():
            octets += len(data)
        if octets:
            self.stall = max(self.stall, now - self._last)
            self._last = now
            if now >= self._warm:
                self.octets += octets
            self._runner.wake()


class _Acceptor:
    def __init__(self, listener: Listener, runner: Runner, warm: float) -> None:
        self._listener = listener
        self._runner = runner
        self._warm = warm
        self.receivers: list[_Receiver] = []
        listener.owner = self

    def on_ready(self) -> None:
        while (attempt := self._listener.accept()) is not None:
            receiver = _Receiver(attempt, self._runner, self._warm)
            self.receivers.append(receiver)
            receiver.on_ready()


def run(scenario: Scenario, *, samples: bool = False) -> Result:
    """Run a scenario; ValueError where its values are no link or name nothing."""
    source = random.Random(scenario.seed)
    window = min(max(int(scenario.rate * scenario.rtt / 8) * 4 + scenario.queue_octets, 1 << 20), 1 << 28)
    config = TcpConfig(congestion=scenario.controller, receive_buffer=window, send_buffer=2 * _QUEUED)
    security = Security(scenario.protect)
    world = World(source)
    client = world.add(Stack(["10.0.0.1"], random=source.randbytes, config=config), "senders")
    server = world.add(Stack(["10.0.0.2"], random=source.randbytes, config=config), "receivers")
    boxes: list[Box] = [Loss(scenario.loss, source, only=Direction.FORWARD)] if scenario.loss else []
    if scenario.reorder:
        boxes.append(Reorder(scenario.reorder, scenario.rtt / 4, source, only=Direction.FORWARD))
    boxes += [RateLimit(scenario.rate / 8, scenario.queue_octets), Delay(scenario.rtt / 2)]
    world.link(client, server, *boxes)
    sampler = _Sampler(samples)
    client.stack.trace = sampler
    warm = scenario.seconds * _WARM_UP
    acceptor = _Acceptor(server.stack.listen(_PORT, security=security), server, warm)
    senders = [
        _Sender(client.stack.connect(("10.0.0.2", _PORT), security=security, now=0.0), client)
        for _ in range(scenario.flows)
    ]
    world.run(scenario.seconds)
    measured = scenario.seconds - warm
    goodput = [receiver.octets * 8 / measured for receiver in acceptor.receivers]
    goodput += [0.0] * (scenario.flows - len(goodput))
    connections = [sender.attempt.flow.connection for sender in senders]
    size = connections[0].segment_size
    return Result(
        scenario,
        goodput,
        sum(goodput) / (scenario.rate * size / (size + 52)),
        jain(goodput),
        sum(connection.retransmissions for connection in connections),
        max((receiver.stall for receiver in acceptor.receivers), default=scenario.seconds),
        sampler.rto,
        list(sampler.samples.values()),
    )


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 where all are equal, 1/n where one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0
