"""Bounded work: whatever comes, a stack takes so many steps for each octet of it, and no more for what came before.

A step is a line of Python that is executed, which does not depend on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from ao.reasons import AoDrop
from stack.batch import Batch
from stack.config import TcpConfig
from stack.run import SYN
from tests.fuzz.arena import Arena
from tests.fuzz.families import (
    EXTENDED,
    FAMILIES,
    MESSAGES,
    RECORDS_FULL,
    Family,
    echoes,
    sack_blocks,
    sack_everything,
    sack_gaps,
    segment,
)
from tests.fuzz.setting import Setting
from tests.fuzz.states import established, syn_received

# Lines for an octet of an IP packet. A SYN of 44 octets, of which a connection and a record is made, has most; an
# option of two octets takes about twenty.
MOST = 30.0
# Packets that are counted, and how many of the same kind came before that.
COUNTED, BEFORE = 60, 1100


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of Python a call takes."""
    count = 0

    def local(_frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        count += event == "line"
        return local

    # Who measures what tests reach goes on with it behind this.
    before = sys.gettrace()
    sys.settrace(local)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def standing(*, extended: bool = False, recovery: str = "rack") -> Arena:
    """A connection with many octets in flight."""
    config = TcpConfig(send_buffer=1 << 17, initial_window=60, recovery=recovery)
    arena = Arena(Setting(edo="strict" if extended else None, config=config))
    established(arena)
    for _ in range(5):
        arena.write(1 << 14)
    arena.collect()
    flow = arena.flow
    assert flow is not None
    assert flow.connection.snd_nxt - flow.connection.snd_una > 60_000
    arena.marks = flow.connection.rcv_nxt, flow.connection.snd_una
    return arena


def flooded(arena: Arena, family: Family, before: int) -> float:
    """Lines for each octet of a flood, the first packets of which are not counted."""
    victim = arena.victim
    flood = list(family(arena, before + COUNTED))

    def receive(some: list[bytes]) -> None:
        for packet in some:
            arena.now += 0.0001
            victim.receive(Batch([packet]), arena.now)
            victim.take_output(arena.now)

    receive(flood[:before])
    lines = lines_of(lambda: receive(flood[before:]))
    assert victim.memory.held <= victim.memory.limit
    return lines / sum(map(len, flood[before:]))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_steps_for_an_octet(family: Family) -> None:
    """The same for the packets of a flood's beginning and for those after many others: work grows as octets do."""
    first = flooded(standing(extended=family in EXTENDED), family, 0)
    later = flooded(standing(extended=family in EXTENDED), family, BEFORE)
    assert first < MOST
    assert later < min(MOST, 1.5 * first + 1.0)


@pytest.mark.parametrize("family", [sack_blocks, sack_gaps, sack_everything], ids=lambda family: family.__name__)
@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
def test_steps_for_an_octet_of_sack(recovery: str, family: Family) -> None:
    """Where the scoreboard is as long as it gets, too."""
    arena = standing(recovery=recovery)
    assert flooded(arena, family, RECORDS_FULL) < MOST
    flow = arena.flow
    assert flow is not None
    assert flow.connection.scoreboard.sacked, "the blocks were not taken"
    if family is sack_blocks:
        records = flow.connection.scoreboard.records
        assert 1024 <= len(records) <= 1024 + ((records[-1].end - records[0].start) >> 9)


@pytest.mark.parametrize("family", MESSAGES, ids=lambda family: family.__name__)
def test_steps_for_an_octet_of_a_message(family: Family) -> None:
    for before in (0, BEFORE // 4):
        arena = Arena(Setting("ao-enc-dh", placement="late"))
        syn_received(arena)
        flow = arena.flow
        assert flow is not None
        arena.marks = flow.connection.irs + 1, flow.connection.iss + 1
        assert flooded(arena, family, before) < MOST
        assert flow.drops[AoDrop.clear_segment] == 0, "the flood did not come to where messages are put together"


def test_the_floods_come_to_where_they_are_meant_to() -> None:
    """Else what is counted above would be the work of dropping them."""
    seen = {}
    for family in FAMILIES:
        arena = standing(extended=family in EXTENDED)
        flooded(arena, family, BEFORE)
        flow = arena.flow
        assert flow is not None
        connection = flow.connection
        ranges = connection.incoming.ranges
        seen[family.__name__] = (
            *(sum(flow.drops.values()), sum(connection.drops.values()), connection.incoming.held),
            *(0 if ranges is None else len(ranges), connection.octets_in - 1000, len(arena.victim.half_open)),
        )
    assert seen["every_second_octet"][3] == BEFORE + COUNTED
    assert seen["backwards"][2:4] == (BEFORE + COUNTED, 1)
    assert seen["overlapping"][2] == BEFORE + COUNTED + 99
    assert seen["single_octets"][4] == BEFORE + COUNTED
    # As many as the listener's backlog; cookies answer the others.
    assert seen["syns"][5] == 1024
    for name in ("nops", "small_options", "behind_data_offset", "acknowledgments", "duplicate_acknowledgments"):
        assert seen[name][:2] == (0, 0), name


def test_strangers_draw_a_limited_number_of_answers() -> None:
    """Resets of closed ports and echoes together: 200 at once, 1,000 a second."""
    arena = standing()
    victim = arena.victim
    flood = [segment(arena, number, flags=SYN, port=6000 + number) for number in range(500)]
    assert arena.listener is not None
    arena.listener.close()
    flood += echoes(arena, 500)
    drawn = []
    for tenth in range(11):
        now = arena.now + tenth / 10
        victim.receive(Batch(flood), now)
        drawn.append(len(victim.take_output(now).packets))
    assert drawn[0] == 200
    assert sum(drawn) <= 200 + 1000
