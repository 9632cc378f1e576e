"""Connections of a capture: what was agreed, where headers end, what key-exchange messages say."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import pytest

from ao.messages import Refuse
from edo.codepoints import Dialect, EdoKind, Units
from edo.plan import Form
from stack.ip import parse
from tests.tools.decode.support import (
    ACK,
    RST,
    SERVER,
    SYN,
    back,
    capture,
    clear,
    demo,
    extended,
    names,
    opened,
    packet,
    report,
    run,
    tcp,
    there,
)
from tools.demo.frames import Frame, segment

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


# --- the demonstration ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_headers_end_where_the_demonstration_s_own_reader_finds_their_end(tmp_path: Path, protect: str) -> None:
    packets = demo(protect)
    found = report(str(capture(tmp_path / "demo.pcapng", packets)))
    assert len(found["segments"]) == len(packets) >= 10
    for one, octets in zip(found["segments"], packets, strict=True):
        expected = segment(Frame(0.0, True, octets))
        assert expected is not None
        assert one["header_length"] == expected.payload_at
        assert one["payload_length"] == len(expected.payload)
        assert one["checksum"] == "good"
        assert one["faults"] == []
    stream = sum(one["payload_length"] for one in found["segments"])
    assert stream >= 6000


def test_a_protected_connection_is_told_from_hello_to_mac(tmp_path: Path) -> None:
    found = report(str(capture(tmp_path / "demo.pcapng", demo("ao-enc-dh"))))
    (connection,) = found["connections"]
    assert connection["edo"] == "agreed by SYN-EOS"
    assert connection["syn_eos"] == "confirmed"
    assert connection["eno"] == "TEP 0x20"
    assert sorted(connection["extending"]) == sorted(connection["ends"])
    assert all(ids == [{"key_id": 0, "rnext_key_id": 0, "mac_octets": 12}] for ids in connection["ao"].values())
    messages = {message["name"]: message for one in found["segments"] for message in one["messages"]}
    syn, oob, syn_ack = found["segments"][:3]
    assert [one["what"] for one in (syn, oob, syn_ack)] == ["SYN", "out-of-band", "SYN-ACK"]
    assert messages["hello"]["result"] == messages["answer"]["result"] == "complete"
    assert messages["hello"]["fields"]["isn"] == str(syn["seq"])
    assert messages["answer"]["fields"]["isn"] == str(syn_ack["seq"])
    assert messages["hello"]["fields"]["groups"].split(", ")[0] == "x25519"
    assert messages["answer"]["fields"]["suite"] == "aes-128-cmac-96+aes-128-ctr"


def test_text_has_a_line_for_each_segment_and_the_connection(tmp_path: Path) -> None:
    path = str(capture(tmp_path / "demo.pcapng", demo("ao-enc-dh")))
    status, out, _ = run(path)
    assert status == 0
    assert "EDO agreed by SYN-EOS; numbered exid, Header_Length in words (found); Extensions from both ends" in out
    assert "KE hello" in out
    status, out, _ = run(path, "--number", "2")
    assert "options out of band: for the SYN" in out
    assert "x25519" in out


# --- EDO ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(EdoKind))
@pytest.mark.parametrize("units", list(Units))
@pytest.mark.parametrize("form", list(Form))
def test_the_dialect_of_a_connection_is_found(tmp_path: Path, kind: EdoKind, units: Units, form: Form) -> None:
    dialect = Dialect(kind=kind, units=units)
    packets = [
        *opened(dialect),
        there(**extended(dialect, form=form)),
        there(**extended(dialect, b"\x05\x12" + bytes(16) + b"\1\1", b"x" * 300, form)),
    ]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    (connection,) = found["connections"]
    assert (connection["edo"], connection["edo_kind"], connection["edo_units"]) == (
        "agreed",
        kind.value,
        units.value,
    )
    assert connection["edo_found"] == {"kind": True, "units": True}
    last = found["segments"][-1]
    assert names(last, "behind") == ["sack"]
    assert last["payload_length"] == 300
    assert last["faults"] == []


def test_an_extension_without_agreement_is_ignored(tmp_path: Path) -> None:
    dialect = Dialect()
    packets = [*opened(dialect, agreed=False), there(**extended(dialect, b"\1" * 20, b"data"))]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    assert found["connections"][0]["edo"] == "refused"
    last = found["segments"][-1]
    assert (last["header_length"], last["payload_length"]) == (28, 24)
    assert any("ignored" in note for note in last["notes"])


def test_a_missing_extension_is_a_fault_only_of_an_end_that_has_sent_one_and_never_of_a_reset(
    tmp_path: Path,
) -> None:
    dialect = Dialect()
    packets = [
        *opened(dialect),
        there(),
        back(),
        there(**extended(dialect)),
        there(payload=b"plain"),
        there(flags=RST),
        back(payload=b"plain"),
    ]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    drops = [[fault["drop"] for fault in one["faults"]] for one in found["segments"]]
    assert drops == [[], [], [], [], [], ["edo_missing"], [], []]
    assert any("turns EDO off" in note for note in found["segments"][2]["notes"])


# --- key-exchange messages ------------------------------------------------------------------------------------


def test_messages_are_put_together_in_any_order_and_repetitions_told(tmp_path: Path) -> None:
    message = Random(3).randbytes(500)
    packets = [
        *opened(Dialect()),
        clear(1, message, 200, 200),
        clear(1, message, 0, 200),
        clear(1, message, 400, 100),
        clear(1, message, 0, 200),
        clear(1, bytes(500), 0, 200),
    ]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    taken = [one["messages"][0] for one in found["segments"][2:]]
    assert [one["result"] for one in taken] == ["more", "more", "complete", "repeated", "differs"]
    assert taken[2]["segments"] == [3, 4, 5]
    assert [one["what"] for one in found["segments"][2:]] == ["key exchange"] * 5
    # 500 octets of chance are no hello.
    assert "message kind 1" in taken[2]["fault"]


def test_a_message_of_the_wrong_end_and_a_wrong_place_are_faults(tmp_path: Path) -> None:
    refuse = Refuse(3).encode()
    packets = [
        *opened(Dialect()),
        clear(2, b"answer", 0, 6),
        clear(8, refuse, 0, 2, server=True),
        clear(8, refuse, 0, 2, server=True, shift=5),
    ]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    wrong, right, moved = found["segments"][2:]
    assert wrong["messages"][0]["fault"] == "a message that this end may not send"
    assert [fault["drop"] for fault in wrong["faults"]] == ["ke_malformed"]
    assert right["messages"][0]["fields"] == {"reason": "3 (group)", "version": "1"}
    assert right["faults"] == []
    assert [(fault["offset"], fault["drop"]) for fault in moved["faults"]] == [(4, "clear_segment")]


# --- captures -------------------------------------------------------------------------------------------------


def test_a_port_used_again_is_another_connection_but_a_forged_syn_takes_nothing(tmp_path: Path) -> None:
    dialect = Dialect()
    packets = [
        *opened(dialect),
        there(**extended(dialect)),
        there(flags=SYN, seq=99, ack=0),
        there(**extended(dialect, b"\1\1\1\1", b"still the first")),
        there(flags=SYN, seq=70000, ack=0),
        back(flags=SYN | ACK, seq=80000, ack=70001),
        there(payload=b"the third", seq=70001),
    ]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    assert [one["connection"] for one in found["segments"]] == [1, 1, 1, 2, 1, 3, 3, 3]
    assert found["segments"][4]["payload_length"] == len("still the first")
    assert [one["edo"] for one in found["connections"]] == ["agreed", "not offered", "not offered"]


def test_a_capture_from_the_middle_takes_extensions_for_what_they_are(tmp_path: Path) -> None:
    dialect = Dialect(units=Units.OCTETS)
    packets = [back(), there(**extended(dialect, b"\1\1\1\1", b"abc")), back(**extended(dialect))]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    assert found["connections"][0]["edo"] == "unknown"
    assert found["connections"][0]["edo_units"] == "octets"
    assert [one["payload_length"] for one in found["segments"]] == [0, 3, 0]


def test_a_syn_ack_whose_syn_is_missing_still_has_its_roles(tmp_path: Path) -> None:
    dialect = Dialect()
    packets = [opened(dialect)[1], there(**extended(dialect))]
    found = report(str(capture(tmp_path / "x.pcapng", packets)))
    assert found["connections"][0]["edo"] == "agreed"
    assert found["connections"][0]["opener"] == "10.0.0.1:40000"


def test_filters_keep_what_the_others_taught(tmp_path: Path) -> None:
    other = packet(tcp(flags=SYN, ports=(9, 9)), bytes((10, 0, 0, 9)), SERVER)
    path = str(capture(tmp_path / "demo.pcapng", [other, *demo("ao-enc-dh")]))
    server = "10.82.0.2:80"
    whole = [one["n"] for one in report(path)["segments"]]
    assert [one["n"] for one in report(path, "--number", "2,4-5")["segments"]] == [2, 4, 5]
    assert [one["n"] for one in report(path, "--flow", "1")["segments"]] == [1]
    for flow in (server, "10.82.0.2", "2"):
        assert [one["n"] for one in report(path, "--flow", flow)["segments"]] == whole[1:]
    (answer,) = report(path, "--number", "4")["segments"]
    assert answer["what"] == "SYN-ACK"
    assert answer["header_length"] > answer["data_offset"]
    status, _, line = run(path, "--flow", "10.82.0.2:81")
    assert (status, line) == (2, f"edotun: {path}: no TCP segment for --flow 10.82.0.2:81\n")


def test_packets_that_were_cut_still_have_their_lengths(tmp_path: Path) -> None:
    """A capture of 96 octets a packet: Segment_Length and the true end are those of the wire."""
    dialect = Dialect()
    octets = there(**extended(dialect, b"\1" * 8, b"z" * 500, Form.LONG))
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 101)
    for one in (*opened(dialect), octets):
        kept = one[:96]
        data += struct.pack("<IIII", 5, 0, len(kept), len(one)) + kept
    path = tmp_path / "cut.pcap"
    path.write_bytes(data)
    last = report(str(path))["segments"][-1]
    assert (last["tcp_length"], last["captured"], last["header_length"], last["payload_length"]) == (
        536,
        76,
        36,
        500,
    )
    assert last["faults"] == []
    assert last["checksum"] == "unknown"


def test_loopback_and_fragments_and_others(tmp_path: Path) -> None:
    """Addresses that a stack refuses are what a capture on a loopback device has; fragments are put together."""
    local = packet(tcp(payload=b"x"), bytes((127, 0, 0, 1)), bytes((127, 0, 0, 1)))
    whole = there(payload=bytes(range(200)))
    parsed = parse(whole)
    assert not isinstance(parsed, str)
    first, last = (
        _fragment(whole, 0, whole[20:100], more=True),
        _fragment(whole, 80, whole[100:], more=False),
    )
    ping = bytearray(local)
    ping[9] = 1
    found = report(str(capture(tmp_path / "x.pcapng", [local, first, bytes(ping), last])))
    assert [(one["n"], one["payload_length"], one["checksum"]) for one in found["segments"]] == [
        (1, 1, "good"),
        (4, 200, "good"),
    ]
    assert found["other_packets"] == 2


def _fragment(whole: bytes, offset: int, payload: bytes, *, more: bool) -> bytes:
    from stack.checksum import checksum

    head = bytearray(whole[:20])
    head[2:4] = (20 + len(payload)).to_bytes(2)
    head[6:8] = ((0x2000 if more else 0) | offset // 8).to_bytes(2)
    head[10:12] = bytes(2)
    head[10:12] = checksum(bytes(head)).to_bytes(2)
    return bytes(head) + payload


def test_captures_of_linux_with_tcp_ao() -> None:
    """Between two Linux 6.12 kernels: nothing but TCP-AO, and not a fault."""
    found = report(str(CAPTURES / "v4-sha1.pcap"))
    assert found["connections"][0]["edo"] == "not offered"
    assert all(names(one, "inside")[0] == "ao" or "ao" in names(one, "inside") for one in found["segments"])
    assert [one["faults"] for one in found["segments"]] == [[]] * len(found["segments"])
    assert {one["checksum"] for one in found["segments"]} <= {"good", "unfinished"}


def test_what_is_no_capture_is_one_line(tmp_path: Path) -> None:
    for name, octets, fault in (
        ("cut", b"\xd4\xc3\xb2\xa1" + bytes(10), "the file header is cut"),
        ("none", b"\x00\xff\xfe", "neither a capture nor hex"),
        ("empty", struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 101), "no TCP segment"),
    ):
        path = tmp_path / name
        path.write_bytes(octets)
        status, out, line = run(str(path))
        assert (status, out, line.count("\n")) == (2, "", 1)
        assert fault in line
