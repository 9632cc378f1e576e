"""TCP-ENO: RFC 8547 §4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.eno import (
    NON_SYN,
    TEP_EXPERIMENTAL,
    VACUOUS,
    EnoFailure,
    Negotiated,
    negotiate,
    offered,
    parse,
    single,
    syn_ack_option,
    syn_option,
)
from edo.fast import read_options
from tests.edo.support import segment, spans_of


def option(contents: str) -> bytes:
    octets = bytes.fromhex(contents)
    return bytes((69, 2 + len(octets))) + octets


def test_the_forms_that_are_sent() -> None:
    # profile section 3
    assert syn_option().hex() == "4505a0ed01"
    assert syn_option(aware=True).hex() == "450602a0ed01"
    assert syn_ack_option().hex() == "450601a0ed01"
    assert syn_ack_option(aware=True).hex() == "450603a0ed01"
    assert VACUOUS.hex() == "450301"
    assert NON_SYN.hex() == "4502"


@pytest.mark.parametrize(
    ("contents", "global_bits", "teps"),
    [
        ("", 0, ()),
        ("01", 1, ()),
        ("02a0ed01", 2, ((0x20, b"\xed\x01"),)),
        ("21a0", 0, ((0x21, None), (0x20, b""))),
        ("0103", 1, ()),  # only the first global suboption counts (§4.2)
        ("2101", 1, ((0x21, None),)),
        ("81a3aabb01", 1, ((0x23, b"\xaa\xbb"),)),  # length octet: nnnnn + 1 octets (§4.4)
        ("80a3aa80a0bb22", 0, ((0x23, b"\xaa"), (0x20, b"\xbb"), (0x22, None))),
        ("9fff" + "aa" * 32 + "21", 0, ((0x7F, b"\xaa" * 32), (0x21, None))),
        ("a3" + "aa" * 33, 0, ((0x23, b"\xaa" * 33),)),  # the last may have more than 32
        ("1f", 0x1F, ()),
    ],
)
def test_parses(contents: str, global_bits: int, teps: tuple[tuple[int, bytes | None], ...]) -> None:
    eno = parse(option(contents))
    assert (eno.ok, eno.global_bits, eno.teps) == (True, global_bits, teps)


@pytest.mark.parametrize(
    "contents",
    [
        *("81a3aa", "80a3", "9fa3" + "aa" * 31, "80", "0180"),  # data past the end
        *("8001aa", "8021aa", "8000aa", "8080a3aa", "809faa", "807f"),  # a length octet before 00 to 9f
    ],
)
def test_rule_2_ill_formed(contents: str) -> None:
    eno = parse(option(contents))
    assert (eno.ok, eno.teps, eno.global_bits, eno.vacuous) == (False, (), 0, False)
    assert negotiate(option(contents), syn_ack_option()) is EnoFailure.ILL_FORMED
    assert negotiate(syn_option(), option(contents)) is EnoFailure.ILL_FORMED


@pytest.mark.parametrize("octets", [b"", b"\x45", b"\x45\x03", b"\x45\x02\x01", b"\x44\x02"])
def test_what_is_no_option_is_ill_formed(octets: bytes) -> None:
    assert not parse(octets).ok


@given(st.binary(max_size=44))
def test_parsing_never_raises_and_data_are_octets_of_the_option(contents: bytes) -> None:
    eno = parse(option(contents.hex()))
    assert sum(1 + len(data or b"") for _, data in eno.teps) <= len(contents)
    assert parse(contents) is not None


def test_rule_1_more_than_one_option_is_none() -> None:
    tcp, data_offset = segment(syn_option() + syn_option())
    options = read_options(tcp, spans_of(tcp, data_offset))
    assert single(options) is None
    assert negotiate(single(options), syn_ack_option()) is EnoFailure.ABSENT
    tcp, data_offset = segment(syn_option())
    assert single(read_options(tcp, spans_of(tcp, data_offset))) == syn_option()
    assert negotiate(syn_option(), None) is EnoFailure.ABSENT


@pytest.mark.parametrize("aware_a", [False, True])
@pytest.mark.parametrize("aware_b", [False, True])
def test_our_tep_is_negotiated(aware_a: bool, aware_b: bool) -> None:
    a, b = syn_option(aware_a), syn_ack_option(aware_b)
    # Rule 12: the transcript is A's whole option and then B's, whoever of them one is.
    expected = Negotiated(0xA0, b"\xed\x01", b"\xed\x01", a + b, aware_a, aware_b)
    assert negotiate(a, b) == negotiate(b, a) == expected


def test_rules_3_and_4_equal_b_bits() -> None:
    assert negotiate(syn_option(), syn_option()) is EnoFailure.ROLES  # an echo, or crossed SYNs
    assert negotiate(syn_ack_option(), syn_ack_option()) is EnoFailure.ROLES
    assert negotiate(option("00a0ed01"), syn_ack_option()) != EnoFailure.ROLES
    assert negotiate(option("fca0ed01"), syn_ack_option()) != EnoFailure.ROLES


def test_rule_10_vacuous() -> None:
    assert parse(VACUOUS).vacuous
    assert negotiate(syn_option(), VACUOUS) is EnoFailure.VACUOUS
    assert negotiate(NON_SYN, syn_ack_option()) is EnoFailure.VACUOUS


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("21", "01a0ed01"),  # offered by one side only
        ("a0ed01", "0121"),
        ("a0ee01", "01a0ed01"),  # another experiment
        ("a0ed01", "01a0ee01"),
        ("20", "01a0ed01"),  # no data
        ("a0ed01", "0120"),
        ("a0ed", "01a0ed01"),
        ("a0ed00", "01a0ed01"),
        ("a0ed01", "01a0ed02"),  # a version that we do not speak, and above A's
        ("a0ed02", "01a0ed02"),
        ("a0ed01", "01a0ed0100"),
        ("81a0ed01a0ed01", "01a0ed01"),  # repetition is not defined for it (§4.5, 3)
        ("a0ed01", "0181a0ed01a0ed01"),
    ],
)
def test_no_valid_tep(a: str, b: str) -> None:
    assert negotiate(option(a), option(b)) is EnoFailure.NO_TEP


def test_a_newer_a_is_answered_with_our_version() -> None:
    agreed = negotiate(option("a0ed02ff"), syn_ack_option())
    assert isinstance(agreed, Negotiated)
    assert (agreed.data_a, agreed.data_b) == (b"\xed\x02\xff", b"\xed\x01")


def test_rule_5_the_last_valid_tep_of_b_whatever_as_order() -> None:
    teps = {0x21: lambda a, b: True, 0x22: lambda a, b: b is not None, 0x23: lambda a, b: True}
    b = option("01 2122 2123 80a2aa 80a4bb")

    def tep(a: str, octets: bytes = b) -> int | EnoFailure:
        agreed = negotiate(option(a), octets, teps=teps)
        return agreed if isinstance(agreed, EnoFailure) else agreed.tep

    twice = option("01 21 23 80a2aa 24")
    assert tep("232122", twice) == 0xA2
    assert tep("212223", twice) == 0xA2
    assert tep("2123", twice) == 0x23
    assert tep("2321", twice) == 0x23
    assert tep("2124", twice) == 0x21
    assert tep("21") is EnoFailure.NO_TEP  # repeated in B's
    assert tep("22") is EnoFailure.NO_TEP
    assert tep("23") == 0x23


def test_what_a_passive_opener_may_accept() -> None:
    assert offered(syn_option())
    assert offered(syn_option(aware=True))
    assert offered(option("21a0ed05"))
    for octets in (None, NON_SYN, VACUOUS, syn_ack_option(), option("a0ee01"), option("8021"), option("21")):
        assert not offered(octets)
    assert TEP_EXPERIMENTAL == 0x20
