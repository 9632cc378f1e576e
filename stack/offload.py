"""What a device may do for the stack: finish checksums and cut segments (virtio 1.2 §5.1.6, the virtio-net header).

A stack with ``offload`` puts the header before a TCP segment whose checksum holds only the sum of the
pseudo-header, and lets one of up to 64 KiB stand for many that are alike but for their sequence number. Packets
without the header are finished. The two are told apart by the first octet, flags here and IP's version there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from .batch import Octets
from .checksum import ones_complement_sum

# flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, in the machine's own byte order.
HEADER: Final = struct.Struct("=BBHHHH")
NEEDS_CSUM: Final = 1
DATA_VALID: Final = 2
GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
# A packet that begins with less has the header before it.
FIRST_OF_IP: Final = 0x40
# IPv4's Total Length; IPv6 could have 40 octets more.
LARGEST: Final = 65_535

_SHORT: Final = struct.Struct("!H")
_LONG: Final = struct.Struct("!I")
_CHECKSUM: Final = 16
_NOT_LAST: Final = 0xFF & ~0x09  # FIN and PSH stand on the last segment alone
_NOT_FIRST: Final = 0xFF & ~0x80  # CWR on the first (RFC 3168 §6.1.2)


def unfinished(ip_octets: int) -> bytes:
    """The header before a segment behind ``ip_octets`` of IP header, whose checksum is to be finished."""
    return HEADER.pack(NEEDS_CSUM, GSO_NONE, 0, 0, ip_octets, _CHECKSUM)


def bulk(ip_octets: int, tcp_octets: int, size: int, *, ipv6: bool) -> bytes:
    """The header before a segment that is to be cut: ``size`` octets of payload each, both headers repeated."""
    kind = GSO_TCPV6 if ipv6 else GSO_TCPV4
    return HEADER.pack(NEEDS_CSUM, kind, ip_octets + tcp_octets, size, ip_octets, _CHECKSUM)


def counted(packets: Iterable[Octets]) -> tuple[int, int]:
    """How many packets on the wire these stand for, and their octets together."""
    count = octets = 0
    for packet in packets:
        count += 1
        octets += len(packet)
        if packet[0] < FIRST_OF_IP:
            _, kind, repeated, size, _, _ = HEADER.unpack_from(packet)
            octets -= HEADER.size
            if kind:
                more = (len(packet) - HEADER.size - repeated - 1) // size
                count += more
                octets += more * repeated
    return count, octets


def finished(packet: Octets, start: int, offset: int = _CHECKSUM) -> bytes:
    """Return an IP packet with its checksum finished, which stands ``offset`` octets behind ``start``."""
    octets = bytearray(packet)
    # As the kernel does it, never 0: UDP takes that for none, and ones' complement has another zero (RFC 1071 §1).
    _SHORT.pack_into(octets, start + offset, 0xFFFF - ones_complement_sum(octets[start:]) or 0xFFFF)
    return bytes(octets)


def cut(packet: Octets, start: int, size: int) -> list[bytes]:
    """Return the finished packets for which one of TCP stands whose checksum is unfinished.

    ``start`` is where TCP's header begins, ``size`` (>= 1) the payload octets of each packet but the last. IPv4's
    identification counts up; FIN and PSH are the last one's, CWR the first one's.
    """
    behind = start + ((packet[start + 12] >> 4) << 2)
    head = bytearray(packet[:behind])
    payload = memoryview(packet)[behind:]
    ipv4 = head[0] >> 4 == 4
    length = len(payload)
    flags = head[start + 13]
    identification = _SHORT.unpack_from(head, 4)[0]
    seq = _LONG.unpack_from(head, start + 4)[0]
    # The pseudo-header's sum without its length.
    partial = _SHORT.unpack_from(head, start + _CHECKSUM)[0] - (len(packet) - start) % 0xFFFF + 0xFFFF
    packets: list[bytes] = []
    for at in range(0, max(length, 1), size):
        piece = payload[at : at + size]
        octets = len(piece)
        if ipv4:
            _SHORT.pack_into(head, 2, behind + octets)
            _SHORT.pack_into(head, 4, identification + at // size & 0xFFFF)
            _SHORT.pack_into(head, 10, 0)
            _SHORT.pack_into(head, 10, 0xFFFF - ones_complement_sum(head[:start]))
        else:
            _SHORT.pack_into(head, 4, behind - 40 + octets)
        _LONG.pack_into(head, start + 4, seq + at & 0xFFFFFFFF)
        head[start + 13] = flags & (0xFF if at + octets == length else _NOT_LAST) & (_NOT_FIRST if at else 0xFF)
        _SHORT.pack_into(head, start + _CHECKSUM, 0)
        total = partial + behind - start + octets + ones_complement_sum(head[start:]) + ones_complement_sum(piece)
        _SHORT.pack_into(head, start + _CHECKSUM, 0xFFFF - (total % 0xFFFF or 0xFFFF))
        packets.append(b"".join((head, piece)))
    return packets
