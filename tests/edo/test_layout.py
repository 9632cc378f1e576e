"""What stands where in sent headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.codepoints import CodePoints, Dialect, EdoKind, FormChoice, OptionOrder, Units
from edo.eno import NON_SYN, syn_ack_option, syn_option
from edo.extended import find_extension, header_end
from edo.fast import read_options
from edo.layout import LayoutError, NoRoom, _laid_out, fit_syn, lay_out
from edo.messages import cut
from edo.options import Fragment, Options
from edo.plan import Form, Plan
from edo.walk import walk
from tests.edo.support import NOP, SUPPORTED, SYN_EOS, short, spans_of, values
from tests.forms import slots_of

CASES = json.loads((Path(__file__).parents[1] / "data" / "profile_vectors.json").read_text())["cases"]
SEGMENTS = [
    pytest.param(sent, bytes.fromhex(octets), id=f"{case['name']}-{number}")
    for case in CASES
    for number, (sent, octets) in enumerate(zip(case["segments"], case["expect"]["segments"], strict=True))
]


def whole(plan: Plan, payload: bytes = b"") -> memoryview:
    """A segment with the plan's options, Data Offset filled in and a long Extension's Segment_Length patched."""
    octets = bytearray(bytes(12) + bytes((plan.data_offset // 4 << 4, 0x10)) + bytes(6) + plan.octets + payload)
    if plan.segment_length_offset >= 0:
        octets[plan.segment_length_offset : plan.segment_length_offset + 2] = len(octets).to_bytes(2)
    return memoryview(bytes(octets))


def order(plan: Plan, dialect: Dialect | None = None) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(kind, Length) of the options inside Data Offset and behind it."""
    tcp = memoryview(bytes(20) + plan.octets)
    inside, behind = walk(tcp, 20, plan.data_offset), walk(tcp, plan.data_offset, plan.header_octets)
    assert inside is not None
    assert behind is not None
    return [(s[0], s[3]) for s in inside], [(s[0], s[3]) for s in behind]


# --- vectors ---


@pytest.mark.parametrize(("sent", "octets"), SEGMENTS)
def test_headers_of_the_profile_vectors(sent: dict[str, Any], octets: bytes) -> None:
    ao_octets = octets[21]
    riders = (bytes.fromhex(sent["extended"]),) if sent["extended"] else ()
    extension = Form.SHORT if sent["edo"] == "short" else None
    plan = lay_out(Options(), ao_octets=ao_octets, extension=extension, behind=extension is not None, riders=riders)
    header = bytearray(octets[20 : plan.header_octets])
    header[4:ao_octets] = bytes(ao_octets - 4)
    assert plan.octets == bytes(header)
    assert plan.data_offset == octets[12] >> 4 << 2
    assert len(octets) - plan.header_octets == len(sent["payload"]) // 2
    assert (plan.ao_offset, plan.ao_octets) == (20, ao_octets)
    if extension is not None:
        assert octets[plan.extension_offset : plan.extension_offset + 4].hex() == "fe060ed0"
        assert plan.kept() == ((20, ao_octets), (plan.extension_offset, 6))


def test_the_vectors_hold_segments_of_every_layout() -> None:
    kinds = {(sent.values[0]["edo"], bool(sent.values[0]["extended"])) for sent in SEGMENTS}  # type: ignore[index]
    assert kinds == {("short", True), ("short", False), ("", False)}


# --- SYN sizes and order: profile section 3 and "Sent order" ---


def syn_options(**more: Any) -> Options:
    return Options(mss=1460, wscale=7, sack_permitted=True, ts_val=1, ts_ecr=0, **more)


def test_the_syn_of_placement_syn_has_32_octets_in_the_sent_order() -> None:
    plan = lay_out(syn_options(eno=syn_option(), edo_supported=True, syn_eos=True), syn=True)
    inside, behind = order(plan)
    assert inside == [(69, 5), (2, 4), (3, 3), (4, 2), (8, 10), (254, 4), (254, 4)]
    assert (sum(length for _, length in inside), behind) == (32, [])
    # The NOP that puts MSS at an even offset costs a word.
    assert plan.octets.endswith(SYN_EOS + NOP * 3 + SUPPORTED)
    assert len(plan.octets) == 36


def test_the_syn_ack_that_confirms_syn_eos_has_37_octets_inside_and_the_answer_behind() -> None:
    (rider,) = cut(2, bytes(84))
    plan = lay_out(
        syn_options(eno=syn_ack_option(), syn_eos=True),
        syn=True,
        extension=Form.LONG,
        behind=True,
        riders=(rider,),
    )
    inside, behind = order(plan)
    assert inside == [(69, 6), (2, 4), (3, 3), (4, 2), (8, 10), (254, 4), (254, 8)]
    assert sum(length for _, length in inside) == 37
    assert behind == [(254, 93)]
    assert plan.data_offset == 60
    assert plan.header_octets == 60 + 96
    assert header_end(whole(plan), spans_of(whole(plan), 60), 60, Dialect()) == 156


def test_mss_stands_at_an_even_offset_where_there_is_room() -> None:
    """Linux's clamps lower MSS with a checksum that is wrong if it stands at an odd one (docs/middleboxes.md)."""
    plan = lay_out(Options(mss=1460, eno=syn_option()), syn=True)
    assert plan.octets == syn_option() + NOP + b"\x02\x04\x05\xb4" + NOP * 2
    # Behind a MAC of 21 octets too, but not if something had to yield for it.
    full = Options(mss=1460, eno=syn_option(), edo_supported=True, sack_permitted=True)
    assert lay_out(full, ao_octets=24, syn=True).octets[24:33] == syn_option() + NOP + b"\x02\x04\x05"
    assert lay_out(full, ao_octets=25, syn=True).octets[25:34] == syn_option() + b"\x02\x04\x05\xb4"


@pytest.mark.parametrize(("ao_octets", "octets"), [(16, 34), (20, 38)])
def test_the_first_protected_segment_has_at_most_38_octets(ao_octets: int, octets: int) -> None:
    options = Options(eno=NON_SYN, ts_val=1, ts_ecr=2)
    plan = lay_out(options, ao_octets=ao_octets, extension=Form.SHORT, behind=True)
    inside, behind = order(plan)
    assert inside == [(29, ao_octets), (69, 2), (8, 10), (254, 6)]
    assert sum(length for _, length in inside) == octets <= 38
    assert behind == []
    assert plan.header_octets == plan.data_offset <= 60


def test_without_edo_supported_a_syn_ends_in_nops_only() -> None:
    assert lay_out(syn_options(), syn=True).octets.hex() == "020405b40303070402080a000000010000000001"


def test_nothing_follows_edo_supported_and_it_stands_on_a_16_bit_boundary() -> None:
    plan = lay_out(syn_options(edo_supported=True), syn=True)
    assert plan.octets.endswith(b"\x00" * 4 + NOP + SUPPORTED)
    native = Dialect(EdoKind.NATIVE_79_80)
    plan = lay_out(Options(mss=1460, wscale=7, edo_supported=True), syn=True, dialect=native)
    assert plan.octets.hex() == "020405b40303070101014f02"


# --- what yields in a SYN ---


@pytest.mark.parametrize(
    ("ao_octets", "kept"),
    [
        (16, (True, True, True)),
        (17, (True, True, True)),
        (18, (False, True, True)),
        (27, (False, True, True)),
        (28, (False, False, True)),
        (29, (False, False, True)),
        (30, (False, False, False)),
        (32, (False, False, False)),
    ],
)
def test_timestamps_then_sack_permitted_then_window_scale_yield(
    ao_octets: int, kept: tuple[bool, bool, bool]
) -> None:
    options = syn_options(edo_supported=True)
    plan = lay_out(options, syn=True, ao_octets=ao_octets)
    tcp = whole(plan)
    sent = read_options(tcp, spans_of(tcp, plan.data_offset))
    assert (sent.ts_val is not None, sent.sack_permitted, sent.wscale is not None) == kept
    assert (sent.mss, sent.edo_supported) == (1460, True)
    fitted = fit_syn(options, ao_octets=ao_octets)
    assert (fitted.ts_val is not None, fitted.sack_permitted, fitted.wscale is not None) == kept


def test_what_never_yields_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(NoRoom, match="41 octets"):
        lay_out(syn_options(edo_supported=True), syn=True, ao_octets=33)
    with pytest.raises(NoRoom):
        lay_out(Options(mss=1), syn=True, riders=(bytes(37),))


def test_a_128_bit_mac_leaves_no_room_for_timestamps_beside_edo_in_a_syn() -> None:
    plan = lay_out(syn_options(edo_supported=True), syn=True, ao_octets=20)
    assert order(plan)[0] == [(29, 20), (2, 4), (3, 3), (4, 2), (254, 4)]
    assert order(lay_out(syn_options(), syn=True, ao_octets=20))[0][-1] == (8, 10)


def test_riders_of_a_syn_stand_inside_and_the_rest_yields_to_them() -> None:
    rider = bytes.fromhex("fe0c1234") + bytes(8)
    plan = lay_out(syn_options(edo_supported=True), syn=True, riders=(rider,))
    assert order(plan)[0] == [(2, 4), (3, 3), (4, 2), (8, 10), (254, 12), (254, 4)]
    plan = lay_out(syn_options(edo_supported=True), syn=True, riders=(rider, rider))
    assert order(plan)[0] == [(2, 4), (3, 3), (4, 2), (254, 12), (254, 12), (254, 4)]


# --- other segments ---


def test_steady_state_layouts() -> None:
    ts = Options(ts_val=1, ts_ecr=2)
    assert lay_out(ts).octets.hex() == "0101080a0000000100000002"
    assert lay_out(Options()).octets == b""
    ao = "1d100102" + "00" * 12
    assert lay_out(ts, ao_octets=16, key_ids=(1, 2)).octets.hex() == ao + "0101080a0000000100000002"
    plan = lay_out(ts, ao_octets=16, key_ids=(1, 2), extension=Form.SHORT, behind=True)
    assert plan.octets.hex() == ao + "080a00000001000000020101fe060ed0000e0101"
    assert (plan.data_offset, plan.header_octets, plan.extension_offset, plan.segment_length_offset) == (
        56,
        56,
        48,
        -1,
    )
    plan = lay_out(ts, extension=Form.LONG)
    assert plan.octets.hex() == "080a00000001000000020101fe080ed0000a0000"
    assert (plan.extension_offset, plan.extension_octets, plan.segment_length_offset) == (32, 8, 38)


def test_a_shape_laid_out_again_has_the_new_timestamps_and_key_ids() -> None:
    first = lay_out(Options(ts_val=1, ts_ecr=2), ao_octets=16, key_ids=(1, 2), extension=Form.SHORT)
    octets = first.octets
    second = lay_out(Options(ts_val=0xFFFFFFFF, ts_ecr=7), ao_octets=16, key_ids=(1, 2), extension=Form.SHORT)
    third = lay_out(Options(ts_val=1, ts_ecr=2), ao_octets=16, key_ids=(3, 2), extension=Form.SHORT)
    assert second.octets.hex() == octets.hex().replace("080a0000000100000002", "080affffffff00000007")
    assert third.octets.hex() == octets.hex().replace("1d100102", "1d100302")
    assert first.octets == octets
    for name in slots_of(Plan):
        if name != "octets":
            assert getattr(first, name) == getattr(second, name) == getattr(third, name)


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        (Options(mss=0), "02040000"),
        (Options(wscale=0), "03030001"),
        (Options(sack_permitted=True), "04020101"),
        (Options(eno=NON_SYN), "45020101"),
        (Options(syn_eos=True), "fe045e05"),
        (Options(sack=((1, 2),)), "0101050a0000000100000002"),
    ],
)
def test_no_option_is_lost_beside_a_kept_shape(options: Options, octets: str) -> None:
    assert lay_out(options).octets.hex() == octets


def test_many_shapes_are_laid_out_right() -> None:
    for key in range(600):
        ids = (key & 255, key >> 8)
        assert lay_out(Options(ts_val=key), ao_octets=16, key_ids=ids).octets[2:4] == bytes(ids)


def test_key_exchange_octets_behind_the_extension_and_timestamps_inside() -> None:
    rider = cut(1, bytes(89))[0]
    plan = lay_out(
        Options(ts_val=1, ts_ecr=2, eno=NON_SYN, sack=((1, 2),)), extension=Form.LONG, behind=True, riders=(rider,)
    )
    assert order(plan) == ([(69, 2), (8, 10), (254, 8)], [(5, 10), (254, 98)])
    assert plan.octets.endswith(rider)
    assert plan.header_octets == plan.data_offset + 108


def test_fragments_are_laid_out_as_options() -> None:
    plan = lay_out(Options(ke=(Fragment(1, 5, 0, b"hello"),)), extension=Form.SHORT, behind=True)
    assert plan.octets == short(11) + NOP * 2 + bytes.fromhex("fe0ea0e10100050000") + b"hello" + NOP * 2


def test_sack_stands_behind_wherever_it_may_even_if_it_fits_inside() -> None:
    options = Options(ts_val=1, ts_ecr=2, sack=tuple((i, i + 1) for i in range(40)))
    plan = lay_out(options, ao_octets=16, extension=Form.SHORT, behind=True)
    assert order(plan)[1] == [(5, 250)]
    tcp = whole(plan)
    spans = walk(tcp, plan.data_offset, plan.header_octets)
    assert spans is not None
    assert read_options(tcp, spans).sack == options.sack[:31]


@pytest.mark.parametrize(
    ("ao_octets", "timestamps", "extension", "blocks"),
    [
        (0, True, None, 3),
        (0, False, None, 4),
        (16, True, None, 1),
        (20, True, None, 1),
        (24, True, None, 0),
        (16, True, Form.SHORT, 0),
        (0, True, Form.LONG, 2),
        (0, False, Form.LONG, 3),
    ],
)
def test_inside_data_offset_blocks_without_room_are_cut_from_the_end(
    ao_octets: int, timestamps: bool, extension: Form | None, blocks: int
) -> None:
    options = Options(ts_val=1 if timestamps else None, ts_ecr=2, sack=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)))
    plan = lay_out(options, ao_octets=ao_octets, extension=extension)
    tcp = whole(plan)
    assert plan.header_octets == plan.data_offset <= 60
    assert read_options(tcp, spans_of(tcp, plan.data_offset)).sack == options.sack[:blocks]


def test_values_are_aligned_in_plain_segments_where_there_is_room() -> None:
    # RFC 7323 Appendix A: NOP NOP timestamps; three blocks beside them fill the 40 octets.
    plan = lay_out(Options(ts_val=1, ts_ecr=2, sack=((1, 2), (3, 4), (5, 6))))
    assert [(s[0], s[2]) for s in spans_of(whole(plan), 60)] == [(8, 22), (5, 34)]


def test_riders_without_leave_to_stand_behind_stand_inside_or_not_at_all() -> None:
    rider = bytes.fromhex("fe081234") + bytes(4)
    plan = lay_out(Options(ts_val=1, sack=((1, 2),)), extension=Form.LONG, riders=(rider,))
    assert order(plan) == ([(8, 10), (5, 10), (254, 8), (254, 8)], [])
    with pytest.raises(NoRoom):
        lay_out(Options(), extension=Form.LONG, riders=(bytes(33),))
    with pytest.raises(NoRoom):
        lay_out(Options(), behind=True, riders=(bytes(41),))


def test_options_that_may_not_stand_together() -> None:
    for options, syn, extension in [
        (Options(edo_supported=True), False, None),  # N5
        (Options(edo_supported=True, syn_eos=True), True, Form.LONG),
        (Options(mss=1), True, Form.LONG),  # N2
    ]:
        with pytest.raises(LayoutError):
            lay_out(options, syn=syn, extension=extension)
    assert lay_out(Options(), ao_octets=4).octets.hex() == "1d040000"
    assert len(lay_out(Options(), ao_octets=40).octets) == 40
    for ao_octets in (3, 41):
        with pytest.raises(LayoutError):
            lay_out(Options(), ao_octets=ao_octets)
    with pytest.raises(NoRoom):
        lay_out(Options(), extension=Form.SHORT, behind=True, riders=(bytes(250),) * 263)
    with pytest.raises(NoRoom):
        lay_out(Options(ts_val=1), ao_octets=36, extension=Form.SHORT)


# --- dialects ---


@pytest.mark.parametrize(
    ("dialect", "form", "octets"),
    [
        # edo.md section 1: Data Offset 6 for a short Extension of a native kind, 7 for the others
        (Dialect(EdoKind.NATIVE_79_80), Form.SHORT, "50040006"),
        (Dialect(EdoKind.NATIVE_79_80), Form.LONG, "5006000700000101"),
        (Dialect(EdoKind.NATIVE_237), Form.SHORT, "ed040006"),
        (Dialect(units=Units.OCTETS), Form.LONG, "fe080ed0001c0000"),
        (Dialect(), Form.SHORT, "fe060ed000070101"),
        (Dialect(points=CodePoints(experimental=253, edo_exid=0xABCD)), Form.SHORT, "fd06abcd00070101"),
    ],
)
def test_an_extension_alone(dialect: Dialect, form: Form, octets: str) -> None:
    plan = lay_out(Options(), extension=form, behind=True, dialect=dialect)
    assert plan.octets.hex() == octets
    tcp = whole(plan)
    assert header_end(tcp, spans_of(tcp, plan.data_offset), plan.data_offset, dialect) == len(tcp)


@pytest.mark.parametrize(("blocks", "octets"), [(0, 28), (1, 40), (2, 48), (3, 56), (4, 64)])
def test_header_octets_of_the_linux_prototype_with_blocks(blocks: int, octets: int) -> None:
    # edo.md section 7.2, last case: long form, octets
    linux = Dialect(units=Units.OCTETS, form=FormChoice.LONG)
    options = Options(sack=tuple((i, i + 1) for i in range(blocks)))
    plan = lay_out(options, extension=Form.LONG, behind=True, dialect=linux)
    tcp = whole(plan)
    assert find_extension(tcp, spans_of(tcp, plan.data_offset), plan.data_offset, linux) == (20, octets, octets)


DIALECTS = st.builds(Dialect, st.sampled_from(EdoKind), st.sampled_from(Units))
EDGES = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


@given(
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    st.lists(EDGES, max_size=5),
    st.sampled_from([0, 16, 20]),
    st.sampled_from([None, Form.SHORT, Form.LONG]),
    st.booleans(),
    st.lists(st.binary(min_size=1, max_size=60), max_size=3),
    DIALECTS,
)
def test_what_is_laid_out_is_read_back(
    ts_val: int | None,
    sack: list[tuple[int, int]],
    ao_octets: int,
    extension: Form | None,
    behind: bool,
    pieces: list[bytes],
    dialect: Dialect,
) -> None:
    options = Options(ts_val=ts_val, ts_ecr=0 if ts_val is None else 5, sack=tuple(sack))
    riders = tuple(option for piece in pieces for option in cut(1, piece))
    try:
        plan = lay_out(
            options, ao_octets=ao_octets, extension=extension, behind=behind, riders=riders, dialect=dialect
        )
    except NoRoom:
        assert not (behind and extension is not None)
        return
    assert plan.data_offset % 4 == plan.header_octets % 4 == 0
    assert plan.data_offset <= 60
    tcp = whole(plan, b"payload")
    spans = spans_of(tcp, plan.data_offset)
    end = header_end(tcp, spans, plan.data_offset, dialect)
    assert end == (plan.header_octets if extension is not None else None)
    behind_spans = walk(tcp, plan.data_offset, plan.header_octets)
    assert behind_spans is not None
    read = read_options(tcp, spans + behind_spans, dialect.points)
    if behind and extension is not None:
        assert read.sack == options.sack
    assert read.sack == options.sack[: len(read.sack)]
    assert [fragment.octets for fragment in read.ke] == pieces
    read.ke, read.sack = (), options.sack
    assert values(read) == values(options)
    if extension is not None:
        assert plan.extension_offset % 4 == 0 or plan.data_offset == 60
        assert plan.extension_offset + plan.extension_octets > plan.data_offset - 4


def test_dialects_and_code_points() -> None:
    dialect = Dialect(EdoKind.NATIVE_79_80)
    assert dialect.points.native_extension == 80
    assert dialect == Dialect(EdoKind.NATIVE_79_80)
    assert hash(dialect) == hash(Dialect(EdoKind.NATIVE_79_80)) != hash(Dialect())
    wrongs: list[dict[str, Any]] = [{"experimental": 252}, {"ke_exid": 0x0ED0}, {"edo_exid": 65536}]
    for wrong in (*wrongs, {"ao": 1}, {"ao": 19}):
        with pytest.raises(ValueError, match="must be"):
            CodePoints(**wrong)


syns = st.builds(
    Options,
    mss=st.none() | st.sampled_from([536, 1460]),
    wscale=st.none() | st.integers(0, 14),
    sack_permitted=st.booleans(),
    ts_val=st.none() | st.integers(0, 0xFFFFFFFF),
    ts_ecr=st.integers(0, 0xFFFFFFFF),
    eno=st.none() | st.sampled_from([syn_option(), syn_ack_option(True)]),
    edo_supported=st.booleans(),
    user_timeout=st.none() | st.integers(0, 0xFFFF),
)
dialects = st.sampled_from(
    [
        Dialect(),
        Dialect(kind=EdoKind.NATIVE_237),
        Dialect(order=OptionOrder.LINUX),
        Dialect(order=OptionOrder.FREEBSD),
    ]
)


@given(syns, st.sampled_from([0, 16, 20]), dialects, st.integers(0, 0xFFFFFFFF))
def test_a_syn_by_the_template_of_its_shape_is_the_syn_laid_out_anew(
    options: Options, ao_octets: int, dialect: Dialect, later: int
) -> None:
    for _ in range(2):
        anew = _laid_out(options, ao_octets, (3, 4), None, False, (), dialect, True, False)
        plan = lay_out(options, ao_octets=ao_octets, key_ids=(3, 4), dialect=dialect, syn=True)
        assert {name: getattr(plan, name) for name in slots_of(Plan) if name != "whole"} == {
            name: getattr(anew, name) for name in slots_of(Plan) if name != "whole"
        }
        sent = read_options(whole(plan), walk(whole(plan), 20, plan.data_offset) or [], dialect.points)
        asked = (options.wscale, options.sack_permitted, options.ts_val)
        assert plan.whole == (asked == (sent.wscale, sent.sack_permitted, sent.ts_val))
        if options.ts_val is not None:
            options.ts_val, options.ts_ecr = later, options.ts_val
