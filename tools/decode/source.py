"""Where segments come from: hex of any of the usual forms, or a capture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from stack import ip
from stack.batch import Octets
from stack.checksum import checksum, fold, pseudo_header_sum
from stack.reassembly import Reassembler
from stack.segment import Segment
from tun.capture_reader import ETHERNET, Captured, read_capture

from .steps import Fault

_NANO: Final = 1_000_000_000
_LEAST: Final = 20
_LARGEST: Final = 0xFFFF + 40
_DUMP_OCTETS: Final = 16
# A line of tcpdump -x, xxd, hexdump -C or tshark -x begins with an offset.
_OFFSET: Final = re.compile(r"\s*(?:0x([0-9a-fA-F]+):|([0-9a-fA-F]{4,8}):?(?=\s\s))\s*|\s*([0-9a-fA-F]{4,8}):\s+")


class SourceError(ValueError):
    """What was given holds no segment; the message is one line."""


class Form(StrEnum):
    """What hex begins with."""

    AUTO = "auto"
    TCP = "tcp"
    IP = "ip"
    ETHERNET = "ethernet"


class Packet:
    """One segment: ``number`` from 1 as capture readers count, ``when`` in seconds since 1970 or None.

    ``segment`` has every octet that it had on the wire; of those only the first ``kept`` are known, the others are
    zeros. Addresses are empty where hex began with TCP. ``faults`` are those of the IP header and the checksum.
    """

    __slots__ = ("checksum", "faults", "kept", "number", "segment", "when")

    def __init__(self, number: int, when: float | None, segment: Segment, kept: int) -> None:
        self.number = number
        self.when = when
        self.segment = segment
        self.kept = kept
        self.faults: list[Fault] = []
        self.checksum = "unknown"
        self._check()

    def _check(self) -> None:
        """Compare the TCP checksum, where all of what it covers is here."""
        segment = self.segment
        if not segment.source or self.kept < len(segment.tcp):
            return
        initial = pseudo_header_sum(segment.source, segment.destination, len(segment.tcp))
        right = checksum(segment.tcp[:16], segment.tcp[18:], initial=initial)
        came = int.from_bytes(segment.tcp[16:18])
        # 0 and 0xFFFF are the same number.
        if came % 0xFFFF == right % 0xFFFF:
            self.checksum = "good"
            return
        if came == fold(initial):
            self.checksum = "unfinished"
            return
        self.checksum = "bad"
        self.faults.append(Fault(16, f"the checksum is 0x{came:04x}, right is 0x{right:04x}", "bad_checksum"))


def octets_of(text: str) -> bytes:
    """The octets of plain hex (blanks, colons and 0x are passed over) or of a hex dump with offsets and text.

    Raises SourceError where it is neither.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(_OFFSET.match(line) for line in lines):
        return b"".join(_dumped(line) for line in lines)
    plain = re.sub(r"0[xX]|[\s:,\\]", "", re.sub(r"\\x", " ", text))
    if not plain:
        raise SourceError("there is no hex")
    bad = re.search(r"[^0-9a-fA-F]", plain)
    if bad is not None:
        raise SourceError(f"{bad.group()!r} is no hex digit, and there is no such file")
    if len(plain) % 2:
        raise SourceError(f"{len(plain)} hex digits are not a whole number of octets")
    return bytes.fromhex(plain)


def _dumped(line: str) -> bytes:
    """The octets of one line of a dump: at most 16, before what shows them as text."""
    match = _OFFSET.match(line)
    assert match is not None
    rest = line[match.end() :]
    # hexdump -C has its text between bars and a gap in the middle; the others have the text behind a gap.
    rest = rest.partition("|")[0] if "|" in rest else re.split(r"\s{2,}", rest.strip())[0]
    digits = re.sub(r"\s", "", rest)
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        raise SourceError(f"the line {line.strip()!r} is no hex dump") from None
    return octets[:_DUMP_OCTETS]


def from_hex(text: str, form: Form = Form.AUTO) -> Packet:
    """The segment that hex has; raises SourceError where it has none."""
    octets = memoryview(octets_of(text))
    if form is Form.AUTO:
        form = _form_of(octets)
    if form is Form.TCP:
        return _bare(octets)
    packet: memoryview | None = octets
    if form is Form.ETHERNET:
        packet = Captured(0, octets, len(octets), ETHERNET, "").ip_packet()
    if packet is None or len(packet) < _LEAST:
        raise SourceError(f"the {len(octets)} octets are no IP packet")
    found = _read(packet, len(packet), 1, None, None)
    if isinstance(found, str):
        raise SourceError(found)
    return found


def from_capture(path: Path) -> Iterator[Packet | str]:
    """The segments of a capture in its order, and for what is none why; raises CaptureError."""
    reassembler = Reassembler()
    for number, captured in enumerate(read_capture(path), 1):
        packet = captured.ip_packet()
        if packet is None:
            yield "no IP packet"
        else:
            whole = captured.octets - (len(captured.data) - len(packet))
            yield _read(packet, whole, number, captured.when / _NANO, reassembler)


def _form_of(octets: memoryview) -> Form:
    """IP where version, lengths and protocol all say so, behind Ethernet's header or not; else TCP."""
    if _is_ip(octets):
        return Form.IP
    behind = Captured(0, octets, len(octets), ETHERNET, "").ip_packet()
    if (
        behind is not None
        and bytes(octets[12:14]) in (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8")
        and _is_ip(behind)
    ):
        return Form.ETHERNET
    return Form.TCP


def _is_ip(octets: memoryview) -> bool:
    parsed = _parse(octets)
    return isinstance(parsed, ip.Ip) and parsed.protocol == ip.TCP and parsed.total_octets <= len(octets)


def _bare(octets: memoryview) -> Packet:
    if len(octets) < _LEAST:
        raise SourceError(f"{len(octets)} octets are no TCP header, which has {_LEAST} at least")
    return Packet(1, None, Segment(b"", b"", 0, 0, 0, octets), len(octets))


def _parse(packet: memoryview) -> ip.Ip | str:
    """An IP header, whatever may be said against its addresses and its checksum; or what it is not."""
    parsed = ip.parse(packet)
    if isinstance(parsed, ip.Ip):
        return parsed
    if parsed is ip.IpDrop.FRAGMENT:
        return "a fragment"
    head = bytes(packet[:40])
    if head[0] >> 4 == 4:
        octets, total = (head[0] & 15) * 4, int.from_bytes(head[2:4])
        if octets < 20 or (total and total < octets) or len(packet) < octets:
            return "an IPv4 header of a wrong length"
        # Total Length is 0 where an offload took it for its own.
        return ip.Ip(4, head[12:16], head[16:20], head[9], octets, total or len(packet), head[8], head[1] & 3)
    if head[0] >> 4 == 6 and len(head) == 40:
        total = 40 + int.from_bytes(head[4:6])
        total = len(packet) if total == 40 else total
        found = ip.walk_extensions(packet, head[6], min(total, len(packet)))
        if isinstance(found, ip.IpDrop):
            return "a fragment" if found is ip.IpDrop.FRAGMENT else f"IPv6 that cannot be read ({found})"
        protocol, octets = found
        return ip.Ip(6, head[8:24], head[24:40], protocol, octets, total, head[7], head[1] >> 4 & 3)
    return "no IP packet"


def _read(
    packet: memoryview, whole: int, number: int, when: float | None, reassembler: Reassembler | None
) -> Packet | str:
    """The TCP segment of an IP packet of which ``len(packet)`` of ``whole`` octets are here, or why not."""
    parsed = _parse(packet)
    if parsed == "a fragment":
        taken = reassembler.take(packet, when or 0.0) if reassembler is not None else None
        if not isinstance(taken, bytes):
            return "a fragment that is not put together (yet)"
        packet = memoryview(taken)
        whole = len(packet)
        parsed = _parse(packet)
    if isinstance(parsed, str):
        return parsed
    if parsed.protocol != ip.TCP:
        return f"IP protocol {parsed.protocol}, not TCP"
    tcp: Octets = packet[parsed.header_octets : parsed.total_octets]
    kept = len(tcp)
    if kept < _LEAST:
        return f"{kept} octets of TCP, not a whole header"
    missing = min(parsed.total_octets, _LARGEST) - parsed.header_octets - kept
    if missing > 0:
        tcp = memoryview(bytes(tcp) + bytes(missing))
    segment = Segment(
        parsed.source, parsed.destination, parsed.ttl, parsed.ecn, parsed.total_octets, memoryview(tcp)
    )
    read = Packet(number, when, segment, kept)
    if missing > 0 and whole < parsed.total_octets:
        read.faults.append(
            Fault(kept, f"the packet has {whole} octets, its header says {parsed.total_octets}", "ip_truncated")
        )
    return read
