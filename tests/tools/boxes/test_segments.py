"""Boxes that cut and join, drop, delay and inject segments, and those that choose between paths."""

from __future__ import annotations

import pytest

from stack.box import Direction
from tests.tools.boxes.support import ENDS, UNKNOWN, dissected, named, segment, through

FORWARD, BACKWARD = Direction


@pytest.mark.parametrize("version", [4, 6])
def test_split_copies_options_to_each_part_or_not(version: int) -> None:
    whole = segment(
        bytes(range(100)), "FPA", seq=0xFFFFFFF0, options=[UNKNOWN, ("NOP", None), ("NOP", None)], version=version
    )
    for copy, kept in (("yes", 3), ("no", 1)):
        parts = through(named(f"split:most=40,copy={copy}"), whole)
        assert [bytes(part["TCP"].payload) for part in parts] == [
            bytes(range(n, min(n + 40, 100))) for n in (0, 40, 80)
        ]
        assert [part["TCP"].seq for part in parts] == [0xFFFFFFF0, 0x18, 0x40]
        assert [str(part["TCP"].flags) for part in parts] == ["A", "A", "FPA"]
        assert sum(UNKNOWN in part["TCP"].options for part in parts) == kept


@pytest.mark.parametrize(("options", "left"), [("first", [(30, b"1a")]), ("last", [(30, b"3c")]), ("none", [])])
def test_merge_joins_what_follows_each_other(options: str, left: list[tuple[int, bytes]]) -> None:
    box = named(f"merge:options={options}")
    pieces = [
        segment(b"abc", seq=100, ack=1, window=10, options=[(30, b"1a")]),
        segment(b"de", seq=103, ack=2, window=20, options=[(30, b"2b")]),
        segment(b"f", "PA", seq=105, ack=3, window=30, options=[(30, b"3c")]),
    ]
    assert through(box, *pieces) == []
    assert box.next_deadline == pytest.approx(0.002)
    ((when, towards, packet),) = box.process([], FORWARD, 0.002)
    assert (when, towards) == (0.002, FORWARD)
    out = dissected(packet)["TCP"]
    assert (bytes(out.payload), out.seq, out.ack, out.window, out.flags) == (b"abcdef", 100, 3, 30, "PA")
    assert [option for option in out.options if option[0] == 30] == left
    assert box.next_deadline is None


def test_merge_lets_out_what_has_no_neighbour_in_its_order() -> None:
    box = named("merge:most=6")
    out = through(
        box, segment(b"abc", seq=100), segment(b"xyz", seq=200), segment(seq=203), segment(b"123", "FA", seq=203)
    )
    assert [bytes(one["TCP"].payload) for one in out] == [b"abc", b"xyz", b"", b"123"]
    # Six octets are the most, and what comes first on the other way waits for itself.
    out = through(box, segment(b"abc", seq=206), segment(b"def", seq=209), segment(b"g", seq=212))
    assert [bytes(one["TCP"].payload) for one in out] == [b"abcdef"]
    assert through(box, segment(b"h", seq=213, backward=True), backward=True) == []


def test_offload_joins_and_cuts_with_the_first_options_in_each_part() -> None:
    box = named("offload:most=5")
    pieces = [segment(b"abcd", seq=100, options=[(30, b"1a")]), segment(b"efgh", seq=104, options=[(30, b"2b")])]
    assert through(box, *pieces) == []
    out = [dissected(packet)["TCP"] for _, _, packet in box.process([], FORWARD, 0.002)]
    assert [(bytes(one.payload), one.seq) for one in out] == [(b"abcde", 100), (b"fgh", 105)]
    assert all(one.options[0] == (30, b"1a") for one in out)


@pytest.mark.parametrize(
    ("name", "dropped", "passed"),
    [
        ("drop-flagless", segment(b"text", ""), segment(b"text", "FA")),
        ("drop-flagless", segment(flags="F"), segment(flags="R")),
        ("drop-unknown", segment(options=[UNKNOWN]), segment(options=[("Timestamp", (1, 2))])),
        ("drop-unknown:kinds=30", segment(options=[(30, b"")]), segment(options=[UNKNOWN])),
        ("drop-unknown:syn=only", segment(flags="S", options=[UNKNOWN]), segment(options=[UNKNOWN])),
        ("drop-syn-text", segment(b"text", "S"), segment(flags="S")),
        ("drop-reserved", segment(reserved=2), segment(flags="AN")),
        ("drop-reserved", segment(b"12345678", dataofs=0), segment()),
    ],
    ids=map(str, range(8)),
)
def test_firewalls_drop_what_they_are_for(name: str, dropped: bytes, passed: bytes) -> None:
    box = named(name)
    (out,) = through(box, dropped, passed)
    assert bytes(out) == passed
    assert box.counters()["dropped"] == 1


def test_a_firewall_can_answer() -> None:
    box = named("drop-unknown:reset")
    ((_, towards, packet),) = box.process([segment(flags="S", seq=9, options=[UNKNOWN])], FORWARD, 0.0)
    out = dissected(packet)
    assert towards is BACKWARD
    assert (out.src, out["TCP"].ack, out["TCP"].flags) == (ENDS[4][1], 10, "RA")
    assert box.process([segment(flags="R", options=[UNKNOWN])], FORWARD, 0.0) == []


@pytest.mark.parametrize("version", [4, 6])
def test_resets_have_the_numbers_that_the_ends_expect(version: int) -> None:
    box = named("reset:after=2")
    through(box, segment(flags="S", seq=9, version=version))
    through(box, segment(flags="SA", seq=49, ack=10, backward=True, version=version), backward=True)
    data = segment(b"abc", seq=10, ack=50, version=version)
    out = box.process([data], FORWARD, 0.0)
    assert bytes(out[0][2]) == data
    told = {towards: dissected(packet) for _, towards, packet in out[1:]}
    assert (told[FORWARD]["TCP"].seq, told[FORWARD].dst) == (13, ENDS[version][1])
    assert (told[BACKWARD]["TCP"].seq, told[BACKWARD].dst) == (50, ENDS[version][0])
    assert all(one["TCP"].flags & 4 for one in told.values())
    assert len(box.process([data], FORWARD, 0.0)) == 1


def test_a_path_changes_after_so_many_segments() -> None:
    box = named("change:after=2,to=(strip:kinds=253 mss)")
    found = [through(box, segment(options=[UNKNOWN]))[0]["TCP"].options[0][0] for _ in range(4)]
    assert found == [253, 253, "NOP", "NOP"]
    assert (box.counters()["first"], box.counters()["second"]) == (2, 2)


def test_a_balancer_sends_packets_by_two_paths_in_turn() -> None:
    box = named("balance")
    out = through(box, *[segment(options=[UNKNOWN]) for _ in range(4)])
    assert [one["TCP"].options[0][0] for one in out] == [253, "NOP", 253, "NOP"]
    box = named("balance:first=(delay:seconds=1),second=(delay:seconds=2),by=chance", seed=3)
    times = {when for _ in range(20) for when, _, _ in box.process([segment()], FORWARD, 0.0)}
    # Nested boxes let packets out at their own times.
    assert times == {1.0, 2.0}


def test_plain_boxes_do_what_they_say() -> None:
    assert [when for when, _, _ in named("delay:seconds=0.3").process([segment()], FORWARD, 1.0)] == [1.3]
    assert [when for when, _, _ in named("duplicate:share=1").process([segment()], FORWARD, 1.0)] == [1.0, 1.01]
    assert named("mtu:most=60").process([segment(b"x" * 60)], FORWARD, 0.0) == []
    ((_, _, packet),) = named("corrupt:share=1,payload").process([segment(b"x" * 60)], FORWARD, 0.0)
    assert bytes(dissected(packet)["TCP"].payload) != b"x" * 60
    (one, two) = named("rate:octets=1000").process([segment(b"x" * 60)] * 2, FORWARD, 0.0)
    assert (one[0], two[0]) == (0.1, 0.2)
