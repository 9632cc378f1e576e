"""One seeded transfer between two stacks over a bad link: the unit of the matrix that tests and soak run."""

from __future__ import annotations

import random
from ipaddress import ip_network

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.events import Closed
from stack.host import Stack
from stack.renewal import Renewal
from stack.runner import Runner
from stack.security import Security
from stack.simulator.boxes import Delay, Duplicate, Loss, Reorder
from stack.simulator.world import World
from tests.stack.keystream import Keystreams

MODES = ("none", "md5", "ao", "ao-enc-dh")
OCTETS = 1_000_000


class Reader:
    """Owner of an attempt: keeps what comes, and notes the end."""

    def __init__(self, attempt: Attempt, runner: Runner) -> None:
        self.attempt = attempt
        self.runner = runner
        self.received = bytearray()
        self.closed: Closed | None = None
        attempt.owner = self

    def on_ready(self) -> None:
        """Take what is there."""
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.closed = event
        while octets := self.attempt.read():
            self.received += octets
        self.runner.wake()


class Watch:
    """A box that sees what an end puts on the wire, before anything happens to it."""

    next_deadline = None

    def __init__(self, keystreams: Keystreams, direction: Direction) -> None:
        self._keystreams = keystreams
        self._direction = direction

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Look at the packets of one direction."""
        if direction is self._direction:
            for packet in packets:
                self._keystreams.take(bytes(packet), direction is Direction.FORWARD)
        return [(now, direction, packet) for packet in packets]


class Acceptor:
    """Owner of a listener: answers its one connection with ``data``."""

    def __init__(self, listener: object, runner: Runner, data: bytes) -> None:
        self.listener = listener
        self.runner = runner
        self.data = data
        self.reader: Reader | None = None

    def on_ready(self) -> None:
        """Accept, send everything, end."""
        while (attempt := self.listener.accept()) is not None:  # type: ignore[attr-defined]
            self.reader = Reader(attempt, self.runner)
            attempt.write(self.data)
            attempt.write_eof()
            self.reader.on_ready()


def securities(mode: str, source: random.Random) -> tuple[Security, Security]:
    """The two ends' security for ``mode``, with what the seed chooses within it."""
    if mode == "ao":
        mac = source.choice(["aes-128-cmac-96", "hmac-sha-1-96"])
        edo = source.choice([None, "strict"])
        cover = source.random() < 0.5
        one = MktTable([Mkt("k", 1, 2, b"matrix", peer=ip_network("10.0.0.2/32"), mac=mac, cover_options=cover)])
        two = MktTable([Mkt("k", 2, 1, b"matrix", peer=ip_network("10.0.0.1/32"), mac=mac, cover_options=cover)])
        return Security("ao", keys=one, edo=edo), Security("ao", keys=two, edo=edo)
    if mode == "md5":
        keys = Md5Table([Md5Key("k", b"matrix", peer=ip_network("10.0.0.0/30"))])
        return Security("md5", md5_keys=keys), Security("md5", md5_keys=keys)
    if mode == "ao-enc-dh":
        placements = (source.choice(["auto", "late"]),)
        # New keys every few dozen segments, by one side, the other, or both at once.
        often, never = Renewal(octets=source.choice([40_000, 150_000])), Renewal()
        one, two = source.choice([(often, never), (never, often), (often, often)])
        return Security(mode, placements=placements, rekey=one), Security(mode, rekey=two)
    edo = source.choice([None, "strict"])
    return Security(edo=edo), Security(edo=edo)


def transfer(mode: str, seed: int, octets: int = OCTETS) -> Keystreams:
    """Send ``octets`` one way and a tenth of it back; AssertionError unless exactly these arrive.

    Under agreed keys no octet of a keystream may meet two; what was seen of them is returned.
    """
    source = random.Random(seed)
    up, down = source.randbytes(octets), source.randbytes(octets // 10)
    if source.random() < 0.5:
        up, down = down, up
    world = World(source)
    client = world.add(Stack(["10.0.0.1"], random=source.randbytes), "client")
    server = world.add(Stack(["10.0.0.2"], random=source.randbytes), "server")
    link = (
        Loss(source.uniform(0, 0.1), source),
        Reorder(source.uniform(0, 0.1), source.uniform(0.001, 0.05), source),
        Duplicate(source.uniform(0, 0.1), source, source.uniform(0, 0.02)),
        Delay(source.uniform(0.001, 0.05)),
    )
    keystreams = Keystreams()
    if mode == "ao-enc-dh":
        watches = (Watch(keystreams, Direction.FORWARD), Watch(keystreams, Direction.BACKWARD))
        world.link(client, server, watches[0], *link, watches[1])
    else:
        world.link(client, server, *link)
    ours, theirs = securities(mode, source)
    listener = server.stack.listen(80, security=theirs)
    acceptor = Acceptor(listener, server, down)
    listener.owner = acceptor
    attempt = client.stack.connect(("10.0.0.2", 80), security=ours, now=world.now)
    reader = Reader(attempt, client)
    attempt.write(up)
    attempt.write_eof()
    client.wake()

    def done() -> bool:
        return reader.closed is not None and acceptor.reader is not None and acceptor.reader.closed is not None

    world.run(7200.0, done)
    assert reader.closed == Closed(None, 0), f"seed {seed}, {mode}: {attempt.report()}"
    assert acceptor.reader is not None
    assert acceptor.reader.closed == Closed(None, 0), f"seed {seed}, {mode}: {acceptor.reader.attempt.report()}"
    assert bytes(acceptor.reader.received) == up, f"seed {seed}, {mode}: octets differ upwards"
    assert bytes(reader.received) == down, f"seed {seed}, {mode}: octets differ downwards"
    assert attempt.report()["mode"] == mode, f"seed {seed}: {attempt.report()}"
    return keystreams
