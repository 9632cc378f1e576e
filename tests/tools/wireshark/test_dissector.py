"""The dissector under tshark: every header ends where ``edotun decode`` finds its end, with the same payload.

tshark's own tcp.hdr_len and tcp.len remain those of Data Offset.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ao.messages import Answer, Hello, Refuse, Rekey, Retry
from ao.report import Report
from ao.suite import Suite
from edo.codepoints import Dialect, EdoKind, Units
from edo.plan import Form
from edo.rivals.base import Fields, Part, Space, Want, Wanted
from edo.rivals.registry import METHODS
from tests.tools.decode.support import (
    ACK,
    CLIENT,
    RST,
    SERVER,
    SYN,
    back,
    capture,
    clear,
    demo,
    extended,
    moved,
    opened,
    packet,
    padded,
    report,
    there,
)
from tests.tools.wireshark.shark import EXPERT, fields

pytestmark = pytest.mark.programs("tshark")

ENDS = ("edotun.header_length", "edotun.payload_length", "edotun.payload", "edotun.what", "tcp.hdr_len", "tcp.len")
CHANCE = random.Random(5)


def payload_of(octets: bytes, segment: dict[str, Any]) -> str:
    """The payload's octets in hex, found by where our own reader says that it begins."""
    return octets[20 + segment["header_length"] :].hex()


def same_ends(packets: list[bytes], path: Path, *preferences: str, arguments: tuple[str, ...] = ()) -> list[Any]:
    """Compare tshark's rows with our own report, and return both for each packet."""
    capture(path, packets)
    ours = report(str(path), *arguments)["segments"]
    rows = fields(path, ENDS, *preferences)
    assert len(rows) == len(ours) == len(packets)
    for row, segment, octets in zip(rows, ours, packets, strict=True):
        assert row["edotun.header_length"] == [str(segment["header_length"])], segment
        assert row["edotun.payload_length"] == [str(segment["payload_length"])]
        assert "".join(row["edotun.payload"]) == payload_of(octets, segment)
        assert row["edotun.what"] == [segment["what"]]
        assert row["tcp.hdr_len"] == [str(segment["data_offset"])]
        assert row["tcp.len"] == [str(segment["tcp_length"] - segment["data_offset"])]
    return list(zip(rows, ours, strict=True))


def scenarios() -> list[list[bytes]]:
    """Connections in every dialect, refused ones, one from the middle, missing and impossible Extensions."""
    found = []
    for kind in EdoKind:
        for units in Units:
            dialect = Dialect(kind=kind, units=units)
            sack = padded(b"\x05\x12" + CHANCE.randbytes(16))
            connection = opened(dialect)
            for form in Form:
                connection += [
                    there(**extended(dialect, form=form)),
                    there(**extended(dialect, sack, CHANCE.randbytes(300), form)),
                    back(**extended(dialect, sack * 9, b"answer", form)),
                ]
            found.append(connection)
    dialect = Dialect()
    behind = b"\1" * 24
    found += [
        [*opened(dialect, agreed=False), there(**extended(dialect, behind, b"data"))],
        [there(**extended(dialect, behind, b"from the middle")), back(payload=b"plain"), back(flags=RST)],
        [
            *opened(dialect),
            there(),
            back(**extended(dialect, behind)),
            back(payload=b"no Extension"),
            back(flags=RST),
        ],
    ]
    for option in (
        "fe080ed00006001c",
        "fe080ed000ff001c",
        "fe080ed00007001b",
        "fe070ed000070001",
        "fe060ed00007" * 2,
    ):
        octets = padded(bytes.fromhex(option))
        found.append([*opened(dialect), there(octets), there(octets, b"payload")])
    eos = bytes.fromhex("fe045e05")
    confirms = eos + bytes.fromhex("fe080ed0000a0028")
    syn = there(padded(dialect.supported()) + eos, flags=SYN, seq=1000, ack=0)
    found += [
        [
            syn,
            there(eos, b"\x22\x06abcd\x01\x01", flags=0, seq=1000, ack=0),
            back(confirms, behind=b"\1" * 8, flags=SYN | ACK, seq=5000),
            there(**extended(dialect, behind, b"data")),
        ],
        [syn, back(confirms[4:], behind=b"\1" * 12, flags=SYN | ACK, seq=5000)],
        [there(flags=SYN, seq=1000, ack=0), back(confirms, behind=b"\1" * 8, flags=SYN | ACK, seq=5000)],
    ]
    found.append(four_way())
    return found


def four_way() -> list[bytes]:
    """A four-way handshake whose options need an Extension in both SYN-ACKs (draft-borman-tcp4way-00)."""
    large = Want("large", bytes((200, 60)) + bytes(58))
    laid = METHODS["four-way"].exchange(Wanted((large,), (large,), (large,)), Space())
    packets = []
    known = {Part.SYN: (1000, 0), Part.SYN_ACK: (5000, 1001), Part.THIRD: (1000, 5001)}
    for one in laid:
        numbers = known.get(one.part, (1001, 5001))
        ports = (40000, 80) if one.sender == "client" else (80, 40000)
        if one.sender == "server" and one.part is not Part.SYN_ACK:
            numbers = numbers[::-1]
        segment = one.segment(Fields(*ports, *numbers, 9))
        packets.append(packet(segment) if one.sender == "client" else packet(segment, SERVER, CLIENT))
    return packets


def test_every_header_ends_where_ours_does(tmp_path: Path) -> None:
    packets = [one for number, made in enumerate(scenarios()) for one in moved(made, 41000 + number)]
    rows = same_ends(packets, tmp_path / "all.pcapng")
    extended_rows = [row for row, ours in rows if ours["header_length"] > ours["data_offset"]]
    assert len(extended_rows) > 25
    # Nothing is told of sound segments, and something of each that a stack drops.
    for row, ours in rows:
        told = [text for text in row[EXPERT] if text.startswith("octet ")]
        assert bool(told) == any(fault["drop"] for fault in ours["faults"]), (told, ours["faults"])


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_the_demonstration(tmp_path: Path, protect: str) -> None:
    """Of a protected download: the extended SYN-ACK ends at 156 octets, where Data Offset says 60."""
    rows = same_ends(list(demo(protect)), tmp_path / "demo.pcapng")
    assert sum(ours["payload_length"] for _, ours in rows) >= 6000
    longer = [ours["what"] for _, ours in rows if ours["header_length"] > ours["data_offset"]]
    # Behind the key exchange each side tells what it saw of the other's SYN, until it is told that this was heard.
    assert longer[:2] == ([] if protect == "none" else ["out-of-band", "SYN-ACK"])
    assert len(longer) < 10


@pytest.mark.parametrize("kind", list(EdoKind))
@pytest.mark.parametrize("units", list(Units))
def test_a_dialect_that_preferences_name(tmp_path: Path, kind: EdoKind, units: Units) -> None:
    """Segments of chance from the middle of a connection, where nothing but the preference says what they are."""
    chance = random.Random(f"{kind.value}{units.value}")
    dialect = Dialect(kind=kind, units=units)
    packets = []
    for _ in range(40):
        made = extended(
            dialect,
            padded(chance.randbytes(chance.randrange(0, 90)) if chance.random() < 0.5 else b""),
            chance.randbytes(chance.randrange(0, 200)),
            chance.choice(list(Form)),
        )
        octets = bytearray(made["options"])
        if chance.random() < 0.4:
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        packets.append(there(**(made | {"options": bytes(octets)})))
    preferences = ("-o", f"edotun.edo_kind:{kind.value}", "-o", f"edotun.edo_units:{units.value}")
    same_ends(
        packets,
        tmp_path / "x.pcapng",
        *preferences,
        arguments=("--edo-kind", kind.value, "--edo-units", units.value),
    )


# --- what is told of options and messages ---------------------------------------------------------------------


def test_options_behind_data_offset_are_told(tmp_path: Path) -> None:
    dialect = Dialect()
    behind = bytes.fromhex(
        "0512 00000001 00000002 00000003 00000004 0101 080a 0000000a 0000000b 1d10 0102".replace(" ", "")
    )
    path = capture(
        tmp_path / "x.pcapng", [*opened(dialect), there(**extended(dialect, padded(behind + bytes(12))))]
    )
    wanted = {
        "edotun.sack.left": ["1", "3"],
        "edotun.sack.right": ["2", "4"],
        "edotun.sack.count": ["2"],
        "edotun.tsval": ["10"],
        "edotun.tsecr": ["11"],
        "edotun.ao.key_id": ["1"],
        "edotun.ao.rnext_key_id": ["2"],
        "edotun.ao.mac": ["00" * 12],
        "edotun.edo": ["agreed"],
        "edotun.edo.kind": ["exid"],
        "edotun.edo.units": ["words"],
        "edotun.edo.header_length": ["19"],
        "tcp.options.sack_le": [],
    }
    row = fields(path, list(wanted))[-1]
    assert {name: row[name] for name in wanted} == wanted


ENO_A, ENO_B = bytes.fromhex("4505a0ed01"), bytes.fromhex("450601a0ed01")
HELLO = Hello(
    1, bytes(range(32)), 1000, ENO_A, (Suite(1, 1), Suite(2, 3)), (29, 4588), 29, b"\x11" * 32, (b"\x07" * 16,)
)
REPORT = Report(1, bytes((10, 0, 0, 7)), 40000, 2, 0, 63, 4096, bytes.fromhex("020405b4")).encode()
ANSWER = Answer(5, bytes(32), 5000, ENO_B, Suite(1, 1), 29, b"\x22" * 32)


def test_key_exchange_messages_are_put_together_and_told(tmp_path: Path) -> None:
    hello, answer = HELLO.encode(), ANSWER.encode()
    packets = [
        *opened(Dialect()),
        clear(1, hello, 60, len(hello) - 60),
        clear(1, hello, 0, 60),
        clear(1, hello, 0, 60),
        clear(2, answer, 0, len(answer), server=True),
        clear(3, Retry(1, ENO_B, 23).encode(), 0, 12, server=True),
        clear(5, Rekey(3, bytes(32), 29, b"\x33" * 32).encode(), 0, 70),
        clear(5, Rekey(4, bytes(32), 29, b"\x44" * 32).encode(), 0, 70),
        clear(8, Refuse(3).encode(), 0, 2),
        clear(7, REPORT, 0, len(REPORT)),
        clear(1, bytes(len(hello)), 0, 60),
        clear(4, b"\1\1 no hello", 0, 6),
        clear(4, b"\1\2 no hello", 1, 10),
        clear(4, b"\1\1 no hello", 6, 5),
    ]
    names = [
        "edotun.message.result",
        "edotun.message.kind",
        "edotun.message.share",
        "edotun.message.random",
        "edotun.message.isn",
        "edotun.message.mac",
        "edotun.message.cipher",
        "edotun.message.group_offered",
        "edotun.message.group",
        "edotun.message.eno",
        "edotun.message.ticket",
        "edotun.message.ticket_index",
        "edotun.message.reason",
        "edotun.message.generation",
        "edotun.report.source",
        "edotun.report.ttl",
        "edotun.report.window",
        "edotun.report.options",
    ]
    rows = same_ends(packets, tmp_path / "ke.pcapng")
    told = fields(tmp_path / "ke.pcapng", names)[2:]
    for row, (_, ours) in zip(told, rows[2:], strict=True):
        assert row["edotun.message.result"] == [message["result"] for message in ours["messages"]]
    first, whole, again, answered, retry, rekey, next_rekey, refuse, told_of, other, _, overlap, malformed = told
    assert [first["edotun.message.kind"], again["edotun.message.kind"]] == [[], []]
    assert whole["edotun.message.share"] == ["11" * 32]
    assert whole["edotun.message.random"] == [bytes(range(32)).hex()]
    assert whole["edotun.message.isn"] == ["1000"]
    assert (whole["edotun.message.mac"], whole["edotun.message.cipher"]) == (["1", "2"], ["1", "3"])
    assert (whole["edotun.message.group_offered"], whole["edotun.message.group"]) == (["29", "4588"], ["29"])
    assert (whole["edotun.message.eno"], whole["edotun.message.ticket"]) == ([ENO_A.hex()], ["07" * 16])
    assert answered["edotun.message.share"] == ["22" * 32]
    assert answered["edotun.message.ticket_index"] == ["255"]
    assert (retry["edotun.message.group"], retry["edotun.message.eno"]) == (["23"], [ENO_B.hex()])
    assert [one["edotun.message.generation"] for one in (rekey, next_rekey)] == [["3"], ["4"]]
    assert next_rekey["edotun.message.share"] == ["44" * 32]
    assert refuse["edotun.message.reason"] == ["3"]
    assert [told_of[f"edotun.report.{name}"] for name in ("source", "ttl", "window", "options")] == [
        ["0a000007"],
        ["63"],
        ["4096"],
        ["020405b4"],
    ]
    fields_ = rows[-5][1]["messages"][0]["fields"]
    assert (fields_["source"], fields_["options"]) == ("10.0.0.7, port 40000", "02 04 05 b4")
    assert other["edotun.message.result"] == ["differs"]
    assert overlap["edotun.message.result"] == ["malformed"]
    assert any("cannot be parsed" in text for text in malformed[EXPERT])


def test_the_demonstration_s_eno_and_shares(tmp_path: Path) -> None:
    path = capture(tmp_path / "demo.pcapng", demo("ao-enc-dh"))
    names = [
        "edotun.eno.tep",
        "edotun.eno.version",
        "edotun.eno.b",
        "edotun.message.share",
        "_ws.col.Info",
        "edotun.syn_eos",
    ]
    rows = fields(path, names)
    ours = report(str(path))["segments"]
    assert rows[0]["edotun.eno.tep"] == ["0x20"]
    assert rows[0]["edotun.eno.version"] == ["1"]
    assert rows[2]["edotun.eno.b"] == ["1"]
    assert [bool(row["edotun.syn_eos"]) for row in rows[:4]] == [True, True, True, False]
    for row, segment in zip(rows, ours, strict=True):
        shares = [
            message["fields"]["share"].split()[0] for message in segment["messages"] if "share" in message["fields"]
        ]
        assert row["edotun.message.share"] == shares
    assert "[out-of-band hello complete]" in "".join(rows[1]["_ws.col.Info"])
    assert "Hdr=156 Data=0" in "".join(rows[2]["_ws.col.Info"])


def test_headers_that_icmp_quotes_and_segments_that_were_cut_do_no_harm(tmp_path: Path) -> None:
    dialect = Dialect()
    whole = there(**extended(dialect, b"\1" * 24, b"z" * 900))
    quoted = b"\x03\x04\0\0" + (576).to_bytes(4) + whole[:60]
    head = bytearray(whole[:20])
    head[2:4], head[9] = (20 + len(quoted)).to_bytes(2), 1
    path = capture(tmp_path / "x.pcapng", [*opened(dialect), bytes(head) + quoted, whole, there()])
    rows = fields(path, ["edotun.header_length", "edotun.payload_length"])
    assert [row["edotun.header_length"] for row in rows[3:]] == [["52"], ["20"]]
    assert rows[3]["edotun.payload_length"] == ["900"]
