"""Sequence number extension against RFC 9187 §6, and against a stream that counts for itself."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ao.sne import SneTracker, nearest
from tests.ao.support import load

SEED = 9187
ROWS = [(int(sne, 16), int(seq, 16)) for sne, seq in load("rfc9187_sne_vectors.json")["rows"]]


def test_rfc_9187_rows() -> None:
    assert len(ROWS) == 29
    tracker = SneTracker(0)
    for row, (sne, seq) in enumerate(ROWS):
        assert tracker.sne(seq) == sne, f"row {row}"
        tracker.accept(seq)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**30), 2**30), max_size=60))
def test_any_isn_with_reordering(isn: int, steps: list[int]) -> None:
    tracker = SneTracker(isn)
    highest = isn
    for step in steps:
        number = max(highest + step, isn)
        assert tracker.sne(number & 0xFFFFFFFF) == number >> 32
        tracker.accept(number & 0xFFFFFFFF)
        highest = max(highest, number)


def test_first_wrap_gives_sne_1_however_close_the_isn_was() -> None:
    assert SneTracker(0xFFFFFFFF).sne(0) == 1


def test_before_the_first_epoch_there_is_none() -> None:
    assert SneTracker(5).sne(0xFFFFFFF0) is None
    assert nearest(0xFFFFFFF0, 5) < 0


def test_an_unverified_segment_moves_nothing() -> None:
    tracker = SneTracker(0)
    assert tracker.sne(0x7FFFFFFF) == 0
    assert tracker.sne(0xF0000000) is None


def test_a_late_segment_does_not_move_the_reference_back() -> None:
    tracker = SneTracker(0)
    for seq in (0x70000000, 0x10000000):
        tracker.accept(seq)
    assert tracker.sne(0xE0000000) == 0


def test_100_000_streams_with_wraps_losses_and_reordering() -> None:
    """Big integers as the oracle: a sender's 64-bit numbers, of which the receiver sees the low 32 bits of most.

    A segment that arrives is within half the number space of the latest, as every window is (RFC 7323 §2.3).
    """
    chance = random.Random(SEED)
    wraps = 0
    for stream in range(100_000):
        sent = isn = chance.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, chance.getrandbits(32)))
        latest = isn
        tracker = SneTracker(isn)
        late: list[int] = []
        step = chance.choice((1460, 65_535, 1 << 24, 1 << 30))
        for _ in range(12):
            sent += chance.randrange(1, step + 1)
            fate = chance.random()
            if fate < 0.1:
                continue
            if fate < 0.3:
                late.append(sent)
                continue
            for number in (sent, *late):
                if abs(number - latest) < 1 << 31:
                    assert tracker.sne(number & 0xFFFFFFFF) == number >> 32, (SEED, stream, isn, number)
                    tracker.accept(number & 0xFFFFFFFF)
                    latest = max(latest, number)
            late.clear()
        wraps += (latest >> 32) - (isn >> 32)
    assert wraps > 10_000
