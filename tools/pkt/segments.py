"""Packets on the wire: made of what a script says, and read back from what the stack sends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct

from edo.codepoints import Dialect
from stack.checksum import checksum, pseudo_header_sum

from . import digests, octets
from .packets import AE, show_flags
from .syntax import Ecn, Opt, show_options

_TCP = Struct(">HHIIHHHH")
_V4 = Struct(">BBHHHBBH4s4s")
_ECN = (Ecn.NONE, Ecn.ECT1, Ecn.ECT0, Ecn.CE)
ECN_BITS = {ecn: bits for bits, ecn in enumerate(_ECN)}
_TCP_PROTOCOL = 6
FIN = 0x01
PSH = 0x08


def ip_packet(
    source: bytes, destination: bytes, protocol: int, payload: bytes, *, tos: int = 0, ttl: int = 255, flow: int = 0
) -> bytes:
    """An IP packet of the addresses' version; ``ttl`` of what comes from next door."""
    if len(source) == 4:
        head = _V4.pack(0x45, tos, 20 + len(payload), 0, 0, ttl, protocol, 0, source, destination)
        return head[:10] + checksum(head).to_bytes(2) + head[12:] + payload
    first = (6 << 28 | tos << 20 | flow).to_bytes(4)
    return first + len(payload).to_bytes(2) + bytes((protocol, ttl)) + source + destination + payload


@dataclass(frozen=True, slots=True)
class Ends:
    """Addresses and ports of a packet, in the order in which they stand in it."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int

    @property
    def reverse(self) -> Ends:
        """The same for the other direction."""
        return Ends(self.destination, self.destination_port, self.source, self.source_port)


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment as it is on the wire.

    ``flags`` with AE as bit 8; ``inside`` is how many of the options Data Offset holds; ``time`` is when it was
    sent, seconds of the virtual clock.
    """

    ends: Ends
    seq: int
    ack: int
    flags: int
    window: int
    urgent: int
    options: tuple[Opt, ...]
    inside: int
    length: int
    tos: int = 0
    ttl: int = 255
    flow_label: int = 0
    time: float = 0.0

    @property
    def ecn(self) -> Ecn:
        """The ECN field of the IP header."""
        return _ECN[self.tos & 3]

    def show(self, *, options: bool = True, ace: bool = False) -> str:
        """The segment as scripts write it; only what the script looks at may be asked for."""
        end = (self.seq + self.length) & 0xFFFFFFFF
        parts = [show_flags(self.flags, ace=ace), f"{self.seq}:{end}({self.length})"]
        if self.flags & 0x10:
            parts.append(f"ack {self.ack}")
        parts.append(f"win {self.window}")
        if self.flags & 0x20:
            parts.append(f"urg {self.urgent}")
        if options and self.options:
            parts.append(show_options(self.options))
        return " ".join(parts)


def tcp_packet(segment: Segment, dialect: Dialect, md5_secret: bytes = b"") -> bytes:
    """The packet of a segment, its payload zeros; raises OptionFault. ``md5_secret`` is for digests not given."""
    inside, behind = octets.build(segment.options, dialect)
    ends = segment.ends
    words = (20 + len(inside)) // 4
    bits = words << 12 | (segment.flags & 0xFF) | (0x100 if segment.flags & AE else 0)
    tcp = (
        _TCP.pack(
            ends.source_port,
            ends.destination_port,
            segment.seq,
            segment.ack,
            bits,
            segment.window,
            0,
            segment.urgent,
        )
        + inside
        + behind
        + bytes(segment.length)
    )
    tcp = digests.filled(tcp, segment.options, ends.source, ends.destination, md5_secret)
    total = checksum(tcp, initial=pseudo_header_sum(ends.source, ends.destination, len(tcp)))
    tcp = tcp[:16] + total.to_bytes(2) + tcp[18:]
    return ip_packet(
        ends.source,
        ends.destination,
        _TCP_PROTOCOL,
        tcp,
        tos=segment.tos,
        ttl=segment.ttl,
        flow=segment.flow_label,
    )


def read_tcp(packet: bytes, dialect: Dialect, time: float, md5_secret: bytes = b"") -> Segment | None:
    """Read a packet that the stack sent; None where it is not TCP. ``md5_secret`` tells digests apart."""
    if packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
        protocol, tos, ttl, flow = packet[9], packet[1], packet[8], 0
        source, destination = packet[12:16], packet[16:20]
    else:
        start = 40
        word = int.from_bytes(packet[:4])
        protocol, tos, ttl, flow = packet[6], word >> 20 & 0xFF, packet[7], word & 0xFFFFF
        source, destination = packet[8:24], packet[24:40]
    if protocol != _TCP_PROTOCOL:
        return None
    tcp = packet[start:]
    source_port, destination_port, seq, ack, bits, window, _, urgent = _TCP.unpack_from(tcp)
    data_offset = (bits >> 12) * 4
    area = tcp[20:data_offset]
    end = data_offset if bits & 2 else octets.header_end(area, data_offset, len(tcp), dialect)
    inside = octets.without_padding(octets.decode(area, dialect))
    inside = digests.judged(inside, tcp, source, destination, md5_secret)
    return Segment(
        Ends(source, source_port, destination, destination_port),
        seq,
        ack,
        bits & 0x1FF,
        window,
        urgent,
        inside + octets.decode(tcp[data_offset:end], dialect),
        len(inside),
        len(tcp) - end,
        tos,
        ttl,
        flow,
        time,
    )


def divided(segment: Segment, size: int) -> list[Segment]:
    """A segment as several of ``size`` octets of payload (0: any number); FIN and PSH are the last one's."""
    if not size or segment.length <= size:
        return [segment]
    parts = []
    for start in range(0, segment.length, size):
        length = min(size, segment.length - start)
        last = start + length == segment.length
        flags = segment.flags if last else segment.flags & ~(FIN | PSH)
        parts.append(replace(segment, seq=(segment.seq + start) & 0xFFFFFFFF, flags=flags, length=length))
    return parts


def joined(first: Segment, second: Segment) -> Segment:
    """Two neighbours as the one long segment that an offloading host would show."""
    flags = first.flags & ~PSH | second.flags & (FIN | PSH)
    return replace(first, flags=flags, length=first.length + second.length)


def follows(first: Segment, second: Segment) -> bool:
    """Whether ``second`` continues ``first``, so that both may be shown as one."""
    return (
        second.ends == first.ends
        and second.seq == (first.seq + first.length) & 0xFFFFFFFF
        and second.length > 0
        and not first.flags & 0x07
        and second.ack == first.ack
        and (first.flags ^ second.flags) & ~(FIN | PSH) == 0
        and first.tos == second.tos
    )
