"""``edotun options``: every octet accounted for, what fits said truly, the guide's pictures those that it draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from edo.rivals.base import Fields, Part, Space
from edo.rivals.registry import METHODS
from tests.tools.decode.support import capture, packet, report
from tools.cli.main import app
from tools.option_space.layouts import lay_out
from tools.option_space.wants import KINDS, parse

GUIDES = Path(__file__).parents[3] / "docs" / "guides"
EXAMPLE = "mss,ws,ts,sackok,ao:hmac-sha256-128,eno,ke:x25519,sack:16,raw:64"
LISTS = (
    "mss,ws,ts,sackok",
    EXAMPLE,
    "mss,ws,sackok,ts,eno,ke:X25519MLKEM768",
    "raw:255,raw:254@syn,raw:4,raw:3@data,raw:2,sack:31,tfo:16,uto:5,md5",
)


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["options", *arguments])
    return result.exit_code, result.stdout, result.stderr


def found(*arguments: str) -> dict[str, Any]:
    status, out, fault = call(*arguments, "--json")
    assert status == 0, fault
    parsed: dict[str, Any] = json.loads(out)
    return parsed


# --- names ----------------------------------------------------------------------------------------------------


def sizes(wanted: dict[str, Any]) -> dict[str, list[int]]:
    return {part: [want["octets"] for want in wants] for part, wants in wanted.items()}


def test_options_have_the_sizes_of_their_documents() -> None:
    """RFC 9293, 7323, 2018, 5925 with 128 bits, 8547, 5482, 7413; the hello and answer of profile.md §4."""
    assert sizes(found("--want", "ao:hmac-sha256-128,mss,ws,sackok,ts,eno,ke,uto,tfo:8,sack:4")["wanted"]) == {
        "syn": [20, 4, 3, 2, 10, 5, 98, 4, 10],
        "syn-ack": [20, 4, 3, 2, 10, 6, 93, 4],
        "data": [20, 10, 4, 34],
    }


@pytest.mark.parametrize(("ip", "octets"), [("4", 1376), ("6", 1396)])
def test_the_hybrid_s_out_of_band_segment_has_the_profile_s_size(ip: str, octets: int) -> None:
    """profile.md §6: with two suites and two groups, padded, IP header included."""
    (method,) = found("--want", "mss,ws,sackok,ts,eno,ke:X25519MLKEM768", "--method", "syn-eos", "--ip", ip)[
        "methods"
    ]
    (oob,) = [one for one in method["segments"] if one["title"] == "OOB"]
    assert oob["header"] + {"4": 20, "6": 40}[ip] == octets


def test_parts_and_arguments_can_be_named() -> None:
    wanted = found("--want", "mss:536,sack:2@syn+data,raw:64@syn-ack,raw:64@syn-ack,raw:2@data")["wanted"]
    assert [want["hex"] for want in wanted["syn"]] == ["02040218", "0512" + "00" * 16]
    first, second = (want["hex"] for want in wanted["syn-ack"][1:])
    assert len(first) == len(second) == 128
    # Two options of one size are two options.
    assert first != second
    assert sizes(wanted)["data"] == [18, 2]


def test_a_signature_stands_first_whatever_its_place() -> None:
    wanted = found("--want", "mss,ws,ao,ts")["wanted"]
    assert [want["name"] for want in wanted["syn"]] == ["ao", "mss", "ws", "ts"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--want", "mss,xyz"], "--want: 'xyz': 'xyz' is not one of mss, ws, sackok"),
        (["--want", ""], "--want: '': '' is not one of"),
        (["--want", "mss:70000"], "--want: 'mss:70000': mss '70000' is not a number of 0 to 65535"),
        (["--want", "ts:1"], "'ts:1': ts takes no argument"),
        (["--want", "raw"], "'raw': raw needs a number of 2 to 255"),
        (["--want", "raw:256"], "raw '256' is not a number of 2 to 255"),
        (["--want", "sack:32"], "sack '32' is not a number of 1 to 31"),
        (["--want", "ao:md4"], "ao 'md4' is not one of aes-128-cmac-96"),
        (["--want", "ke:p256"], "ke 'p256' is not one of x25519"),
        (["--want", "tfo:5"], "tfo '5' is no length of a cookie"),
        (["--want", "ts@fin"], "'ts@fin': 'fin' is not one of syn, syn-ack, data"),
        (["--want", "mss", "--method", "loic"], "--method: method 'loic' is not one of legacy, edo, syn-eos"),
        (["--want", "mss", "--mtu", "67"], "--mtu: 67 is not in 68-65535"),
        (["--want", "mss", "--ip", "5"], "--ip: 5 is not 4 or 6"),
        (["--want", "mss", "--edo-kind", "78"], "--edo-kind: '78' is not one of exid, 79/80, 237"),
        (["--want", "mss", "--svg", "/no/such/x.svg"], "--svg: cannot write /no/such/x.svg"),
        ([], "--want"),
    ],
)
def test_usage_faults_are_one_line(arguments: list[str], fault: str) -> None:
    status, out, line = call(*arguments)
    assert (status, out, line.count("\n")) == (2, "", 1)
    assert fault in line


# --- layouts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wants", LISTS)
@pytest.mark.parametrize("mtu", ["576", "1500", "9000"])
def test_every_octet_is_accounted_for(wants: str, mtu: str) -> None:
    """Cells follow each other; header and payload fill the MTU; each option is carried, promised or named."""
    for method in found("--want", wants, "--method", "all", "--mtu", mtu)["methods"]:
        for segment in method["segments"]:
            at = 0
            for cell in segment["cells"]:
                assert (cell["offset"], cell["hex"] is None or len(cell["hex"]) == 2 * cell["length"]) == (at, True)
                at += cell["length"]
            assert at == segment["header"]
            inside = [cell for cell in segment["cells"] if cell["zone"] in ("fixed", "inside")]
            assert sum(cell["length"] for cell in inside) == segment["data_offset"] or segment["data_offset"] == 0
            if segment["part"] == "data":
                assert segment["room"] + segment["header"] == int(mtu) - 20
                assert method["payload"] == segment["room"]
            assert segment["header"] <= int(mtu) - 20


@pytest.mark.parametrize("wants", LISTS)
def test_misfits_are_the_options_that_no_segment_carries(wants: str) -> None:
    report_ = found("--want", wants, "--method", "all")
    names = {part: [want["name"] for want in wants_] for part, wants_ in report_["wanted"].items()}
    for method in report_["methods"]:
        carried: dict[str, list[str]] = {"syn": [], "syn-ack": [], "data": []}
        for segment in method["segments"]:
            part = {"beside": "syn", "third": "third", "answer": "answer"}.get(segment["part"], segment["part"])
            if METHODS[method["name"]].completes:
                part = {"third": "syn", "answer": "syn-ack"}.get(part, part)
            carried.setdefault(part, []).extend(segment["carried"])
        for part, wanted in names.items():
            missing = [misfit["name"] for misfit in method["misfits"] if misfit["part"] == part]
            assert set(missing) == {name for name in wanted if name not in carried[part]}, (method["name"], part)


def test_an_option_of_the_syn_is_not_had_by_the_third_segment_s_copy() -> None:
    """Timestamps are agreed on in the SYN: room in the ACK helps only methods that complete the SYN there."""
    wants = "ao:hmac-sha256-128,mss,ws,sackok,eno,ts"
    methods = {one["name"]: one for one in found("--want", wants, "--method", "all")["methods"]}
    lacking = [
        name for name, one in methods.items() if ("syn", "ts") in {(m["part"], m["name"]) for m in one["misfits"]}
    ]
    assert lacking == ["legacy", "edo"]


def test_what_each_method_is_for() -> None:
    """Large options of the SYN: EDO has no room for them, SYN-EOS has, at the cost of one packet."""
    methods = {one["name"]: one for one in found("--want", EXAMPLE, "--method", "all")["methods"]}
    assert set(methods) == set(METHODS)
    assert "ke:x25519" in {misfit["name"] for misfit in methods["edo"]["misfits"] if misfit["part"] == "syn"}
    assert methods["syn-eos"]["misfits"] == []
    assert methods["syn-eos"]["packets"] == methods["edo"]["packets"] + 1
    assert [one["title"] for one in methods["syn-eos"]["segments"]] == ["SYN", "OOB", "SYN-ACK", "ACK", "data"]
    small = {one["name"]: one for one in found("--want", "mss,ws,sackok", "--method", "all")["methods"]}
    assert all(not method["misfits"] for method in small.values())


@pytest.mark.parametrize("name", ["legacy", "edo", "syn-eos", "four-way", "aggregated", "seg-u"])
@pytest.mark.parametrize("wants", LISTS[:3])
def test_the_layouts_are_what_decode_reads(tmp_path: Path, name: str, wants: str) -> None:
    """The octets of an exchange as a capture: decode finds the same ends of headers and the same options."""
    plain = Space()
    asked = parse(wants, plain)
    layout = lay_out(METHODS[name], asked.wanted, Space(authenticated=asked.authenticated))
    packets = []
    for segment in layout.segments:
        laid = segment.laid
        client = laid.sender == "client"
        fields = Fields(40000, 80, 1001, 5001, 9) if client else Fields(80, 40000, 5000, 1001, 9)
        if laid.part in (Part.SYN, Part.BESIDE):
            fields = Fields(40000, 80, 1000, 0, 9)
        elif client and laid.flags & 2:
            # In a four-way handshake the client's SYN-ACK has the number of its SYN.
            fields = Fields(40000, 80, 1000, 5001, 9)
        ends = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
        packets.append(packet(laid.segment(fields), *(ends if client else ends[::-1])))
    read = report(str(capture(tmp_path / "x.pcapng", packets)))["segments"]
    for segment, seen in zip(layout.segments, read, strict=True):
        assert (seen["header_length"], seen["payload_length"]) == (segment.header, 0), segment.title
        frame = ("NOP", "Length", "reserved")
        expected = [cell for cell in segment.cells if cell.zone != "fixed" and cell.label not in frame]
        options = [(option["offset"], option["length"]) for option in seen["options"]]
        assert options == [(cell.offset, cell.length) for cell in expected]


# --- text and pictures ----------------------------------------------------------------------------------------


def test_text_has_each_octet_in_its_column_and_what_does_not_fit() -> None:
    status, out, _ = call("--want", EXAMPLE, "--method", "edo")
    assert status == 0
    lines = out.splitlines()
    line = next(line for line in lines if "destination port" in line)
    assert line.index("??") - line.index("2") == len("2  ") + 2 * len("?? ")
    assert any("does not fit: ts (10 octets, syn), ke:x25519 (98 octets, syn)" in line for line in lines)
    assert any("payload of a full segment 1224 octets at MTU 1500" in line for line in lines)


def test_the_table_has_every_method() -> None:
    status, out, _ = call("--want", EXAMPLE, "--method", "all")
    assert status == 0
    for name in METHODS:
        assert f"│{name} " in out


def test_pictures_draw_every_octet_of_short_options(tmp_path: Path) -> None:
    """In its place: the n-th octet of a segment is drawn in column n mod 16."""
    path = tmp_path / "out.svg"
    assert call("--want", "mss,ws,sackok,ts", "--method", "edo", "--svg", str(path))[0] == 0
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    (method,) = found("--want", "mss,ws,sackok,ts", "--method", "edo")["methods"]
    octets = [
        ("··" if cell["hex"] is None else cell["hex"][2 * index : 2 * index + 2], (cell["offset"] + index) % 16)
        for segment in method["segments"]
        for cell in segment["cells"]
        for index in range(cell["length"])
    ]
    drawn = [
        (element.text, (float(element.attrib["x"]) - 66) / 44)
        for element in root.iter(f"{space}text")
        if (float(element.attrib["x"]) - 66) % 44 == 0
    ]
    assert drawn == octets
    width = float(root.attrib["width"])
    for box in root.iter(f"{space}rect"):
        assert float(box.attrib.get("x", 0)) + float(box.attrib["width"]) <= width


@pytest.mark.parametrize(("method", "name"), [("syn-eos", "option-space.svg"), ("all", "option-space-methods.svg")])
def test_the_guide_s_pictures_have_every_segment(method: str, name: str) -> None:
    """Drawn by the commands of the guide; where this fails they are to be drawn again."""
    words = "\n".join(ElementTree.parse(GUIDES / name).getroot().itertext())
    for one in found("--want", EXAMPLE, "--method", method)["methods"]:
        assert one["name"] in words
        for segment in one["segments"]:
            assert segment["title"] in words


def test_the_guide_names_every_option() -> None:
    text = (GUIDES / "option-space.md").read_text()
    for name in KINDS:
        assert f"`{name}" in text
    for name in METHODS:
        assert f"`{name}`" in text
