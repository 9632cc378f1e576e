"""Boxes that do with TCP segments what EDO has to notice: split them, merge them, take options out.

They know of a header what Data Offset says of it, as boxes do that were made before EDO, and leave every checksum
right. What stands behind Data Offset is payload to them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from ..batch import Octets
from ..box import Direction, Emission
from ..checksum import checksum
from ..ip import TCP, Ip, parse
from .boxes import EachPacket, repair_checksum

_SHORT: Final = struct.Struct("!H")
_WORD: Final = struct.Struct("!I")
_SYN: Final = 0x02
_RST: Final = 0x04
_FIN_PSH: Final = 0x09
_FIXED: Final = 20
_FLAGS: Final = 13
_NOP: Final = 1


class _Tcp:
    """A TCP segment in a packet: ``at`` is where its header begins, ``payload`` where Data Offset ends it."""

    __slots__ = ("at", "end", "ip", "packet", "payload")

    def __init__(self, ip: Ip, packet: Octets) -> None:
        self.ip = ip
        self.packet = packet
        self.at = ip.header_octets
        self.end = ip.total_octets
        self.payload = self.at + (packet[self.at + 12] >> 4 << 2)

    @property
    def seq(self) -> int:
        """The sequence number, 32 bits."""
        number: int = _WORD.unpack_from(self.packet, self.at + 4)[0]
        return number

    @property
    def flags(self) -> int:
        """The flags of the fourteenth octet."""
        return self.packet[self.at + _FLAGS]

    @property
    def header(self) -> bytes:
        """IP header and TCP header, options inside Data Offset included."""
        return bytes(self.packet[: self.payload])

    @property
    def octets(self) -> bytes:
        """The payload, as a box sees it."""
        return bytes(self.packet[self.payload : self.end])


def _read(packet: Octets) -> _Tcp | None:
    ip = parse(packet)
    if not isinstance(ip, Ip) or ip.protocol != TCP or ip.total_octets - ip.header_octets < _FIXED:
        return None
    found = _Tcp(ip, packet)
    return found if found.at + _FIXED <= found.payload <= found.end else None


def rebuilt(header: bytes, at: int, payload: bytes, *, seq: int | None = None, flags: int | None = None) -> bytes:
    """A packet of IP and TCP headers, the latter at ``at``, and a payload; its lengths and checksums are right."""
    packet = bytearray(header + payload)
    if seq is not None:
        _WORD.pack_into(packet, at + 4, seq & 0xFFFFFFFF)
    if flags is not None:
        packet[at + _FLAGS] = flags
    if packet[0] >> 4 == 4:
        _SHORT.pack_into(packet, 2, len(packet))
        packet[10:12] = bytes(2)
        _SHORT.pack_into(packet, 10, checksum(packet[: (packet[0] & 0x0F) << 2]))
    else:
        _SHORT.pack_into(packet, 4, len(packet) - 40)
    ip = parse(packet)
    assert isinstance(ip, Ip)
    repair_checksum(ip, packet)
    return bytes(packet)


class Split(EachPacket):
    """Segments with more than ``most`` octets behind Data Offset are cut into such of ``most``; ``cut`` counts.

    With ``copy`` each has all options of the whole, else those of the first alone are kept.
    """

    __slots__ = ("_copy", "_most", "cut")

    def __init__(self, most: int, *, copy: bool = True, only: Direction | None = None) -> None:
        super().__init__(only)
        if most < 1:
            raise ValueError("a segment has an octet at least")
        self._most = most
        self._copy = copy
        self.cut = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or its pieces."""
        whole = _read(packet)
        if whole is None or whole.flags & (_SYN | _RST) or whole.end - whole.payload <= self._most:
            out.append((now, direction, packet))
            return
        self.cut += 1
        header, octets = whole.header, whole.octets
        for start in range(0, len(octets), self._most):
            piece = octets[start : start + self._most]
            last = start + self._most >= len(octets)
            flags = whole.flags if last else whole.flags & ~_FIN_PSH
            if start and not self._copy:
                header = _bare(header, whole.at)
            out.append((now, direction, rebuilt(header, whole.at, piece, seq=whole.seq + start, flags=flags)))


def _bare(header: bytes, at: int) -> bytes:
    """The headers without options."""
    bare = bytearray(header[: at + _FIXED])
    bare[at + 12] = 5 << 4 | bare[at + 12] & 0x0F
    return bytes(bare)


class Merge:
    """Neighbours of one flow that arrive together become one segment of at most ``most`` octets of payload.

    It has the options of the first; what tells that they are neighbours is the sequence number, and that
    acknowledgment and options are as many octets. ``merged`` counts segments that vanished in others.
    """

    next_deadline: float | None = None  # nothing waits in such a box

    def __init__(self, most: int = 60_000, *, only: Direction | None = None) -> None:
        self._most = most
        self._only = only
        self.merged = 0

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let through what arrives, neighbours as one."""
        if self._only is not None and direction is not self._only:
            return [(now, direction, packet) for packet in packets]
        out: list[Emission] = []
        last: _Tcp | None = None
        for packet in packets:
            found = _read(packet)
            if last is not None and found is not None and self._neighbours(last, found):
                self.merged += 1
                flags = last.flags | found.flags
                joined = rebuilt(last.header, last.at, last.octets + found.octets, flags=flags)
                last = _read(joined)
                out[-1] = (now, direction, joined)
                continue
            last = found
            out.append((now, direction, packet))
        return out

    def _neighbours(self, one: _Tcp, other: _Tcp) -> bool:
        size = one.end - one.payload
        ports = slice(one.at, one.at + 4)
        return (
            not (one.flags | other.flags) & (_SYN | _RST)
            and not one.flags & _FIN_PSH & 1
            and size > 0
            and other.end > other.payload
            and size + other.end - other.payload <= self._most
            and (one.ip.source, one.ip.destination, one.payload)
            == (other.ip.source, other.ip.destination, other.payload)
            and one.packet[ports] == other.packet[ports]
            and one.packet[one.at + 8 : one.at + 12] == other.packet[other.at + 8 : other.at + 12]
            and one.seq + size & 0xFFFFFFFF == other.seq
        )


class Strip(EachPacket):
    """Options of which ``unwanted`` (kind, ExID; -1 without one) says so are overwritten by NOPs.

    ``syn``: only in segments with SYN, or only in others; None: in all. ``stripped`` counts options.
    """

    __slots__ = ("_syn", "_unwanted", "stripped")

    def __init__(
        self,
        unwanted: Callable[[int, int], bool],
        *,
        syn: bool | None = None,
        only: Direction | None = None,
    ) -> None:
        super().__init__(only)
        self._unwanted = unwanted
        self._syn = syn
        self.stripped = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or a copy without those options."""
        found = _read(packet)
        if found is None or (self._syn is not None and bool(found.flags & _SYN) is not self._syn):
            out.append((now, direction, packet))
            return
        copy = bytearray(packet)
        at = found.at + _FIXED
        before = self.stripped
        while at < found.payload and copy[at]:
            if copy[at] == _NOP:
                at += 1
                continue
            length = copy[at + 1] if at + 1 < found.payload else 0
            if length < 2 or at + length > found.payload:
                break
            exid = _SHORT.unpack_from(copy, at + 2)[0] if copy[at] in (253, 254) and length >= 4 else -1
            if self._unwanted(copy[at], exid):
                copy[at : at + length] = bytes((_NOP,)) * length
                self.stripped += 1
            at += length
        if self.stripped == before:
            out.append((now, direction, packet))
            return
        repair_checksum(found.ip, copy)
        out.append((now, direction, bytes(copy)))
