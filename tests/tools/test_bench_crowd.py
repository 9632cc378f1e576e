"""Measurements between two processes with many connections: that they do what they say, not what they find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from stack.batch import Octets
from tools.bench.crowd import KEYED, Hand, in_memory, write_keys
from tools.bench.crowd_worker import Post
from tools.bench.echo import Cost
from tools.bench.idle import Memory
from tools.bench.measures import Place
from tools.bench.pair import PairDevice, pair
from tools.programs import ProgramError
from tools.protect import check_security
from tun.errors import TunError


def test_a_wire_loses_nothing_and_tells_when_its_other_end_is_gone() -> None:
    left, right = pair()
    with left, right:
        one, other = PairDevice(left), PairDevice(right)
        packets: list[Octets] = [index.to_bytes(4, "big") * 300 for index in range(2_000)]
        one.write(packets)
        assert one.pending > 0
        arrived: list[bytes] = []
        while one.pending or not arrived or arrived[-1] != packets[-1]:
            batch = other.read_batch().packets
            assert len(batch) <= 64
            arrived += map(bytes, batch)
            one.flush()
        assert arrived == packets
        assert other.read_batch().packets == []
        right.close()
        with pytest.raises(TunError):
            one.write(packets[:1])
        with pytest.raises(TunError):
            PairDevice(left).read_batch()


def test_every_mode_has_keys_that_its_stack_takes(tmp_path: Path) -> None:
    for mode in KEYED:
        keys = Path(write_keys(tmp_path, mode))
        security = check_security(protect=mode, policy="require", edo=None, keys=keys)
        assert security.keyed
    assert write_keys(tmp_path, "ao-enc-dh") == ""


@pytest.mark.parametrize("mode", ["none", "ao-enc-dh"])
def test_a_crowd_stands_and_echoes(mode: str, tmp_path: Path) -> None:
    with in_memory(mode, tmp_path) as crowd:
        crowd.grow(3)
        crowd.grow(5)
        before = crowd.accepting.ask("memory")
        assert before["connections"] == 5
        assert before["rss"] > 1 << 20
        echoes = crowd.echo(10, 5)
        assert 0 < echoes.median <= echoes.p99
        assert echoes.accepted > 0
        assert echoes.opened > 0
        assert crowd.resident()[1] > 1 << 20


def test_the_kernel_takes_the_same_orders() -> None:
    # Its port is fixed; another run of these tests has another address.
    address = f"127.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}.1"
    posts = [Post(accepts=accepts, orders=-1, address=address, stack=False) for accepts in (True, False)]
    with Hand("accepts", posts[0]) as accepting:
        accepting.ready()
        with Hand("opens", posts[1]) as opening:
            opening.ready()
            assert opening.ask("open", count=3) == {"open": 3}
            told = opening.ask("echo", times=6, busy=3)
            assert 0 < told["median"] <= told["p99"]
            assert accepting.ask("memory")["connections"] == 3
            assert set(accepting.ask("cpu")) == {"cpu"}


def test_who_cannot_begin_is_named() -> None:
    post = Post(accepts=False, orders=-1, address="192.0.2.1", own="no address", wire=-1, netns="edotun-no-such")
    with Hand("the opening side", post) as hand, pytest.raises(ProgramError, match="the opening side: has ended"):
        hand.ready()


def test_what_is_measured_of_a_crowd(tmp_path: Path) -> None:
    """Its connections stand once, whatever is measured of them, and end when they are let go."""
    place = Place(cast(Any, None), cast(Any, ()), 1500, (-1, -1), 0.0, 0, tmp_path)
    memory = Memory("none", 20)
    assert memory.run(place).value > 0
    assert memory.name == "idle connection, none, of 20"
    one_busy, in_turn = (Cost("none", 3, in_turn) for in_turn in (False, True))
    assert one_busy.run(place).value > 0
    crowd = place.keep("none 3", lambda: pytest.fail("its connections stand already"))
    assert in_turn.run(place).value > 0
    assert crowd.open == 3
    place.let_go()
    with pytest.raises(OSError, match="Bad file descriptor"):
        crowd.echo(1, 1)
    assert in_turn.name == "CPU of an echo, none, all in turn of 3"
