"""Sequence number extension against RFC 9187 §6, and against a stream that counts for itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ao.sne import SneTracker, nearest
from tests.ao.support import load

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
