"""Captures as tshark decodes them and as ``edotun decode`` does: the same options, lengths and values."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from tests.edo.test_scapy_options import NAMES, scapy_option
from tests.tools.decode.support import capture, demo, report
from tests.tools.wireshark.shark import fields

pytestmark = pytest.mark.programs("tshark")

CAPTURES = Path(__file__).parents[2] / "data" / "captures"
# tshark's field, our option, our field.
SAME = (
    ("tcp.options.mss_val", "mss", "mss"),
    ("tcp.options.wscale.shift", "wscale", "shift"),
    ("tcp.options.timestamp.tsval", "timestamps", "ts_val"),
    ("tcp.options.timestamp.tsecr", "timestamps", "ts_ecr"),
    ("tcp.options.ao.keyid", "ao", "key_id"),
    ("tcp.options.ao.rnextkeyid", "ao", "rnext_key_id"),
    ("tcp.options.ao.mac", "ao", "mac"),
    ("tcp.options.md5.digest", "md5", "digest"),
)
HEADER = (
    ("tcp.srcport", "src"),
    ("tcp.dstport", "dst"),
    ("tcp.seq_raw", "seq"),
    ("tcp.ack_raw", "ack"),
    ("tcp.window_size_value", "window"),
    ("tcp.hdr_len", "data_offset"),
    ("tcp.len", "behind"),
)
OTHERS = (
    "tcp.option_kind",
    "tcp.option_len",
    "tcp.options.sack_le",
    "tcp.options.sack_re",
    "tcp.options.tfo.cookie",
)
_NAMES = [name for name, *_ in (*SAME, *HEADER)] + list(OTHERS)


def ours(segment: dict[str, Any]) -> dict[str, list[str]]:
    """One segment of our report as tshark's fields; what the two do not both have is left out."""
    inside = [option for option in segment["options"] if option["area"] == "inside"]
    nops = [row for row in segment["layout"] if row["area"] == "inside" and row["name"] == "NOP"]
    # tshark goes on behind the end of the list, and calls each zero there another end.
    ends = [row for row in segment["layout"] if row["name"] in ("End of Option List", "padding")]
    kinds = [(option["offset"], option["kind"]) for option in inside]
    kinds += [(row["offset"] + index, 1) for row in nops for index in range(row["length"])]
    kinds += [(row["offset"] + index, 0) for row in ends for index in range(row["length"])]
    found = {name: [] for name in _NAMES} | {
        field: [str(option["fields"][part]) for option in inside if option["name"] == name]
        for field, name, part in SAME
    }
    blocks = [block for option in inside if option["name"] == "sack" for block in option["fields"]["blocks"]]
    found["tcp.options.sack_le"] = [str(left) for left, _ in blocks]
    found["tcp.options.sack_re"] = [str(right) for _, right in blocks]
    found["tcp.options.tfo.cookie"] = [
        option["fields"]["cookie"] for option in inside if option["name"] == "fast_open" and option["length"] > 2
    ]
    found["tcp.option_kind"] = [str(kind) for _, kind in sorted(kinds)]
    found["tcp.option_len"] = [str(option["length"]) for option in inside]
    behind = segment["tcp_length"] - segment["data_offset"]
    for name, part in HEADER:
        value = behind if part == "behind" else segment[part]
        found[name] = [str(value).rpartition(":")[2]]
    return found


def agree(path: Path) -> int:
    """Compare all segments of a capture; how many options they have."""
    segments = report(str(path))["segments"]
    theirs = fields(path, _NAMES, "-o", "tcp.relative_sequence_numbers:FALSE", script=False)
    assert len(theirs) == len(segments) > 0
    for row, segment in zip(theirs, segments, strict=True):
        expected = ours(segment)
        seen = {name: row[name] for name in expected}
        assert seen == expected, (segment["n"], segment["layout"])
    return sum(len(segment["options"]) for segment in segments)


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_connections_of_ours(tmp_path: Path, protect: str) -> None:
    assert agree(capture(tmp_path / "demo.pcapng", demo(protect))) > 15


@pytest.mark.parametrize("name", ["v4-cmac-noopts", "v6-sha256", "v4-wrongkey"])
def test_connections_of_linux(name: str) -> None:
    assert agree(CAPTURES / f"{name}.pcap") >= 9


@pytest.mark.parametrize("seed", [1, 2])
def test_headers_of_scapy(tmp_path: Path, seed: int) -> None:
    """Random combinations of all standard options and unknown ones, each header of a connection of its own."""
    chance = random.Random(seed)
    packets = []
    for port in range(150):
        options: list[tuple[Any, Any]] = []
        for name in chance.choices(NAMES, k=chance.randrange(1, 9)):
            longer = [*options, scapy_option(chance, name)]
            if len(bytes(TCP(options=longer))) <= 60:
                options = longer
        head = IP(src="10.0.0.1", dst="10.0.0.2")
        packets.append(bytes(head / TCP(sport=2000 + port, flags=chance.choice(("S", "A")), options=options)))
    assert agree(capture(tmp_path / f"seed-{seed}.pcapng", packets)) > 300
