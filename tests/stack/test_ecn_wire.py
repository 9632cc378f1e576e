"""ECN between whole stacks: bits in IP headers, flags cut right, and a queue that marks instead of dropping."""

from __future__ import annotations

import random

import pytest

from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import Ip, parse
from stack.run import CWR, ECE, SYN
from stack.security import Security
from stack.simulator import Delay, RateLimit
from stack.simulator.boxes import congestion_experienced
from stack.simulator.world import World
from tests.stack.matrix import Acceptor, Reader
from tests.stack.wire import Wire, transfer


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_marks_on_the_wire(version: int, protect: str) -> None:
    """The bits are in the IP header, CE comes back as ECE, CWR stands on one segment, nothing is lost."""
    seen: list[tuple[int, int, int]] = []
    marked = 0

    def tap(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        nonlocal marked
        ip = parse(packet)
        assert isinstance(ip, Ip)
        if from_client:
            size = len(ip.payload(packet)) - ((packet[ip.header_octets + 12] >> 4) << 2)
            seen.append((packet[ip.header_octets + 13], ip.ecn, size))
            if ip.ecn and len(seen) == 60:
                marked += 1
                packet = congestion_experienced(packet)
                assert isinstance(parse(packet), Ip)
        return [(0.0, packet)]

    wire = Wire(tap=tap, config=TcpConfig(ecn="offer"))
    attempt, listener = wire.open(Security(protect), version=version)
    _, server = transfer(wire, attempt, listener, bytes(300_000), b"")
    assert bytes(server.received) == bytes(300_000)
    assert marked == 1
    assert seen[0][:2] == (SYN | ECE | CWR, 0)
    assert {ecn for _, ecn, size in seen if size > 1000} == {2}
    assert {ecn for _, ecn, size in seen if size == 0} == {0}
    assert sum(bool(flags & CWR) for flags, _, _ in seen[1:]) == 1
    assert attempt.report()["retransmissions"] == 0


@pytest.mark.parametrize("controller", ["cubic", "reno"])
def test_a_marking_queue_loses_nothing(controller: str) -> None:
    """A queue of two bandwidth-delay products that marks beyond half of one: full goodput without a loss."""
    lost, share, marked = _bottleneck(TcpConfig(congestion=controller, ecn="offer"))
    assert marked > 0
    assert lost == 0
    assert share >= 0.85


def test_without_ecn_the_same_queue_marks_nothing() -> None:
    _, share, marked = _bottleneck(TcpConfig(ecn="off"))
    assert marked == 0
    assert share >= 0.85


def _bottleneck(config: TcpConfig) -> tuple[int, float, int]:
    """Five megabytes over 10 Mbit/s and 40 ms; lost packets, share of the link, marked packets."""
    source = random.Random(7)
    world = World(source)
    client = world.add(Stack(["10.0.0.1"], random=source.randbytes, config=config))
    server = world.add(Stack(["10.0.0.2"], random=source.randbytes, config=config))
    link = RateLimit(1.25e6, 150_000, mark=25_000)
    world.link(client, server, link, Delay(0.02))
    listener = server.stack.listen(80)
    acceptor = Acceptor(listener, server, b"")
    listener.owner = acceptor
    attempt = client.stack.connect(("10.0.0.2", 80), now=world.now)
    Reader(attempt, client)
    attempt.write(bytes(5_000_000))
    client.wake()
    world.run(60.0, lambda: acceptor.reader is not None and len(acceptor.reader.received) == 5_000_000)
    return link.lost, 5_000_000 / 1.25e6 / world.now, link.marked
