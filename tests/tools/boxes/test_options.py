"""Boxes that change options and fields: what they leave of a segment."""

from __future__ import annotations

import pytest

from tests.tools.boxes.support import UNKNOWN, named, segment, through

NOP = ("NOP", None)
END = ("EOL", None)
USUAL = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), NOP, ("WScale", 7)]


@pytest.mark.parametrize("version", [4, 6])
def test_strip_puts_nops_for_what_it_does_not_know(version: int) -> None:
    options = [("MSS", 1460), UNKNOWN, (30, b"ab")]
    (out,) = through(named("strip"), segment(b"text", "S", version=version, options=options))
    assert out["TCP"].options == [("MSS", 1460), *[NOP] * 10, END]
    assert bytes(out["TCP"].payload) == b"text"


def test_strip_by_kind_by_syn_and_after_some_segments() -> None:
    both = [UNKNOWN, (30, b"ab")]
    (out,) = through(named("strip:kinds=30"), segment(options=both))
    assert out["TCP"].options[:5] == [UNKNOWN, *[NOP] * 4]
    for syn, stripped in (("only", (True, False)), ("except", (False, True)), ("any", (True, True))):
        box = named(f"strip:syn={syn}")
        found = [through(box, segment(flags=flags, options=[UNKNOWN]))[0]["TCP"].options for flags in "SA"]
        assert tuple(options[0] == NOP for options in found) == stripped
    box = named("strip:after=3")
    found = [through(box, segment(options=[UNKNOWN]))[0]["TCP"].options[0] for _ in range(5)]
    assert found == [UNKNOWN, UNKNOWN, UNKNOWN, NOP, NOP]


def test_strip_can_leave_no_gap() -> None:
    (out,) = through(named("strip:remove"), segment(b"text", options=[("MSS", 1460), UNKNOWN]))
    assert out["TCP"].options == [("MSS", 1460)]
    assert out["TCP"].dataofs == 6
    assert bytes(out["TCP"].payload) == b"text"


def test_echo_gives_the_clients_options_to_the_servers_answer() -> None:
    box = named("echo")
    through(box, segment(flags="S", options=[*USUAL, UNKNOWN]))
    (answer,) = through(box, segment(flags="SA", options=[("MSS", 1460)], backward=True), backward=True)
    assert answer["TCP"].options[:2] == [("MSS", 1460), UNKNOWN]
    assert box.counters()["echoed"] == 1
    # Once, and nothing that the server has sent itself.
    (again,) = through(box, segment(flags="SA", backward=True), backward=True)
    assert again["TCP"].options == []
    through(box, segment(flags="S", options=[UNKNOWN]))
    (own,) = through(box, segment(flags="SA", options=[UNKNOWN], backward=True), backward=True)
    assert [option for option in own["TCP"].options if option[0] == UNKNOWN[0]] == [UNKNOWN]


def test_echo_leaves_out_what_has_no_room() -> None:
    box = named("echo")
    through(box, segment(flags="S", options=[(30, bytes(30))]))
    (answer,) = through(box, segment(flags="SA", options=USUAL, backward=True), backward=True)
    assert answer["TCP"].options == USUAL


def test_mss_is_lowered_and_never_raised() -> None:
    for announced, left in ((1460, 1220), (1000, 1000)):
        (out,) = through(named("mss"), segment(flags="S", options=[("MSS", announced)]))
        assert out["TCP"].options == [("MSS", left)]
    (out,) = through(named("mss"), segment(flags="A", options=[("MSS", 1460)]))
    assert out["TCP"].options == [("MSS", 1460)]
    (out,) = through(named("mss:most=536,add"), segment(flags="S", options=[("WScale", 7)]))
    assert out["TCP"].options[0] == ("MSS", 536)


def test_windows_are_lowered_but_in_syns_and_resets() -> None:
    for flags, window, left in (("A", 500, 64), ("A", 60, 60), ("S", 500, 500), ("R", 500, 500)):
        (out,) = through(named("window"), segment(flags=flags, window=window))
        assert out["TCP"].window == left
    (out,) = through(named("window:scale=0"), segment(flags="S", options=[("WScale", 7)]))
    assert out["TCP"].options[0] == ("WScale", 0)


def test_data_offset_is_as_small_as_can_be() -> None:
    (out,) = through(named("offset"), segment(b"text", options=[NOP, NOP, ("Timestamp", (1, 2)), *[NOP] * 8]))
    assert out["TCP"].options == [("Timestamp", (1, 2)), END]
    assert out["TCP"].dataofs == 8
    assert bytes(out["TCP"].payload) == b"text"


def test_a_data_offset_below_five_is_dropped_or_made_five() -> None:
    low = segment(b"12345678", dataofs=3)
    assert through(named("offset"), low) == []
    (out,) = through(named("offset:low=five"), low)
    assert out["TCP"].dataofs == 5


@pytest.mark.parametrize("version", [4, 6])
def test_ecn_is_bleached_in_both_headers(version: int) -> None:
    packet = bytearray(segment(flags="AECN", version=version, reserved=7))
    if version == 4:
        packet[1] |= 3
        packet[10:12] = (int.from_bytes(packet[10:12]) - 3).to_bytes(2)
    else:
        packet[1] |= 0x30
    (out,) = through(named("ecn"), bytes(packet))
    assert (out["TCP"].flags, out["TCP"].reserved) == ("A", 7)
    assert (out.tos if version == 4 else out.tc) == 0
    (out,) = through(named("ecn:ip=no,reserved"), bytes(packet))
    assert out["TCP"].reserved == 0
    assert (out.tos if version == 4 else out.tc) == 3
