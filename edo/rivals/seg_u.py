"""SEG-U: Data Offset 0 says that a longer header follows, which old stacks drop without an answer.

draft-bonica-tcpm-extended-options, whose text was not at hand; known from the description of a companion: behind
the 20 octets stand a Length (one octet, in words, itself and the rest of its word counted), three reserved
octets, up to 1,016 octets of options, and then the data. Assumed: that the reserved octets are sent as zero and
not looked at; that a session is upgraded by a SYN and a SYN-ACK of this form and has it in every segment from
then on; that it is used where options of any segment do not fit 40 octets; that a client to which no answer comes
repeats its SYN in the old form.
"""

from __future__ import annotations

from collections.abc import Sequence

from edo.reasons import EdoDrop
from edo.rivals.base import (
    HEADER,
    LEAST_PAYLOAD,
    MOST_INSIDE,
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
    padding,
    pieces_of,
    room_left,
)
from edo.rivals.legacy import FLAGS, Legacy, read_plain
from edo.walk import walk

_LEGACY = Legacy()
PREFIX = 4
MOST_OPTIONS = 4 * 255 - PREFIX


def prefix(options: int) -> bytes:
    """Length and reserved octets before ``options`` octets of options (whole words, 0 to 1,016)."""
    return bytes(((PREFIX + options) // 4, 0, 0, 0))


def header_end(tcp: memoryview) -> int | None:
    """Octets up to the data of a SEG-U; None where its Length is 0 or runs past the segment."""
    if len(tcp) < HEADER + PREFIX or tcp[12] >> 4:
        return None
    end = HEADER + 4 * tcp[HEADER]
    return end if HEADER + PREFIX <= end <= len(tcp) else None


def laid_upgraded(part: Part, wants: Sequence[Want], space: Space, payload: int = 0) -> Laid:
    """A segment of this form, whatever fits an ordinary one."""
    least = 0 if part in (Part.SYN, Part.SYN_ACK) else LEAST_PAYLOAD
    area = min(MOST_OPTIONS, space.segment - HEADER - PREFIX - least - 3)
    options = pieces_of(fit(wants, area)[0], Zone.BEHIND)
    options += padding(options, Zone.BEHIND)
    head = prefix(sum(len(piece.octets) for piece in options))
    before = (Piece(Zone.BEHIND, "Length", head[:1]), Piece(Zone.BEHIND, "reserved", head[1:]), *options)
    room = room_left(space, before, payload)
    sender = "server" if part is Part.SYN_ACK else "client"
    return Laid(part, sender, FLAGS[part], 0, before, room, payload=payload, note="Data Offset 0")


class SegU(Method):
    """No packet more if the peer knows it; the header of every segment has room for 1,016 octets."""

    name = "seg-u"
    document = "draft-bonica-tcpm-extended-options (by a description)"
    assumed = "reserved octets; that SYN and SYN-ACK upgrade the session; the ordinary SYN on silence"
    fallback = "an ordinary SYN after a timeout: old stacks drop Data Offset 0"
    boxes = "one that checks Data Offset"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        sizes = (sum(len(want.octets) for want in wants) for wants in (wanted.syn, wanted.syn_ack, wanted.data))
        if part in (Part.BESIDE, Part.ANSWER) or all(size <= MOST_INSIDE for size in sizes):
            return _LEGACY.lay_out(part, wanted, space, payload)
        wants = {Part.SYN: wanted.syn, Part.SYN_ACK: wanted.syn_ack}.get(part, wanted.data)
        return laid_upgraded(part, wants, space, payload)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        if len(tcp) < HEADER or tcp[12] >> 4:
            return read_plain(tcp)
        end = header_end(tcp)
        spans = None if end is None else walk(tcp, HEADER + PREFIX, end)
        if end is None or spans is None:
            return EdoDrop.MALFORMED_SPACE
        return Reading(True, spans, (end, len(tcp)))
