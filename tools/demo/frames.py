"""What was captured on the router: packets with their time and the side on which they were seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edo.codepoints import DEFAULT
from edo.extended import find_extension, header_end
from edo.fast import find_ao, read_options
from edo.options import Options, Span
from edo.syneos import is_oob, read_oob
from edo.walk import walk
from stack.checksum import checksum, pseudo_header_sum
from stack.ip import TCP, Ip, parse

SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10
CHECKSUM_AT: Final = 16
_HALF: Final = 1 << 31
_WHOLE: Final = 1 << 32


class Frame:
    """An IP packet at ``time`` (seconds), ``arriving`` at the router or leaving it."""

    __slots__ = ("arriving", "packet", "time")

    def __init__(self, time: float, arriving: bool, packet: bytes) -> None:
        self.time = time
        self.arriving = arriving
        self.packet = packet


class Segment:
    """A captured TCP segment, read by the project's own walk.

    ``tcp`` is the whole segment; ``data_offset`` and ``header_length`` are octets from its start to where Data
    Offset and the EDO Extension's Header_Length (None without one) say that the header ends; ``inside`` and
    ``behind`` are the options on either side of Data Offset; ``ao`` is (offset, length) of the TCP-AO option or
    None; ``oob`` whether it is the out-of-band segment of a SYN.
    """

    __slots__ = (
        "ack",
        "ao",
        "behind",
        "data_offset",
        "destination",
        "destination_port",
        "flags",
        "header_length",
        "inside",
        "ip",
        "oob",
        "options",
        "payload_at",
        "sequence",
        "source",
        "source_port",
        "tcp",
        "time",
    )

    def __init__(self, frame: Frame, ip: Ip, tcp: memoryview, spans: list[Span]) -> None:
        self.time = frame.time
        self.ip = ip
        self.tcp = tcp
        self.source = ip.source
        self.destination = ip.destination
        self.source_port = int.from_bytes(tcp[0:2])
        self.destination_port = int.from_bytes(tcp[2:4])
        self.sequence = int.from_bytes(tcp[4:8])
        self.ack = int.from_bytes(tcp[8:12])
        self.flags = tcp[13]
        self.data_offset = (tcp[12] >> 4) << 2
        self.inside = spans
        self.behind: list[Span] = []
        self.header_length: int | None = None
        ao = find_ao(spans)
        self.ao = ao if ao[0] >= 0 else None
        self.options: Options = read_options(tcp, spans)
        self.oob = is_oob(self.flags, self.options)
        self.payload_at = self.data_offset
        if self.oob:
            self.behind = read_oob(tcp, self.data_offset) or []
            self.payload_at = len(tcp)
            return
        # A SYN's Extension counts only in a SYN-ACK that confirms SYN-EOS.
        if self.flags & SYN and not self.options.syn_eos:
            return
        if find_extension(tcp, spans, self.data_offset, DEFAULT) is not None:
            end = header_end(tcp, spans, self.data_offset, DEFAULT)
            if isinstance(end, int):
                self.header_length = end
                self.payload_at = end
                self.behind = walk(tcp, self.data_offset, end) or []

    @property
    def key(self) -> tuple[bytes, int, bytes, int]:
        """Source and destination with their ports."""
        return (self.source, self.source_port, self.destination, self.destination_port)

    @property
    def payload(self) -> memoryview:
        """The octets of the stream."""
        return self.tcp[self.payload_at :]

    @property
    def clear(self) -> bool:
        """Whether the segment bears no MAC."""
        return self.ao is None


def segment(frame: Frame) -> Segment | None:
    """Read a captured packet; None where it is no whole TCP segment with a walkable header."""
    ip = parse(frame.packet)
    if not isinstance(ip, Ip) or ip.protocol != TCP:
        return None
    tcp = ip.payload(frame.packet)
    if len(tcp) < 20:
        return None
    data_offset = (tcp[12] >> 4) << 2
    spans = walk(tcp, 20, data_offset) if data_offset >= 20 else None
    return None if spans is None else Segment(frame, ip, tcp, spans)


def arrivals(frames: Iterable[Frame], port: int) -> list[Segment]:
    """The segments to and from ``port`` as they arrived at the router, in the order of time."""
    read = (segment(frame) for frame in frames if frame.arriving)
    return sorted(
        (one for one in read if one is not None and port in (one.source_port, one.destination_port)),
        key=lambda one: one.time,
    )


def streams(segments: Iterable[Segment]) -> list[bytes]:
    """The payload of each direction of each connection, put together by sequence number.

    What was captured twice stands once, and a gap is zeros: both change nothing in what else is found.
    """
    start: dict[tuple[bytes, int, bytes, int], int] = {}
    pieces: dict[tuple[bytes, int, bytes, int], bytearray] = {}
    for one in segments:
        if one.flags & SYN:
            start[one.key] = one.sequence + 1
        payload = one.payload
        if not payload or one.oob or one.key not in start:
            continue
        at = (one.sequence - start[one.key] + _HALF) % _WHOLE - _HALF
        if at < 0:
            continue
        held = pieces.setdefault(one.key, bytearray())
        if at > len(held):
            held += bytes(at - len(held))
        held[at : at + len(payload)] = payload
    return [bytes(held) for held in pieces.values()]


@dataclass(frozen=True, slots=True)
class Alteration:
    """What the router made of one segment: the same octet positions before and after, in hex where they differ.

    ``bits`` counts the bits that differ outside the checksum; ``checksum_right`` is whether the altered segment's
    TCP checksum is correct; ``payload`` its octets of the stream.
    """

    sequence: int
    payload: int
    bits: int
    field: str
    before: str
    after: str
    checksum_before: str
    checksum_after: str
    checksum_right: bool


def alterations(frames: Sequence[Frame]) -> tuple[list[Alteration], int]:
    """Compare what arrived at the router with what left it.

    Returns the altered segments, and how many packets arrived without leaving or left without having arrived. TTL
    and IP checksum, which every router changes, do not count.
    """
    came: Counter[bytes] = Counter()
    left: Counter[bytes] = Counter()
    for frame in frames:
        octets = _transported(frame.packet)
        if octets is not None:
            (came if frame.arriving else left)[octets] += 1
    gone, new = came - left, left - came
    by_octets = {_transported(frame.packet): frame for frame in frames} if new else {}
    found: list[Alteration] = []
    for octets in list(new):
        partner = next((other for other in gone if _same_place(octets, other)), None)
        after = segment(by_octets[octets])
        if partner is not None and after is not None:
            found.append(_alteration(after, partner))
            new[octets] -= 1
            gone[partner] -= 1
    return found, sum((+gone).values()) + sum((+new).values())


def _transported(packet: bytes) -> bytes | None:
    """The TCP octets of a packet, None where it has none: what a router itself sends and hears is not compared."""
    if packet[0] >> 4 == 4 and packet[9] == TCP:
        return packet[(packet[0] & 0x0F) << 2 :]
    if packet[0] >> 4 == 6 and packet[6] == TCP:
        return packet[40:]
    return None


def _same_place(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and len(one) >= 20 and one[:8] == other[:8]


def _alteration(altered: Segment, before: bytes) -> Alteration:
    tcp = altered.tcp
    differing = [
        at for at in range(len(before)) if before[at] != tcp[at] and not CHECKSUM_AT <= at < CHECKSUM_AT + 2
    ]
    bits = sum((before[at] ^ tcp[at]).bit_count() for at in differing)
    if all(14 <= at < 16 for at in differing):
        field, begin, end = "window", 14, 16
    else:
        field, begin, end = "octets", differing[0] if differing else 0, differing[-1] + 1 if differing else 0
    total = checksum(tcp, initial=pseudo_header_sum(altered.source, altered.destination, len(tcp)))
    return Alteration(
        sequence=altered.sequence,
        payload=len(altered.payload),
        bits=bits,
        field=field,
        before=before[begin:end].hex(),
        after=bytes(tcp[begin:end]).hex(),
        checksum_before=before[CHECKSUM_AT : CHECKSUM_AT + 2].hex(),
        checksum_after=bytes(tcp[CHECKSUM_AT : CHECKSUM_AT + 2]).hex(),
        checksum_right=total == 0,
    )
