"""Reassembly of IP fragments in bounded memory (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722 §3, RFC 7112).

A datagram whose fragments overlap is given up with every fragment of it, those to come included; an exact
duplicate is no overlap. What is held is bounded in octets, in datagrams and in fragments of one datagram; the
oldest goes first, as it does when its time is over.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import OrderedDict
from enum import StrEnum
from typing import Final

from .batch import Octets
from .checksum import checksum
from .ip import TCP, IpDrop, walk_extensions
from .memory import UNBOUNDED, Memory

_V4: Final = struct.Struct("!BBHHHBBH4s4s")
_MORE_V4: Final = 0x2000
_OFFSET_V4: Final = 0x1FFF
_FRAGMENT: Final = 44
_WALKED: Final = (0, 43, 60)
_MOST_EXTENSIONS: Final = 8
_CE: Final = 3
_LEAST_TCP: Final = 20
# What a fragment and a datagram take beside their octets.
_PIECE: Final = 128
_DATAGRAM: Final = 1024
# Seconds that fragments wait for the rest (RFC 8200 §4.5: 60; RFC 1122 §3.3.2: 60 to 120).
LIFETIME: Final = 60.0


class FragmentDrop(StrEnum):
    """Why a fragment was dropped, or fragments that had been held."""

    MALFORMED = "fragment_malformed"
    OVERLAP = "fragment_overlap"
    TIMEOUT = "fragment_timeout"
    NO_ROOM = "fragment_no_room"
    ECN = "fragment_ecn"
    HEADERS = "fragment_headers"


_Key = tuple[bytes, bytes, int, int]


class _Fragment:
    """One fragment of a payload that begins with ``next_header``; ``head``, of the first only, precedes that."""

    __slots__ = ("ecn", "end", "head", "key", "last", "next_header", "payload", "start")

    def __init__(
        self, key: _Key, start: int, payload: Octets, last: bool, head: bytes, ecn: int, next_header: int
    ) -> None:
        self.key = key
        self.next_header = next_header
        self.start = start
        self.end = start + len(payload)
        self.payload = payload
        self.last = last
        self.head = head
        self.ecn = ecn


class _Datagram:
    """The fragments of one datagram, ordered by their offset; ``poisoned`` once two of them overlapped."""

    __slots__ = ("began", "ecn", "head", "held", "pieces", "poisoned", "starts", "total")

    def __init__(self, began: float) -> None:
        self.began = began
        self.starts: list[int] = []
        self.pieces: list[bytes] = []
        self.head: bytes | None = None
        self.total = -1
        self.held = 0
        self.ecn: set[int] = set()
        self.poisoned = False

    def overlaps(self, fragment: _Fragment) -> bool:
        """Whether the fragment shares octets with another one, or lies behind the end."""
        at = bisect_left(self.starts, fragment.start)
        if at and self.starts[at - 1] + len(self.pieces[at - 1]) > fragment.start:
            return True
        if at < len(self.starts) and self.starts[at] < fragment.end:
            return True
        if fragment.last:
            end = self.starts[-1] + len(self.pieces[-1]) if self.starts else 0
            return (self.total >= 0 and self.total != fragment.end) or end > fragment.end
        return 0 <= self.total < fragment.end

    def repeats(self, fragment: _Fragment) -> bool:
        """Whether exactly this fragment is held already (RFC 8200 §4.5)."""
        at = bisect_left(self.starts, fragment.start)
        return at < len(self.starts) and self.starts[at] == fragment.start and self.pieces[at] == fragment.payload

    def put(self, fragment: _Fragment) -> None:
        """Hold the fragment's own copy."""
        at = bisect_left(self.starts, fragment.start)
        self.starts.insert(at, fragment.start)
        self.pieces.insert(at, bytes(fragment.payload))
        self.held += fragment.end - fragment.start
        self.ecn.add(fragment.ecn)
        if fragment.start == 0:
            self.head = fragment.head
        if fragment.last:
            self.total = fragment.end


class Reassembler:
    """Puts fragments together; ``limit`` octets, ``most`` datagrams, ``pieces`` fragments each are the bounds.

    ``held`` octets are charged to ``memory`` with the objects that they take; where it is short, none are held.
    """

    __slots__ = ("_datagrams", "_limit", "_memory", "_most", "_pieces", "held")

    def __init__(
        self, limit: int = 1 << 20, most: int = 256, pieces: int = 128, *, memory: Memory = UNBOUNDED
    ) -> None:
        self._memory = memory
        self._limit = limit
        self._most = most
        self._pieces = pieces
        self._datagrams: OrderedDict[_Key, _Datagram] = OrderedDict()
        self.held = 0

    @property
    def next_deadline(self) -> float | None:
        """When the oldest datagram's time is over, seconds; None while nothing is held."""
        for datagram in self._datagrams.values():
            return datagram.began + LIFETIME
        return None

    def expire(self, now: float) -> int:
        """Give up what has waited too long; returns how many datagrams."""
        count = 0
        while self._datagrams:
            key, datagram = next(iter(self._datagrams.items()))
            if datagram.began + LIFETIME > now:
                break
            self._forget(key)
            count += 1
        return count

    def take(self, packet: Octets, now: float) -> bytes | FragmentDrop | None:
        """Take one fragment: the packet it makes whole, None while octets are missing, or a reason to drop it."""
        fragment = _read_v4(packet) if packet[0] >> 4 == 4 else _read_v6(packet)
        if fragment is None:
            return FragmentDrop.MALFORMED
        if fragment.start == 0 and len(fragment.key[0]) == 16 and not _has_all_headers(fragment):
            return FragmentDrop.HEADERS
        datagram = self._datagrams.get(fragment.key)
        if self._memory.held > self._memory.pressure:
            return FragmentDrop.NO_ROOM
        if datagram is None:
            datagram = self._datagrams[fragment.key] = _Datagram(now)
            self._memory.charge(_DATAGRAM)
        if datagram.poisoned:
            return FragmentDrop.OVERLAP
        if datagram.repeats(fragment):
            return None
        if datagram.overlaps(fragment):
            # What comes later of it is dropped as well, so an attacker's choice of order decides nothing.
            self.held -= datagram.held
            self._memory.charge(-datagram.held - _PIECE * len(datagram.pieces))
            poisoned = _Datagram(datagram.began)
            poisoned.poisoned = True
            self._datagrams[fragment.key] = poisoned
            return FragmentDrop.OVERLAP
        if len(datagram.starts) >= self._pieces:
            self._forget(fragment.key)
            return FragmentDrop.NO_ROOM
        datagram.put(fragment)
        self.held += fragment.end - fragment.start
        self._memory.charge(fragment.end - fragment.start + _PIECE)
        if datagram.held == datagram.total and datagram.head is not None:
            self._forget(fragment.key)
            return _join(datagram, fragment.key)
        return self._make_room(fragment.key)

    def _make_room(self, kept: _Key) -> FragmentDrop | None:
        while self.held > self._limit or len(self._datagrams) > self._most:
            oldest = next(iter(self._datagrams))
            self._forget(oldest)
            if oldest == kept:
                return FragmentDrop.NO_ROOM
        return None

    def _forget(self, key: _Key) -> None:
        datagram = self._datagrams.pop(key)
        self.held -= datagram.held
        self._memory.charge(-datagram.held - _PIECE * len(datagram.pieces) - _DATAGRAM)


def _read_v4(packet: Octets) -> _Fragment | None:
    """An IPv4 fragment whose header was found sound."""
    start, tos, total, identification, field, ttl, protocol, _, source, destination = _V4.unpack_from(packet)
    header_octets = (start & 0x0F) << 2
    payload = memoryview(packet)[header_octets:total]
    offset = (field & _OFFSET_V4) << 3
    last = not field & _MORE_V4
    if not _sound(offset, len(payload), last, 0xFFFF - header_octets):
        return None
    head = b""
    if offset == 0:
        fixed = _V4.pack(start, tos, 0, identification, 0, ttl, protocol, 0, source, destination)
        head = fixed + bytes(packet[20:header_octets])
    return _Fragment(
        (source, destination, identification, protocol), offset, payload, last, head, tos & 3, protocol
    )


def _read_v6(packet: Octets) -> _Fragment | None:
    """An IPv6 fragment; the headers before the Fragment header are the part that every fragment repeats."""
    total = 40 + int.from_bytes(packet[4:6], "big")
    kind = packet[6]
    before = 6
    at = 40
    for _ in range(_MOST_EXTENSIONS):
        if kind == _FRAGMENT:
            break
        if kind not in _WALKED or at + 8 > total:
            return None
        kind, before, at = packet[at], at, at + ((packet[at + 1] + 1) << 3)
    if kind != _FRAGMENT or at + 8 > total or total > len(packet):
        return None
    field = int.from_bytes(packet[at + 2 : at + 4], "big")
    offset = field & 0xFFF8
    last = not field & 1
    payload = memoryview(packet)[at + 8 : total]
    if not _sound(offset, len(payload), last, 0xFFFF - (at - 40)):
        return None
    head = b""
    if offset == 0:
        start = bytearray(packet[:at])
        start[before] = packet[at]
        head = bytes(start)
    identification = int.from_bytes(packet[at + 4 : at + 8], "big")
    key = (bytes(packet[8:24]), bytes(packet[24:40]), identification, -1)
    return _Fragment(key, offset, payload, last, head, (packet[1] >> 4) & 3, packet[at])


def _has_all_headers(fragment: _Fragment) -> bool:
    """Whether IPv6's first fragment has every header through TCP's, which is to be so (RFC 7112 §5).

    Else what judges a first fragment on the way would have seen no port, and we would.
    """
    payload = fragment.payload
    found = walk_extensions(payload, fragment.next_header, len(payload), 0)
    if isinstance(found, IpDrop):
        return False
    protocol, at = found
    return protocol != TCP or len(payload) >= at + _LEAST_TCP


def _sound(offset: int, octets: int, last: bool, most: int) -> bool:
    """Whether length and place can be: something in it, whole units of 8 but in the last, within a datagram."""
    return octets > 0 and (last or not octets & 7) and offset + octets <= most


def _join(datagram: _Datagram, key: _Key) -> bytes | FragmentDrop:
    """The whole packet, its length, checksum and ECN field right (RFC 3168 §5.3)."""
    assert datagram.head is not None
    if _CE in datagram.ecn and 0 in datagram.ecn:
        return FragmentDrop.ECN
    head = bytearray(datagram.head)
    congested = _CE in datagram.ecn
    if len(key[0]) == 4:
        total = len(head) + datagram.total
        if total > 0xFFFF:
            return FragmentDrop.MALFORMED
        head[2:4] = total.to_bytes(2, "big")
        if congested:
            head[1] |= _CE
        head[10:12] = checksum(head).to_bytes(2, "big")
    else:
        head[4:6] = (len(head) - 40 + datagram.total).to_bytes(2, "big")
        if congested:
            head[1] |= _CE << 4
    return b"".join((head, *datagram.pieces))
