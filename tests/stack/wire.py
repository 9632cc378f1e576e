"""Two stacks on a wire in virtual time, with a tap that sees, changes, drops or adds every packet."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.events import Closed, Event
from stack.host import Stack
from stack.listener import Listener
from stack.security import Security

CLIENT = ("10.0.0.1", "fd00::1")
SERVER = ("10.0.0.2", "fd00::2")

# (packet, from the client?, now) -> packets that go on, each after an additional delay in seconds.
Tap = Callable[[bytes, bool, float], list[tuple[float, bytes]]]


def _pass(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    return [(0.0, packet)]


class Wire:
    """A client's and a server's stack; ``latency`` in seconds one way."""

    def __init__(
        self, seed: int = 1, latency: float = 0.01, tap: Tap = _pass, config: TcpConfig | None = None
    ) -> None:
        source = random.Random(seed)
        self.client = Stack(CLIENT, random=source.randbytes, config=config)
        self.server = Stack(SERVER, random=source.randbytes, config=config)
        self.latency = latency
        self.tap = tap
        self.now = 100.0
        self.sent: list[tuple[float, bool, bytes]] = []
        self._flying: list[tuple[float, int, bool, bytes]] = []
        self._count = 0

    def flush(self) -> None:
        """Put on the wire what the stacks have to send."""
        for stack, from_client in ((self.client, True), (self.server, False)):
            while packets := stack.take_output(self.now).packets:
                for packet in packets:
                    octets = bytes(packet)
                    self.sent.append((self.now, from_client, octets))
                    for delay, changed in self.tap(octets, from_client, self.now):
                        self.put(changed, from_client, delay)

    def put(self, packet: bytes, from_client: bool, delay: float = 0.0) -> None:
        """Have a packet arrive after the latency and ``delay``."""
        self._count += 1
        heapq.heappush(self._flying, (self.now + self.latency + delay, self._count, from_client, packet))

    def run(self, seconds: float = 60.0, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until ``stop`` holds or nothing more happens; returns whether ``stop`` held."""
        end = self.now + seconds
        self.flush()
        while not stop():
            times = [t for t in (self.client.next_deadline, self.server.next_deadline) if t is not None]
            if self._flying:
                times.append(self._flying[0][0])
            if not times or min(times) > end:
                self.now = end
                return stop()
            self.now = max(self.now, min(times))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, from_client, packet = heapq.heappop(self._flying)
                (self.server if from_client else self.client).receive(Batch([packet]), self.now)
            self.client.advance(self.now)
            self.server.advance(self.now)
            self.flush()
        return True

    def open(
        self, client: Security | None = None, server: Security | None = None, *, version: int = 4, port: int = 80
    ) -> tuple[Attempt, Listener]:
        """Listen at the server and begin a connection at the client."""
        listener = self.server.listen(port, security=server or client)
        remote = SERVER[0 if version == 4 else 1]
        attempt = self.client.connect((remote, port), security=client, now=self.now)
        return attempt, listener


class End:
    """One end of a connection that sends ``data``, ends its direction and keeps what comes."""

    def __init__(self, attempt: Attempt, data: bytes = b"") -> None:
        self.attempt = attempt
        self.received = bytearray()
        self.events: list[Event] = []
        if data:
            attempt.write(data)
        attempt.write_eof()

    def pump(self) -> None:
        """Read what is there."""
        while (event := self.attempt.next_event()) is not None:
            self.events.append(event)
        while octets := self.attempt.read():
            self.received += octets

    @property
    def closed(self) -> Closed | None:
        """The end of the connection, once it came."""
        return next((event for event in self.events if isinstance(event, Closed)), None)


def transfer(
    wire: Wire, attempt: Attempt, listener: Listener, up: bytes, down: bytes, seconds: float = 600.0
) -> tuple[End, End]:
    """Send ``up`` and ``down`` through a connection and close it; both ends, whatever became of them."""
    client = End(attempt, up)
    servers: list[End] = []

    def step() -> bool:
        while (accepted := listener.accept()) is not None:
            servers.append(End(accepted, down))
        client.pump()
        for end in servers:
            end.pump()
        wire.flush()
        return client.closed is not None and all(end.closed for end in servers)

    wire.run(seconds, step)
    if not servers:
        raise AssertionError(f"nothing was accepted: {client.events}")
    return client, servers[0]
