"""The structural walk: RFC 9293 §3.1 (kind, Length), RFC 6994 §2 (ExIDs)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.shapes import SHAPES
from edo.walk import walk, walk_steps
from tests.edo.support import NOP, TIMESTAMPS, segment


class Guarded:
    """Octets that fail the test when they are read outside ``start`` to ``end``."""

    def __init__(self, octets: bytes, start: int, end: int) -> None:
        self.octets, self.start, self.end, self.reads = octets, start, end, 0

    def __len__(self) -> int:
        return len(self.octets)

    def __getitem__(self, at: int) -> int:
        assert self.start <= at < self.end
        self.reads += 1
        return self.octets[at]


def test_lists_options_passes_over_nops_and_ends_at_eol() -> None:
    tcp, data_offset = segment(NOP * 2 + TIMESTAMPS + bytes.fromhex("fe060ed0000e 4502 00") + b"\x02\x00\x00")
    assert walk(tcp, 20, data_offset) == [(8, -1, 22, 10), (254, 0x0ED0, 32, 6), (69, -1, 38, 2)]


def test_offsets_count_from_the_header_wherever_the_area_lies() -> None:
    tcp, data_offset = segment(b"", bytes.fromhex("01 fd041234 fd03ff ff02"))
    assert walk(tcp, data_offset, len(tcp)) == [(253, 0x1234, 21, 4), (253, -1, 25, 3), (255, -1, 28, 2)]


def test_an_experimental_option_too_short_for_an_exid_has_none() -> None:
    tcp, data_offset = segment(bytes.fromhex("fe02 fe03aa fd03bb"))
    assert [span[1] for span in walk(tcp, 20, data_offset) or ()] == [-1, -1, -1]


@pytest.mark.parametrize("area", ["0800ffff", "0801ffff", "080a0102", "010108", "01010105", "fe05aabb"])
def test_length_0_1_past_the_end_or_missing_is_no_list(area: str) -> None:
    tcp = memoryview(bytes(20) + bytes.fromhex(area))
    assert walk(tcp, 20, len(tcp)) is None


@pytest.mark.parametrize("end", [24, 32, 56, 60, 1000])
def test_an_area_past_the_segment_is_no_list(end: int) -> None:
    assert walk(memoryview(bytes(20) + b"\x01"), 20, end) is None


def test_an_empty_area_has_no_options() -> None:
    assert walk(memoryview(bytes(20)), 20, 20) == []


@given(st.binary(max_size=80), st.integers(0, 70), st.integers(0, 90))
def test_never_raises_never_reads_outside_one_step_an_octet(octets: bytes, start: int, end: int) -> None:
    spans = walk(memoryview(octets), start, end)
    guarded = Guarded(octets, start, end)
    assert walk_steps(guarded, start, end) == spans  # type: ignore[arg-type]
    assert guarded.reads <= 4 * max(end - start, 0)
    at = start
    for _, _, offset, length in spans or ():
        assert at <= offset
        at = offset + length
        assert length >= 2
        assert at <= end <= len(octets)


def _area_of(end: int, number: int) -> bytes:
    """Octets of one known shape, its values filled with 0xA5."""
    _, _, spans = SHAPES[end][number]
    area = bytearray(NOP * (end - 20))
    for kind, exid, offset, length in spans:
        head = bytes((kind, length)) + (b"" if exid < 0 else exid.to_bytes(2))
        area[offset - 20 : offset - 20 + length] = head + b"\xa5" * (length - len(head))
    return bytes(area)


SHAPE_NUMBERS = [(end, number) for end, shapes in SHAPES.items() for number in range(len(shapes))]


@pytest.mark.parametrize(("end", "number"), SHAPE_NUMBERS)
def test_every_known_shape_matches_and_says_what_the_steps_say(end: int, number: int) -> None:
    area = _area_of(end, number)
    tcp = memoryview(bytes(20) + area + b"payload")
    fixed_octets, expected, spans = SHAPES[end][number]
    assert fixed_octets(tcp, 20) == expected
    assert walk(tcp, 20, end) == walk_steps(tcp, 20, end) == spans


@given(st.sampled_from(SHAPE_NUMBERS), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 255)), max_size=4))
def test_shapes_with_changed_octets_are_walked_alike(
    shape: tuple[int, int], changes: list[tuple[int, int]]
) -> None:
    area = bytearray(_area_of(*shape))
    for at, octet in changes:
        area[at % len(area)] = octet
    tcp = memoryview(bytes(20) + bytes(area))
    assert walk(tcp, 20, len(tcp)) == walk_steps(tcp, 20, len(tcp))


@pytest.mark.parametrize("start", [0, 16, 22, 24, 32])
def test_a_shape_counts_only_where_the_area_begins_behind_the_fixed_header(start: int) -> None:
    tcp = memoryview(NOP * 20 + NOP * 2 + TIMESTAMPS)
    assert walk(tcp, start, 32) == walk_steps(tcp, start, 32)


def test_a_caller_may_change_the_list_it_got() -> None:
    tcp = memoryview(bytes(20) + NOP * 2 + TIMESTAMPS)
    first = walk(tcp, 20, 32)
    assert first is not None
    first.clear()
    assert walk(tcp, 20, 32) == [(8, -1, 22, 10)]
