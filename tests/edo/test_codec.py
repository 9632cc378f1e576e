"""The declarations, and the fast reader that has to say the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.codec import OptionError, build_option, parse_option, registry
from edo.codepoints import POINTS, CodePoints, EdoKind
from edo.fast import find_ao, has_md5, read_options
from edo.options import Options
from edo.walk import walk
from tests.edo.support import NOP, read_by_declaration, segment, spans_of, values

# Octets from the documents: name, fields, option.
KNOWN = [
    ("mss", {"mss": 1460}, "020405b4"),  # RFC 9293 §3.2
    ("wscale", {"shift": 7}, "030307"),  # RFC 7323 §2.2
    ("sack_permitted", {}, "0402"),  # RFC 2018 §2
    ("sack", {"blocks": ((1, 2), (0xFFFFFFFE, 3))}, "05120000000100000002fffffffe00000003"),  # RFC 2018 §3
    ("timestamps", {"ts_val": 0xA032D2D4, "ts_ecr": 0x742F3EB6}, "080aa032d2d4742f3eb6"),  # RFC 7323 §3.2
    ("md5", {"digest": b"\xaa" * 16}, "1312" + "aa" * 16),  # RFC 2385 §3.0
    ("ao", {"key_id": 61, "rnext_key_id": 84, "mac": b"\xbb" * 12}, "1d103d54" + "bb" * 12),  # RFC 5925 §2.2
    ("eno", {"contents": bytes.fromhex("a0ed01")}, "4505a0ed01"),  # RFC 8547 §4.1
    ("accecn_0", {"counters": (1, 2, 0xFFFFFF)}, "ac0b000001000002ffffff"),  # RFC 9768 §3.2.3
    ("accecn_1", {"counters": (0x800000,)}, "ae05800000"),
    ("edo_supported", {}, "fe040ed0"),  # draft-ietf-tcpm-tcp-edo §4.1 with RFC 6994 §2
    ("edo_extension", {"header_length": 14, "segment_length": None}, "fe060ed0000e"),  # §4.2
    ("edo_extension", {"header_length": 14, "segment_length": 156}, "fe080ed0000e009c"),
    ("syn_eos", {}, "fe045e05"),
    ("user_timeout", {"field": 0x8002}, "1c048002"),  # RFC 5482 §2
    ("fast_open", {"cookie": b""}, "2202"),  # RFC 7413 §4.1.1
    ("fast_open", {"cookie": bytes.fromhex("abcd1234")}, "2206abcd1234"),
    ("fast_open_exp", {"cookie": bytes(8)}, "fe0cf989" + "00" * 8),  # appendix A
    ("ke", {"message": 1, "total": 89, "offset": 3, "octets": b"xy"}, "fe0ba0e10100590003" + "7879"),
]


@pytest.mark.parametrize(("name", "fields", "octets"), KNOWN)
def test_builds_and_parses_the_documents_octets(name: str, fields: dict[str, Any], octets: str) -> None:
    assert build_option(name, **fields).hex() == octets
    value = parse_option(bytes.fromhex(octets))
    assert (value.name, value.fields) == (name, fields)


@pytest.mark.parametrize(("name", "fields", "octets"), KNOWN)
def test_each_field_is_located(name: str, fields: dict[str, Any], octets: str) -> None:
    """Places follow each other from behind Kind, Length and ExID to the end, with the fields' values."""
    option = bytes.fromhex(octets)
    found, places = registry().locate(option)
    assert found == name
    at = 4 if option[0] == 254 else 2
    for place in places:
        assert (place.offset, place.value) == (at, fields[place.name])
        if isinstance(place.value, int):
            assert int.from_bytes(option[at : at + place.length]) == place.value
        at += place.length
    assert at == len(option)


def test_every_declared_option_is_tested_here() -> None:
    assert {name for name, _, _ in KNOWN} == set(registry().names())


@pytest.mark.parametrize(
    ("kind", "supported", "extension"),
    [
        (EdoKind.NATIVE_79_80, "4f02", "5004000e"),
        (EdoKind.NATIVE_237, "ed02", "ed04000e"),
    ],
)
def test_native_kinds_of_edo(kind: EdoKind, supported: str, extension: str) -> None:
    points = CodePoints(edo=kind)
    assert build_option("edo_supported", points).hex() == supported
    assert build_option("edo_extension", points, header_length=14, segment_length=None).hex() == extension
    assert parse_option(bytes.fromhex(supported), points).name == "edo_supported"
    assert parse_option(bytes.fromhex(extension), points).name == "edo_extension"
    with pytest.raises(OptionError):
        parse_option(bytes.fromhex("fe040ed0"), points)


def test_kind_253_is_taken_and_can_be_sent() -> None:
    assert parse_option(bytes.fromhex("fd040ed0")).name == "edo_supported"
    assert build_option("syn_eos", CodePoints(experimental=253)).hex() == "fd045e05"


@pytest.mark.parametrize(
    "octets",
    [
        *("", "02", "0203aa", "02050001aa", "020505b4", "030207", "040300", "0502", "050affff", "05060000aaaa"),
        *("08090000000000000000"[:18], "080c" + "00" * 10, "1311" + "00" * 15, "1d03aa", "4503", "4d02"),
        *("fe050ed0aa", "fe070ed0000000", "fe0a0ed0000000000000", "fe055e0500", "fe04ffff", "fe03aa", "fe02"),
        *("fe09a0e10100590000", "fe04a0e1", "fc020000"),
        # RFC 7413 §4.1.1: 4 to 16 octets, an even number of them.
        *("2204aabb", "2207aabbccddee", "2214" + "00" * 18, "fe06f989aabb", "1c03aa", "1c05aabbcc"),
    ],
)
def test_refuses_what_no_declaration_says(octets: str) -> None:
    with pytest.raises(OptionError):
        parse_option(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("mss", {"mss": 65536}),
        ("mss", {}),
        ("mss", {"mss": 1, "other": 2}),
        ("wscale", {"shift": -1}),
        ("sack", {"blocks": ()}),
        ("sack", {"blocks": ((1, 2),) * 32}),
        ("sack", {"blocks": ((1,),)}),
        ("md5", {"digest": b"short"}),
        ("eno", {"contents": bytes(254)}),
        ("ke", {"message": 1, "total": 1, "offset": 0, "octets": b""}),
        ("ke", {"message": 1, "total": 1, "offset": 0, "octets": bytes(247)}),
        ("unheard_of", {}),
    ],
)
def test_builds_nothing_that_it_would_not_parse(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        build_option(name, **fields)


def test_thirty_one_blocks_fit_one_option() -> None:
    blocks = tuple((i, i + 1) for i in range(31))
    octets = build_option("sack", blocks=blocks)
    tcp, data_offset = segment(b"", octets)
    spans = walk(tcp, data_offset, len(tcp))
    assert spans is not None
    assert read_options(tcp, spans).sack == parse_option(octets).fields["blocks"] == blocks


# --- fast reader against declarations ---

U32 = st.integers(0, 0xFFFFFFFF)
OPTION = st.one_of(
    st.builds(lambda mss: build_option("mss", mss=mss), st.integers(0, 65535)),
    st.builds(lambda shift: build_option("wscale", shift=shift), st.integers(0, 255)),
    st.just(build_option("sack_permitted")),
    st.builds(lambda b: build_option("sack", blocks=b), st.lists(st.tuples(U32, U32), min_size=1, max_size=4)),
    st.builds(lambda v, e: build_option("timestamps", ts_val=v, ts_ecr=e), U32, U32),
    st.builds(lambda mac: build_option("ao", key_id=1, rnext_key_id=2, mac=mac), st.binary(max_size=20)),
    st.builds(lambda contents: build_option("eno", contents=contents), st.binary(max_size=8)),
    st.sampled_from(
        [
            bytes.fromhex(text)
            for text in ("fe040ed0", "fd040ed0", "fe045e05", "4f02", "5004000e", "ed02", "ed04000e")
        ]
    ),
    st.builds(
        lambda m, t, o, octets: build_option("ke", message=m, total=t, offset=o, octets=octets),
        *(st.integers(0, 255), st.integers(0, 65535), st.integers(0, 65535), st.binary(min_size=1, max_size=20)),
    ),
    st.builds(
        lambda head, rest: bytes((head[0], 2 + len(rest))) + rest,
        st.tuples(st.sampled_from([2, 3, 4, 5, 8, 19, 28, 29, 34, 69, 79, 80, 237, 253, 254])),
        st.binary(max_size=20),
    ),
    st.builds(
        lambda exid, rest: bytes((254, 4 + len(rest))) + exid.to_bytes(2) + rest,
        *(st.sampled_from([0x0ED0, 0x5E05, 0xA0E1, 0xF989]), st.binary(max_size=12)),
    ),
    st.just(NOP),
    st.just(b"\x00"),
)
AREA = st.lists(OPTION, max_size=8).map(b"".join)
CHANGES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=3)
POINTS_OF = st.sampled_from([CodePoints(edo=kind) for kind in EdoKind])


@given(AREA, CHANGES, POINTS_OF)
def test_the_fast_reader_says_what_the_declarations_say(
    area: bytes, changes: list[tuple[int, int]], points: CodePoints
) -> None:
    octets = bytearray(area)
    for at, octet in changes:
        if octets:
            octets[at % len(octets)] = octet
    tcp = memoryview(bytes(20) + bytes(octets))
    spans = walk(tcp, 20, len(tcp))
    if spans is not None:
        assert values(read_options(tcp, spans, points)) == values(read_by_declaration(tcp, spans, points))


@given(AREA, AREA)
def test_two_areas_read_one_after_the_other_are_one_list(inside: bytes, behind: bytes) -> None:
    tcp = memoryview(bytes(20) + inside + behind)
    middle = 20 + len(inside)
    first, second = walk(tcp, 20, middle), walk(tcp, middle, len(tcp))
    assert first is not None
    assert second is not None
    options = read_options(tcp, first)
    assert read_options(tcp, second, POINTS, options) is options
    assert values(options) == values(read_by_declaration(tcp, first + second))


def test_a_known_option_of_a_wrong_length_is_passed_over() -> None:
    tcp, data_offset = segment(bytes.fromhex("020305 0302 040300 0509ffffffffffffff 0803ff fe050ed000"))
    assert values(read_options(tcp, spans_of(tcp, data_offset))) == values(Options())


def test_a_ke_option_too_short_to_be_one_is_a_fragment_of_no_message() -> None:
    tcp, data_offset = segment(bytes.fromhex("fe09a0e10100590000"))
    (fragment,) = read_options(tcp, spans_of(tcp, data_offset)).ke
    assert (fragment.message, fragment.octets) == (0, b"")


def test_eno_options_are_counted_and_the_first_kept() -> None:
    tcp, data_offset = segment(bytes.fromhex("4505a0ed01 4502"))
    options = read_options(tcp, spans_of(tcp, data_offset))
    assert (options.eno_count, options.eno) == (2, bytes.fromhex("4505a0ed01"))


def test_finding_ao_and_md5() -> None:
    ao = bytes.fromhex("1d04aabb")
    tcp, data_offset = segment(NOP * 4 + ao)
    assert find_ao(spans_of(tcp, data_offset)) == (24, 4)
    assert not has_md5(spans_of(tcp, data_offset))
    tcp, data_offset = segment(ao + ao)
    assert find_ao(spans_of(tcp, data_offset)) == (-2, 0)
    tcp, data_offset = segment(b"\x13\x12" + bytes(16))
    assert find_ao(spans_of(tcp, data_offset)) == (-1, 0)
    assert has_md5(spans_of(tcp, data_offset))
