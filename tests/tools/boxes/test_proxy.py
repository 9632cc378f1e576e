"""The terminating proxy, and every box, between two stacks that hand each other a stream."""

from __future__ import annotations

import random

import pytest

from stack.attempt import Attempt
from stack.events import Closed
from stack.host import Stack
from stack.security import Security
from stack.simulator.boxes import Delay, Tap
from stack.simulator.world import World
from tests.tools.boxes.support import named
from tools.boxes.registry import BOXES, Placed, arranged

OCTETS = 30_000


class End:
    """A program that sends its text, ends, and keeps what comes."""

    def __init__(self, attempt: Attempt, text: bytes) -> None:
        self.attempt, self.got, self.closed = attempt, bytearray(), None
        attempt.owner = self
        attempt.write(text)
        attempt.write_eof()

    def on_ready(self) -> None:
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.closed = event
        while octets := self.attempt.read():
            self.got += octets


def exchange(
    *boxes: Placed, version: int = 4, security: Security | None = None
) -> tuple[End, End | None, bytes, bytes]:
    """A transfer both ways through ``boxes``: the programs at both ends, and what each has sent."""
    chance = random.Random(1)
    up, down = chance.randbytes(OCTETS), chance.randbytes(OCTETS)
    world = World(chance)
    near, far = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}[version]
    client = world.add(Stack([near], random=world.octets))
    server = world.add(Stack([far], random=world.octets))
    world.link(client, server, *arranged(boxes, Delay(0.01)))
    security = security or Security()
    listener = server.stack.listen(80, security=security)
    ends: list[End] = []

    class Acceptor:
        def on_ready(self) -> None:
            while (attempt := listener.accept()) is not None:
                ends.append(End(attempt, down))
                server.wake()

    listener.owner = Acceptor()
    one = End(client.stack.connect((far, 80), security=security, now=0.0), up)
    client.wake()
    world.run(400.0)
    return one, ends[0] if ends else None, up, down


@pytest.mark.parametrize("version", [4, 6])
def test_a_proxy_carries_the_stream_both_ways(version: int) -> None:
    proxy = named("proxy")
    one, other, up, down = exchange(proxy, version=version)
    assert other is not None
    assert (bytes(other.got), bytes(one.got)) == (up, down)
    assert one.closed == other.closed == Closed(None, 0)
    assert proxy.counters()["connections"] == 1


def test_nothing_of_the_clients_segments_passes_a_proxy() -> None:
    """The two sides have sequence numbers of their own."""
    seen: tuple[set[bytes], set[bytes]] = (set(), set())
    chance = random.Random(2)
    world = World(chance)
    client = world.add(Stack(["10.0.0.1"], random=world.octets))
    server = world.add(Stack(["10.0.0.2"], random=world.octets))
    taps = [Tap(lambda packet, _d, _n, kept=kept: kept.add(bytes(packet[24:28]))) for kept in seen]  # type: ignore[misc]
    world.link(client, server, taps[0], named("proxy"), taps[1])
    server.stack.listen(80)
    attempt = client.stack.connect(("10.0.0.2", 80), now=0.0)
    attempt.write(b"text")
    client.wake()
    world.run(5.0)
    assert len(seen[0]) > 2
    assert len(seen[1]) > 2
    assert not seen[0] & seen[1]


def test_a_proxy_resets_where_the_server_refuses() -> None:
    world = World(random.Random(3))
    client = world.add(Stack(["10.0.0.1"], random=world.octets))
    server = world.add(Stack(["10.0.0.2"], random=world.octets))
    world.link(client, server, named("proxy"), Delay(0.01))
    attempt = client.stack.connect(("10.0.0.2", 80), now=0.0)
    client.wake()
    world.run(10.0)
    assert attempt.error is not None
    assert attempt.error.errno == 104


# What they are for is to change the stream, or to end it.
_HARMFUL = {"alg", "corrupt", "reset"}


@pytest.mark.parametrize("name", sorted(set(BOXES) - _HARMFUL))
@pytest.mark.parametrize("near", ["client", "server"])
def test_plain_tcp_gets_through_every_box(name: str, near: str) -> None:
    one, other, up, down = exchange(named(f"{name}:near={near}"))
    assert other is not None
    assert (bytes(other.got), bytes(one.got)) == (up, down)
    assert one.closed == other.closed == Closed(None, 0)


def test_the_gateway_and_its_text_in_a_stream() -> None:
    box = named("alg:find=Q,replace=QQ")
    one, other, up, down = exchange(box)
    assert other is not None
    assert bytes(other.got) == up.replace(b"Q", b"QQ")
    assert bytes(one.got) == down.replace(b"Q", b"QQ")
    assert one.closed == other.closed == Closed(None, 0)


@pytest.mark.parametrize("name", ["nat:address=192.0.2.1", "symmetric-nat", "mss", "delay", "duplicate"])
def test_agreed_keys_get_through(name: str) -> None:
    one, other, up, down = exchange(named(name), security=Security("ao-enc-dh"))
    assert other is not None
    assert (bytes(other.got), bytes(one.got)) == (up, down)
