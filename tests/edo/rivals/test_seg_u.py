"""SEG-U: Data Offset 0 and a length behind the fixed header."""

from __future__ import annotations

import pytest

from edo.reasons import EdoDrop
from edo.rivals.base import Fields, Part, Reading, Space, Wanted
from edo.rivals.registry import find
from tests.edo.rivals.support import MSS, TIMESTAMPS, big, read

METHOD = find("seg-u")
WANTED = Wanted(syn=(MSS, big(62)), data=(TIMESTAMPS,))


def test_a_segment_octet_by_octet() -> None:
    laid = METHOD.lay_out(Part.SYN, WANTED, Space(), 3)
    assert laid is not None
    octets = laid.segment(Fields(), b"abc")
    # 4 + 4 + 62 octets are 18 words with the padding.
    assert octets[12] == 0
    assert octets[20:24] == bytes((18, 0, 0, 0))
    assert octets[24:] == MSS.octets + big(62).octets + b"\x01\x01" + b"abc"


def test_every_segment_of_an_upgraded_session_has_the_form() -> None:
    assert [one.offset for one in METHOD.exchange(WANTED, Space())] == [0, 0, 0, 0]
    assert all(one.data_offset > 0 for one in METHOD.exchange(Wanted(syn=(MSS,)), Space()))


def test_there_is_room_for_1016_octets_of_options() -> None:
    wants = tuple(big(127, kind) for kind in range(100, 108))
    laid = METHOD.lay_out(Part.DATA, Wanted(data=wants), Space())
    assert laid is not None
    assert sum(len(want.octets) for want in laid.carried) == 1016
    assert laid.pieces[0].octets == b"\xff"
    assert METHOD.misfits(Wanted(data=(*wants, big(2, 90))), Space()) == ((Part.DATA, big(2, 90)),)


def test_an_ordinary_segment_is_read_as_one() -> None:
    laid = find("legacy").lay_out(Part.SYN, WANTED, Space())
    assert laid is not None
    assert not read(METHOD, laid, Space()).marked


@pytest.mark.parametrize("length", [0, 12, 255])
def test_a_length_of_nothing_or_beyond_the_segment_is_dropped(length: int) -> None:
    laid = METHOD.lay_out(Part.SYN, Wanted(syn=(big(41),)), Space())
    assert laid is not None
    octets = bytearray(laid.segment(Fields()))
    assert octets[20] == 12
    octets[20] = length
    found = METHOD.read(Part.SYN, memoryview(bytes(octets)), Space())
    assert isinstance(found, Reading) if length == 12 else found is EdoDrop.MALFORMED_SPACE


def test_reserved_octets_are_not_looked_at() -> None:
    laid = METHOD.lay_out(Part.SYN, WANTED, Space())
    assert laid is not None
    octets = bytearray(laid.segment(Fields()))
    octets[21:24] = b"\xff\xff\xff"
    assert isinstance(METHOD.read(Part.SYN, memoryview(bytes(octets)), Space()), Reading)
