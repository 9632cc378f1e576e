"""The connections of a capture as someone sees them who looks on: what was agreed, and where each header ends."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from ao.compact import is_offer
from edo import eno
from edo.codepoints import EdoKind, Units
from edo.extended import find_extension, header_end
from edo.fast import find_ao, read_options
from edo.options import Options, Span
from edo.reasons import EdoDrop
from edo.rivals import seg_u
from edo.rivals.numbers import FOUR_WAY
from edo.walk import walk
from stack.run import ACK, RST, SYN
from stack.segment import Segment

from .dialect import Evidence, Found
from .exchange import Exchange, Taken
from .source import Packet
from .steps import Area, Fault, steps

End = tuple[bytes, int]
_WHOLE: Final = 1 << 32


class Agreed(StrEnum):
    """What became of EDO on a connection."""

    UNKNOWN = "unknown"
    """Its SYNs are not in the capture: an Extension is taken for one."""

    NOT_OFFERED = "not offered"
    OFFERED = "offered"
    REFUSED = "refused"
    AGREED = "agreed"
    BY_SYN_EOS = "agreed by SYN-EOS"


class Reading:
    """How one segment is to be read.

    ``end`` is the true end of the header and ``data_offset`` what Data Offset says, octets from the header's start;
    ``second`` is the area of the options from ``start`` to the end, None where there are none. ``what`` names the
    segment.
    """

    __slots__ = (
        "conversation",
        "data_offset",
        "end",
        "faults",
        "forward",
        "notes",
        "packet",
        "second",
        "start",
        "taken",
        "what",
    )

    def __init__(self, packet: Packet, conversation: Conversation, forward: bool) -> None:
        self.packet = packet
        self.conversation = conversation
        self.forward = forward
        self.data_offset = packet.segment.data_offset
        self.end = self.start = self.data_offset
        self.second: Area | None = None
        self.what = ""
        self.faults: list[Fault] = list(packet.faults)
        self.notes: list[str] = []
        self.taken: list[Taken] = []


class Conversation:
    """One connection: ``ends`` are the one whose SYN or segment came first and the other one.

    ``isns`` has what is known of the numbers from which the two send.
    """

    __slots__ = (
        "ao",
        "edo",
        "ends",
        "eno",
        "evidence",
        "exchange",
        "extending",
        "fallen_back",
        "found",
        "isns",
        "number",
        "offering",
        "opener",
        "segments",
        "syn_eos",
    )

    def __init__(self, number: int, ends: tuple[End, End], kind: EdoKind | None, units: Units | None) -> None:
        self.number = number
        self.ends = ends
        self.isns: dict[End, int] = {}
        self.opener: End | None = None
        self.evidence = Evidence(kind, units)
        self.found: Found = self.evidence.found()
        self.edo = Agreed.UNKNOWN
        self.syn_eos = "not offered"
        self.offering: set[End] = set()
        self.extending: set[End] = set()
        self.fallen_back = False
        self.eno: dict[End, bytes] = {}
        self.ao: dict[End, set[tuple[int, int, int]]] = {}
        self.exchange = Exchange()
        self.segments = 0

    def follow(self, packet: Packet) -> Reading:
        """Take the connection's next segment and say how it is to be read."""
        segment = packet.segment
        source = (segment.source, segment.source_port)
        self.segments += 1
        reading = Reading(packet, self, forward=source == self.ends[0])
        data_offset = segment.data_offset
        if not data_offset and (longer := seg_u.header_end(segment.tcp)) is not None:
            return self._upgraded(reading, longer)
        if not segment.sound:
            reading.end = reading.start = reading.data_offset = min(max(data_offset, 20), len(segment.tcp))
            limit = "below 20" if data_offset < 20 else f"behind the segment's {len(segment.tcp)}"
            reading.faults.append(Fault(12, f"Data Offset is {data_offset} octets, {limit}", "bad_data_offset"))
            reading.what = "malformed"
            return reading
        found = steps(segment.tcp, 20, data_offset)
        if found.fault is not None:
            reading.faults.append(found.fault)
        spans = found.spans
        points = self.found.dialect.points
        options = read_options(segment.tcp, spans, points)
        if segment.flags & SYN:
            self._syn(source, reading, options, spans)
        elif options.syn_eos and not segment.flags & RST:
            self._out_of_band(source, reading, spans)
        else:
            self._later(source, reading, spans)
        if reading.end > data_offset:
            behind = walk(segment.tcp, data_offset, reading.end)
            if behind is not None:
                read_options(segment.tcp, behind, points, options)
        ao = find_ao(spans, points)
        if ao[0] >= 0 and ao[1] >= 4:
            at = ao[0]
            if segment.flags & SYN and is_offer(bytes(segment.tcp[at : at + ao[1]])):
                reading.notes.append("TCP-AO has an x25519 share for a MAC: placement compact (profile.md §5)")
            self.ao.setdefault(source, set()).add((segment.tcp[at + 2], segment.tcp[at + 3], ao[1] - 4))
        reading.what = _what(reading, options, ao[0] >= 0)
        if options.ke and packet.kept >= reading.end:
            reading.taken = self.exchange.take(
                packet.number, options.ke, forward=self._from_opener(source, reading)
            )
            self._place_of_exchange(source, reading, signed=ao[0] >= 0)
        return reading

    def _upgraded(self, reading: Reading, end: int) -> Reading:
        """SEG-U: the header ends where a Length behind its fixed part says (draft-bonica-tcpm-extended-options)."""
        segment = reading.packet.segment
        reading.data_offset, reading.start, reading.end = 20, 20 + seg_u.PREFIX, end
        reading.second = Area.BEHIND
        found = steps(segment.tcp, reading.start, end)
        if found.fault is not None:
            reading.faults.append(found.fault)
        if segment.flags & SYN:
            self.isns[(segment.source, segment.source_port)] = segment.seq
        reading.notes.append("Data Offset 0: SEG-U, which an old stack drops")
        reading.what = _what(reading, Options(), False)
        return reading

    def _from_opener(self, source: End, reading: Reading) -> bool:
        return source == self.opener if self.opener is not None else reading.forward

    def _peer(self, source: End) -> End:
        return self.ends[1] if source == self.ends[0] else self.ends[0]

    def _syn(self, source: End, reading: Reading, options: Options, spans: list[Span]) -> None:
        segment = reading.packet.segment
        self.isns[source] = segment.seq
        if options.eno is not None:
            self.eno[source] = options.eno
        if options.edo_supported:
            self.offering.add(source)
        else:
            self.offering.discard(source)
        peer = self._peer(source)
        answered = bool(segment.flags & ACK)
        if not answered:
            if self.opener is None:
                self.opener = source
                self.edo = Agreed.OFFERED if options.edo_supported else Agreed.NOT_OFFERED
                self.syn_eos = "offered" if options.syn_eos else self.syn_eos
        else:
            self.isns.setdefault(peer, (segment.ack - 1) % _WHOLE)
            if self.opener is None:
                # A SYN-ACK whose SYN is not in the capture answers what it must have had.
                self.opener = peer
                self.offering |= {peer} if options.edo_supported else set()
                self.syn_eos = "offered" if options.syn_eos else self.syn_eos
            extends = find_extension(segment.tcp, spans, segment.data_offset, self.found.dialect) is not None
            four_way = bool(segment.tcp[12] & FOUR_WAY)
            if (options.edo_supported or (four_way and extends)) and peer in self.offering:
                self.edo = Agreed.AGREED
            elif options.syn_eos and self.syn_eos != "not offered":
                self.edo = Agreed.BY_SYN_EOS
                self.syn_eos = "confirmed"
            elif source != self.opener and not self.extending:
                self.edo = Agreed.REFUSED if peer in self.offering else Agreed.NOT_OFFERED
        dialect = self.found.dialect
        if find_extension(segment.tcp, spans, segment.data_offset, dialect) is None:
            return
        agreed = self.edo in (Agreed.AGREED, Agreed.BY_SYN_EOS)
        if answered and agreed and (options.syn_eos or segment.tcp[12] & FOUR_WAY):
            self._by_extension(reading, spans)
            if reading.end > reading.data_offset:
                self.extending.add(source)
        else:
            reading.notes.append("the Extension in a SYN is ignored (draft-ietf-tcpm-tcp-edo §5.1)")

    def _out_of_band(self, source: End, reading: Reading, spans: list[Span]) -> None:
        """SYN-EOS without SYN: the payload is options, whatever else is wrong with the segment."""
        segment = reading.packet.segment
        reading.end = len(segment.tcp)
        reading.second = Area.OUT_OF_BAND if reading.end > reading.data_offset else None
        fault = steps(segment.tcp, reading.data_offset, reading.end).fault
        if fault is not None:
            reading.faults.append(fault)
        known = self.isns.get(source)
        if known is not None and known != segment.seq:
            text = "the out-of-band segment has another sequence number than the SYN"
            reading.faults.append(Fault(4, text, "stray_oob"))
        elif known is None and self.opener is None and reading.packet.when is not None:
            reading.notes.append("no SYN of this out-of-band segment is in the capture")
        if segment.flags & ACK:
            reading.notes.append("an out-of-band segment sent again behind the SYN-ACK")

    def _later(self, source: End, reading: Reading, spans: list[Span]) -> None:
        """A segment without SYN: the Extension rules where EDO was agreed, or may have been."""
        segment = reading.packet.segment
        extension = find_extension(segment.tcp, spans, segment.data_offset, self.found.dialect)
        end = header_end(segment.tcp, spans, segment.data_offset, self.found.dialect)
        agreed = self.edo in (Agreed.AGREED, Agreed.BY_SYN_EOS)
        if end is None:
            if not agreed or segment.flags & RST:
                return
            if source in self.extending:
                text = "no Extension, although this end has sent one: a strict end drops the segment"
                reading.faults.append(Fault(20, text, str(EdoDrop.EDO_MISSING)))
            elif not self.fallen_back and source == self.opener:
                self.fallen_back = True
                reading.notes.append(
                    "no Extension in the first segment behind the handshake: a strict end turns EDO off"
                )
            return
        if not agreed and self.edo is not Agreed.UNKNOWN:
            reading.notes.append("EDO was not agreed on: the Extension is ignored (draft-ietf-tcpm-tcp-edo §5.2)")
            return
        self._by_extension(reading, spans)
        if extension is not None:
            self.extending.add(source)

    def _by_extension(self, reading: Reading, spans: list[Span]) -> None:
        segment = reading.packet.segment
        dialect = self.found.dialect
        end = header_end(segment.tcp, spans, segment.data_offset, dialect)
        if isinstance(end, int):
            reading.end = end
            if end > reading.data_offset:
                reading.second = Area.BEHIND
                fault = steps(segment.tcp, reading.data_offset, end).fault
                if fault is not None:
                    reading.faults.append(fault)
            return
        assert end is not None
        extension = find_extension(segment.tcp, spans, segment.data_offset, dialect)
        if end is EdoDrop.MALFORMED_OPTION or extension is None:
            text = "more than one Extension, or one that is neither of the two forms"
            reading.faults.append(Fault(20, text, str(end)))
            return
        at, length, segment_length = extension
        number = f"Header_Length says {length} octets ({dialect.units.value})"
        at += dialect.short_octets - 2
        if end is EdoDrop.EDO_SEGMENT_LENGTH:
            at += 2
            text = f"Segment_Length is {segment_length}, the segment has {len(segment.tcp)} octets"
        elif length < segment.data_offset:
            text = f"{number}, below Data Offset's {segment.data_offset}"
        elif length > len(segment.tcp):
            text = f"{number}, the segment has {len(segment.tcp)}"
        else:
            text = f"{number}, not a whole number of words"
        reading.faults.append(Fault(at, text, str(end)))

    def _place_of_exchange(self, source: End, reading: Reading, *, signed: bool) -> None:
        """A clear KE segment without SYN lies below the window (profile.md §5)."""
        isn = self.isns.get(source)
        segment = reading.packet.segment
        if signed or segment.flags & SYN or reading.second is not Area.BEHIND or isn is None:
            return
        expected = (isn + 1 - (reading.end - reading.data_offset)) % _WHOLE
        if segment.seq == expected:
            reading.notes.append(
                "SEQ is ISN + 1 less the octets behind Data Offset, as a clear KE segment's must be"
            )
        else:
            text = f"SEQ is {segment.seq}; of a clear KE segment it would be {expected}"
            reading.faults.append(Fault(4, text, "clear_segment"))

    def negotiated(self) -> str:
        """What the TCP-ENO options of the two SYNs come to (RFC 8547 §4)."""
        if self.opener is None or not self.eno:
            return "none"
        other = self._peer(self.opener)
        if self.opener not in self.eno or other not in self.eno:
            return "in one SYN only"
        agreed = eno.negotiate(self.eno[self.opener], self.eno[other])
        return f"TEP 0x{agreed.tep & 0x7F:02X}" if isinstance(agreed, eno.Negotiated) else str(agreed)


def _what(reading: Reading, options: Options, signed: bool) -> str:
    segment = reading.packet.segment
    flags = segment.flags
    if reading.second is Area.OUT_OF_BAND or (options.syn_eos and not flags & (SYN | RST)):
        return "out-of-band"
    if flags & SYN:
        return "SYN-ACK" if flags & ACK else "SYN"
    if flags & RST:
        return "RST"
    if options.ke and not signed:
        return "key exchange"
    if len(segment.tcp) > reading.end:
        return "data"
    return "FIN" if flags & 1 else "ACK"


class Conversations:
    """All connections of a capture, told apart by ends and by the SYNs that begin them anew."""

    def __init__(self, kind: EdoKind | None = None, units: Units | None = None) -> None:
        self._kind = kind
        self._units = units
        self._last: dict[frozenset[End], list[Conversation]] = {}
        self._answered: set[int] = set()
        self.all: list[Conversation] = []

    def read(self, packets: Iterable[Packet]) -> list[Reading]:
        """Say of all segments how they are to be read; the dialect of each connection is found first."""
        placed = [(packet, self._place(packet)) for packet in packets]
        for conversation in self.all:
            conversation.found = conversation.evidence.found()
        return [conversation.follow(packet) for packet, conversation in placed]

    def _place(self, packet: Packet) -> Conversation:
        segment = packet.segment
        source, target = (segment.source, segment.source_port), (segment.destination, segment.destination_port)
        known = self._last.setdefault(frozenset((source, target)), [])
        chosen = self._choose(known, source, target, segment)
        if chosen is None:
            first = target if segment.flags & (SYN | ACK) == (SYN | ACK) else source
            ends = (first, source if first == target else target)
            chosen = Conversation(len(self.all) + 1, ends, self._kind, self._units)
            self.all.append(chosen)
            known.append(chosen)
        if segment.flags & SYN:
            chosen.isns.setdefault(source, segment.seq)
            if segment.flags & ACK:
                chosen.isns.setdefault(target, (segment.ack - 1) % _WHOLE)
                self._answered.add(chosen.number)
        if segment.sound:
            spans = steps(segment.tcp, 20, segment.data_offset).spans
            if spans:
                chosen.evidence.take(segment.tcp, spans, segment.data_offset, syn=bool(segment.flags & SYN))
        return chosen

    def _choose(self, known: list[Conversation], source: End, target: End, segment: Segment) -> Conversation | None:
        """The connection that a segment belongs to; None where it begins one.

        A SYN from another number begins one, but what follows belongs to it only once it is answered: a SYN may
        be forged.
        """
        if not known:
            return None
        if segment.flags & SYN:
            for one in reversed(known):
                fits = one.isns.get(source, segment.seq) == segment.seq
                if segment.flags & ACK:
                    fits = fits and one.isns.get(target, (segment.ack - 1) % _WHOLE) == (segment.ack - 1) % _WHOLE
                elif source not in one.isns and (one.number in self._answered or not one.isns):
                    # A SYN behind segments of a connection whose beginning is not in the capture.
                    fits = False
                if fits:
                    return one
            return None
        for one in reversed(known):
            if one.number in self._answered or (not segment.flags & ACK and one.isns.get(source) == segment.seq):
                return one
        return known[-1]
