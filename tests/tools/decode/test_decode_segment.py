"""One segment in hex: every octet told, every fault named where it is, whatever form the hex has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edo.codepoints import EdoKind, Units
from edo.walk import walk_steps
from stack.checksum import fold, pseudo_header_sum
from tests.tools.decode.support import ACK, PSH, SYN, names, only, packet, report, run, tcp, there
from tools.decode.anatomy import lay_open
from tools.decode.conversation import Conversations
from tools.decode.source import Form, from_hex, octets_of
from tools.decode.steps import Area, steps

SHORT = bytes.fromhex("fe060ed0")
LONG = bytes.fromhex("fe080ed0")


# --- the walk -------------------------------------------------------------------------------------------------

_OPTION_LIKE = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"\x01", b"\x00", b"\x02\x04\x05\xb4", SHORT + b"\0\7", b"\x08\x0a" + bytes(8), b"\xfe\x03\x0e"]
    ),
)


@given(st.lists(_OPTION_LIKE, max_size=12), st.integers(-3, 3))
def test_the_walk_finds_what_the_stack_s_walk_finds(parts: list[bytes], over: int) -> None:
    octets = memoryview(b"".join(parts))
    end = max(len(octets) + over, 0)
    found = steps(octets, 0, end)
    if end <= len(octets):
        expected = walk_steps(octets, 0, end)
        assert (expected is None) == (found.fault is not None)
        assert expected is None or expected == found.spans


@given(
    st.binary(min_size=20, max_size=160),
    st.sampled_from([*EdoKind, None]),
    st.sampled_from([*Units, None]),
    st.booleans(),
)
def test_every_octet_of_any_segment_is_told_once(
    octets: bytes, kind: EdoKind | None, units: Units | None, sound: bool
) -> None:
    if sound:
        # Half of them have a header that can be walked at all.
        octets = octets[:12] + bytes((octets[12] | 0x50,)) + octets[13:20] + LONG + octets[20:]
    read = from_hex(octets.hex(), Form.TCP)
    (reading,) = Conversations(kind, units).read([read])
    anatomy = lay_open(reading)
    at = 0
    for piece in anatomy.pieces:
        assert piece.offset == at
        assert piece.length > 0
        at += piece.length
    assert at == len(octets)
    assert anatomy.header_octets + anatomy.payload_octets == len(octets)


# --- what is told ---------------------------------------------------------------------------------------------


def test_options_inside_and_behind_data_offset_with_their_fields() -> None:
    inside = bytes.fromhex("1d10 0102") + bytes(12) + LONG + bytes.fromhex("0013 0051")
    behind = bytes.fromhex("0512 00000001 00000002 00000003 00000004 0101 080a 0000000a 0000000b 0101")
    segment = only(report(tcp(inside, b"hello", behind=behind, flags=ACK | PSH).hex()))
    assert (segment["data_offset"], segment["header_length"], segment["payload_length"]) == (44, 76, 5)
    assert names(segment, "inside") == ["ao", "edo_extension"]
    assert names(segment, "behind") == ["sack", "timestamps"]
    by_name = {option["name"]: option["fields"] for option in segment["options"]}
    assert by_name["ao"] == {"key_id": 1, "rnext_key_id": 2, "mac": "00" * 12}
    assert by_name["edo_extension"] == {"header_length": 19, "segment_length": 81}
    assert by_name["sack"] == {"blocks": [[1, 2], [3, 4]]}
    assert by_name["timestamps"] == {"ts_val": 10, "ts_ecr": 11}
    assert segment["faults"] == []
    assert [row["offset"] for row in segment["layout"] if row["area"] == "behind"] == [
        44,
        45,
        46,
        62,
        64,
        65,
        66,
        70,
        74,
    ]


@pytest.mark.parametrize(
    ("segment", "offset", "drop", "words"),
    [
        (tcp(bytes.fromhex("0101 080a 00000001")), 23, "malformed_option", "overruns its area by 4"),
        (tcp(bytes.fromhex("02040005 0300 0101")), 25, "malformed_option", "has Length 0"),
        (tcp(bytes.fromhex("02040005 0301 0101")), 25, "malformed_option", "has Length 1"),
        (tcp(bytes.fromhex("010101 08")), 23, "malformed_option", "has no Length"),
        (tcp(bytes.fromhex("02030501")), 21, None, "Maximum Segment Size never has Length 3"),
        (tcp(bytes.fromhex("0507 0000000000 01")), 21, None, "SACK never has Length 7"),
        (
            tcp(LONG + bytes.fromhex("0006 001c")),
            24,
            "edo_header_length",
            "24 octets (words), below Data Offset's 28",
        ),
        (tcp(LONG + bytes.fromhex("0008 001c")), 24, "edo_header_length", "32 octets (words), the segment has 28"),
        (tcp(LONG + bytes.fromhex("0007 001b")), 26, "edo_segment_length", "Segment_Length is 27"),
        (tcp(SHORT + bytes.fromhex("0007 0101") + b"\xfe\5\x0e\xd0\0\1\1\1"), 29, None, "never has Length 5"),
        (
            tcp(SHORT + bytes.fromhex("0009") + SHORT + bytes.fromhex("0009 01010101")),
            20,
            "malformed_option",
            "more than one Extension",
        ),
        (
            tcp(LONG + bytes.fromhex("0008 0020"), behind=bytes.fromhex("05120000")),
            29,
            "malformed_option",
            "overruns its area by 14, which ends at octet 32",
        ),
        (
            tcp(bytes.fromhex("1d04 0102 1d04 0102")),
            24,
            "malformed_option",
            "a second TCP-AO option",
        ),
        (
            tcp(LONG + bytes.fromhex("0009 0024"), behind=bytes.fromhex("fe08 a0e1 0100 5900")),
            29,
            None,
            "Key exchange never has Length 8",
        ),
    ],
)
def test_a_fault_is_named_where_it_is(segment: bytes, offset: int, drop: str | None, words: str) -> None:
    faults = only(report(segment.hex()))["faults"]
    assert any(
        fault["offset"] == offset and fault["drop"] == drop and words in fault["text"] for fault in faults
    ), faults


@pytest.mark.parametrize(
    ("octet", "words"), [(0x40, "Data Offset is 16 octets, below 20"), (0x60, "24 octets, behind the segment's 20")]
)
def test_a_data_offset_that_cannot_be(octet: int, words: str) -> None:
    segment = bytearray(tcp())
    segment[12] = octet
    found = only(report(segment.hex()))
    assert [(fault["offset"], words in fault["text"]) for fault in found["faults"]] == [(12, True)]
    assert found["options"] == []


def test_a_bad_checksum_is_told_with_the_right_one() -> None:
    good = there(payload=b"abc")
    assert only(report(good.hex()))["checksum"] == "good"
    bad = bytearray(good)
    bad[36] ^= 0x10
    found = only(report(bad.hex()))
    right = int.from_bytes(good[36:38])
    assert found["checksum"] == "bad"
    (fault,) = found["faults"]
    assert (fault["offset"], fault["drop"]) == (16, "bad_checksum")
    assert f"right is 0x{right:04x}" in fault["text"]


def test_a_checksum_left_to_an_offload_is_no_fault() -> None:
    """A sender's own capture has the pseudo-header's sum only, not complemented."""
    whole = bytearray(there(payload=b"abc"))
    whole[36:38] = fold(pseudo_header_sum(bytes(whole[12:16]), bytes(whole[16:20]), len(whole) - 20)).to_bytes(2)
    found = only(report(whole.hex()))
    assert (found["checksum"], found["faults"]) == ("unfinished", [])


def test_edo_in_each_dialect_is_found_and_can_be_given() -> None:
    """28 octets of header in words are 7, in octets 28; a number that fits both is read as words unless told."""
    for octets, kind, units in (
        (bytes.fromhex("fe08 0ed0 0007 001c"), "exid", "words"),
        (bytes.fromhex("fd08 0ed0 001c 001c"), "exid", "octets"),
        (bytes.fromhex("5006 0007 001c 0101"), "79/80", "words"),
        (bytes.fromhex("5004 001c 0101 0101"), "79/80", "octets"),
        (bytes.fromhex("ed06 0007 001c 0101"), "237", "words"),
        (bytes.fromhex("ed04 001c 0101 0101"), "237", "octets"),
    ):
        found = report(tcp(octets).hex())
        (connection,) = found["connections"]
        assert (connection["edo_kind"], connection["edo_units"]) == (kind, units)
        assert connection["edo_found"] == {"kind": True, "units": True}
        assert only(found)["faults"] == []
    both = tcp(SHORT + bytes.fromhex("0020 0101"), bytes([1]) * 200).hex()
    assert only(report(both))["header_length"] == 128
    assert report(both)["connections"][0]["edo_found"]["units"] is False
    assert only(report(both, "--edo-units", "octets"))["header_length"] == 32
    assert only(report(both, "--edo-kind", "79/80"))["header_length"] == 28


def test_syn_eos_out_of_band_and_the_syn_ack_that_confirms_it() -> None:
    """draft-touch-tcpm-tcp-syn-ext-opt: the payload of the out-of-band segment is options, without payload."""
    oob = only(report(tcp(bytes.fromhex("fe045e05"), b"\x22\x06abcd\x01\x01", flags=0).hex()))
    assert (oob["what"], oob["header_length"], oob["payload_length"]) == ("out-of-band", 32, 0)
    assert names(oob, "out-of-band") == ["fast_open"]
    confirms = tcp(
        bytes.fromhex("fe045e05") + LONG + bytes.fromhex("000a 0029"), b"x", flags=SYN | ACK, behind=b"\1" * 8
    )
    found = only(report(confirms.hex()))
    assert (found["what"], found["header_length"], found["payload_length"]) == ("SYN-ACK", 40, 1)
    for stray in (
        tcp(LONG + bytes.fromhex("000a 0029"), b"x", flags=SYN | ACK, behind=b"\1" * 12),
        tcp(bytes.fromhex("fe045e05") + LONG + bytes.fromhex("000a 0029"), b"x", flags=SYN, behind=b"\1" * 8),
    ):
        found = only(report(stray.hex()))
        assert found["header_length"] == found["data_offset"]
        assert any("ignored" in note for note in found["notes"])


def test_seg_u_ends_where_its_length_says() -> None:
    """Data Offset 0: behind the fixed header a Length in words, itself counted, and three reserved octets."""
    octets = bytearray(tcp(payload=bytes.fromhex("04000000 080a000000010000000b 0101") + b"data"))
    octets[12] = 0
    segment = only(report(octets.hex()))
    assert (segment["header_length"], segment["payload_length"], segment["faults"]) == (36, 4, [])
    assert names(segment, "behind") == ["timestamps"]
    octets[20] = 200
    (fault,) = only(report(octets.hex()))["faults"]
    assert (fault["offset"], fault["drop"]) == (12, "bad_data_offset")


def test_a_share_in_tcp_ao_is_told() -> None:
    """Placement compact (profile.md §5)."""
    segment = only(report(tcp(bytes.fromhex("1d240000") + bytes(32), flags=SYN).hex()))
    assert any("placement compact" in note for note in segment["notes"])


def test_unknown_options_are_told_by_kind_and_exid() -> None:
    segment = only(report(tcp(bytes.fromhex("1e03ff 2a04abcd fe06 1234 5678 01 00aa")).hex()))
    assert [(option["title"], option["offset"], option["length"]) for option in segment["options"]] == [
        ("Multipath TCP", 20, 3),
        ("unknown option", 23, 4),
        ("experimental, ExID 0x1234", 27, 6),
    ]
    last = segment["layout"][-1]
    assert (last["name"], last["offset"], last["length"]) == ("padding", 35, 1)


def test_eno_s_suboptions_are_told() -> None:
    """RFC 8547 §4.1, and the forms of profile.md §3."""
    rows = {}
    for option in ("4505a0ed01", "450601a0ed01", "4502", "450301", "45048421aa"):
        padded = bytes.fromhex(option) + b"\x01" * (-len(option) // 2 % 4)
        segment = only(report(tcp(padded, flags=SYN).hex()))
        rows[option] = next((row["text"] for row in segment["layout"] if row["name"] == "contents"), "")
    assert rows["4505a0ed01"] == "b = 0, TEP 0x20 of edotun, version 1"
    assert rows["450601a0ed01"] == "b = 1, TEP 0x20 of edotun, version 1"
    assert rows["450301"] == "b = 1, no TEP (vacuous)"


# --- the forms of hex -----------------------------------------------------------------------------------------

OCTETS = there(bytes.fromhex("0101080a000000010000000a"), b"abcdefghijklmnop 0123", flags=ACK | PSH)


def dumped(style: str) -> str:
    lines = []
    for at in range(0, len(OCTETS), 16):
        row = OCTETS[at : at + 16]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)
        pairs = " ".join(row[index : index + 2].hex() for index in range(0, len(row), 2))
        halves = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}"
        lines.append(
            {
                "tcpdump": f"\t0x{at:04x}:  {pairs:<39}  {text}",
                "xxd": f"{at:08x}: {pairs:<39}  {text}",
                "hexdump": f"{at:08x}  {halves:<48}  |{text}|",
                "tshark": f"{at:04x}  {row.hex(' '):<47}   {text}",
            }[style]
        )
    return "\n".join(lines)


@pytest.mark.parametrize("style", ["tcpdump", "xxd", "hexdump", "tshark"])
def test_hex_dumps_of_the_usual_programs(style: str) -> None:
    assert octets_of(dumped(style)) == OCTETS


def test_plain_hex_with_blanks_colons_or_0x() -> None:
    for text in (OCTETS.hex(), OCTETS.hex(" "), OCTETS.hex(":"), "0x" + OCTETS.hex(), OCTETS.hex("\n", 2)):
        assert octets_of(text) == OCTETS
    assert octets_of("\\x01\\x02") == b"\x01\x02"


@pytest.mark.programs("xxd")
def test_xxd_itself() -> None:
    plain = subprocess.run(["xxd"], input=OCTETS, capture_output=True, check=True).stdout.decode()
    assert octets_of(plain) == OCTETS


def test_what_hex_begins_with_is_found() -> None:
    """IPv4, IPv6, Ethernet, or TCP alone, whose ports may look like IP's first octets."""
    six = packet(tcp(payload=b"x"), bytes(15) + b"\1", bytes(15) + b"\2")
    ethernet = bytes(12) + b"\x08\x00" + OCTETS
    tagged = bytes(12) + b"\x81\x00\x00\x05\x86\xdd" + six
    for octets in (OCTETS, six, ethernet, tagged):
        assert only(report(octets.hex()))["checksum"] == "good"
    bare = tcp(payload=b"x" * 8, ports=(0x4500, 28))
    assert only(report(bare.hex()))["src"] == f"port {0x4500}"
    assert only(report(OCTETS.hex(), "--as", "tcp"))["src"] == f"port {0x4500}"


def test_hex_from_standard_input_and_from_a_file(tmp_path: Path) -> None:
    assert only(report("-", stdin=dumped("xxd")))["payload_length"] == 21
    path = tmp_path / "segment.hex"
    path.write_text(OCTETS.hex(" "))
    assert only(report(str(path)))["payload_length"] == 21


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["zz"], "'z' is no hex digit, and there is no such file"),
        (["abc"], "3 hex digits are not a whole number of octets"),
        (["0102"], "2 octets are no TCP header, which has 20 at least"),
        ([""], "there is no hex"),
        ([OCTETS[:30].hex(), "--as", "ip"], "10 octets of TCP, not a whole header"),
        ([OCTETS.hex(), "--as", "ethernet"], "no IP packet"),
        ([OCTETS.hex(), "--as", "udp"], "--as: 'udp' is not one of auto, tcp, ip, ethernet"),
        ([OCTETS.hex(), "--edo-kind", "78"], "--edo-kind: '78' is not one of auto, exid, 79/80, 237"),
        ([OCTETS.hex(), "--edo-units", "bits"], "--edo-units: 'bits' is not one of auto, words, octets"),
        ([OCTETS.hex(), "--number", "3-1"], "--number: '3-1' is not in order"),
        ([OCTETS.hex(), "--number", "x"], "--number: 'x' is no number"),
        ([OCTETS.hex(), "--number", "2"], "no TCP segment for --number 2"),
        ([OCTETS.hex(), "--flow", "x"], "--flow: 'x' is neither"),
        ([], "HEX|CAPTURE|-"),
    ],
)
def test_usage_faults_are_one_line(arguments: list[str], fault: str) -> None:
    status, out, line = run(*arguments)
    assert (status, out) == (2, "")
    assert fault.lower() in line.lower()
    assert line.count("\n") == 1


def test_text_shows_octets_and_faults_in_place() -> None:
    status, out, _ = run(tcp(LONG + bytes.fromhex("0006 001c")).hex())
    assert status == 0
    lines = [line for line in out.splitlines() if "Header_Length" in line]
    assert lines[0].split()[:3] == ["24", "00", "06"]
    assert "FAULT" in lines[1]
    assert "below Data Offset's 28 [dropped: edo_header_length]" in lines[1]


def test_areas_are_told_apart() -> None:
    (reading,) = Conversations().read([from_hex(tcp(SHORT + b"\0\x08\1\1", b"pay", behind=b"\3\3\5\1").hex())])
    anatomy = lay_open(reading)
    assert [piece.area for piece in anatomy.pieces if piece.offset in (20, 28, 32)] == [
        Area.INSIDE,
        Area.BEHIND,
        Area.PAYLOAD,
    ]
