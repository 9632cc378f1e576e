"""Captures read back: pcap and pcapng of either byte order (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

Everything is checked against the file's length, so no file makes more memory than its own size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_SIMPLE: Final = 3
_PACKET: Final = 6
_BYTE_ORDER: Final = 0x1A2B3C4D
_OPTION_COMMENT: Final = 1
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14
_NANO: Final = 1_000_000_000

# First octets of a pcap file: byte order and nanoseconds for one unit of its fractions.
_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}

ETHERNET: Final = 1
_TAGS = (0x8100, 0x88A8)
# Octets before the IP packet by link type; Ethernet is looked at more closely.
_LINK_OCTETS = {0: 4, 101: 0, 12: 0, 14: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}


class CaptureError(ValueError):
    """A file is no capture, or is damaged; the message is one line."""


class Captured:
    """One packet: ``when`` in nanoseconds since 1970, its octets with link layer, link type, first comment.

    ``octets`` on the wire may be more than ``len(data)`` where the capture cut it.
    """

    __slots__ = ("comment", "data", "link_type", "octets", "when")

    def __init__(self, when: int, data: memoryview, octets: int, link_type: int, comment: str) -> None:
        self.when = when
        self.data = data
        self.octets = octets
        self.link_type = link_type
        self.comment = comment

    def ip_packet(self) -> memoryview | None:
        """Return what follows the link layer where that is IPv4 or IPv6 by its first octet, else None."""
        start = _LINK_OCTETS.get(self.link_type, -1)
        if self.link_type == ETHERNET:
            start = 14
            while len(self.data) >= start + 4 and int.from_bytes(self.data[start - 2 : start], "big") in _TAGS:
                start += 4
        if not 0 <= start < len(self.data) or self.data[start] >> 4 not in (4, 6):
            return None
        return self.data[start:]


def read_capture(path: str | Path) -> Iterator[Captured]:
    """Yield a file's packets in its order. Raises CaptureError where the file is none or ends in a block."""
    try:
        data = memoryview(Path(path).read_bytes())
    except OSError as error:
        raise CaptureError(f"cannot read {path}: {error.strerror}") from None
    try:
        yield from parse_capture(data)
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from None


def parse_capture(data: memoryview) -> Iterator[Captured]:
    """Yield the packets of a capture in memory. Raises CaptureError as ``read_capture`` does."""
    magic = bytes(data[:4])
    if magic in _PCAP_MAGIC:
        return _parse_pcap(data, *_PCAP_MAGIC[magic])
    if magic == struct.pack(">I", _SECTION):
        return _parse_pcapng(data)
    raise CaptureError("not a pcap or pcapng file")


def _parse_pcap(data: memoryview, order: str, unit: int) -> Iterator[Captured]:
    if len(data) < 24:
        raise CaptureError("the file header is cut")
    link_type = int(struct.unpack_from(order + "I", data, 20)[0]) & 0xFFFF
    record = struct.Struct(order + "IIII")
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise CaptureError(f"the record at octet {at} is cut")
        seconds, fraction, kept, octets = record.unpack_from(data, at)
        at += 16
        if at + kept > len(data):
            raise CaptureError(f"the packet at octet {at} is cut")
        yield Captured(seconds * _NANO + fraction * unit, data[at : at + kept], octets, link_type, "")
        at += kept


class _Interface:
    """Link type, units per second, and seconds to add, of an interface of a section."""

    __slots__ = ("link_type", "offset", "snap", "units")

    def __init__(self, body: memoryview, order: str) -> None:
        if len(body) < 8:
            raise CaptureError("an interface block is cut")
        self.link_type, _, self.snap = struct.unpack_from(order + "HHI", body)
        self.units = 1_000_000
        self.offset = 0
        for code, value in _options(body[8:], order):
            if code == _OPTION_RESOLUTION and len(value) == 1:
                self.units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** (value[0] & 0x7F)
            elif code == _OPTION_OFFSET and len(value) == 8:
                self.offset = int(struct.unpack(order + "q", value)[0])


def _parse_pcapng(data: memoryview) -> Iterator[Captured]:
    order = "<"
    interfaces: list[_Interface] = []
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            raise CaptureError(f"the block at octet {at} is cut")
        if int.from_bytes(data[at : at + 4], "big") == _SECTION:
            order = _byte_order(data, at)
            interfaces = []
        kind, total = struct.unpack_from(order + "II", data, at)
        if total < 12 or total & 3 or at + total > len(data):
            raise CaptureError(f"the block at octet {at} has a bad length")
        body = data[at + 8 : at + total - 4]
        if kind == _INTERFACE:
            interfaces.append(_Interface(body, order))
        elif kind == _PACKET:
            yield _packet(body, order, interfaces)
        elif kind == _SIMPLE:
            yield _simple_packet(body, order, interfaces)
        at += total


def _byte_order(data: memoryview, at: int) -> str:
    mark = data[at + 8 : at + 12]
    for order in "<>":
        if struct.unpack_from(order + "I", mark)[0] == _BYTE_ORDER:
            return order
    raise CaptureError(f"the section at octet {at} has no byte order")


def _packet(body: memoryview, order: str, interfaces: list[_Interface]) -> Captured:
    if len(body) < 20:
        raise CaptureError("a packet block is cut")
    number, high, low, kept, octets = struct.unpack_from(order + "IIIII", body)
    if number >= len(interfaces) or 20 + kept > len(body):
        raise CaptureError("a packet block is damaged")
    interface = interfaces[number]
    when = interface.offset * _NANO + ((high << 32) + low) * _NANO // interface.units
    comment = ""
    for code, value in _options(body[20 + kept + (-kept & 3) :], order):
        if code == _OPTION_COMMENT:
            comment = bytes(value).decode(errors="replace")
            break
    return Captured(when, body[20 : 20 + kept], octets, interface.link_type, comment)


def _simple_packet(body: memoryview, order: str, interfaces: list[_Interface]) -> Captured:
    if len(body) < 4 or not interfaces:
        raise CaptureError("a packet block is damaged")
    octets = int(struct.unpack_from(order + "I", body)[0])
    snap = interfaces[0].snap
    kept = min(octets, snap) if snap else octets
    if 4 + kept > len(body):
        raise CaptureError("a packet block is cut")
    return Captured(0, body[4 : 4 + kept], octets, interfaces[0].link_type, "")


def _options(area: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 4 <= len(area):
        code, length = struct.unpack_from(order + "HH", area, at)
        at += 4
        if code == 0:
            return
        if at + length > len(area):
            raise CaptureError("an option is cut")
        yield code, area[at : at + length]
        at += length + (-length & 3)
