"""Verifies and signs the segments that pass, for a box that holds keys of their connections."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, TypeVar

from ao.keylog import End
from ao.sne import SneTracker
from edo.codepoints import DEFAULT, Dialect
from edo.walk import walk
from stack.checksum import checksum, ones_complement_sum, pseudo_header_sum
from stack.ip import Ip
from stack.protection import kept_spans, locate_ao
from stack.run import ACK, RST, SYN
from stack.segment import Segment

from .box_keys import BoxKeys, Signature

_SHORT = struct.Struct("!H")
_CHECKSUM_AT: Final = 16
_MAC_AT: Final = 4  # octets into the option
_WSCALE: Final = (3, 3)
_MOST_SHIFT: Final = 14  # RFC 7323 §2.3
# Of so many connections and directions the latest are remembered.
_MOST: Final = 8192

_Name = TypeVar("_Name")
_Value = TypeVar("_Value")


def ends_of(segment: Segment) -> tuple[End, End]:
    """Who sends it, and to whom."""
    return (segment.source, segment.source_port), (segment.destination, segment.destination_port)


class Seal:
    """A segment's good MAC: what makes another when it has changed; its sender's numbers begin at ``isn``."""

    __slots__ = ("_keep", "_offset", "_signature", "_sne", "isn")

    def __init__(self, signature: Signature, sne: int, offset: int, keep: tuple[tuple[int, int], ...]) -> None:
        self._signature = signature
        self._sne = sne
        self._offset = offset
        self._keep = keep
        self.isn = signature.isn

    def renew(self, tcp: memoryview, data_offset: int) -> None:
        """Write the MAC of ``tcp``, header and payload, in place."""
        start = self._offset + _MAC_AT
        tcp[_CHECKSUM_AT : _CHECKSUM_AT + 2] = bytes(2)
        tcp[start : start + self._signature.mac_octets] = bytes(self._signature.mac_octets)
        mac = self._signature.mac.tag(self._sne, bytes(tcp[:data_offset]), tcp[data_offset:], self._keep)
        tcp[start : start + len(mac)] = mac


class _Way:
    """What verified the last segment of one end under one KeyID, and how far its numbers have come."""

    __slots__ = ("signature", "tracker")

    def __init__(self, signature: Signature, tracker: SneTracker) -> None:
        self.signature = signature
        self.tracker = tracker


class Signatory:
    """Follows the connections that pass a box; ``keys`` of None are none."""

    __slots__ = ("_dialect", "_isns", "_keys", "_shifts", "_trackers", "_ways")

    def __init__(self, keys: BoxKeys | None, dialect: Dialect = DEFAULT) -> None:
        self._keys = keys
        self._dialect = dialect
        self._ways: OrderedDict[tuple[End, End, int], _Way] = OrderedDict()
        self._trackers: OrderedDict[tuple[End, End, int], SneTracker] = OrderedDict()
        # The number of each end's last SYN, and by end and number the window scale that it has, None for none.
        self._isns: OrderedDict[tuple[End, End], int] = OrderedDict()
        self._shifts: OrderedDict[tuple[End, End, int], int | None] = OrderedDict()

    def look(self, segment: Segment) -> bool:
        """Read the options, and remember what a SYN says; False where they cannot be read."""
        spans = walk(segment.tcp, 20, segment.data_offset) if segment.sound else None
        if spans is None:
            return False
        segment.spans = spans
        if segment.flags & SYN:
            source, destination = ends_of(segment)
            shift = next((segment.tcp[at + 2] for kind, _, at, size in spans if (kind, size) == _WSCALE), None)
            scale = None if shift is None else min(shift, _MOST_SHIFT)
            _keep(self._isns, (source, destination), segment.seq)
            _keep(self._shifts, (source, destination, segment.seq), scale)
        return True

    def scale(self, segment: Segment, seal: Seal | None) -> int | None:
        """By how many bits the window is shifted (RFC 7323 §2.3), None where the box has not seen both SYNs."""
        if segment.flags & SYN:
            return 0
        source, destination = ends_of(segment)
        isn = self._isns.get((source, destination)) if seal is None else seal.isn
        other = self._isns.get((destination, source))
        if isn is None or other is None:
            return None
        name, back = (source, destination, isn), (destination, source, other)
        if name not in self._shifts or back not in self._shifts:
            return None
        shift = self._shifts[name]
        return 0 if shift is None or self._shifts[back] is None else shift

    def verified(self, segment: Segment) -> Seal | None:
        """The seal of a segment whose MAC is good under a key that is here; its numbers count from now on."""
        place = locate_ao(segment)
        if not isinstance(place, tuple):
            return None
        offset, octets = place
        source, destination = ends_of(segment)
        name = (source, destination, segment.tcp[offset + 2])
        for way in self._ways_of(segment, name):
            signature = way.signature
            if octets != signature.mac_octets + _MAC_AT:
                continue
            sne = way.tracker.sne(segment.seq)
            keep = () if signature.cover_options else kept_spans(segment, offset, octets, self._dialect)
            if sne is None or not signature.mac.verify(sne, segment.tcp, segment.data_offset, offset, keep):
                continue
            if segment.flags & (ACK | RST):
                way.tracker.accept(segment.seq)
                _keep(self._ways, name, way)
                _keep(self._trackers, (source, destination, signature.isn), way.tracker)
                _keep(self._isns, (source, destination), signature.isn)
            return Seal(signature, sne, offset, keep)
        return None

    def _ways_of(self, segment: Segment, name: tuple[End, End, int]) -> Iterator[_Way]:
        """What verified before, and then everything that the keys allow."""
        source, destination, key_id = name
        if self._keys is None:
            return
        if not segment.flags & (ACK | RST):
            # A SYN, or its out-of-band segment: its own number is all that its key is made of.
            for signature in self._keys.syn(source, destination, segment.seq, key_id):
                yield _Way(signature, SneTracker(segment.seq))
            return
        known = self._ways.get(name)
        if known is not None:
            yield known
        isns = {}
        for end, other in ((source, destination), (destination, source)):
            if (end, other) in self._isns:
                isns[end] = self._isns[end, other]
        for signature in self._keys.other(source, destination, isns, key_id):
            tracker = self._trackers.get((source, destination, signature.isn))
            yield _Way(signature, tracker or SneTracker(signature.isn))


def checksum_fits(segment: Segment) -> bool:
    """Whether the segment came as it was sent, by its checksum."""
    tcp = segment.tcp
    total = ones_complement_sum(tcp) + pseudo_header_sum(segment.source, segment.destination, len(tcp))
    return total % 0xFFFF == 0


def write_checksum(tcp: memoryview, ip: Ip, *, signed: bool) -> None:
    """Write the right checksum; of a ``signed`` segment 0 is written as the other zero (profile.md §7)."""
    tcp[_CHECKSUM_AT : _CHECKSUM_AT + 2] = bytes(2)
    total = checksum(tcp, initial=pseudo_header_sum(ip.source, ip.destination, len(tcp)))
    _SHORT.pack_into(tcp, _CHECKSUM_AT, 0xFFFF if signed and not total else total)


def _keep(held: OrderedDict[_Name, _Value], name: _Name, value: _Value) -> None:
    """Hold it as the latest; the oldest gives way."""
    held[name] = value
    held.move_to_end(name)
    if len(held) > _MOST:
        held.popitem(last=False)
