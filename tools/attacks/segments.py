"""Parts: one TCP segment taken apart by an attacker, to be changed and put together with right lengths and sums.

The TCP checksum is made to fit what was changed, so that nothing but protection can tell.
"""

from __future__ import annotations

import struct
from typing import Final

from edo.codepoints import DEFAULT, POINTS
from edo.walk import walk_steps
from stack.batch import Octets
from stack.checksum import checksum
from stack.ip import TCP, Ip, parse
from stack.run import ACK, FIN, RST, SYN
from stack.simulator.boxes import repair_checksum

_FIXED: Final = struct.Struct("!HHIIBBHHH")
_SHORT: Final = struct.Struct("!H")
_WHOLE: Final = 1 << 32
_MOST_OPTIONS: Final = 40
NOP: Final = b"\x01"
EXTENSION: Final = DEFAULT.extension_kinds
EDO: Final = POINTS.edo_exid.to_bytes(2)
SYN_EOS: Final = POINTS.syn_eos_exid.to_bytes(2)


class Parts:
    """A segment over IPv4: addresses of 4 octets, ports, numbers of 32 bits, ``flags`` of nine bits, and options.

    ``inside`` are the options inside Data Offset in order, NOPs among them, ``behind`` those behind it (by EDO, or
    of an out-of-band segment), ``payload`` the rest. ``reserved`` are the three bits beside AE, ``window`` is
    unscaled. ``offset`` and ``sum`` are written instead of the right Data Offset (words) and checksum where they
    are not None; with ``keep_edo`` the Extension's lengths are not made right.
    """

    __slots__ = (
        "ack",
        "behind",
        "destination",
        "destination_port",
        "flags",
        "inside",
        "keep_edo",
        "offset",
        "payload",
        "reserved",
        "seq",
        "source",
        "source_port",
        "sum",
        "tos",
        "ttl",
        "urgent",
        "window",
    )

    def __init__(
        self, source: bytes, source_port: int, destination: bytes, destination_port: int, seq: int, flags: int
    ) -> None:
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port
        self.seq = seq
        self.ack = 0
        self.flags = flags
        self.reserved = 0
        self.window = 0xFFFF
        self.urgent = 0
        self.ttl = 64
        self.tos = 0
        self.inside: list[bytes] = []
        self.behind: list[bytes] = []
        self.payload = b""
        self.offset: int | None = None
        self.sum: int | None = None
        self.keep_edo = False

    @classmethod
    def read(cls, packet: Octets) -> Parts | None:
        """Take a packet apart; None where it is no whole TCP segment over IPv4 with sound options."""
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.version != 4 or ip.protocol != TCP:
            return None
        tcp = ip.payload(packet)
        if len(tcp) < _FIXED.size:
            return None
        source_port, destination_port, seq, ack, offset, flags, window, _, urgent = _FIXED.unpack_from(tcp)
        end = (offset >> 4) << 2
        inside = _options(tcp, _FIXED.size, end)
        if inside is None:
            return None
        parts = cls(ip.source, source_port, ip.destination, destination_port, seq, flags | (offset & 1) << 8)
        parts.ack, parts.window, parts.urgent, parts.reserved = ack, window, urgent, offset >> 1 & 7
        parts.ttl, parts.tos = ip.ttl, packet[1]
        parts.inside = inside
        header = parts._header_end(end, len(tcp))
        parts.behind = _options(tcp, end, header) or []
        if not parts.behind:
            header = end
        parts.payload = bytes(tcp[header:])
        return parts

    def copy(self) -> Parts:
        """Another one that is equal."""
        other = Parts(self.source, self.source_port, self.destination, self.destination_port, self.seq, self.flags)
        for name in ("ack", "reserved", "window", "urgent", "ttl", "tos", "payload"):
            setattr(other, name, getattr(self, name))
        other.inside, other.behind = list(self.inside), list(self.behind)
        return other

    @property
    def out_of_band(self) -> bool:
        """Whether this goes beside a SYN: neither SYN nor ACK nor RST, and the option of SYN-EOS."""
        if self.flags & (SYN | ACK | RST):
            return False
        return any(one[0] in EXTENSION and one[2:4] == SYN_EOS for one in self.inside)

    @property
    def length(self) -> int:
        """Sequence numbers that it takes."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def following(self) -> int:
        """The sequence number behind it."""
        return (self.seq + self.length) % _WHOLE

    def packet(self) -> bytes:
        """The whole IP packet."""
        inside, behind = b"".join(self.inside), b"".join(self.behind)
        inside += NOP * (-len(inside) % 4)
        words = 5 + len(inside) // 4
        if not self.keep_edo:
            inside = self._extended(inside, words * 4 + len(behind))
        offset = words if self.offset is None else self.offset
        tcp = (
            _FIXED.pack(
                self.source_port,
                self.destination_port,
                self.seq % _WHOLE,
                self.ack % _WHOLE,
                offset << 4 | self.reserved << 1 | self.flags >> 8 & 1,
                self.flags & 0xFF,
                self.window,
                0,
                self.urgent,
            )
            + inside
            + behind
            + self.payload
        )
        # Don't Fragment is set, as the stack sets it.
        head = struct.pack("!BBHHHBBH", 0x45, self.tos, 20 + len(tcp), 0, 0x4000, self.ttl, TCP, 0)
        head += self.source + self.destination
        packet = bytearray(head + tcp)
        _SHORT.pack_into(packet, 10, checksum(packet[:20]))
        if self.sum is None:
            repair_checksum(
                Ip(4, self.source, self.destination, TCP, 20, len(packet), self.ttl, self.tos & 3), packet
            )
        else:
            _SHORT.pack_into(packet, 36, self.sum)
        return bytes(packet)

    # --- options -----------------------------------------------------------------------------------------

    def place(self, kind: int, *, exid: bytes = b"", octets: int = 0) -> tuple[list[bytes], int] | None:
        """Where the first option of this Kind, ExID and length (0: any) stands, as a list and an index in it."""
        kinds = EXTENSION if exid else (kind,)
        for area in (self.inside, self.behind):
            for index, one in enumerate(area):
                if one[0] in kinds and one[2 : 2 + len(exid)] == exid and octets in (0, len(one)):
                    return area, index
        return None

    def add(self, option: bytes) -> bool:
        """Put an option before the others inside Data Offset, at NOPs' cost if it must; whether there is room."""
        room = _MOST_OPTIONS - len(option)
        if sum(map(len, self.inside)) > room:
            bare = [one for one in self.inside if one != NOP]
            if sum(map(len, bare)) > room:
                return False
            self.inside = bare
        self.inside.insert(0, option)
        return True

    def _header_end(self, end: int, size: int) -> int:
        """Where the header ends by its Extension, or for an out-of-band segment, octets."""
        if self.out_of_band:
            return size
        for one in self.inside:
            if one[0] in EXTENSION and one[2:4] == EDO and len(one) in (6, 8):
                return min(max(int.from_bytes(one[4:6]) * 4, end), size)
        return end

    def _extended(self, inside: bytes, header: int) -> bytes:
        """The options with the Extension's lengths made right, where there is one; ``header`` in octets."""
        at = 0
        for one in self.inside:
            if one[0] in EXTENSION and one[2:4] == EDO and len(one) in (6, 8):
                lengths = struct.pack("!HH", header // 4, header + len(self.payload))[: len(one) - 4]
                return inside[: at + 4] + lengths + inside[at + len(one) :]
            at += len(one)
        return inside


def _options(tcp: memoryview, start: int, end: int) -> list[bytes] | None:
    """The options of an area one by one, NOPs and padding (as NOPs) among them; None where they are not sound."""
    spans = walk_steps(tcp, start, end)
    if spans is None:
        return None
    found: list[bytes] = []
    at = start
    for _, _, offset, length in spans:
        found += [NOP] * (offset - at)
        found.append(bytes(tcp[offset : offset + length]))
        at = offset + length
    return found + [NOP] * (end - at)
