"""SYN-EOS: draft-touch-tcpm-tcp-syn-ext-opt (base form) and the limits set here."""

from __future__ import annotations

import pytest

from edo.codepoints import CodePoints
from edo.eno import syn_option
from edo.fast import read_options
from edo.messages import cut
from edo.options import Fragment, Options
from edo.syneos import MOST_WITH_MESSAGE, is_oob, join, oob_payload, option, read_oob, read_syn_ack
from edo.walk import walk
from tests.edo.support import ACK, FIN, NOP, RST, SYN, SYN_EOS, TIMESTAMPS, long, segment, short, spans_of, values


def test_the_option() -> None:
    assert option() == SYN_EOS
    assert option(CodePoints(syn_eos_exid=0x1234)).hex() == "fe041234"


def test_the_payload_is_options_padded_to_words() -> None:
    hello = cut(1, bytes(89))  # 98 octets: profile section 4
    payload = oob_payload(hello)
    assert payload == hello[0] + NOP * 2
    assert oob_payload(()) == b""


def test_what_is_an_oob() -> None:
    with_it, without = Options(syn_eos=True), Options()
    assert is_oob(0, with_it)
    assert is_oob(FIN, with_it)
    for flags in (SYN, ACK, RST, SYN | ACK):
        assert not is_oob(flags, with_it)
    assert not is_oob(0, without)


def test_an_oobs_options_are_read() -> None:
    tcp, data_offset = segment(SYN_EOS, oob_payload(cut(1, bytes(300))), 0)
    spans = read_oob(tcp, data_offset)
    assert spans is not None
    assert [len(fragment.octets) for fragment in read_options(tcp, spans).ke] == [246, 54]


@pytest.mark.parametrize("payload", ["0800", "0801", "fe62a0e1", "0108"])
def test_a_malformed_oob_is_as_good_as_none(payload: str) -> None:
    tcp, data_offset = segment(SYN_EOS, bytes.fromhex(payload), 0)
    assert read_oob(tcp, data_offset) is None


def test_options_that_may_stand_once_may_not_stand_twice() -> None:
    tcp, data_offset = segment(SYN_EOS, TIMESTAMPS + TIMESTAMPS, 0)
    assert read_oob(tcp, data_offset) is None
    tcp, data_offset = segment(SYN_EOS, bytes.fromhex("fe041234 fe041235"), 0)
    assert read_oob(tcp, data_offset) is not None
    # Nor in the SYN and beside it, known or not; fragments of a message may.
    unknown = bytes((200, 4, 1, 2))
    syn, syn_offset = segment(unknown + cut(1, bytes(3))[0])
    tcp, data_offset = segment(SYN_EOS, unknown, 0)
    assert read_oob(tcp, data_offset, spans_of(syn, syn_offset)) is None
    tcp, data_offset = segment(SYN_EOS, oob_payload(cut(1, bytes(3))), 0)
    assert read_oob(tcp, data_offset, spans_of(syn, syn_offset)) is not None


@pytest.mark.parametrize("kind", [19, 29])
def test_what_signs_a_segment_is_not_joined(kind: int) -> None:
    tcp, data_offset = segment(SYN_EOS, bytes((kind, 4, 0, 0)), 0)
    assert read_oob(tcp, data_offset) is None


def test_the_joined_list_is_bounded() -> None:
    with pytest.raises(ValueError, match="1024"):
        oob_payload((bytes(1025),))
    assert len(oob_payload((bytes(1023),))) == 1024
    assert len(oob_payload((bytes(2047),), MOST_WITH_MESSAGE)) == 2048
    tcp, data_offset = segment(SYN_EOS, NOP * 1024, 0)
    assert read_oob(tcp, data_offset) == []
    assert read_oob(tcp, data_offset, [(2, -1, 20, 4)]) is None
    tcp, data_offset = segment(SYN_EOS, NOP * 2048, 0)
    assert read_oob(tcp, data_offset) is None
    assert read_oob(tcp, data_offset, most=MOST_WITH_MESSAGE) == []


# --- S2: one list ---


def test_the_syns_options_and_those_of_the_payload_are_one_list() -> None:
    syn = Options(mss=1460, ts_val=1, ts_ecr=0, eno=syn_option(), syn_eos=True)
    more = Options(wscale=7, sack_permitted=True, edo_supported=True, ke=(Fragment(1, 1, 0, b"x"),), user_timeout=9)
    more.fast_open, more.fast_open_experimental = b"cook", True
    joined = join(syn, more)
    assert joined is not None
    expected = values(syn) | {"wscale": 7, "sack_permitted": True, "edo_supported": True, "ke": values(more)["ke"]}
    expected |= {"fast_open": b"cook", "fast_open_experimental": True, "user_timeout": 9}
    assert values(joined) == expected
    swapped = join(more, syn)
    assert swapped is not None
    assert values(swapped) == expected


@pytest.mark.parametrize(
    "twice",
    [
        {"mss": 1},
        {"wscale": 0},
        {"sack_permitted": True},
        {"ts_val": 0},
        {"eno": b"\x45\x02"},
        {"edo_supported": True},
        {"syn_eos": True},
        {"fast_open": b""},
        {"user_timeout": 0},
    ],
)
def test_what_may_stand_once_is_not_in_both(twice: dict[str, object]) -> None:
    assert join(Options(**twice), Options(**twice)) is None  # type: ignore[arg-type]
    assert join(Options(**twice), Options()) is not None  # type: ignore[arg-type]


def test_sack_has_no_place_in_a_syn() -> None:
    assert join(Options(), Options(sack=((1, 2),))) is None


# --- S6: the SYN-ACK ---


def behind(inside: bytes, rest: bytes) -> list[tuple[int, int, int, int]] | None:
    tcp, data_offset = segment(inside, rest, SYN | ACK)
    spans = spans_of(tcp, data_offset)
    return read_syn_ack(tcp, data_offset, spans, read_options(tcp, spans))


def test_a_syn_ack_is_read_behind_data_offset_only_with_syn_eos_and_a_valid_extension() -> None:
    answer = oob_payload(cut(2, bytes(3)))
    assert len(answer) == 12
    assert behind(SYN_EOS + long(11, 44), answer) == [(254, 0xA0E1, 32, 12)]
    assert behind(SYN_EOS + short(11) + NOP * 2, answer) == [(254, 0xA0E1, 32, 12)]
    assert behind(SYN_EOS + long(11, 48), answer + b"data") == [(254, 0xA0E1, 32, 12)]
    assert behind(long(10, 40), answer) is None
    assert behind(SYN_EOS, answer) is None
    assert behind(SYN_EOS + long(11, 45), answer) is None
    assert behind(SYN_EOS + long(7, 44), answer) is None
    assert behind(SYN_EOS + long(12, 44), answer) is None
    assert behind(SYN_EOS + long(11, 44) * 2, answer) is None
    assert behind(SYN_EOS + long(11, 44), b"\x08\x00" + bytes(10)) is None
    assert behind(SYN_EOS + short(8), b"") == []


def test_syn_eos_behind_data_offset_confirms_nothing() -> None:
    assert behind(long(8, 32), SYN_EOS) is None
    assert walk(memoryview(SYN_EOS), 0, 4) == [(254, 0x5E05, 0, 4)]
