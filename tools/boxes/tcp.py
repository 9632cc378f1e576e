"""A TCP segment in an IP packet, for boxes that change it: fields by name, options as a list, right checksums."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from stack.batch import Octets
from stack.box import Direction
from stack.checksum import checksum, ones_complement_sum, pseudo_header_sum
from stack.ip import TCP, Ip, parse
from stack.simulator.boxes import repair_checksum

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
ECE: Final = 0x40
CWR: Final = 0x80

END: Final = 0
NOP: Final = 1
MSS: Final = 2
WSCALE: Final = 3
SACK: Final = 5
TIMESTAMPS: Final = 8
# What a box of the nineties knows: end, NOP, MSS, window scale, SACK permitted, SACK, timestamps.
KNOWN: Final = frozenset((0, 1, 2, 3, 4, 5, 8))

FIXED: Final = 20
MOST_OPTIONS: Final = 40
_SHORT: Final = struct.Struct("!H")
_WORD: Final = struct.Struct("!I")

Flow = tuple[bytes, int, bytes, int]
"""A connection as its client sees it: address and port of the client, of the server."""


class Tcp:
    """A segment that may be changed; ``octets`` is the packet again, with lengths and checksums that fit.

    ``sound``: Data Offset lies within the segment, so options and payload can be told apart. Sequence numbers are
    32 bits and wrap as they are set.
    """

    __slots__ = ("_changed", "_original", "at", "packet", "version")

    def __init__(self, ip: Ip, packet: Octets) -> None:
        self._original = packet
        self._changed = False
        self.version = ip.version
        self.at = ip.header_octets
        self.packet = bytearray(packet[: ip.total_octets])

    def octets(self) -> Octets:
        """The packet: as it came where nothing was changed."""
        if not self._changed:
            return self._original
        packet = self.packet
        if self.version == 4:
            _SHORT.pack_into(packet, 2, len(packet))
            packet[10:12] = bytes(2)
            _SHORT.pack_into(packet, 10, checksum(packet[: (packet[0] & 0x0F) << 2]))
        else:
            _SHORT.pack_into(packet, 4, len(packet) - 40)
        ip = parse(packet)
        if isinstance(ip, Ip):
            repair_checksum(ip, packet)
        return bytes(packet)

    def copy(self) -> Tcp:
        """Another one like it, to be changed apart."""
        twin = object.__new__(Tcp)
        twin._original, twin._changed = self._original, self._changed
        twin.version, twin.at, twin.packet = self.version, self.at, self.packet[:]
        return twin

    # --- addresses and ports ---

    @property
    def source(self) -> bytes:
        """The sender's address, 4 or 16 octets."""
        return bytes(self.packet[12:16] if self.version == 4 else self.packet[8:24])

    @source.setter
    def source(self, address: bytes) -> None:
        self._put(12 if self.version == 4 else 8, address)

    @property
    def destination(self) -> bytes:
        """The receiver's address, 4 or 16 octets."""
        return bytes(self.packet[16:20] if self.version == 4 else self.packet[24:40])

    @destination.setter
    def destination(self, address: bytes) -> None:
        self._put(16 if self.version == 4 else 24, address)

    @property
    def source_port(self) -> int:
        """The sender's port."""
        return self._short(0)

    @source_port.setter
    def source_port(self, port: int) -> None:
        self._put(self.at, _SHORT.pack(port))

    @property
    def destination_port(self) -> int:
        """The receiver's port."""
        return self._short(2)

    @destination_port.setter
    def destination_port(self, port: int) -> None:
        self._put(self.at + 2, _SHORT.pack(port))

    def flow(self, direction: Direction) -> Flow:
        """The connection; what goes FORWARD is the client's."""
        near = (self.source, self.source_port)
        far = (self.destination, self.destination_port)
        return near + far if direction is Direction.FORWARD else far + near

    # --- the fixed header ---

    @property
    def seq(self) -> int:
        """The sequence number."""
        return self._word(4)

    @seq.setter
    def seq(self, number: int) -> None:
        self._put(self.at + 4, _WORD.pack(number & 0xFFFFFFFF))

    @property
    def ack(self) -> int:
        """The acknowledgment number, whether ACK is set or not."""
        return self._word(8)

    @ack.setter
    def ack(self, number: int) -> None:
        self._put(self.at + 8, _WORD.pack(number & 0xFFFFFFFF))

    @property
    def data_offset(self) -> int:
        """Where Data Offset ends the header, octets from its start."""
        return self.packet[self.at + 12] >> 4 << 2

    @data_offset.setter
    def data_offset(self, octets: int) -> None:
        self._put(self.at + 12, bytes((octets >> 2 << 4 | self.packet[self.at + 12] & 0x0F,)))

    @property
    def reserved(self) -> int:
        """The four bits behind Data Offset; the last is AE (RFC 9768)."""
        return self.packet[self.at + 12] & 0x0F

    @reserved.setter
    def reserved(self, bits: int) -> None:
        self._put(self.at + 12, bytes((self.packet[self.at + 12] & 0xF0 | bits & 0x0F,)))

    @property
    def flags(self) -> int:
        """CWR to FIN, eight bits."""
        return self.packet[self.at + 13]

    @flags.setter
    def flags(self, bits: int) -> None:
        self._put(self.at + 13, bytes((bits,)))

    @property
    def window(self) -> int:
        """The window as it stands in the header, not scaled."""
        return self._short(14)

    @window.setter
    def window(self, value: int) -> None:
        self._put(self.at + 14, _SHORT.pack(value))

    @property
    def ecn(self) -> int:
        """The two bits of ECN in the IP header (RFC 3168 §5)."""
        if self.version == 4:
            return self.packet[1] & 3
        return self.packet[1] >> 4 & 3

    @ecn.setter
    def ecn(self, bits: int) -> None:
        octet = self.packet[1]
        self._put(1, bytes((octet & ~3 | bits if self.version == 4 else octet & ~0x30 | bits << 4,)))

    # --- options and payload ---

    @property
    def sound(self) -> bool:
        """Whether Data Offset lies within the segment."""
        return FIXED <= self.data_offset <= len(self.packet) - self.at

    @property
    def payload(self) -> bytes:
        """What stands behind Data Offset; the segment is sound."""
        return bytes(self.packet[self.at + self.data_offset :])

    @payload.setter
    def payload(self, octets: bytes) -> None:
        self.packet[self.at + self.data_offset :] = octets
        self._changed = True

    @property
    def payload_octets(self) -> int:
        """How many octets stand behind Data Offset; the segment is sound."""
        return len(self.packet) - self.at - self.data_offset

    def spans(self) -> list[tuple[int, int, int]]:
        """(kind, offset in ``packet``, length) of each option but NOP and end, up to the first malformed one."""
        found: list[tuple[int, int, int]] = []
        if not self.sound:
            return found
        packet = self.packet
        at, end = self.at + FIXED, self.at + self.data_offset
        while at < end and (kind := packet[at]) != END:
            if kind == NOP:
                at += 1
                continue
            length = packet[at + 1] if at + 1 < end else 0
            if length < 2 or at + length > end:
                break
            found.append((kind, at, length))
            at += length
        return found

    def options(self) -> list[bytes]:
        """The options as ``spans`` finds them, Kind and Length first."""
        return [bytes(self.packet[at : at + length]) for _, at, length in self.spans()]

    def set_options(self, options: list[bytes]) -> None:
        """Have these options, at most 40 octets together (ValueError), padded by zeros; the payload moves along."""
        area = b"".join(options)
        area += bytes(-len(area) % 4)
        if len(area) > MOST_OPTIONS:
            raise ValueError(f"options have {len(area)} octets, and a header has room for {MOST_OPTIONS}")
        self.packet[self.at + FIXED : self.at + self.data_offset] = area
        self.data_offset = FIXED + len(area)

    def overwrite(self, at: int, octets: bytes) -> None:
        """Write over the packet at an offset, as ``spans`` gives it."""
        self._put(at, octets)

    def shift_sack(self, shifted: Callable[[int], int]) -> None:
        """Put ``shifted(edge)`` for both edges of each SACK block (RFC 2018 §3)."""
        for kind, at, length in self.spans():
            if kind == SACK:
                for edge in range(at + 2, at + length - 3, 4):
                    number = _WORD.unpack_from(self.packet, edge)[0]
                    self._put(edge, _WORD.pack(shifted(number) & 0xFFFFFFFF))

    def _short(self, offset: int) -> int:
        number: int = _SHORT.unpack_from(self.packet, self.at + offset)[0]
        return number

    def _word(self, offset: int) -> int:
        number: int = _WORD.unpack_from(self.packet, self.at + offset)[0]
        return number

    def _put(self, at: int, octets: bytes) -> None:
        self.packet[at : at + len(octets)] = octets
        self._changed = True


def read(packet: Octets) -> Tcp | None:
    """The TCP segment in a packet; None for what is none, is a fragment, or has a checksum that does not fit."""
    ip = parse(packet)
    if not isinstance(ip, Ip) or ip.protocol != TCP or ip.total_octets - ip.header_octets < FIXED:
        return None
    segment = ip.payload(packet)
    if (ones_complement_sum(segment) + pseudo_header_sum(ip.source, ip.destination, len(segment))) % 0xFFFF:
        return None
    return Tcp(ip, packet)


def unwanted(kind: int, kinds: frozenset[int]) -> bool:
    """Whether ``kinds`` has the option, or where that is empty, a box of the nineties does not know it."""
    return kind in kinds if kinds else kind not in KNOWN
