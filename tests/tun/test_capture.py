"""Captures, read back by scapy and by their own blocks (draft-ietf-opsawg-pcapng §3, 4)."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from scapy.utils import PcapNgReader

from stack.batch import Batch
from tests.stack.wire import Wire
from tun.capture import Capture
from tun.errors import TunError

V4 = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(b"four"))
V6 = bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP() / Raw(b"sixes"))


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """Cut a capture into (type, body), checking both lengths of each block."""
    found = []
    at = 0
    while at < len(data):
        kind, total = struct.unpack_from("<II", data, at)
        assert total % 4 == 0
        assert struct.unpack_from("<I", data, at + total - 4)[0] == total
        found.append((kind, data[at + 8 : at + total - 4]))
        at += total
    assert at == len(data)
    return found


def options(body: bytes) -> dict[int, bytes]:
    """Read options up to their end, which must be the end of the block."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        at += 4
        if code == 0:
            assert at == len(body)
            return found
        found[code] = body[at : at + length]
        at += length + -length % 4
    raise AssertionError("no end of options")


def test_blocks_and_options() -> None:
    file = io.BytesIO()
    capture = Capture(file, name="et0", epoch=1_700_000_000.0)
    capture.add([V4, V6], 12.000000345, outgoing=True, comments=[None, "ao_bad_mac"])
    capture.add([V4], 12.5, outgoing=False)
    section, interface, *packets = blocks(file.getvalue())
    assert section[0] == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    assert interface[0] == 1
    assert struct.unpack_from("<H", interface[1]) == (101,)
    assert options(interface[1][8:]) == {2: b"et0", 9: b"\x09"}
    assert [kind for kind, _ in packets] == [6, 6, 6]
    expected = [
        (V4, 1_700_000_012_000_000_345, {2: struct.pack("<I", 2)}),
        (V6, 1_700_000_012_000_000_345, {1: b"ao_bad_mac", 2: struct.pack("<I", 2)}),
        (V4, 1_700_000_012_500_000_000, {2: struct.pack("<I", 1)}),
    ]
    for (_, body), (packet, moment, end) in zip(packets, expected, strict=True):
        number, high, low, kept, original = struct.unpack_from("<IIIII", body)
        assert (number, kept, original) == (0, len(packet), len(packet))
        assert (high << 32) + low == moment
        assert body[20 : 20 + len(packet)] == packet
        assert options(body[20 + len(packet) + -len(packet) % 4 :]) == end
    assert capture.packets == 3


def test_scapy_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "one.pcapng"
    with Capture(path) as capture:
        capture.add([memoryview(bytearray(V4)), V6], 1.25, outgoing=False, comments=["why: ünïcode", None])
        capture.close()
    with PcapNgReader(str(path)) as reader:
        first, second = list(reader)
    assert (bytes(first), bytes(second)) == (V4, V6)
    assert isinstance(first, IP)
    assert float(first.time) == 1.25
    comments = first.comments if hasattr(first, "comments") else [first.comment]
    assert [one.decode() for one in comments] == ["why: ünïcode"]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_shows_the_reasons(tmp_path: Path) -> None:
    """A dropped packet's comment stands beside it in the tools that people use."""
    path = tmp_path / "drops.pcapng"
    world = Wire()
    world.server.dropped = []
    attempt, _ = world.open()
    attempt.write(b"x" * 3000)
    world.run(1.0)
    good = next(packet for _, from_client, packet in world.sent if from_client and len(packet) > 1000)
    bad = bytearray(good)
    bad[-1] ^= 1
    world.server.receive(Batch([good, bytes(bad)]), world.now)
    comments: list[str | None] = [None, None]
    for index, reason in world.server.dropped:
        comments[index] = reason
    with Capture(path) as capture:
        capture.add([good, bytes(bad)], 1.0, outgoing=False, comments=comments)
    command = [
        "tshark",
        "-r",
        str(path),
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "tcp.len",
        "-e",
        "frame.comment",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    length = len(good) - 20 - ((good[32] >> 4) << 2)
    assert [line.split("\t") for line in shown.splitlines()] == [
        ["1", str(length), ""],
        ["2", str(length), "bad_checksum"],
    ]


def test_a_batch_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "one.pcapng"
    with Capture(path) as capture:
        before = path.stat().st_size
        capture.add([V4], 0.0, outgoing=True)
        assert path.stat().st_size > before > 0


def test_a_given_file_stays_open() -> None:
    file = io.BytesIO()
    with Capture(file):
        pass
    assert not file.closed


@given(st.lists(st.binary(max_size=70), max_size=5), st.text(max_size=30))
def test_any_octets_keep_the_blocks_whole(packets: list[bytes], comment: str) -> None:
    file = io.BytesIO()
    Capture(file).add(packets, 1.0, outgoing=True, comments=[comment] * len(packets))
    found = blocks(file.getvalue())[2:]
    assert len(found) == len(packets)
    for (_, body), packet in zip(found, packets, strict=True):
        assert body[20 : 20 + len(packet)] == packet
        assert options(body[20 + len(packet) + -len(packet) % 4 :]).get(1, b"").decode() == comment


def test_a_long_comment_is_cut_between_characters() -> None:
    file = io.BytesIO()
    Capture(file).add([V4], 1.0, outgoing=True, comments=["€" * 30_000])
    _, body = blocks(file.getvalue())[2]
    comment = options(body[20 + len(V4) + -len(V4) % 4 :])[1].decode()
    assert set(comment) == {"€"}
    assert 60_000 < 3 * len(comment) <= 65_535


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TunError, match=r"cannot write capture .*nowhere/x\.pcapng: No such file"):
        Capture(tmp_path / "nowhere" / "x.pcapng")
