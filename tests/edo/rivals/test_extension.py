"""EDO and SYN-EOS behind the interface of methods: the same octets as the stack sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.layout import lay_out
from edo.options import Options
from edo.plan import Form
from edo.reasons import EdoDrop
from edo.rivals.base import ACK, SYN, Fields, Part, Space, Wanted, Zone
from edo.rivals.registry import find
from edo.syneos import oob_payload
from tests.edo.rivals.support import MSS, SACK_PERMITTED, TIMESTAMPS, WSCALE, big, options_of, read

VALUES = Options(mss=1460, wscale=7, sack_permitted=True, ts_val=1, ts_ecr=2)
IN_ORDER = (MSS, WSCALE, SACK_PERMITTED, TIMESTAMPS)


def octets(method: str, part: Part, want: Wanted, space: Space | None = None) -> bytes:
    laid = find(method).lay_out(part, want, space or Space())
    assert laid is not None
    return laid.segment(Fields())[20:]


def test_syns_are_the_octets_that_the_stack_sends() -> None:
    """For the options that both know, in the order in which the stack puts them."""
    want = Wanted(syn=IN_ORDER, syn_ack=IN_ORDER)
    assert octets("legacy", Part.SYN, want) == lay_out(VALUES, syn=True).octets
    VALUES.edo_supported = True
    assert octets("edo", Part.SYN, want) == octets("edo", Part.SYN_ACK, want) == lay_out(VALUES, syn=True).octets
    VALUES.syn_eos = True
    long = Wanted(syn=(*IN_ORDER, big(100)))
    assert octets("syn-eos", Part.SYN, long) == lay_out(VALUES, syn=True).octets
    VALUES.edo_supported = VALUES.syn_eos = False


@given(blocks=st.integers(1, 31), form=st.sampled_from(Form), payload=st.integers(0, 100))
def test_segments_with_an_extension_end_where_the_stacks_do(blocks: int, form: Form, payload: int) -> None:
    plan = lay_out(Options(ts_val=1, ts_ecr=2), extension=form, behind=True, riders=(big(8 * blocks).octets,))
    want = Wanted(data=(TIMESTAMPS, big(8 * blocks)))
    laid = find("edo").lay_out(Part.DATA, want, Space(authenticated=form is Form.SHORT), payload)
    assert laid is not None
    if blocks > 3:
        assert laid.data_offset == plan.data_offset
        assert laid.octets == plan.header_octets + payload
    reading = find("edo").read(Part.DATA, memoryview(laid.segment(Fields(), bytes(payload))), Space())
    assert not isinstance(reading, EdoDrop)
    assert reading.marked


def test_a_segment_without_extension_is_dropped_once_edo_is_agreed() -> None:
    laid = find("legacy").lay_out(Part.DATA, Wanted(), Space())
    assert laid is not None
    tcp = memoryview(laid.segment(Fields()))
    assert find("edo").read(Part.DATA, tcp, Space()) is EdoDrop.EDO_MISSING


def test_options_that_do_not_fit_go_out_of_band_in_their_order() -> None:
    method = find("syn-eos")
    first, second, third = big(30, 201), big(200, 202), big(255, 203)
    want = Wanted(syn=(MSS, first, TIMESTAMPS, second, third), syn_ack=(MSS, big(120)))
    syn, beside, syn_ack = (method.lay_out(part, want, Space()) for part in (Part.SYN, Part.BESIDE, Part.SYN_ACK))
    assert syn is not None
    assert beside is not None
    assert syn_ack is not None
    assert syn.carried == (MSS, TIMESTAMPS)
    assert beside.carried == (first, second, third)
    assert beside.flags == 0
    assert beside.segment(Fields())[24:] == oob_payload(want.octets for want in beside.carried)
    assert options_of(beside, read(method, beside, Space())) == [want.octets for want in beside.carried]
    assert syn_ack.flags == SYN | ACK
    assert {piece.zone for piece in syn_ack.pieces if piece.want == big(120)} == {Zone.BEHIND}
    assert read(method, syn, Space()).marked
    assert read(method, syn_ack, Space()).marked


def test_an_out_of_band_segment_with_ack_or_without_syn_eos_is_none() -> None:
    method = find("syn-eos")
    want = Wanted(syn=(MSS, big(100)))
    beside = method.lay_out(Part.BESIDE, want, Space())
    assert beside is not None
    good = bytearray(beside.segment(Fields()))
    for flags in (SYN, ACK, 0x04):
        good[13] = flags
        assert method.read(Part.BESIDE, memoryview(bytes(good)), Space()) is EdoDrop.STRAY_OOB
    good[13] = 0
    good[20:24] = b"\x01" * 4
    assert method.read(Part.BESIDE, memoryview(bytes(good)), Space()) is EdoDrop.STRAY_OOB


@pytest.mark.parametrize("mtu", [68, 100, 1280, 65535])
def test_narrow_and_wide_links_bound_what_is_extended(mtu: int) -> None:
    space = Space(mtu=mtu)
    want = Wanted(data=tuple(big(255, kind) for kind in range(100, 240)))
    laid = find("edo").lay_out(Part.DATA, want, space)
    assert laid is not None
    assert laid.octets <= space.segment - 4
    assert laid.room == space.segment - laid.octets
