"""The TCP segments of a capture, their TCP-AO or TCP-MD5 option found by the stack's own walk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edo.fast import find_md5
from edo.walk import walk
from stack import ip
from stack.checksum import checksum
from stack.protection import locate_ao
from stack.reassembly import Reassembler
from stack.segment import Segment
from tun.capture_reader import Captured, read_capture

_NANO = 1_000_000_000


class Packet:
    """One segment of a capture: ``number`` from 1 as capture readers count, ``time`` in seconds since 1970.

    ``ao`` is offset and length of its TCP-AO option in octets, None where it has none, ``md5`` those of TCP-MD5;
    ``fault`` says why a segment cannot be judged at all.
    """

    __slots__ = ("ao", "fault", "md5", "number", "segment", "time")

    def __init__(self, number: int, time: float, segment: Segment) -> None:
        self.number = number
        self.time = time
        self.segment = segment
        self.ao: tuple[int, int] | None = None
        self.md5: tuple[int, int] | None = None
        self.fault: str | None = None
        spans = walk(segment.tcp, 20, segment.data_offset) if segment.sound else None
        if spans is None:
            self.fault = "its options overrun the header"
            return
        segment.spans = spans
        place = locate_ao(segment)
        if isinstance(place, tuple):
            self.ao = place
        elif place is not None:
            self.fault = str(place)
        else:
            digest = find_md5(spans)
            if digest[0] >= 0:
                self.md5 = digest
            elif digest[0] == -2:
                self.fault = "TCP-MD5 stands in it twice"

    @property
    def key_ids(self) -> tuple[int, int] | None:
        """KeyID and RNextKeyID."""
        if self.ao is None:
            return None
        return self.segment.tcp[self.ao[0] + 2], self.segment.tcp[self.ao[0] + 3]


def read_packets(path: Path) -> Iterator[Packet]:
    """Yield the TCP segments of a capture in its order; fragments are put together. Raises CaptureError."""
    reassembler = Reassembler()
    for number, captured in enumerate(read_capture(path), 1):
        packet = _whole(captured, reassembler)
        parsed = None if packet is None else ip.parse(packet)
        if packet is None or not isinstance(parsed, ip.Ip) or parsed.protocol != ip.TCP:
            continue
        tcp = parsed.payload(packet)
        if len(tcp) >= 20:
            segment = Segment(parsed.source, parsed.destination, parsed.ttl, parsed.ecn, parsed.total_octets, tcp)
            yield Packet(number, captured.when / _NANO, segment)


def _whole(captured: Captured, reassembler: Reassembler) -> memoryview | None:
    """The IP packet; None where there is none, it was cut by the capture, or it is a fragment like others."""
    packet = captured.ip_packet()
    if packet is None:
        return None
    parsed = ip.parse(packet)
    if parsed is ip.IpDrop.CHECKSUM:
        # A capture at the sender may be older than the checksum of its header.
        mended = bytearray(packet)
        mended[10:12] = bytes(2)
        mended[10:12] = checksum(mended[: (mended[0] & 15) * 4]).to_bytes(2, "big")
        return memoryview(mended)
    if parsed is ip.IpDrop.FRAGMENT:
        taken = reassembler.take(packet, captured.when / _NANO)
        return memoryview(taken) if isinstance(taken, bytes) else None
    return packet
