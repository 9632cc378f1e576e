"""Keychains follow a clock, on an event loop whose time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ao.lifetime import Lifetime
from ao.mkt import MktTable
from stack import rollover
from tests.stack.test_rollover import Pair, both
from tests.tun import virtual_loop
from tun.keyclock import keep_time

START = 1_800_000_000.0


def pair_of(seconds: float) -> Pair:
    first = both(
        "first", 1, 11, b"one", lifetime=Lifetime(send_until=START + seconds, accept_until=START + 2 * seconds)
    )
    second = both("second", 2, 12, b"two", lifetime=Lifetime(send_from=START + seconds))
    return Pair(first, second, at=START)


def run(pair: Pair, side: int, clock: Callable[[], float], seconds: float) -> MktTable:
    async def main() -> None:
        async with keep_time(pair.stacks[side], [pair.tables[side]], pair.wire.flush, clock):
            await asyncio.sleep(seconds)

    virtual_loop.run(main())
    return pair.tables[side]


def test_a_key_changes_when_its_time_has_come() -> None:
    pair = pair_of(3600.0)
    ((_, _, ring),) = rollover.rings(pair.stacks[0], pair.tables[0])
    for seconds, send_id in ((3599.0, 1), (3601.0, 2)):
        pair.wire.sent.clear()
        run(pair, 0, lambda: START + asyncio.get_running_loop().time(), seconds)
        assert ring.current.send_id == send_id
        # The other end learns of it at once.
        assert len(pair.wire.sent) == (send_id == 2)


def test_a_key_with_a_lifetime_that_is_added_later_serves_on_time() -> None:
    """No key has bounds when the clock begins to be followed."""
    pair = Pair(both("first", 1, 11, b"one"), at=START)
    second = both("second", 2, 12, b"two", lifetime=Lifetime(send_from=START + 3600.0))[0]

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        async with keep_time(pair.stacks[0], [pair.tables[0]], pair.wire.flush, lambda: START + clock()):
            await asyncio.sleep(60.0)
            rollover.add(pair.stacks[0], pair.tables[0], second)
            await asyncio.sleep(3600.0)

    virtual_loop.run(main())
    ((_, _, ring),) = rollover.rings(pair.stacks[0], pair.tables[0])
    assert ring.current.send_id == 2


def test_a_clock_that_is_set_is_noticed_soon() -> None:
    pair = pair_of(3600.0)
    ahead = 0.0

    def clock() -> float:
        nonlocal ahead
        now = asyncio.get_running_loop().time()
        # Somebody sets it two hours on when a minute has passed.
        ahead = 7000.0 if now > 60.0 else 0.0
        return START + now + ahead

    run(pair, 0, clock, 66.0)
    ((_, _, ring),) = rollover.rings(pair.stacks[0], pair.tables[0])
    assert ring.current.send_id == 2


def test_what_was_missed_is_made_up_for_on_entering() -> None:
    pair = pair_of(100.0)
    table = run(pair, 0, lambda: START + 150.0, 0.0)
    assert table.at == START + 150.0
    ((_, _, ring),) = rollover.rings(pair.stacks[0], table)
    assert ring.current.send_id == 2
    assert sorted(key.send_id for key in ring) == [1, 2]


def test_connections_are_gone_through_only_where_time_or_keys_may_change_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    def note(stack: object, table: MktTable, at: float) -> None:
        asked.append(at - START)
        table.at = at

    monkeypatch.setattr(rollover, "keep_time", note)
    pair = Pair(both("first", 1, 11, b"one"), at=START)
    (stack, _), (table, _) = pair.stacks, pair.tables
    second = both("second", 2, 12, b"two")[0]
    bounded = both("third", 3, 13, b"three", lifetime=Lifetime(send_from=START + 60.0))[0]

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        async with keep_time(stack, [table], pair.wire.flush, lambda: START + clock()):
            await asyncio.sleep(30.0)
            assert asked == [0.0]
            rollover.add(stack, table, second)
            await asyncio.sleep(30.0)
            assert len(asked) == 2
            assert asked[1] <= 35.0
            rollover.add(stack, table, bounded)
            await asyncio.sleep(30.0)
            assert len(asked) >= 2 + 6
            assert table.at >= START + 85.0

    virtual_loop.run(main())
