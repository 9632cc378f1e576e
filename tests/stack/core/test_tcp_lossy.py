"""Transfers over a channel that loses, reorders and duplicates, in virtual time; the seed reproduces each."""

from __future__ import annotations

import random

import pytest

from stack.config import TcpConfig
from stack.events import Closed
from stack.states import State
from tests.stack.core.tcp_world import World

SIZE = 200_000


def transfer(world: World, seed: int, size: int = SIZE) -> None:
    """Both ways at once, written in pieces of any size; both ends close."""
    chosen = random.Random(seed)
    data = [chosen.randbytes(size), chosen.randbytes(size)]
    for index, end in enumerate(world.ends):
        start = 0
        while start < size:
            upto = start + chosen.choice((1, 100, 1460, 5000, 70_000))
            end.write(data[index][start:upto])
            start = upto
        end.write_eof()
    world.flush()
    world.run()
    assert world.got[1] == data[0]
    assert world.got[0] == data[1]
    assert world.eof == [True, True]
    for end, events in zip(world.ends, world.events, strict=True):
        assert end.state is State.CLOSED
        assert end.next_deadline is None
        assert events[-1] == Closed(None, 0)
        assert end.octets_in == size
        assert end.octets_out == size


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("controller", ["cubic", "reno"])
def test_ten_per_cent_of_everything(seed: int, controller: str) -> None:
    config = TcpConfig(congestion=controller, receive_buffer=1 << 17)
    transfer(World(config, seed=seed, loss=0.1, reorder=0.1, duplicate=0.1), seed)


@pytest.mark.parametrize("seed", range(10))
def test_without_sack_and_timestamps(seed: int) -> None:
    config = TcpConfig(sack=False, timestamps=False, window_scaling=False)
    transfer(World(config, seed=seed, loss=0.05, reorder=0.05, duplicate=0.05), seed)


@pytest.mark.parametrize("seed", range(6))
def test_with_a_small_receive_buffer(seed: int) -> None:
    config = TcpConfig(receive_buffer=4000)
    transfer(World(config, seed=seed, loss=0.03, reorder=0.05, duplicate=0.03), seed, 60_000)


@pytest.mark.parametrize("seed", range(6))
def test_across_the_wrap_of_the_sequence_numbers(seed: int) -> None:
    world = World(seed=seed, loss=0.05, reorder=0.1, duplicate=0.05, iss=((1 << 32) - 20_000, (1 << 32) - 1))
    transfer(world, seed)
    assert world.a.snd_nxt == (1 << 32) - 20_000 + SIZE + 2
    assert world.b.rcv_nxt == world.a.snd_nxt


@pytest.mark.parametrize("seed", range(6))
def test_between_unlike_ends(seed: int) -> None:
    world = World(
        TcpConfig(mtu=9000, sack=False, nagle=False),
        TcpConfig(mtu=576, timestamps=False, congestion="reno", delayed_ack=0.2),
        seed=seed,
        loss=0.05,
        reorder=0.1,
        duplicate=0.05,
    )
    transfer(world, seed, 100_000)


def test_nothing_is_sent_twice_on_a_good_channel() -> None:
    world = World()
    transfer(world, 1)
    assert world.a.retransmissions == 0
    assert world.b.retransmissions == 0
    assert not world.a.drops
    assert not world.b.drops


def test_the_channel_loses_what_it_is_told_to() -> None:
    """The harness itself: without retransmission these transfers could not have ended."""
    world = World(seed=3, loss=0.1)
    transfer(world, 3)
    assert world.a.retransmissions > 5
