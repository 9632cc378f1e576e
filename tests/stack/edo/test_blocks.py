"""What many SACK blocks cost the sender: a known block is one look-up, however many holes there are (section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from stack.scoreboard import Scoreboard

MSS = 1000


class Counted(list[Any]):
    """A list that counts what is looked at one by one."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        Counted.looks += 1
        return super().__getitem__(index)


def board(holes: int) -> tuple[Scoreboard, list[tuple[int, int]]]:
    """A scoreboard with so many holes, and the blocks between them."""
    made = Scoreboard()
    for n in range(2 * holes):
        made.sent(n * MSS, (n + 1) * MSS, 1.0)
    blocks = [((2 * n + 1) * MSS, (2 * n + 2) * MSS) for n in range(holes)]
    for left, right in blocks:
        assert made.mark_sacked(left, right) == MSS
    made.records = Counted(made.records)
    Counted.looks = 0
    return made, blocks


@pytest.mark.parametrize("holes", [31, 400])
def test_known_blocks_cost_the_same_whatever_there_is(holes: int) -> None:
    made, blocks = board(holes)
    for left, right in blocks[-31:]:
        assert made.mark_sacked(left, right) == 0
    assert Counted.looks <= 31 * 3


def test_blocks_that_cover_everything_are_looked_through_once() -> None:
    """31 blocks over all of it: what is SACKed becomes one record, and the next 30 find that."""
    made, _ = board(400)
    for _ in range(31):
        made.mark_sacked(0, 800 * MSS)
    assert len(made.records) == 1
    assert Counted.looks <= 800 * 8


def test_blocks_of_an_octet_each_are_bounded() -> None:
    """A peer that reports single octets makes no endless list of records (RFC 2018 §8)."""
    made = Scoreboard()
    for n in range(100):
        made.sent(n * MSS, (n + 1) * MSS, 1.0)
    for octet in range(0, 100 * MSS, 2):
        made.mark_sacked(octet, octet + 1)
    assert len(made.records) < 2000
