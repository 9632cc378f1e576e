"""Hours of silence between two stacks in virtual time: keepalives (RFC 9293 §3.8.4), a peer that is gone, a NAT."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field

import pytest

from stack.batch import Octets
from stack.box import Direction
from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.host import Stack
from stack.listener import Listener
from stack.security import Security
from stack.simulator import Delay, Filter, SimRunner, Tap, World
from tests.stack.bottleneck import data_of
from tests.stack.matrix import Reader

HOUR = 3600.0
IDLE, INTERVAL, PROBES = 7200.0, 75.0, 9  # the defaults
HELLO, BYE = b"hello " * 1000, b"bye " * 1000
OFF, ON = TcpConfig(), TcpConfig(keepalive=True)
Seen = tuple[float, Direction, int]


class Forgetful:
    """A NAT that lets packets of a connection pass while the last one is at most ``life`` seconds ago."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.last: float | None = None

    def keep(self, packet: Octets, direction: Direction, now: float) -> bool:
        """A SYN from within makes an entry; every packet that passes renews it."""
        if self.last is None or now - self.last > self.life:
            self.last = None
            if direction is not Direction.FORWARD or packet[33] != 0x02:
                return False
        self.last = now
        return True


class Host:
    """Owner of a listener: keeps its one connection open."""

    def __init__(self, listener: Listener, runner: SimRunner[Stack]) -> None:
        self.listener = listener
        self.runner = runner
        self.reader: Reader | None = None

    def on_ready(self) -> None:
        """Accept."""
        while (attempt := self.listener.accept()) is not None:
            self.reader = Reader(attempt, self.runner)
            self.reader.on_ready()


@dataclass(slots=True)
class Pair:
    """Two connected stacks, what is on the link between them, and how to cut it."""

    world: World
    client: SimRunner[Stack]
    server: SimRunner[Stack]
    near: Reader
    far: Reader
    seen: list[Seen]
    cut: list[bool] = field(default_factory=list)

    def says(self, reader: Reader, hearer: Reader, octets: bytes) -> None:
        """Have ``reader`` say ``octets`` that ``hearer`` hears, and everything acknowledged."""
        before = len(hearer.received)
        reader.attempt.write(octets)
        reader.runner.wake()
        self.world.run(self.world.now + 30.0, lambda: reader.attempt.unsent == 0)
        assert hearer.received[before:] == octets

    def quiet(self, seconds: float) -> list[Seen]:
        """Let the time pass; return what was on the link: seconds from now, direction, octets of payload."""
        begin = self.world.now
        self.seen.clear()
        self.world.run(begin + seconds)
        return [(when - begin, direction, octets) for when, direction, octets in self.seen]


def connected(client: TcpConfig, server: TcpConfig, mode: str = "none", nat: Forgetful | None = None) -> Pair:
    """A pair that has exchanged something and then said nothing for a second."""
    source = random.Random(7)
    world = World(source)
    near = world.add(Stack(["10.0.0.1"], random=source.randbytes, config=client), "client")
    far = world.add(Stack(["10.0.0.2"], random=source.randbytes, config=server), "server")
    seen: list[Seen] = []
    cut: list[bool] = []
    boxes = [Tap(lambda packet, direction, now: seen.append((now, direction, data_of(bytes(packet)))))]
    boxes.append(Filter(lambda *_: not cut))
    if nat is not None:
        boxes.append(Filter(nat.keep))
    world.link(near, far, *boxes, Delay(0.05))
    # What is silent has no keys to make anew either (profile.md §7); that they were used a moment ago is left out.
    security = Security(mode, rekey=None) if mode == "ao-enc-dh" else Security(mode)
    listener = far.stack.listen(80, security=security)
    host = Host(listener, far)
    listener.owner = host
    attempt = near.stack.connect(("10.0.0.2", 80), security=security, now=world.now)
    reader = Reader(attempt, near)
    attempt.write(HELLO)
    near.wake()
    world.run(60.0, lambda: host.reader is not None and host.reader.received == HELLO)
    assert host.reader is not None
    pair = Pair(world, near, far, reader, host.reader, seen, cut)
    pair.says(pair.far, pair.near, HELLO)
    world.run(world.now + 1.0)
    return pair


def ended(reader: Reader, code: int) -> bool:
    """Whether the connection has ended with this error and is forgotten."""
    assert reader.closed is not None
    assert isinstance(reader.closed.error, TcpError)
    return reader.closed.error.errno == code and not reader.runner.stack.flows  # type: ignore[attr-defined]


MODES = pytest.mark.parametrize("mode", ["none", "ao-enc-dh"])


@MODES
def test_without_keepalives_four_hours_are_silent_and_harmless(mode: str) -> None:
    pair = connected(OFF, OFF, mode)
    assert pair.quiet(4 * HOUR) == []
    pair.says(pair.far, pair.near, BYE)
    pair.says(pair.near, pair.far, BYE)


@MODES
def test_after_two_hours_and_after_four_a_probe_is_answered(mode: str) -> None:
    pair = connected(ON, OFF, mode)
    seen = pair.quiet(4 * HOUR + 60.0)
    # The probe, the acknowledgment which it draws; and the same two hours after that was heard. No text in any.
    assert [(direction, octets) for _, direction, octets in seen] == [
        (Direction.FORWARD, 0),
        (Direction.BACKWARD, 0),
    ] * 2
    probes = [when for when, direction, _ in seen if direction is Direction.FORWARD]
    assert probes == pytest.approx([IDLE - 1.0, 2 * IDLE - 1.0], abs=0.5)
    assert pair.near.closed is pair.far.closed is None
    pair.says(pair.far, pair.near, BYE)
    pair.says(pair.near, pair.far, BYE)
    assert pair.near.attempt.report()["retransmissions"] == 0


def test_each_end_asks_for_itself() -> None:
    pair = connected(ON, ON)
    # A probe lies below the window: anybody could have made it, so it does not stand for the peer's own answer.
    directions = [direction for _, direction, _ in pair.quiet(4 * HOUR + 60.0)]
    assert (directions.count(Direction.FORWARD), directions.count(Direction.BACKWARD)) == (4, 4)
    assert pair.near.closed is pair.far.closed is None


@MODES
def test_a_peer_that_is_gone_is_found_by_two_hours_and_nine_probes(mode: str) -> None:
    pair = connected(ON, OFF, mode)
    pair.cut.append(True)
    seen = pair.quiet(IDLE + PROBES * INTERVAL - 3.0)
    assert pair.near.closed is None
    assert [when for when, _, _ in seen] == pytest.approx(
        [IDLE - 1.0 + INTERVAL * number for number in range(PROBES)], abs=0.5
    )
    assert pair.quiet(60.0) == []
    assert ended(pair.near, errno.ETIMEDOUT)
    # The other end has no keepalives and knows of nothing.
    assert pair.far.closed is None


def test_both_ends_of_a_cut_path_find_it() -> None:
    pair = connected(ON, ON)
    pair.cut.append(True)
    pair.quiet(IDLE + PROBES * INTERVAL + 60.0)
    assert ended(pair.near, errno.ETIMEDOUT)
    assert ended(pair.far, errno.ETIMEDOUT)


def test_a_path_that_comes_back_between_two_probes_is_not_given_up() -> None:
    pair = connected(ON, OFF)
    pair.cut.append(True)
    # Eight probes are lost, the ninth is not.
    assert len(pair.quiet(IDLE + (PROBES - 1) * INTERVAL - 10.0)) == PROBES - 1
    pair.cut.clear()
    assert len(pair.quiet(INTERVAL)) == 2
    # And the count has begun anew.
    assert pair.quiet(IDLE - 2 * INTERVAL) == []
    pair.says(pair.far, pair.near, BYE)


def test_a_peer_that_has_started_again_answers_the_first_probe_with_a_reset() -> None:
    pair = connected(ON, OFF)
    for flow in list(pair.server.stack.flows.values()):
        pair.server.stack.forget(flow)
    pair.quiet(IDLE - 2.0)
    assert pair.near.closed is None
    seen = pair.quiet(2.0)
    assert [direction for _, direction, _ in seen] == [Direction.FORWARD, Direction.BACKWARD]
    assert ended(pair.near, errno.ECONNRESET)


@MODES
def test_keepalives_of_four_minutes_keep_an_entry_of_five_in_a_nat(mode: str) -> None:
    pair = connected(TcpConfig(keepalive=True, keepalive_idle=240.0), OFF, mode, Forgetful(300.0))
    # Each interval begins with the answer to the probe before, a round trip of 0.1 s later.
    assert len(pair.quiet(4 * HOUR)) == 2 * int(4 * HOUR / 240.1)
    pair.says(pair.far, pair.near, BYE)


def test_a_nat_that_has_forgotten_ends_the_connection_of_who_speaks() -> None:
    pair = connected(OFF, OFF, nat=Forgetful(300.0))
    pair.quiet(400.0)
    pair.far.attempt.write(BYE)
    pair.server.wake()
    pair.quiet(HOUR)
    assert pair.far.closed == Closed(pair.far.attempt.error, len(BYE))
    assert ended(pair.far, errno.ETIMEDOUT)
    # R2: the first sending and fifteen more (RFC 9293 §3.8.3).
    assert pair.far.attempt.report()["retransmissions"] == pytest.approx(16, abs=2)
    assert pair.near.received == HELLO
