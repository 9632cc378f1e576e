"""A segment octet by octet: every field of the header, every option inside and behind Data Offset, the payload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from edo.codec import OptionError
from edo.options import Span
from stack.run import ACK, SYN

from .conversation import Reading
from .declared import Known
from .steps import Area, Fault, steps
from .texts import NAMES, brief, eno_text, field_name, flags_text, message_name, name_of, value_text

_WHOLE: Final = 1 << 32
_AREAS: Final = {Area.INSIDE: "inside Data Offset", Area.BEHIND: "behind Data Offset"}


_KNOWN: Final = Known()


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that mean one thing: ``offset`` and ``length`` in the segment, what they are and what they say."""

    offset: int
    length: int
    area: Area
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class OptionView:
    """One option: its declared ``name`` (None where it is not declared), what it is called, its fields' values."""

    name: str | None
    title: str
    kind: int
    exid: int | None
    offset: int
    length: int
    area: Area
    fields: dict[str, Any]
    text: str


@dataclass(slots=True)
class Anatomy:
    """One segment laid open; ``pieces`` cover every octet of it, in order."""

    reading: Reading
    pieces: list[Piece]
    options: list[OptionView]
    faults: list[Fault]
    notes: list[str]
    experiments: list[tuple[str, dict[str, Any]]]

    @property
    def header_octets(self) -> int:
        """The true length of the header, or the whole of an out-of-band segment."""
        return self.reading.end

    @property
    def payload_octets(self) -> int:
        """Octets of the stream."""
        return len(self.reading.packet.segment.tcp) - self.reading.end

    def brief(self, area: Area) -> str:
        """The options of an area in a few characters each."""
        return ", ".join(option.text for option in self.options if option.area is area)


def lay_open(reading: Reading, known: Known | None = None) -> Anatomy:
    """Lay one segment open; ``known`` are the options that are known, where users' are among them."""
    known = known or _KNOWN
    anatomy = Anatomy(reading, [], [], list(reading.faults), list(reading.notes), [])
    segment = reading.packet.segment
    anatomy.pieces += _fixed(reading)
    if reading.start > reading.data_offset:
        anatomy.pieces.append(Piece(20, 1, Area.BEHIND, "Length", f"{reading.end - 20} octets, in words"))
        anatomy.pieces.append(Piece(21, 3, Area.BEHIND, "reserved", ""))
    if reading.data_offset > 20:
        _options(anatomy, known, Area.INSIDE, 20, reading.data_offset)
    if segment.sound or reading.second is not None:
        if reading.second is not None:
            _options(anatomy, known, reading.second, reading.start, reading.end)
        _twice(anatomy, known)
        _experiments(anatomy, known)
    if len(segment.tcp) > reading.end:
        octets = len(segment.tcp) - reading.end
        anatomy.pieces.append(Piece(reading.end, octets, Area.PAYLOAD, "payload", f"{octets} octets of the stream"))
    for taken in reading.taken:
        if taken.fault is not None:
            anatomy.faults.append(Fault(reading.data_offset, f"{taken.name}: {taken.fault}", "ke_malformed"))
    if reading.packet.kept < reading.end:
        anatomy.notes.append(f"only {reading.packet.kept} octets of the segment are in the capture")
    anatomy.faults.sort(key=lambda fault: fault.offset)
    return anatomy


def _fixed(reading: Reading) -> Iterator[Piece]:
    segment = reading.packet.segment
    conversation = reading.conversation
    source, target = conversation.ends if reading.forward else conversation.ends[::-1]
    acks = segment.flags & ACK
    rows = (
        (0, 2, "source port", str(segment.source_port)),
        (2, 2, "destination port", str(segment.destination_port)),
        (4, 4, "sequence number", _number(segment.seq, conversation.isns.get(source))),
        (8, 4, "acknowledgment number", _number(segment.ack, conversation.isns.get(target) if acks else None)),
        (12, 1, "Data Offset", f"{segment.data_offset >> 2} words, {segment.data_offset} octets"),
        (13, 1, "flags", flags_text(segment.flags)),
        (14, 2, "window", f"{segment.window}" + (", unscaled" if not segment.flags & SYN else "")),
        (16, 2, "checksum", reading.packet.checksum),
        (18, 2, "urgent pointer", str(segment.urgent)),
    )
    for offset, length, name, text in rows:
        yield Piece(offset, length, Area.HEADER, name, text)


def _number(value: int, isn: int | None) -> str:
    return str(value) if isn is None else f"{value}, ISN + {(value - isn) % _WHOLE}"


def _options(anatomy: Anatomy, known: Known, area: Area, start: int, end: int) -> None:
    """Lay open one area of options; what follows a fault in it cannot be read."""
    tcp = anatomy.reading.packet.segment.tcp
    found = steps(tcp, start, end)
    pieces: list[Piece] = []
    for offset, length in found.nops:
        pieces.append(Piece(offset, length, area, "NOP", "" if length == 1 else f"{length} of them"))
    for span in found.spans:
        option, places = _option(anatomy, known, span, area)
        anatomy.options.append(option)
        pieces += places
    if found.padding is not None:
        offset, length = found.padding
        pieces.append(Piece(offset, 1, area, "End of Option List", ""))
        if length > 1:
            pieces.append(Piece(offset + 1, length - 1, area, "padding", f"{length - 1} octets, not read"))
    pieces.sort(key=lambda piece: piece.offset)
    done = pieces[-1].offset + pieces[-1].length if pieces else start
    if done < min(end, len(tcp)):
        rest = min(end, len(tcp)) - done
        pieces.append(Piece(done, rest, area, "malformed", f"{rest} octets that are no whole option"))
    anatomy.pieces += pieces


def _option(anatomy: Anatomy, known: Known, span: Span, area: Area) -> tuple[OptionView, list[Piece]]:
    kind, exid, offset, length = span
    octets = bytes(anatomy.reading.packet.segment.tcp[offset : offset + length])
    registry = known.registry(anatomy.reading.conversation.found.dialect.points)
    fields: dict[str, Any] = {}
    name: str | None = None
    head = 2 if exid < 0 else 4
    body: list[Piece] = []
    fault = known.fault(kind, exid, octets)
    try:
        if fault is not None:
            raise OptionError(fault)
        name, places = registry.locate(octets)
    except OptionError as error:
        names = registry.known(kind, exid)
        title = " or ".join(NAMES.get(one, one) for one in names) or name_of(kind, exid)
        text = f"kind {kind}, {length} octets"
        if names:
            told = fault is not None or "malformed" in str(error)
            why = str(error) if told else f"{title} never has Length {length}"
            anatomy.faults.append(Fault(offset + 1, f"{why}: the option is passed over"))
        if length > head:
            body = [Piece(offset + head, length - head, area, "contents", f"{length - head} octets")]
    else:
        title = NAMES.get(name, name)
        fields = {place.name: place.value for place in places}
        text = brief(name, registry.parse(octets).fields)
        for place in places:
            words = _words(anatomy, name, place.name, place.value)
            body.append(Piece(offset + place.offset, place.length, area, field_name(place.name), words))
    pieces = [Piece(offset, 1, area, title, f"kind {kind}"), Piece(offset + 1, 1, area, "Length", str(length))]
    if exid >= 0:
        pieces.append(Piece(offset + 2, 2, area, "ExID", f"0x{exid:04X}"))
    option = OptionView(name, title, kind, None if exid < 0 else exid, offset, length, area, fields, text)
    return option, pieces + body


def _words(anatomy: Anatomy, option: str, field: str, value: Any) -> str:
    if option == "edo_extension" and field == "header_length":
        dialect = anatomy.reading.conversation.found.dialect
        return f"{value} {dialect.units.value}: the header has {value * dialect.unit} octets"
    if option == "eno":
        return eno_text(value)
    if field == "octets" and option == "ke":
        return f"{len(value)} octets of the message"
    if field == "mac":
        return f"{len(value)} octets, {8 * len(value)} bits"
    return value_text(field, value)


def _twice(anatomy: Anatomy, known: Known) -> None:
    """Options that may stand once and stand twice: the last counts, of TCP-ENO none, two TCP-AO are a fault."""
    seen: set[str] = set()
    several = {"ke", *(one.name for one in known.experiments if one.in_pieces)}
    for option in anatomy.options:
        name = option.name
        if name is None or name in several:
            continue
        if name in seen:
            if name == "ao":
                text = "a second TCP-AO option (RFC 5925 §2.2)"
                anatomy.faults.append(Fault(option.offset, text, "malformed_option"))
            elif name != "edo_extension":
                anatomy.notes.append(f"{option.title} stands twice")
        seen.add(name)
        supported = name == "edo_supported"
        if supported and not anatomy.reading.packet.segment.flags & SYN and option.area is not Area.OUT_OF_BAND:
            anatomy.notes.append("EDO Supported outside a SYN is ignored (draft-ietf-tcpm-tcp-edo §5.1)")


def _experiments(anatomy: Anatomy, known: Known) -> None:
    """What the segment says to experiments, pieces put together."""
    tcp = anatomy.reading.packet.segment.tcp
    options = [
        (
            option.kind,
            -1 if option.exid is None else option.exid,
            bytes(tcp[option.offset : option.offset + option.length]),
        )
        for option in anatomy.options
    ]
    for name, found in known.read(options):
        if isinstance(found, str):
            if all(found not in fault.text for fault in anatomy.faults):
                anatomy.faults.append(Fault(anatomy.reading.data_offset, found))
        else:
            anatomy.experiments.append((name, found))


def places_of_messages(anatomy: Anatomy) -> list[str]:
    """What this segment's fragments did for the messages they belong to, a line each."""
    lines = []
    for taken in anatomy.reading.taken:
        packets = ", ".join(map(str, taken.packets))
        text = f"{message_name(taken.kind)}: {taken.result}"
        if taken.octets is not None and taken.result == "complete":
            text += f", {len(taken.octets)} octets, from segment{'s' * (len(taken.packets) > 1)} {packets}"
        lines.append(text)
    return lines
