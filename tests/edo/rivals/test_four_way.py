"""The four-way handshake's segments (draft-borman-tcp4way-00)."""

from __future__ import annotations

from edo.reasons import EdoDrop
from edo.rivals.base import ACK, SYN, Fields, Laid, Part, Space, Wanted, Zone
from edo.rivals.numbers import FOUR_WAY
from edo.rivals.registry import find
from tests.edo.rivals.support import MSS, TIMESTAMPS, WSCALE, big, options_of, read

METHOD = find("four-way")
LONG = big(200)
WANTED = Wanted(syn=(MSS, LONG, WSCALE, TIMESTAMPS), syn_ack=(MSS, WSCALE), data=(TIMESTAMPS,))


def laid(part: Part, want: Wanted = WANTED) -> Laid:
    found = METHOD.lay_out(part, want, Space())
    assert found is not None
    return found


def test_the_exchange_has_two_segments_more_than_three() -> None:
    exchange = METHOD.exchange(WANTED, Space())
    assert [(one.part, one.sender, one.flags) for one in exchange] == [
        (Part.SYN, "client", SYN),
        (Part.SYN_ACK, "server", SYN | ACK),
        (Part.THIRD, "client", SYN | ACK),
        (Part.ANSWER, "server", ACK),
        (Part.DATA, "client", ACK),
    ]
    assert [one.offset & 0x0F for one in exchange] == [FOUR_WAY, FOUR_WAY, FOUR_WAY, 0, 0]


def test_options_that_ask_for_an_answer_stay_in_the_syn() -> None:
    """Though a large one was named before them."""
    want = Wanted(syn=(MSS, big(28), WSCALE, TIMESTAMPS))
    assert laid(Part.SYN, want).carried == (MSS, WSCALE, TIMESTAMPS)
    assert laid(Part.THIRD, want).carried == (big(28),)


def test_the_clients_syn_ack_is_extended_and_has_what_every_segment_has() -> None:
    third = laid(Part.THIRD)
    assert third.carried == (TIMESTAMPS, LONG)
    assert {piece.zone for piece in third.pieces if piece.want == LONG} == {Zone.BEHIND}
    assert options_of(third, read(METHOD, third, Space()))[-1] == LONG.octets


def test_a_syn_without_the_bit_or_without_edo_is_an_ordinary_one() -> None:
    octets = bytearray(laid(Part.SYN).segment(Fields()))
    assert read_marked(octets, Part.SYN)
    octets[12] &= 0xF0
    assert not read_marked(octets, Part.SYN_ACK)
    octets[12] |= FOUR_WAY
    at = octets.index(bytes.fromhex("fe040ed0"))
    octets[at : at + 4] = bytes(4 * [1])
    assert not read_marked(octets, Part.SYN)


def read_marked(octets: bytearray, part: Part) -> bool:
    reading = METHOD.read(part, memoryview(bytes(octets)), Space())
    assert not isinstance(reading, EdoDrop)
    return reading.marked


def test_a_long_syn_ack_is_extended_only_where_the_bit_is_in_it() -> None:
    """Whoever has cleared the bit may have removed the Extension as well, or never known of it."""
    want = Wanted(syn=(MSS, LONG), syn_ack=(MSS, LONG))
    octets = bytearray(laid(Part.SYN_ACK, want).segment(Fields()))
    assert read_marked(octets, Part.SYN_ACK)
    octets[12] &= 0xF0
    assert not read_marked(octets, Part.SYN_ACK)


def test_a_third_segment_without_extension_is_none_of_the_method() -> None:
    plain = find("legacy").lay_out(Part.THIRD, Wanted(), Space())
    assert plain is not None
    assert METHOD.read(Part.THIRD, memoryview(plain.segment(Fields())), Space()) is EdoDrop.EDO_MISSING
