"""The aggregated option: bits in the SYN, parameters in the third segment (draft-nishida-tcpm-agg-syn-ext-00)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edo.reasons import EdoDrop
from edo.rivals.aggregated import LAST, MORE, Aggregated, blocks, contents_of, number, numbers_of, option
from edo.rivals.base import Fields, Part, Reading, Space, Want, Wanted
from edo.walk import walk
from tests.edo.rivals.support import KNOWN, MSS, SACK_PERMITTED, TIMESTAMPS, WSCALE, big, options_of, read

METHOD = Aggregated()
AO = Want("ao", bytes((29, 24)) + bytes(22))
LIST = (AO, MSS, WSCALE, SACK_PERMITTED, TIMESTAMPS)
WANTED = Wanted(syn=LIST, syn_ack=LIST, data=(AO, TIMESTAMPS))


def test_bits_go_where_options_had_no_room() -> None:
    """SYN: TCP-AO, MSS, window scale, SACK-permitted and a bit for timestamps; they follow in the third segment."""
    exchange = METHOD.exchange(WANTED, Space())
    assert [one.part for one in exchange] == [Part.SYN, Part.SYN_ACK, Part.THIRD, Part.ANSWER, Part.DATA]
    syn, syn_ack, third, answer, _ = exchange
    assert syn.carried == (AO, MSS, WSCALE, SACK_PERMITTED)
    assert option(bytes((0b00_000100,))) in syn.segment(Fields())
    assert option(bytes((0b01_000100,))) in syn_ack.segment(Fields())
    assert third.carried == (TIMESTAMPS, AO)
    assert option(LAST) in third.segment(Fields())
    assert answer.carried == (TIMESTAMPS, AO)
    assert not METHOD.misfits(WANTED, Space())
    assert read(METHOD, syn, Space()).promised == read(METHOD, syn_ack, Space()).promised == (2,)


def test_parameters_that_need_several_segments_say_that_more_is_to_come() -> None:
    first, second, third = big(34, 201), big(33, 202), big(30, 203)
    want = Wanted(syn=(*KNOWN, first, second, third))
    thirds = [one for one in METHOD.exchange(want, Space()) if one.part is Part.THIRD]
    assert [one.carried for one in thirds] == [(first,), (second,), (third,)]
    readings = [read(METHOD, one, Space()) for one in thirds]
    assert [(one.marked, one.more) for one in readings] == [(True, True), (True, True), (True, False)]
    assert options_of(thirds[0], readings[0])[-1] == option(MORE)
    assert [one.room > 0 for one in thirds] == [False, False, True]


def test_two_options_of_one_bit_and_those_that_fit_no_header_are_misfits() -> None:
    same, other, large = big(20, 200), big(20, 212), big(100, 205)
    assert number(same.octets) == number(other.octets)
    want = Wanted(syn=(*KNOWN, MSS, same, other, large))
    assert METHOD.misfits(want, Space()) == ((Part.SYN, other), (Part.SYN, large))


def test_what_has_to_be_in_the_syn_has_no_bit() -> None:
    for kind in (2, 19, 29, 34):
        assert number(bytes((kind, 4, 0, 0))) is None
    assert number(bytes.fromhex("fe065e05")) != number(bytes.fromhex("fe065e06"))


def test_a_box_that_echoes_options_is_noticed() -> None:
    """The SYN's own blocks in a SYN-ACK agree to nothing, nor do a SYN-ACK's in a SYN."""
    syn, syn_ack = (METHOD.lay_out(part, WANTED, Space()) for part in (Part.SYN, Part.SYN_ACK))
    assert syn is not None
    assert syn_ack is not None
    for octets, part in ((syn.segment(Fields()), Part.SYN_ACK), (syn_ack.segment(Fields()), Part.SYN)):
        reading = METHOD.read(part, memoryview(octets), Space())
        assert isinstance(reading, Reading)
        # GID 1 is group 2 in a SYN, so there it only reads as other options, which the SYN never promised.
        assert reading.promised != (2,)
    assert numbers_of(blocks([0, 7], False), True) is None


@given(numbers=st.sets(st.integers(0, 17), min_size=1), answer=st.booleans())
def test_bits_are_read_back(numbers: set[int], answer: bool) -> None:
    assert numbers_of(blocks(numbers, answer), answer) == tuple(sorted(numbers))


@given(contents=st.binary(max_size=6), answer=st.booleans())
def test_blocks_that_contradict_themselves_are_no_bits(contents: bytes, answer: bool) -> None:
    found = numbers_of(contents, answer)
    if found is not None:
        assert sorted(blocks(found, answer)) == sorted(contents)


def test_two_aggregated_options_are_none() -> None:
    tcp = memoryview(bytes(20) + option(LAST) + option(MORE))
    spans = walk(tcp, 20, len(tcp))
    assert spans is not None
    assert contents_of(tcp, spans) is None
    assert contents_of(tcp, spans[:1]) == LAST


def test_a_third_segment_with_other_blocks_is_an_ordinary_one() -> None:
    head = bytes(12) + bytes((7 << 4, 0x10)) + bytes(6)
    reading = METHOD.read(Part.THIRD, memoryview(head + option(bytes((0xC1,))) + b"\x01" * 3), Space())
    assert not isinstance(reading, EdoDrop)
    assert not reading.marked
