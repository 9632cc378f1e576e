"""Sister SYNs and inner space: options in the text of a second SYN, and how rarely other text is taken for them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edo.reasons import EdoDrop
from edo.rivals.base import Fields, Laid, Part, Reading, Space, Wanted
from edo.rivals.inner_space import ON_SYN, Stream, on_others, on_syn
from edo.rivals.registry import find
from edo.rivals.sister_syn import confirmation, end_option
from tests.edo.rivals.support import KNOWN, MSS, TIMESTAMPS, big, read

SISTER, INNER = find("sister-syn"), find("inner-space")
LONG = big(100)
WANTED = Wanted(syn=(*KNOWN, LONG), syn_ack=(*KNOWN, big(90)), data=(TIMESTAMPS, big(60)))
BOTH = pytest.mark.parametrize("method", [SISTER, INNER], ids=["sister-syn", "inner-space"])


def laid(method: object, part: Part, payload: int = 0) -> Laid:
    found = method.lay_out(part, WANTED, Space(), payload)  # type: ignore[attr-defined]
    assert found is not None
    return found  # type: ignore[no-any-return]


def syn(text: bytes, options: bytes = b"") -> memoryview:
    return memoryview(bytes(12) + bytes(((20 + len(options)) // 4 << 4, 2)) + bytes(6) + options + text)


def taken(method: object, tcp: memoryview, part: Part = Part.BESIDE) -> Reading:
    reading = method.read(part, tcp, Space())  # type: ignore[attr-defined]
    assert not isinstance(reading, EdoDrop)
    return reading  # type: ignore[no-any-return]


@BOTH
def test_the_ordinary_syn_has_neither_text_nor_mark(method: object) -> None:
    ordinary, second = laid(method, Part.SYN), laid(method, Part.BESIDE)
    assert not ordinary.second
    assert second.second
    assert ordinary.carried == KNOWN
    assert second.carried == (*KNOWN, LONG)
    assert ordinary.octets == 40


def test_a_sister_syn_octet_by_octet() -> None:
    """Header, text of the user, options, SynOpSis: kind, Length 8, magic, 25 words, none of them first."""
    sister = laid(SISTER, Part.BESIDE, 5)
    octets = sister.segment(Fields(), b"hello")
    assert octets[40:45] == b"hello"
    assert octets[45:145] == LONG.octets
    assert octets[145:] == bytes.fromhex("fe085150b1a5 1900".replace(" ", ""))
    assert octets[145:] == end_option(100, 0)
    assert laid(SISTER, Part.SYN_ACK).pieces[-2].octets == confirmation() == bytes.fromhex("fe065150b1a5")


def test_an_upgraded_syn_of_inner_space_octet_by_octet() -> None:
    """Magic A, SPS 5, InOO 25 words and Len 2, Magic B, SOO 0; then the option and the text."""
    octets = laid(INNER, Part.BESIDE, 5).segment(Fields(), b"hello")
    assert octets[40:52] == bytes.fromhex("1a5bace5 0005 0066 e5ca 0000".replace(" ", "")) == on_syn(5, 0, 100)
    assert octets[52:152] == LONG.octets
    assert octets[152:] == b"hello"
    data = laid(INNER, Part.DATA, 5).segment(Fields(), b"hello")
    assert data[32:36] == bytes.fromhex("0005003d") == on_others(5, 60)


def test_options_of_the_prefix_come_before_those_of_the_header_and_the_others_behind() -> None:
    """The order of processing of both documents, where some octets have to be seen first."""
    first, last = bytes((200, 4, 1, 1)), bytes((201, 4, 2, 2))
    header = MSS.octets
    sister = taken(SISTER, syn(b"text" + first + last + end_option(8, 4), header))
    inner = taken(INNER, syn(on_syn(4, 4, 8) + first + last + b"text", header))
    for reading in (sister, inner):
        assert reading.marked
        assert [span[0] for span in reading.spans] == [200, 2, 201]
        assert reading.payload[1] - reading.payload[0] == 4


@BOTH
@given(text=st.binary(max_size=300))
def test_text_of_others_is_text(method: object, text: bytes) -> None:
    reading = taken(method, syn(text))
    assert not reading.marked
    assert reading.payload == (20, 20 + len(text))


@BOTH
@given(data=st.data())
@settings(max_examples=200)
def test_each_octet_of_the_mark_counts(method: object, data: st.DataObject) -> None:
    """A bit of kind, Length or magic that differs, or a count that does not fit, makes it the user's text.

    Text that is not made to look like it does so once in 2^48 for sister SYNs, for inner space in 2^50 times the
    chance that 16 bits are its length.
    """
    second = laid(method, Part.BESIDE)
    octets = bytearray(second.segment(Fields()))
    fixed = range(len(octets) - 8, len(octets) - 2) if method is SISTER else range(40, 50)
    at = data.draw(st.sampled_from(fixed))
    bit = 1 << data.draw(st.integers(0, 7))
    if method is SISTER and at == len(octets) - 8 and octets[at] ^ bit in (253, 254):
        return
    octets[at] ^= bit
    reading = taken(method, memoryview(bytes(octets)))
    assert not reading.marked
    assert reading.payload[1] - reading.payload[0] == len(octets) - 40


@BOTH
def test_a_mark_around_options_that_are_none_is_text(method: object) -> None:
    bad = bytes((200, 0, 0, 0))
    text = bad + end_option(4, 0) if method is SISTER else on_syn(0, 0, 4) + bad
    assert not taken(method, syn(text)).marked


def test_counts_that_reach_beyond_the_text_are_none() -> None:
    for reading in (
        taken(SISTER, syn(bytes(4) + end_option(8, 0))),
        taken(SISTER, syn(bytes(4) + end_option(4, 8))),
        taken(INNER, syn(on_syn(0, 8, 4) + bytes(4))),
        taken(INNER, syn(on_syn(5, 0, 0) + bytes(4))),
        taken(INNER, syn(on_syn(0, 0, 8) + bytes(4))),
        taken(INNER, syn(on_syn(0, 0, 0)[: ON_SYN - 1])),
    ):
        assert not reading.marked


def test_an_ordinary_syn_ack_confirms_nothing() -> None:
    tcp = memoryview(laid(SISTER, Part.SYN).segment(Fields()))
    assert not taken(SISTER, tcp, Part.SYN_ACK).marked
    assert not taken(INNER, tcp, Part.SYN_ACK).marked
    assert read(SISTER, laid(SISTER, Part.SYN_ACK), Space()).marked
    assert read(INNER, laid(INNER, Part.SYN_ACK), Space()).marked


def test_segments_of_inner_space_whose_counts_contradict_them_are_dropped() -> None:
    octets = laid(INNER, Part.DATA, 5).segment(Fields(), b"hello")
    tcp = memoryview(octets)
    reading = INNER.read(Part.DATA, tcp, Space())
    assert isinstance(reading, Reading)
    assert [bytes(tcp[at : at + size]) for _, _, at, size in reading.spans] == [TIMESTAMPS.octets, big(60).octets]
    for bad in (octets[:-1], octets[:34], octets + b"x", octets[:35] + bytes((octets[35] & 0xFC,)) + octets[36:]):
        assert INNER.read(Part.DATA, memoryview(bad), Space()) is EdoDrop.MALFORMED_SPACE


# --- the stream ---


@given(
    records=st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3)), max_size=12),
    seed=st.integers(0, 1 << 32),
)
def test_a_stream_is_read_alike_however_it_was_cut(records: list[tuple[bytes, int]], seed: int) -> None:
    """Neither splitting nor merging of segments changes text or options."""
    whole, text, options = b"", b"", []
    for payload, count in records:
        own = [bytes((200 + n, 4, n, n)) for n in range(count)]
        whole += on_others(len(payload), 4 * count) + b"".join(own) + payload
        text += payload
        options += own
    chance = random.Random(seed)
    stream, got, at = Stream(), b"", 0
    while at < len(whole):
        size = chance.randrange(1, 30)
        got += b"".join(stream.take(memoryview(whole)[at : at + size]))
        at += size
    assert got == text
    assert stream.options == options
    assert not stream.broken


@given(octets=st.binary(max_size=400), size=st.integers(1, 50))
def test_no_octets_break_a_stream_but_by_its_own_mark(octets: bytes, size: int) -> None:
    stream, got = Stream(), 0
    for at in range(0, len(octets), size):
        got += sum(map(len, stream.take(memoryview(octets)[at : at + size])))
    assert got <= len(octets)


def test_a_broken_stream_gives_nothing_more() -> None:
    for bad in (b"\x00\x05\x00\x00", on_others(5, 4) + bytes((200, 9, 0, 0))):
        stream = Stream()
        assert stream.take(memoryview(bad + b"hello")) == []
        assert stream.broken
        assert stream.take(memoryview(on_others(5, 0) + b"hello")) == []
