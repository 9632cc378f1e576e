"""Probing for the path's MTU through a network (RFC 8899, RFC 4821): silent routers, routers that tell, changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from stack.box import Box, Direction
from stack.config import TcpConfig
from stack.connection import Connection
from stack.host import Stack
from stack.ip import address_octets
from stack.plpmtud import SearchState
from stack.simulator import Delay, Filter, Loss, MtuLimit, RateLimit
from stack.simulator.world import World
from tests.stack.matrix import MODES, Acceptor, Reader, securities

ROUTER = address_octets("10.0.0.254")
RATE = 20e6
RTT = 0.04


@dataclass(slots=True)
class Outcome:
    """The sender's connection, the ``seconds`` that the transfer took, and the ``sizes`` in use (time, octets)."""

    connection: Connection
    seconds: float
    goodput: float
    sizes: list[tuple[float, int]]
    lost: int


def send(
    mode: str,
    mtu: int,
    config: TcpConfig,
    *boxes: Box,
    octets: int = 3_000_000,
    bursts: Sequence[float] = (),
    changes: Sequence[tuple[float, int]] = (),
    router: bool = False,
    seed: int = 1,
) -> Outcome:
    """Send ``octets`` over a path of ``mtu`` octets, others after ``changes``, and the same again at each time of
    ``bursts``; everything must arrive.
    """
    source = random.Random(seed)
    data = source.randbytes(octets)
    world = World(source)
    client = world.add(Stack(["10.0.0.1"], random=source.randbytes, config=config))
    server = world.add(Stack(["10.0.0.2"], random=source.randbytes, config=config))
    limit = MtuLimit(mtu, *((ROUTER,) if router else ()))
    world.link(client, server, *boxes, RateLimit(RATE / 8, int(RATE * RTT / 8)), limit, Delay(RTT / 2))
    ours, theirs = securities(mode, random.Random(5))
    listener = server.stack.listen(80, security=theirs)
    acceptor = Acceptor(listener, server, b"")
    listener.owner = acceptor
    attempt = client.stack.connect(("10.0.0.2", 80), security=ours, now=world.now)
    reader = Reader(attempt, client)
    attempt.write(data)
    for at in bursts:
        world.call_at(at, lambda: (attempt.write(data), client.wake()))  # type: ignore[func-returns-value]
    world.call_at(bursts[-1] if bursts else 0.0, lambda: (attempt.write_eof(), client.wake()))  # type: ignore[func-returns-value]
    client.wake()
    for at, size in changes:
        world.call_at(at, lambda size=size: setattr(limit, "mtu", size))  # type: ignore[misc]
    connection = attempt.flow.connection
    sizes: list[tuple[float, int]] = []

    def done() -> bool:
        if not sizes or sizes[-1][1] != connection.path_mtu_octets:
            sizes.append((world.now, connection.path_mtu_octets))
        return reader.closed is not None

    world.run(2000.0, done)
    assert acceptor.reader is not None
    assert bytes(acceptor.reader.received) == data * (1 + len(bursts)), f"seed {seed}"
    goodput = octets * 8 / world.now / RATE
    return Outcome(connection, world.now, goodput, sizes, limit.lost)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mtu", [1500, 1300])
def test_a_silent_path_costs_little_where_probing_is_on(mode: str, mtu: int) -> None:
    """Against a stack that knows the path from the start: a probe is lost now and then, and never a window."""
    outcome = send(mode, mtu, TcpConfig(mtu_probing="on"))
    known = send(mode, mtu, TcpConfig(mtu=mtu, mtu_probing="off"))
    assert mtu - 20 <= outcome.connection.path_mtu_octets <= mtu
    assert outcome.lost <= 4, "probes, and nothing else"
    assert outcome.goodput > 0.9 * known.goodput
    if mtu == 1500:
        assert [size for _, size in outcome.sizes] == [1500, 1200, 1500], "the link's, BASE_PLPMTU, the path's"
        assert outcome.sizes[2][0] - outcome.sizes[1][0] < 4 * RTT


@pytest.mark.parametrize(("mode", "expected"), [("none", None), ("ao", 1300), ("ao-enc-dh", 1300)])
def test_by_default_keys_make_probes_take_the_place_of_icmp(mode: str, expected: int | None) -> None:
    """RFC 5925 §7.8 ignores ICMP, so RFC 4821 §7.2 begins low; without keys it is as RFC 1191 has it."""
    outcome = send(mode, 1300, TcpConfig(), router=True)
    if expected is None:
        assert [size for _, size in outcome.sizes] == [1500, 1300]
        assert outcome.connection.path is not None
        assert outcome.connection.path.probes == 0
    else:
        assert 1280 <= outcome.connection.path_mtu_octets <= expected
        assert outcome.lost <= 4


def test_a_black_hole_ends_in_the_size_of_the_path() -> None:
    """By default: a stall of three timeouts (RFC 8899 §4.3), and then what the path takes is found."""
    outcome = send("none", 1450, TcpConfig(), octets=4_000_000)
    assert 1442 <= outcome.connection.path_mtu_octets <= 1450
    assert outcome.seconds < 8.0


@pytest.mark.parametrize("mode", ["none", "ao-enc-dh"])
@pytest.mark.parametrize("router", [False, True])
def test_a_path_that_changes_under_way(mode: str, router: bool) -> None:
    """Narrower at 5 s, wider at 300 s, which PMTU_RAISE_TIMER finds 600 s after the search had ended."""
    bursts = [10.0 * n for n in range(1, 80)]
    outcome = send(
        mode, 1500, TcpConfig(), octets=60_000, bursts=bursts, changes=[(5.0, 1380), (300.0, 1500)], router=router
    )
    narrow = [at for at, size in outcome.sizes if 1372 <= size <= 1380]
    assert narrow
    assert narrow[0] < 60.0
    wide = [at for at, size in outcome.sizes if size == 1500 and at > 300.0]
    assert len(wide) == 1
    assert 600.0 < wide[0] < 780.0


def test_a_path_that_becomes_narrower_again_and_again() -> None:
    changes = [(0.7, 1450), (5.0, 1300), (9.0, 900)]
    bursts = [float(n) for n in range(1, 20)]
    outcome = send("ao", 1500, TcpConfig(), octets=150_000, bursts=bursts, changes=changes)
    assert 892 <= outcome.connection.path_mtu_octets <= 900
    assert outcome.connection.path is not None
    assert outcome.connection.path.state is SearchState.ERROR


@pytest.mark.parametrize("seed", range(4))
def test_the_size_is_found_among_other_losses(seed: int) -> None:
    source = random.Random(seed)
    outcome = send("ao", 1420, TcpConfig(), Loss(0.01, source), octets=2_000_000, seed=seed)
    assert 1400 <= outcome.connection.path_mtu_octets <= 1420, f"seed {seed}"


@pytest.mark.parametrize("congestion", ["reno", "bbr"])
@pytest.mark.parametrize("mtu", [9000, 4400])
def test_wide_links_with_every_controller(congestion: str, mtu: int) -> None:
    """A probe of six segments' size waits until the window has room for it; pacing does not keep it."""
    config = TcpConfig(mtu=9000, mtu_probing="on", congestion=congestion)
    outcome = send("none", mtu, config, octets=4_000_000)
    assert outcome.connection.path_mtu_octets >= (9000 if mtu == 9000 else 4352)


def test_a_raise_that_loses_much_is_taken_back() -> None:
    """RFC 4821 §7.8: of every two packets of the new size one takes a narrower path."""
    large = 0

    def keep(packet: object, direction: Direction, now: float) -> bool:
        nonlocal large
        if len(packet) <= 1300:  # type: ignore[arg-type]
            return True
        large += 1
        return bool(large % 2)

    outcome = send("none", 1500, TcpConfig(mtu_probing="on"), Filter(keep), octets=3_000_000)
    assert [size for _, size in outcome.sizes] == [1500, 1200, 1500, 1200]
    assert outcome.connection.path is not None
    assert outcome.connection.path.state is SearchState.SEARCH_COMPLETE
