"""What every TCP has: 40 octets inside Data Offset, in each segment alike (RFC 9293 §3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from edo.reasons import EdoDrop
from edo.rivals.base import (
    ACK,
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
    data_offset_of,
    fit,
    offset_octet,
    padding,
    pieces_of,
    room_left,
)
from edo.walk import walk


def plain(wants: Sequence[Want], end: Piece | None = None) -> list[Piece]:
    """What fits Data Offset of ``wants``, in whole words; ``end`` is an option that has to be there, the last."""
    octets = 0 if end is None else len(end.octets)
    pieces = pieces_of(fit(wants, MOST_INSIDE - octets)[0], Zone.INSIDE)
    if end is None:
        return pieces + padding(pieces, Zone.INSIDE)
    return [*pieces, *padding(pieces, Zone.INSIDE, octets), end]


def laid_plain(
    part: Part, sender: str, flags: int, inside: Sequence[Piece], space: Space, payload: int, note: str = ""
) -> Laid:
    """A segment all of whose options are inside Data Offset."""
    room = room_left(space, inside, payload)
    return Laid(part, sender, flags, offset_octet(inside), tuple(inside), room, payload=payload, note=note)


def read_plain(tcp: memoryview) -> Reading | EdoDrop:
    """A segment as RFC 9293 has it."""
    end = data_offset_of(tcp)
    spans = None if end is None else walk(tcp, 20, end)
    if end is None or spans is None:
        return EdoDrop.MALFORMED_OPTION
    return Reading(False, spans, (end, len(tcp)))


FLAGS = {Part.SYN: SYN, Part.SYN_ACK: SYN | ACK, Part.THIRD: ACK, Part.ANSWER: ACK, Part.DATA: ACK}
"""Flags of the segments of a three-way handshake and what follows it."""


class Legacy(Method):
    """Forty octets; what does not fit is not sent."""

    name = "legacy"
    document = "RFC 9293"
    assumed = "nothing"
    fallback = "none needed"
    boxes = "nothing but a box that removes options"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        if part in (Part.BESIDE, Part.ANSWER):
            return None
        wants = {Part.SYN: wanted.syn, Part.SYN_ACK: wanted.syn_ack}.get(part, wanted.data)
        sender = "server" if part is Part.SYN_ACK else "client"
        return laid_plain(part, sender, FLAGS[part], plain(wants), space, payload)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        return read_plain(tcp)
