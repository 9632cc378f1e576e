"""EDO's negotiation, N1 to N8, and its rules for received segments, R1 to R12.

The rules are those of draft-ietf-tcpm-tcp-edo §5 and §6 as the project's digest numbers them; the cases of two
prototypes (FreeBSD: native kinds, words, lenient; Linux: ExID, octets, long) are from the same digest, section 7.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.codepoints import DEFAULT, Dialect, EdoKind, FormChoice, Units
from edo.extended import find_extension, header_end
from edo.fast import read_options
from edo.negotiation import Edo, EdoPolicy, EdoState
from edo.plan import Form
from edo.reasons import EdoDrop
from edo.walk import walk
from tests.edo.support import ACK, FIN, NOP, RST, SUPPORTED, SYN, TIMESTAMPS, long, segment, short, spans_of

FREEBSD = Dialect(EdoKind.NATIVE_79_80, form=FormChoice.SHORT)
LINUX = Dialect(units=Units.OCTETS, form=FormChoice.LONG)
STRICT, LENIENT, OFF = EdoPolicy.STRICT, EdoPolicy.LENIENT, EdoPolicy.OFF


def client(policy: EdoPolicy = STRICT, dialect: Dialect = DEFAULT) -> Edo:
    """An active opener after a SYN and a SYN-ACK, both with EDO Supported."""
    edo = Edo(policy, active=True, dialect=dialect)
    assert edo.offer()
    edo.take_syn_ack(True)
    assert edo.state is EdoState.UNCONFIRMED
    return edo


def server(policy: EdoPolicy = STRICT, dialect: Dialect = DEFAULT) -> Edo:
    """A passive opener after a SYN with EDO Supported."""
    edo = Edo(policy, active=False, dialect=dialect)
    assert edo.take_syn(True)
    assert edo.state is EdoState.UNCONFIRMED
    return edo


def confirmed(policy: EdoPolicy = STRICT, dialect: Dialect = DEFAULT) -> Edo:
    edo = server(policy, dialect)
    edo.accepted(True)
    assert edo.state is EdoState.CONFIRMED
    return edo


def judge(edo: Edo, inside: bytes, behind: bytes = b"", flags: int = ACK) -> int | EdoDrop:
    tcp, data_offset = segment(inside, behind, flags)
    state = edo.state
    verdict = edo.boundary(tcp, data_offset, spans_of(tcp, data_offset), flags)
    assert edo.state is state
    return verdict


# --- N: negotiation ---


def test_n1_supported_in_both_syns_or_no_edo() -> None:
    edo = Edo(STRICT, active=True)
    assert edo.state.value == "off"
    assert edo.offer()
    assert edo.state.value == "offered"
    edo.take_syn_ack(False)
    assert edo.state is EdoState.OFF
    assert edo.form(False) is None
    edo = Edo(STRICT, active=False)
    assert not edo.take_syn(False)
    assert edo.state is EdoState.OFF
    assert client().on
    assert server().on


def test_n2_r12_an_extension_in_a_syn_is_ignored_and_no_support() -> None:
    for flags in (SYN, SYN | ACK):
        tcp, data_offset = segment(short(99), b"data", flags)
        spans = spans_of(tcp, data_offset)
        assert not read_options(tcp, spans).edo_supported
        for edo in (client(), server(), confirmed(), Edo(STRICT, active=True)):
            assert edo.boundary(tcp, data_offset, spans, flags) == data_offset


def test_n3_the_client_is_on_by_the_syn_ack_the_server_by_the_first_extension() -> None:
    assert client().form(False) is Form.LONG
    edo = server()
    edo.accepted(True)
    assert edo.state is EdoState.CONFIRMED


@pytest.mark.parametrize("edo", [client(), server()], ids=["client", "server"])
def test_n3_and_the_deadlock_a_first_segment_without_extension_turns_strict_edo_off_for_good(edo: Edo) -> None:
    assert judge(edo, TIMESTAMPS, b"data") == 32
    edo.accepted(False)
    assert edo.state is EdoState.OFF
    edo.accepted(True)
    edo.take_syn_ack(True)
    edo.enable()
    assert edo.state is EdoState.OFF
    assert not edo.take_syn(True)
    assert not edo.offer()
    assert edo.form(True) is None
    assert judge(edo, short(9), b"data") == 28  # R1 from now on


def test_n4_every_segment_carries_an_extension_once_on() -> None:
    for edo in (client(), server(), confirmed(), client(LENIENT)):
        assert edo.form(True) is Form.SHORT
        assert edo.form(False) is Form.LONG
    for edo in (Edo(STRICT, active=True), Edo(OFF, active=False)):
        assert edo.form(True) is edo.form(False) is None


@pytest.mark.parametrize("choice", [FormChoice.SHORT, FormChoice.LONG])
def test_n4_the_form_may_be_configured(choice: FormChoice) -> None:
    edo = confirmed(dialect=Dialect(form=choice))
    assert {edo.form(True), edo.form(False)} == {Form(choice.value)}


def test_n5_supported_outside_syn_is_no_extension() -> None:
    assert judge(client(), SUPPORTED, b"data") == 24
    assert judge(confirmed(), SUPPORTED, b"data") is EdoDrop.EDO_MISSING
    assert judge(confirmed(), SUPPORTED + NOP * 4 + short(8), b"") == EdoDrop.EDO_HEADER_LENGTH
    assert judge(confirmed(), SUPPORTED + short(8), b"data") == 32
    for kind, supported, extension in [("79/80", "4f02", "50040007"), ("237", "ed02", "ed040007")]:
        edo = confirmed(dialect=Dialect(EdoKind(kind)))
        assert judge(edo, bytes.fromhex(supported)) is EdoDrop.EDO_MISSING
        assert judge(edo, bytes.fromhex(supported + extension), b"data") == 28


def test_n6_off_is_off() -> None:
    for active in (True, False):
        edo = Edo(OFF, active=active)
        assert not edo.offer()
        assert not edo.take_syn(True)
        edo.take_syn_ack(True)
        edo.enable(seen=True)
        assert edo.state is EdoState.OFF


def test_n7_crossed_syns() -> None:
    # SYN without Supported: our SYN-ACK drops it
    edo = Edo(STRICT, active=True)
    edo.offer()
    assert not edo.take_syn(False)
    edo.take_syn_ack(True)
    assert edo.state is EdoState.OFF
    assert not edo.offer()
    # SYN with it, then SYN-ACK with or without
    edo = Edo(STRICT, active=True)
    edo.offer()
    assert edo.take_syn(True)
    edo.take_syn_ack(True)
    assert edo.state is EdoState.UNCONFIRMED
    edo = Edo(STRICT, active=True)
    edo.offer()
    edo.take_syn(True)
    edo.take_syn_ack(False)
    assert edo.state is EdoState.OFF


def test_n8_a_repeated_syn_offers_the_same_unless_turned_off() -> None:
    edo = Edo(STRICT, active=True)
    assert [edo.offer() for _ in range(3)] == [True] * 3
    edo.turn_off()
    assert not edo.offer()
    edo.take_syn_ack(True)
    assert edo.state is EdoState.OFF


def test_a_server_answers_each_repeated_syn_as_it_asks() -> None:
    edo = server()
    assert not edo.take_syn(False)
    assert edo.state.value == "off"
    assert edo.take_syn(True)
    assert edo.state is EdoState.UNCONFIRMED


def test_a_repeated_syn_ack_changes_nothing_once_confirmed() -> None:
    edo = client()
    edo.accepted(True)
    edo.take_syn_ack(False)
    edo.accepted(False)
    edo.enable()
    assert edo.state is EdoState.CONFIRMED


def test_syn_eos_enables_edo() -> None:
    edo = Edo(STRICT, active=True)
    edo.offer()
    edo.enable(seen=True)
    assert edo.state is EdoState.CONFIRMED
    edo = Edo(STRICT, active=False)
    edo.enable()
    assert edo.state is EdoState.UNCONFIRMED


# --- R: receive processing ---


@pytest.mark.parametrize(
    "inside", [short(6), short(60), long(7, 9999), short(7) + short(7), b"\xfe\x07\x0e\xd0aaa"]
)
def test_r1_not_negotiated_an_extension_is_ignored(inside: bytes) -> None:
    for edo in (Edo(STRICT, active=False), Edo(OFF, active=True), Edo(LENIENT, active=False)):
        tcp, data_offset = segment(inside, b"data")
        assert edo.boundary(tcp, data_offset, spans_of(tcp, data_offset), ACK) == data_offset


@pytest.mark.parametrize("flags", [ACK, ACK | FIN, FIN, 0])
def test_r2_negotiated_and_confirmed_without_extension_is_dropped(flags: int) -> None:
    assert judge(confirmed(), TIMESTAMPS, b"data", flags) is EdoDrop.EDO_MISSING
    assert judge(confirmed(), b"", b"", flags) is EdoDrop.EDO_MISSING


def test_r2_lenient_takes_plain_segments_at_any_time_and_stays_on() -> None:
    for edo in (client(LENIENT), server(LENIENT), confirmed(LENIENT)):
        state = edo.state
        assert judge(edo, TIMESTAMPS, b"data") == 32
        edo.accepted(False)
        assert edo.state is state
        assert judge(edo, short(9), b"behind  data") == 36
        edo.accepted(True)
        assert edo.state is EdoState.CONFIRMED


def test_r3_a_rst_may_lack_the_extension_but_not_have_a_wrong_one() -> None:
    assert judge(confirmed(), b"", b"", RST) == 20
    assert judge(confirmed(), short(7), b"", RST | ACK) == 28
    assert judge(confirmed(), short(6), b"", RST) is EdoDrop.EDO_HEADER_LENGTH


@pytest.mark.parametrize("policy", [STRICT, LENIENT])
@pytest.mark.parametrize(
    ("inside", "behind", "verdict"),
    [
        (short(7), b"", 28),  # Header_Length = Data Offset = the whole segment
        (short(7), b"data", 28),
        (short(9), b"", EdoDrop.EDO_HEADER_LENGTH),  # R5
        (short(9), bytes(7), EdoDrop.EDO_HEADER_LENGTH),
        (short(9), bytes(8), 36),  # equal to the segment's length: no payload
        (short(6), bytes(8), EdoDrop.EDO_HEADER_LENGTH),  # R4
        (short(0), bytes(8), EdoDrop.EDO_HEADER_LENGTH),
        (short(65535), bytes(8), EdoDrop.EDO_HEADER_LENGTH),
        (long(7, 36), bytes(8), 28),
        (long(9, 36), bytes(8), 36),
        (long(9, 35), bytes(8), EdoDrop.EDO_SEGMENT_LENGTH),  # R6
        (long(9, 37), bytes(8), EdoDrop.EDO_SEGMENT_LENGTH),
        (long(9, 0), bytes(8), EdoDrop.EDO_SEGMENT_LENGTH),
        (long(9, 0x012C), bytes(272), 36),
        (long(9, 0x022C), bytes(272), EdoDrop.EDO_SEGMENT_LENGTH),
        (short(0x0120), bytes(1200), 1152),
        (short(8) + short(8), bytes(8), EdoDrop.MALFORMED_OPTION),  # R9
        (short(9) + long(9, 36), b"", EdoDrop.MALFORMED_OPTION),
        (b"\xfd\x06\x0e\xd0\x00\x07", b"", 28),  # kind 253 is as good
    ],
)
def test_r4_to_r7_and_r9(policy: EdoPolicy, inside: bytes, behind: bytes, verdict: int | EdoDrop) -> None:
    for edo in (client(policy), server(policy), confirmed(policy)):
        assert judge(edo, inside, behind) == verdict


@pytest.mark.parametrize(
    "inside",
    [
        b"\xfe\x05\x0e\xd0\x07",
        b"\xfe\x07\x0e\xd0\x00\x07\x00",
        b"\xfe\x0a\x0e\xd0\x00\x08\x00\x20\x00\x00",
    ],
)
def test_r7_an_extension_of_another_length_is_malformed_and_to_the_lenient_none(inside: bytes) -> None:
    for edo in (client(), server(), confirmed()):
        assert judge(edo, inside, b"data") is EdoDrop.MALFORMED_OPTION
    for edo in (client(LENIENT), server(LENIENT), confirmed(LENIENT)):
        assert judge(edo, inside, b"data") == 20 + -(-len(inside) // 4) * 4
        assert not edo.extended
        # One that is well formed counts beside it.
        assert judge(edo, inside + short(12), bytes(16)) == 48
        assert edo.extended


def test_r5_counts_the_tcp_length_not_the_buffer() -> None:
    octets = bytes(segment(short(8), bytes(4))[0]) + bytes(6)  # six octets of link padding
    tcp = memoryview(octets)[:32]
    assert confirmed().boundary(tcp, 28, spans_of(tcp, 28), ACK) == 32
    tcp = memoryview(octets)[:31]
    assert confirmed().boundary(tcp, 28, spans_of(tcp, 28), ACK) is EdoDrop.EDO_HEADER_LENGTH


def test_r8_an_extension_behind_data_offset_is_none() -> None:
    edo = confirmed()
    assert judge(edo, TIMESTAMPS, short(10)) is EdoDrop.EDO_MISSING
    tcp, data_offset = segment(TIMESTAMPS, short(10))
    everything = walk(tcp, 20, len(tcp))
    assert everything is not None
    assert edo.boundary(tcp, data_offset, everything, ACK) is EdoDrop.EDO_MISSING
    tcp, data_offset = segment(short(10), short(9) + bytes(6))
    everything = walk(tcp, 20, data_offset + 6)
    assert everything is not None
    assert edo.boundary(tcp, data_offset, everything, ACK) == 40


@pytest.mark.parametrize("behind", ["0800", "0801", "05ff", "01010108"])
def test_r10_a_malformed_option_behind_is_no_list(behind: str) -> None:
    extended = bytes.fromhex(behind) + NOP * (-len(bytes.fromhex(behind)) % 4)
    end = judge(confirmed(), short((28 + len(extended)) // 4), extended + b"data")
    assert end == 28 + len(extended)
    tcp, data_offset = segment(short(end // 4), extended[: len(bytes.fromhex(behind))] + b"data")
    assert walk(tcp, data_offset, data_offset + len(bytes.fromhex(behind))) is None


def test_r10_an_option_may_not_reach_from_the_area_into_the_payload() -> None:
    tcp, data_offset = segment(short(8), b"\x01\x01\x08\x0apayload.")
    end = confirmed().boundary(tcp, data_offset, spans_of(tcp, data_offset), ACK)
    assert end == 32
    assert walk(tcp, data_offset, end) is None


def test_r11_eol_is_padding_inside_and_the_end_behind() -> None:
    tcp, data_offset = segment(short(10) + b"\x00\x00", TIMESTAMPS + b"\x00\x03")
    end = confirmed().boundary(tcp, data_offset, spans_of(tcp, data_offset), ACK)
    assert end == 40
    assert walk(tcp, data_offset, end) == [(8, -1, 28, 10)]
    tcp, data_offset = segment(short(10), b"\x00\x00" + TIMESTAMPS)
    assert walk(tcp, data_offset, 40) == []


def test_an_extension_behind_eol_does_not_count() -> None:
    assert judge(confirmed(), b"\x00\x00" + short(7)) is EdoDrop.EDO_MISSING


def test_units_are_configured_not_guessed() -> None:
    tcp, data_offset = segment(long(28, 116), bytes(88))
    spans = spans_of(tcp, data_offset)
    assert confirmed().boundary(tcp, data_offset, spans, ACK) == 112
    assert confirmed(dialect=LINUX).boundary(tcp, data_offset, spans, ACK) == 28
    tcp, data_offset = segment(long(30, 116), bytes(88))
    assert header_end(tcp, spans_of(tcp, data_offset), data_offset, LINUX) is EdoDrop.EDO_HEADER_LENGTH


def test_finding_an_extension_gives_its_numbers_as_they_stand() -> None:
    tcp, data_offset = segment(NOP * 4 + long(0x0102, 0x0304), b"")
    assert find_extension(tcp, spans_of(tcp, data_offset), data_offset, DEFAULT) == (24, 4 * 0x0102, 0x0304)
    tcp, data_offset = segment(b"\xfe\x05\x0e\xd0\x07" + NOP * 3 + short(1), b"")
    assert find_extension(tcp, spans_of(tcp, data_offset), data_offset, DEFAULT) == (28, 4, -1)
    tcp, data_offset = segment(TIMESTAMPS, short(10))
    assert find_extension(tcp, spans_of(tcp, data_offset), data_offset, DEFAULT) is None


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from(EdoKind), st.sampled_from(Units))
def test_a_boundary_lies_between_data_offset_and_the_end(
    inside: bytes, behind: bytes, kind: EdoKind, units: Units
) -> None:
    tcp, data_offset = segment(inside, behind)
    spans = walk(tcp, 20, data_offset)
    if spans is not None:
        end = confirmed(LENIENT, Dialect(kind, units)).boundary(tcp, data_offset, spans, ACK)
        assert isinstance(end, EdoDrop) or data_offset <= end <= len(tcp)


# --- sending ---


def test_without_a_mac_the_active_opener_extends_only_after_the_peer_did() -> None:
    edo = client()
    assert not edo.may_extend(False)
    assert edo.may_extend(True)
    edo.accepted(True)
    assert edo.may_extend(False)
    assert server().may_extend(False)
    assert not Edo(STRICT, active=False).may_extend(True)
    offering = Edo(STRICT, active=True)
    offering.offer()
    assert not offering.may_extend(True)


def test_a_rst_carries_an_extension_only_in_answer_to_one_and_with_edo_on() -> None:
    assert confirmed().rst_extension(True)
    assert not confirmed().rst_extension(False)
    assert not Edo(STRICT, active=False).rst_extension(True)


# --- the prototypes' cases ---


def freebsd() -> Edo:
    """Case 1: SYN and SYN-ACK with Supported, then a bare ACK without any Extension."""
    edo = server(LENIENT, FREEBSD)
    assert judge(edo, b"") == 20
    edo.accepted(False)
    assert edo.on
    return edo


def test_freebsd_case_2_sends_with_an_extension_after_a_plain_ack() -> None:
    edo = freebsd()
    assert edo.form(False) is Form.SHORT
    assert edo.may_extend(False)
    assert FREEBSD.extension(Form.SHORT, 100) == bytes.fromhex("50040019")


def test_freebsd_case_3_finds_the_payload_at_octet_64() -> None:
    assert judge(freebsd(), bytes.fromhex("50040010"), NOP * 40 + bytes(100)) == 64


def test_freebsd_case_4_a_stray_extension() -> None:
    edo = Edo(LENIENT, active=False, dialect=FREEBSD)
    assert not edo.take_syn(False)
    assert judge(edo, bytes.fromhex("50040006"), bytes(100)) == 24


@pytest.mark.parametrize("extension", ["5004003c", "50040004"])
def test_freebsd_cases_5_and_6_too_large_too_small_then_plain(extension: str) -> None:
    edo = freebsd()
    assert judge(edo, bytes.fromhex(extension), NOP * 40 + bytes(100)) is EdoDrop.EDO_HEADER_LENGTH
    assert judge(edo, b"", bytes(100)) == 20


def test_linux_server_with_a_plain_third_ack_falls_back() -> None:
    edo = server(STRICT, LINUX)
    assert judge(edo, b"") == 20
    edo.accepted(False)
    assert edo.form(False) is None
