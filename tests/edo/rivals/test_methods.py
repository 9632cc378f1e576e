"""What holds of every method: what it lays out is read back, and no octets make its reader raise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edo.reasons import EdoDrop
from edo.rivals.base import Fields, Method, Part, Reading, Space, Want, Wanted, Zone
from edo.rivals.registry import METHODS, find, register
from tests.edo.rivals.support import KNOWN, MSS, TIMESTAMPS, big, options_of, read, spaces, wanted

ALL = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@ALL
@given(want=wanted(), space=spaces(), data=st.data())
@settings(max_examples=15)
def test_what_is_laid_out_is_read_back(method: Method, want: Wanted, space: Space, data: st.DataObject) -> None:
    used = method if method.exchange(want, space) != find("legacy").exchange(want, space) else find("legacy")
    for part in Part:
        empty = method.lay_out(part, want, space)
        if empty is None:
            continue
        assert empty.octets <= space.segment
        size = data.draw(st.integers(0, empty.room))
        payload = random.Random(size).randbytes(size)
        laid = method.lay_out(part, want, space, size)
        assert laid is not None
        assert laid.room == empty.room
        assert laid.octets <= space.segment
        reading = read(used, laid, space, payload)
        start, end = reading.payload
        assert laid.segment(Fields(), payload)[start:end] == payload
        found = options_of(laid, reading, payload)
        assert {one.octets for one in laid.carried} <= set(found)
        assert laid.data_offset == (0 if laid.offset == 0 else 20 + _inside(laid.pieces))


def _inside(pieces: object) -> int:
    return sum(len(piece.octets) for piece in pieces if piece.zone is Zone.INSIDE)  # type: ignore[attr-defined]


@ALL
@given(want=wanted(), space=spaces())
@settings(max_examples=10)
def test_more_payload_than_there_is_room_for_is_refused(method: Method, want: Wanted, space: Space) -> None:
    for laid in method.exchange(want, space):
        with pytest.raises(ValueError, match="room for"):
            method.lay_out(laid.part, want, space, laid.room + 1)
        with pytest.raises(ValueError, match="laid out for"):
            laid.segment(Fields(), b"one too many")


@ALL
@given(want=wanted(), space=spaces(), seed=st.integers(0, 1 << 32))
@settings(max_examples=15)
def test_no_octets_make_a_reader_raise(method: Method, want: Wanted, space: Space, seed: int) -> None:
    """Mutated segments are read within their bounds or dropped for a reason."""
    chance = random.Random(seed)
    for laid in method.exchange(want, space):
        octets = bytearray(laid.segment(Fields(1, 2, chance.getrandbits(32), 3, 4)))
        for _ in range(chance.randrange(4)):
            octets[chance.randrange(len(octets))] = chance.choice(
                (0, 1, 2, 20, 40, 253, 254, 255, chance.randrange(256))
            )
        cut = octets[: chance.randrange(len(octets) + 1)] if chance.random() < 0.3 else octets
        for part in Part:
            within(method.read(part, memoryview(bytes(cut)), space), len(cut))


@ALL
@given(octets=st.binary(max_size=120), part=st.sampled_from(Part))
def test_octets_of_no_segment_are_read_or_dropped(method: Method, octets: bytes, part: Part) -> None:
    within(method.read(part, memoryview(octets), Space()), len(octets))


def within(reading: Reading | EdoDrop, size: int) -> None:
    if isinstance(reading, EdoDrop):
        return
    start, end = reading.payload
    assert 20 <= start <= end <= size
    for _, _, offset, length in reading.spans:
        assert 20 <= offset <= offset + length <= size
    # Each option has two octets at least, so there are no more than that.
    assert len(reading.spans) * 2 <= size


@ALL
def test_an_old_peer_finds_what_matters_in_an_ordinary_segment(method: Method) -> None:
    """What comes first stays where RFC 9293 looks for it, in some SYN that old peers accept."""
    want = Wanted(syn=(MSS, TIMESTAMPS, big(100)))
    syn = method.lay_out(Part.SYN, want, Space())
    assert syn is not None
    assert syn.carried[:2] == (MSS, TIMESTAMPS)


@ALL
def test_what_fits_a_plain_header_goes_nowhere_else(method: Method) -> None:
    """Extended space is for options that do not fit."""
    want = Wanted(syn=KNOWN, syn_ack=KNOWN)
    assert not method.misfits(want, Space())
    assert method.lay_out(Part.BESIDE, want, Space()) is None


def test_misfits_are_named_with_the_part_they_were_wanted_for() -> None:
    one, two, three = big(60, 201), big(60, 202), big(60, 203)
    want = Wanted((MSS, one), (MSS, two), (three,))
    assert find("legacy").misfits(want, Space()) == ((Part.SYN, one), (Part.SYN_ACK, two), (Part.DATA, three))
    assert find("edo").misfits(want, Space()) == ((Part.SYN, one), (Part.SYN_ACK, two))
    assert find("syn-eos").misfits(want, Space()) == ()


def test_a_want_is_one_whole_option() -> None:
    for octets in (b"\x02", b"\x02\x03", b"\x01\x02", b"\x00\x02", b"\x02\x02\x00"):
        with pytest.raises(ValueError, match="not one whole option"):
            Want("no", octets)


def test_methods_are_found_and_added_by_name() -> None:
    with pytest.raises(ValueError, match="is not one of legacy"):
        find("carrier-pigeon")
    with pytest.raises(ValueError, match="exists"):
        register(find("edo"))
