"""EDO by itself: no more room in the SYN, any amount behind Data Offset of every later segment.

draft-ietf-tcpm-tcp-edo-11 §4, §5. Nothing had to be assumed.
"""

from __future__ import annotations

from collections.abc import Sequence

from edo.extended import header_end
from edo.fast import read_options
from edo.options import Span
from edo.plan import Form
from edo.reasons import EdoDrop
from edo.rivals.base import (
    ACK,
    HEADER,
    LEAST_PAYLOAD,
    MOST_INSIDE,
    SYN,
    Laid,
    Method,
    Part,
    Piece,
    Reading,
    Space,
    Want,
    Wanted,
    Zone,
    fit,
    offset_octet,
    padding,
    pieces_of,
    room_left,
)
from edo.rivals.legacy import FLAGS, laid_plain, plain, read_plain
from edo.walk import walk


def supported(space: Space) -> Piece:
    """The EDO Supported option."""
    return Piece(Zone.INSIDE, "EDO Supported", space.dialect.supported())


def offers(spans: Sequence[Span], tcp: memoryview, space: Space) -> bool:
    """Whether EDO Supported is among the options of a SYN."""
    return read_options(tcp, list(spans), space.dialect.points).edo_supported


def laid_extended(
    part: Part,
    sender: str,
    flags: int,
    wants: Sequence[Want],
    space: Space,
    payload: int,
    *,
    least: int = LEAST_PAYLOAD,
    first: Sequence[Piece] = (),
    reserved: int = 0,
    note: str = "",
) -> Laid:
    """A segment with an Extension: first ``first`` and what fits before it, the others behind Data Offset.

    ``least`` octets are left for payload.
    """
    dialect = space.dialect
    form = Form.SHORT if space.authenticated else Form.LONG
    octets = dialect.short_octets if form is Form.SHORT else dialect.long_octets
    taken = sum(len(piece.octets) for piece in first)
    kept, others = fit(wants, MOST_INSIDE - octets - taken)
    inside = [*first, *pieces_of(kept, Zone.INSIDE)]
    inside += padding(inside, Zone.INSIDE)
    if sum(len(piece.octets) for piece in inside) + octets > MOST_INSIDE:
        # No room to put it on a word's boundary, which is only advice (draft-ietf-tcpm-tcp-edo §5).
        inside.pop()
    end = octets + -(sum(len(piece.octets) for piece in inside) + octets) % 4
    area = HEADER + sum(len(piece.octets) for piece in inside) + end
    behind = pieces_of(fit(others, space.segment - area - least - 3)[0], Zone.BEHIND)
    behind += padding(behind, Zone.BEHIND)
    header = area + sum(len(piece.octets) for piece in behind)
    option = bytearray(dialect.extension(form, header))
    if form is Form.LONG:
        option[-2:] = (header + payload).to_bytes(2)
    inside.append(Piece(Zone.INSIDE, "EDO Extension", bytes(option)))
    inside += padding(inside, Zone.INSIDE)
    room = room_left(space, [*inside, *behind], payload)
    before = (*inside, *behind)
    return Laid(part, sender, flags, offset_octet(inside, reserved), before, room, payload=payload, note=note)


def read_extended(tcp: memoryview, space: Space) -> Reading | EdoDrop:
    """A segment that may have an Extension; ``marked`` says whether it has one (rules R4-R10 of EDO)."""
    reading = read_plain(tcp)
    if isinstance(reading, EdoDrop):
        return reading
    data_offset = reading.payload[0]
    end = header_end(tcp, reading.spans, data_offset, space.dialect)
    if end is None:
        return reading
    if isinstance(end, EdoDrop):
        return end
    behind = walk(tcp, data_offset, end)
    if behind is None:
        return EdoDrop.MALFORMED_OPTION
    return Reading(True, reading.spans + behind, (end, len(tcp)))


class Edo(Method):
    """EDO Supported in SYN and SYN-ACK, an Extension in every segment after them."""

    name = "edo"
    document = "draft-ietf-tcpm-tcp-edo-11"
    assumed = "nothing"
    fallback = "the same connection, without EDO"
    boxes = "one that removes unknown options turns it off; the long form finds those that split or merge"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        if part in (Part.BESIDE, Part.ANSWER):
            return None
        if part is Part.SYN:
            return laid_plain(part, "client", SYN, plain(wanted.syn, supported(space)), space, payload)
        if part is Part.SYN_ACK:
            return laid_plain(part, "server", SYN | ACK, plain(wanted.syn_ack, supported(space)), space, payload)
        return laid_extended(part, "client", FLAGS[part], wanted.data, space, payload)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        if part not in (Part.SYN, Part.SYN_ACK):
            reading = read_extended(tcp, space)
            return EdoDrop.EDO_MISSING if isinstance(reading, Reading) and not reading.marked else reading
        reading = read_plain(tcp)
        if isinstance(reading, Reading):
            reading.marked = offers(reading.spans, tcp, space)
        return reading
