"""Captures of either kind and byte order, made by hand, by scapy and by our writer."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet
from scapy.utils import PcapNgWriter, wrpcap

from tun.capture import Capture
from tun.capture_reader import Captured, CaptureError, parse_capture, read_capture

V4 = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP())
V6 = bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP())


def written(*comments: str | None) -> bytes:
    file = io.BytesIO()
    capture = Capture(file, epoch=1_700_000_000)
    capture.add([V4] * len(comments), 0.25, outgoing=True, comments=comments)
    return file.getvalue()


def parsed(data: bytes) -> list[Captured]:
    return list(parse_capture(memoryview(data)))


def test_our_own_capture() -> None:
    first, second = parsed(written("one", None))
    assert (first.when, first.comment, first.link_type, first.octets) == (1_700_000_000_250_000_000, "one", 101, 28)
    assert first.ip_packet() == V4
    assert second.comment == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_of_both_orders_and_resolutions(order: str, magic: int, unit: int) -> None:
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 228)
    data += struct.pack(order + "IIII", 12, 345, len(V4), 1500) + V4
    (packet,) = parsed(data)
    assert (packet.when, packet.octets, packet.ip_packet()) == (12_000_000_000 + 345 * unit, 1500, V4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("options", "nanoseconds"),
    [
        (b"", 5_000_000),  # microseconds where nothing is said
        ([(9, b"\x03")], 5_000_000_000),
        ([(9, b"\x8a")], 5000 * 1_000_000_000 // 1024),
        ([(9, b"\x09"), (14, 7)], 7_000_005_000),
    ],
)
def test_pcapng_of_both_orders_and_resolutions(
    order: str, options: list[tuple[int, object]], nanoseconds: int
) -> None:
    def block(kind: int, body: bytes) -> bytes:
        total = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + total + body + total

    area = b""
    for code, value in options:
        octets = value if isinstance(value, bytes) else struct.pack(order + "q", value)
        area += struct.pack(order + "HH", code, len(octets)) + octets + bytes(-len(octets) % 4)
    data = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, struct.pack(order + "HHI", 101, 0, 100) + area)
    data += block(0x99, b"unknown.")
    data += block(6, struct.pack(order + "IIIII", 0, 0, 5000, len(V4), 99) + V4)
    data += block(3, struct.pack(order + "I", 2000) + V6 + bytes(100 - len(V6)))
    first, second = parsed(data)
    assert (first.when, first.octets, first.ip_packet()) == (nanoseconds, 99, V4)
    assert (len(second.data), second.octets) == (100, 2000)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Ether() / IP(V4), V4),
        (Ether() / IPv6(V6), V6),
        (Ether() / Dot1Q(vlan=5) / IP(V4), V4),
        (Ether() / ARP(), None),
    ],
)
def test_ethernet(tmp_path: Path, frame: Packet, expected: bytes | None) -> None:
    path = tmp_path / "one.pcap"
    wrpcap(str(path), [frame])
    (packet,) = read_capture(path)
    assert packet.ip_packet() == expected
    other = tmp_path / "one.pcapng"
    with PcapNgWriter(str(other)) as writer:
        writer.write(frame)
    (packet,) = read_capture(other)
    assert packet.ip_packet() == expected


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"cannot read .*none: No such file"):
        list(read_capture(tmp_path / "none"))
    path = tmp_path / "bad"
    path.write_bytes(b"something else")
    with pytest.raises(CaptureError, match=r"bad: not a pcap or pcapng file"):
        list(read_capture(path))
    path.write_bytes(written("x")[:-1])
    with pytest.raises(CaptureError, match=r"has a bad length"):
        list(read_capture(path))


PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 2, 40, 40) + bytes(40)


@given(
    st.sampled_from([written("one", None), PCAP]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
)
def test_damage_is_an_error_or_packets(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    octets = bytearray(data)
    for at, value in changes:
        octets[at % len(octets)] = value
    with contextlib.suppress(CaptureError):
        for packet in parsed(bytes(octets[: max(0, len(octets) - cut)])):
            packet.ip_packet()
