"""Goes through a capture, verifies every segment with TCP-AO that keys are there for, and decrypts its payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ao.keylog import End
from ao.sne import SneTracker
from edo.fast import find_ao
from edo.walk import walk
from stack.protection import kept_spans

from ..decode.conversation import Conversation, Conversations, Reading
from ..decode.source import Packet
from . import plain
from .keybook import Direction, KeyBook

# Of a capture that begins in mid-connection nobody knows how often the numbers have wrapped: so often is tried.
_WRAPS: Final = 4


class Fate(StrEnum):
    """What became of a segment."""

    CLEAR = "clear"
    """It has no TCP-AO, or is a SYN: nothing of it is encrypted."""
    AUTHENTIC = "authentic"
    """Its MAC is good, and there is nothing to decrypt."""
    DECRYPTED = "decrypted"
    NO_KEY = "no_key"
    BAD_MAC = "bad_mac"
    CUT = "cut"
    """The capture has not all of its octets."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment of the capture, what became of it, under which key, and the packet to be written instead."""

    reading: Reading
    fate: Fate
    key: str | None
    packet: bytes

    @property
    def comment(self) -> str | None:
        """What is to be said of the packet that is written, None for nothing."""
        if self.fate is Fate.DECRYPTED:
            return f"decrypted under {self.key}; the header had {self.reading.end} octets"
        if self.fate in (Fate.CLEAR, Fate.AUTHENTIC):
            return None
        return f"not decrypted: {self.fate.value.replace('_', ' ')}"


class _Way:
    """One end's segments under one KeyID: the direction that verified, and how far the numbers have come."""

    __slots__ = ("direction", "tracker")

    def __init__(self, direction: Direction, tracker: SneTracker) -> None:
        self.direction = direction
        self.tracker = tracker


class Opener:
    """``as_sent``: headers stay as they were, instead of those that TCP would have without protection."""

    def __init__(self, book: KeyBook, *, as_sent: bool = False) -> None:
        self._book = book
        self._as_sent = as_sent
        self._ways: dict[tuple[Conversation, End, int], _Way] = {}
        # How far each end's numbers have come, whatever keys it has had.
        self._trackers: dict[tuple[Conversation, End], SneTracker] = {}

    def open(self, packets: Iterable[Packet]) -> Iterator[Opened]:
        """Yield every segment of the capture, in its order."""
        for reading in Conversations().read(packets):
            yield self._open(reading)

    def _open(self, reading: Reading) -> Opened:
        packet = reading.packet
        segment = packet.segment
        spans = walk(segment.tcp, 20, segment.data_offset) if segment.sound else None
        dialect = reading.conversation.found.dialect
        at, octets = (-1, 0) if spans is None else find_ao(spans, dialect.points)
        if spans is None or segment.flags & 2 or at < 0 or octets < 4:
            return self._left(reading, Fate.CLEAR)
        if packet.kept < len(segment.tcp):
            return self._left(reading, Fate.CUT)
        segment.spans = spans
        source = (segment.source, segment.source_port)
        tried = False
        for way in self._ways_of(reading.conversation, source, segment.tcp[at + 2], reading):
            direction = way.direction
            if octets != direction.mac_octets + 4:
                continue
            sne = way.tracker.sne(segment.seq)
            if sne is None:
                continue
            tried = True
            keep = () if direction.cover_options else kept_spans(segment, at, octets, dialect)
            if not direction.mac.verify(sne, segment.tcp, segment.data_offset, at, keep):
                continue
            way.tracker.accept(segment.seq)
            self._ways[reading.conversation, source, segment.tcp[at + 2]] = way
            self._trackers[reading.conversation, source] = way.tracker
            return self._opened(reading, direction, sne << 32 | segment.seq)
        return self._left(reading, Fate.BAD_MAC if tried else Fate.NO_KEY)

    @staticmethod
    def _left(reading: Reading, fate: Fate) -> Opened:
        """The segment stays as it is."""
        return Opened(reading, fate, None, plain.unchanged(reading.packet.segment))

    def _ways_of(self, conversation: Conversation, source: End, key_id: int, reading: Reading) -> Iterator[_Way]:
        """The way that verified before, else every one that the keys allow."""
        known = self._ways.get((conversation, source, key_id))
        if known is not None:
            yield known
            return
        segment = reading.packet.segment
        destination = (segment.destination, segment.destination_port)
        tracker = self._trackers.get((conversation, source))
        for direction, isn in self._book.candidates(source, destination, conversation.isns, key_id):
            yield _Way(direction, tracker or SneTracker(isn))
            if tracker is None and source not in conversation.isns:
                for wraps in range(1, _WRAPS):
                    yield _Way(direction, SneTracker(wraps << 32 | segment.seq))

    def _opened(self, reading: Reading, direction: Direction, number: int) -> Opened:
        segment = reading.packet.segment
        end = reading.end
        payload = segment.tcp[end:]
        cipher = direction.cipher
        fate = Fate.DECRYPTED if cipher is not None and payload else Fate.AUTHENTIC
        octets = bytes(payload) if cipher is None or not payload else cipher.apply(number, payload)
        if self._as_sent:
            return Opened(reading, fate, direction.name, plain.as_sent(segment, end, octets))
        spans = list(segment.spans)
        if end > segment.data_offset:
            spans += walk(segment.tcp, segment.data_offset, end) or []
        dialect = reading.conversation.found.dialect
        return Opened(reading, fate, direction.name, plain.plainly(segment, spans, dialect, octets))
