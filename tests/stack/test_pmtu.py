"""Paths narrower than the link: told by ICMP, or told by nobody (RFC 1191, RFC 8201, RFC 4821 §7.7)."""

from __future__ import annotations

import random

import pytest

from stack.attempt import Attempt
from stack.box import Box
from stack.host import Stack
from stack.ip import address_octets
from stack.security import Security
from stack.simulator import Delay, MtuLimit
from stack.simulator.world import World
from tests.stack.matrix import Acceptor, Reader

DATA = random.Random(8).randbytes(400_000)
ROUTER = {4: address_octets("10.0.0.254"), 6: address_octets("fd00::fe")}
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def send(box: Box, version: int, protect: str = "none", seconds: float = 60.0) -> tuple[Attempt, float]:
    """Send DATA through ``box``; the sender's side and the time that it took."""
    source = random.Random(1)
    world = World(source)
    ours, theirs = ENDS[version]
    client = world.add(Stack([ours], random=source.randbytes))
    server = world.add(Stack([theirs], random=source.randbytes))
    world.link(client, server, Delay(0.01), box)
    listener = server.stack.listen(80, security=Security(protect))
    acceptor = Acceptor(listener, server, b"")
    listener.owner = acceptor
    attempt = client.stack.connect((theirs, 80), security=Security(protect), now=world.now)
    reader = Reader(attempt, client)
    attempt.write(DATA)
    attempt.write_eof()
    client.wake()
    world.run(seconds, lambda: reader.closed is not None)
    assert acceptor.reader is not None
    assert bytes(acceptor.reader.received) == DATA
    return attempt, world.now


@pytest.mark.parametrize(("version", "mtu"), [(4, 1400), (4, 800), (6, 1400), (6, 1280)])
def test_a_router_that_says_so_costs_a_round_trip(version: int, mtu: int) -> None:
    box = MtuLimit(mtu, ROUTER[version])
    attempt, seconds = send(box, version)
    assert seconds < 1.0
    # What had left before the error came, and nothing afterwards.
    assert box.lost <= 10
    assert attempt.flow.connection.path_mtu_octets == mtu


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
@pytest.mark.parametrize(("version", "mtu"), [(4, 1300), (4, 700), (6, 1290)])
def test_a_black_hole_is_escaped(version: int, mtu: int, protect: str) -> None:
    attempt, seconds = send(MtuLimit(mtu), version, protect)
    assert seconds < 20.0
    assert attempt.flow.connection.path_mtu_octets <= mtu


def test_keys_ignore_what_a_router_says() -> None:
    """RFC 5925 §7.8: ICMP cannot be authenticated; the narrow path is found by what gets through."""
    attempt, _ = send(MtuLimit(1300, ROUTER[4]), 4, "ao-enc-dh")
    assert attempt.flow.drops["icmp_ignored"] > 0
    assert attempt.flow.connection.path_mtu_octets <= 1300


@pytest.mark.parametrize(("told", "kept"), [(9000, 1500), (1400, 1400), (68, 552), (0, 576)])
def test_a_forged_size_neither_raises_nor_crumbles(told: int, kept: int) -> None:
    attempt, _ = send(MtuLimit(1500), 4)
    connection = attempt.flow.connection
    connection.path_mtu(told, 1.0)
    assert connection.path_mtu_octets == kept
    connection.path_mtu(1450, 2.0)
    assert connection.path_mtu_octets <= max(kept, 1450)
