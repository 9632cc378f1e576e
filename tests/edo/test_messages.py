"""Key-exchange messages: cut, carried in KE options, put together again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.codec import parse_option
from edo.codepoints import CodePoints
from edo.fast import read_options
from edo.messages import MOST_IN_MESSAGE, REFUSE, REPORT, Assembler, Inbox, Took, cut, spread
from edo.options import Fragment
from edo.walk import walk

CASES = [
    case
    for case in json.loads((Path(__file__).parents[1] / "data" / "profile_vectors.json").read_text())["cases"]
    if case["placement"] == "messages"
]
HELLO = bytes(range(256)) * 4


def fragments(*options: bytes) -> tuple[Fragment, ...]:
    tcp = memoryview(bytes(20) + b"".join(options))
    spans = walk(tcp, 20, len(tcp))
    assert spans is not None
    return read_options(tcp, spans).ke


def piece(start: int, end: int, message: bytes = HELLO, kind: int = 1) -> Fragment:
    return Fragment(kind, len(message), start, message[start:end])


# --- cutting ---


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_fragments_of_the_profile_vectors(case: dict[str, dict[str, object]]) -> None:
    hello = bytes.fromhex(str(case["expect"]["hello"]))
    options = cut(1, hello)
    assert [option.hex() for option in options] == case["expect"]["fragments"]
    assembler = Assembler(1)
    assert assembler.take(*fragments(*options)) is Took.COMPLETE
    assert assembler.message == hello


def test_rooms_of_the_first_and_the_other_options() -> None:
    options = cut(2, HELLO, first_room=10, room=200)
    assert [len(option) - 9 for option in options] == [10, 200, 200, 200, 200, 200, 14]
    assert parse_option(options[1]).fields == {"message": 2, "total": 1024, "offset": 10, "octets": HELLO[10:210]}
    assert [len(option) for option in cut(1, bytes(300), first_room=1, room=246)] == [10, 255, 62]
    assert [len(option) for option in cut(1, bytes(248), first_room=246, room=1)] == [255, 10, 10]
    assert cut(1, b"x", points=CodePoints(experimental=253))[0][0] == 253


@pytest.mark.parametrize(
    ("message", "rooms"),
    [
        (b"", {}),
        (bytes(4097), {}),
        (b"x", {"first_room": 0}),
        (b"x", {"first_room": 247}),
        (b"x", {"room": 0}),
    ],
)
def test_nothing_is_cut_out_of_bounds(message: bytes, rooms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="octets"):
        cut(1, message, **rooms)


@given(st.binary(min_size=1, max_size=4096), st.integers(1, 1500))
def test_messages_spread_over_segments(message: bytes, area: int) -> None:
    try:
        segments = spread(1, message, area)
    except ValueError:
        # 8 segments would not be enough: each full KE option of 255 octets costs 9, a shorter last one too
        holds = (area // 255) * 246 + max(area % 255 - 9, 0)
        assert 8 * holds < len(message)
        return
    assert len(segments) <= 8
    assembler = Assembler(1)
    took = []
    for options in segments:
        assert sum(map(len, options)) <= area
        took.append(assembler.take(*fragments(*options)))
    assert took == [Took.MORE] * (len(segments) - 1) + [Took.COMPLETE]
    assert assembler.message == message


def test_spreading_has_the_bounds_of_cutting() -> None:
    for message in (b"", bytes(4097)):
        with pytest.raises(ValueError, match="octets"):
            spread(1, message, 1000)


# --- putting together ---


@given(st.data())
def test_any_cut_in_any_order_with_any_overlap(data: st.DataObject) -> None:
    message = data.draw(st.binary(min_size=1, max_size=300))
    points = sorted({0, len(message), *data.draw(st.lists(st.integers(0, len(message)), max_size=6))})
    pieces = [piece(max(0, start - data.draw(st.integers(0, 5))), end, message) for start, end in pairwise(points)]
    pieces = data.draw(st.permutations(pieces))
    assembler = Assembler(1)
    if data.draw(st.booleans()):
        took = [assembler.take(*pieces)]
    else:
        took = [assembler.take(fragment) for fragment in pieces]
    assert took.index(Took.COMPLETE) >= 0
    assert set(took[: took.index(Took.COMPLETE)]) <= {Took.MORE}
    assert set(took[took.index(Took.COMPLETE) + 1 :]) <= {Took.REPEATED}
    assert assembler.message == message


def test_equal_overlap_is_taken_and_a_different_one_is_malformed() -> None:
    assembler = Assembler(1)
    assert assembler.take(piece(0, 200)) is Took.MORE
    assert assembler.take(piece(100, 300)) is Took.MORE
    assert assembler.take(piece(0, 200)) is Took.MORE
    wrong = Fragment(1, len(HELLO), 250, b"\x00" * 60)
    assert assembler.take(wrong) is Took.MALFORMED
    assert assembler.take(piece(250, 1024)) is Took.COMPLETE
    assert assembler.message == HELLO


@pytest.mark.parametrize(
    "fragment",
    [
        Fragment(1, 10, 0, b""),  # empty
        Fragment(1, 10, 10, b""),
        Fragment(1, 10, 9, b"ab"),  # past the total
        Fragment(1, 10, 11, b"a"),
        Fragment(1, 0, 0, b"a"),
        Fragment(1, 4097, 0, b"a"),  # more than 4,096 octets
        Fragment(1, 65535, 65534, b"a"),
        Fragment(0, 0, 0, b""),  # what the reader makes of a KE option too short to be one
        Fragment(2, 10, 0, b"a"),  # of another message
    ],
)
def test_malformed_fragments_before_and_after_the_message_is_whole(fragment: Fragment) -> None:
    assembler = Assembler(1)
    assert assembler.take(fragment) is Took.MALFORMED
    assert assembler.take(Fragment(1, 10, 0, b"abcde")) is Took.MORE
    assert assembler.take(fragment) is Took.MALFORMED
    assert assembler.take(Fragment(1, 10, 5, b"fghij")) is Took.COMPLETE
    assert assembler.take(fragment) is Took.MALFORMED
    assert assembler.message == b"abcdefghij"


def test_the_greatest_message_and_another_total_on_the_way() -> None:
    message = bytes(MOST_IN_MESSAGE)
    assembler = Assembler(1)
    assert assembler.take(piece(0, 246, message)) is Took.MORE
    assert assembler.take(Fragment(1, MOST_IN_MESSAGE - 1, 246, b"a")) is Took.MALFORMED
    assert assembler.take(*fragments(*cut(1, message))) is Took.COMPLETE
    assert assembler.message == message


def test_of_a_malformed_segment_nothing_is_taken() -> None:
    assembler = Assembler(1)
    assert assembler.take(Fragment(1, 4, 0, b"ab"), Fragment(1, 4, 1, b"xx")) is Took.MALFORMED
    assert assembler.take(Fragment(1, 4, 0, b"XY")) is Took.MORE
    assert assembler.take(Fragment(1, 4, 2, b"cd"), Fragment(1, 5, 4, b"e")) is Took.MALFORMED
    assert assembler.take(Fragment(1, 4, 2, b"zz")) is Took.COMPLETE
    assert assembler.message == b"XYzz"
    assert assembler.take() is Took.MALFORMED


def test_at_most_eight_segments_bring_new_octets() -> None:
    assembler = Assembler(1)
    for at in range(7):
        assert assembler.take(piece(at, at + 1)) is Took.MORE
        assert assembler.take(piece(at, at + 1)) is Took.MORE  # repeated, not counted
    assert assembler.take(piece(7, 8)) is Took.MORE
    assert assembler.take(piece(8, 9)) is Took.MALFORMED
    assert assembler.take(piece(8, 1024)) is Took.MALFORMED
    assert assembler.message is None
    assert Assembler(1).take(*(piece(at, at + 64) for at in range(0, 1024, 64))) is Took.COMPLETE


def test_the_first_whole_message_stands() -> None:
    assembler = Assembler(1)
    assert assembler.take(Fragment(1, 4, 0, b"abcd")) is Took.COMPLETE
    assert assembler.take(Fragment(1, 4, 0, b"abcd")) is Took.REPEATED
    assert assembler.take(Fragment(1, 4, 1, b"b"), Fragment(1, 4, 3, b"d")) is Took.REPEATED
    assert assembler.take(Fragment(1, 4, 0, b"abcX")) is Took.DIFFERS
    assert assembler.take(Fragment(1, 4, 0, b"a"), Fragment(1, 4, 1, b"X")) is Took.DIFFERS
    assert assembler.take(Fragment(1, 5, 0, b"abcd")) is Took.DIFFERS
    assert assembler.message == b"abcd"


def test_a_copy_goes_its_own_way() -> None:
    assembler = Assembler(1)
    assembler.take(Fragment(1, 4, 0, b"ab"))
    twin = assembler.copy()
    assert twin.take(Fragment(1, 4, 2, b"cd")) is Took.COMPLETE
    assert assembler.message is None
    assert assembler.take(Fragment(1, 4, 2, b"xy")) is Took.COMPLETE
    assert [whole.message for whole in (assembler, twin)] == [b"abxy", b"abcd"]


# --- all messages of a connection ---

FROM_B = frozenset({2, 3, REPORT, REFUSE})


def test_an_inbox_takes_a_segment_whole_or_not_at_all() -> None:
    inbox = Inbox()
    good = Fragment(2, 2, 0, b"ok")
    assert inbox.take([good, Fragment(3, 2, 0, b"")], FROM_B) is None
    assert inbox.take([good, Fragment(1, 2, 0, b"no")], FROM_B) is None  # a kind that B may not send
    assert inbox.take([good, Fragment(0, 0, 0, b"")], FROM_B) is None
    assert inbox.message(2) is None
    assert inbox.take([good, Fragment(3, 2, 0, b"a")], FROM_B) == [(2, Took.COMPLETE), (3, Took.MORE)]
    assert (inbox.message(2), inbox.message(3), inbox.message(1)) == (b"ok", None, None)
    assert inbox.take([], FROM_B) == []


def test_reports_and_refusals_stand_whole_and_the_last_report_holds() -> None:
    assert (REPORT, REFUSE) == (7, 8)
    inbox = Inbox()
    for kind in (REPORT, REFUSE):
        assert inbox.take([Fragment(kind, 2, 0, b"a")], FROM_B) is None
        assert inbox.take([Fragment(kind, 2, 1, b"b"), Fragment(kind, 2, 0, b"a")], FROM_B) == [
            (kind, Took.COMPLETE)
        ]
        assert inbox.take([Fragment(kind, 3, 0, b"new")], FROM_B) == [(kind, Took.COMPLETE)]
        assert inbox.message(kind) == b"new"


def test_an_inbox_forgets_a_kind() -> None:
    inbox = Inbox()
    for generation in (b"one", b"two"):
        assert inbox.take([Fragment(5, 3, 0, generation)], frozenset({5})) == [(5, Took.COMPLETE)]
        assert inbox.message(5) == generation
        inbox.forget(5)
        inbox.forget(6)
