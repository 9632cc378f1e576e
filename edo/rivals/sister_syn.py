"""Sister SYNs: beside the ordinary SYN another from a second port, whose payload ends in more options.

draft-briscoe-tcpm-syn-op-sis-02, text read. The end of such a SYN, SynOpSis, says how many words of options stand
before it: Kind, Length 8, a magic number of four octets, the words of extra options, and how many of these are to
be processed before the header's own. Kind, Length and magic number confirm it in the SYN-ACK. Nothing but the SYN
has more room. Assumed: the magic number and the experimental kind, which makes the confirmation six octets long,
not two; that what does not fit the header is processed after it; that there is no sister where all options fit
one SYN.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from edo.options import Span
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
    fit,
    offset_octet,
    padding,
    pieces_of,
    room_left,
)
from edo.rivals.legacy import Legacy, plain, read_plain
from edo.rivals.numbers import SYN_OP_SIS
from edo.walk import walk

_LEGACY = Legacy()
_END = Struct(">BBIBB")
_CONFIRMATION = Struct(">BBI")
_KINDS = (253, 254)
MOST_EXTRA = 4 * 255
"""Octets of extra options that one octet can count in words."""


def end_option(extra: int, prefix: int, kind: int = 254) -> bytes:
    """SynOpSis behind ``extra`` octets of options, ``prefix`` of them processed first; whole words, 0 to 1,020."""
    return _END.pack(kind, _END.size, SYN_OP_SIS, extra // 4, prefix // 4)


def confirmation(kind: int = 254) -> bytes:
    """The option with which a SYN-ACK says that the sister was understood."""
    return _CONFIRMATION.pack(kind, _CONFIRMATION.size, SYN_OP_SIS)


def find_extra(tcp: memoryview, data_offset: int) -> tuple[int, int, int] | None:
    """(start, end of the prefix, end) of the extra options of a SYN; None where its end is no SynOpSis.

    All of it has to fit: kind, length, magic number and the lengths; the options themselves are walked later.
    """
    at = len(tcp) - _END.size
    if at < data_offset:
        return None
    kind, length, magic, words, prefix = _END.unpack_from(tcp, at)
    start = at - 4 * words
    if kind not in _KINDS or length != _END.size or magic != SYN_OP_SIS or start < data_offset or prefix > words:
        return None
    return start, start + 4 * prefix, at


def confirms(tcp: memoryview, spans: list[Span]) -> bool:
    """Whether the options of a SYN-ACK have the confirmation."""
    return any(
        kind in _KINDS and length == _CONFIRMATION.size and tcp[at + 2 : at + 6] == SYN_OP_SIS.to_bytes(4)
        for kind, _, at, length in spans
    )


def laid_syn_ack(wants: Sequence[Want], space: Space, payload: int = 0) -> Laid:
    """The SYN-ACK that says that a sister was understood."""
    mark = Piece(Zone.INSIDE, "SynOpSis", confirmation(space.dialect.points.experimental))
    kept, _ = fit(wants, MOST_INSIDE - len(mark.octets))
    inside = [*pieces_of(kept, Zone.INSIDE), mark]
    inside += padding(inside, Zone.INSIDE)
    room = room_left(space, inside, payload)
    offset = offset_octet(inside)
    return Laid(Part.SYN_ACK, "server", SYN | ACK, offset, tuple(inside), room, payload=payload, second=True)


class SisterSyn(Method):
    """One connection attempt more, of which one is reset; the SYN alone has more room."""

    name = "sister-syn"
    document = "draft-briscoe-tcpm-syn-op-sis-02"
    assumed = "magic number and kind; what does not fit is processed last; no sister where all fits"
    fallback = "the ordinary connection; the sister is reset"
    boxes = "one that drops SYNs with payload or cuts the payload off"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        kept, others = fit(wanted.syn, MOST_INSIDE)
        if not others or part not in (Part.BESIDE, Part.SYN_ACK):
            return _LEGACY.lay_out(part, wanted, space, payload)
        if part is Part.SYN_ACK:
            return laid_syn_ack(wanted.syn_ack, space, payload)
        inside = plain(kept)
        taken = 20 + sum(len(piece.octets) for piece in inside) + _END.size
        extra = pieces_of(fit(others, min(MOST_EXTRA, space.segment - taken) - 3)[0], Zone.STREAM)
        extra += padding(extra, Zone.STREAM)
        size = sum(len(piece.octets) for piece in extra)
        after = (*extra, Piece(Zone.STREAM, "SynOpSis", end_option(size, 0, space.dialect.points.experimental)))
        room = room_left(space, [*inside, *after], payload)
        note = "from another source port, with an ISN of its own; the options stand behind the payload"
        offset = offset_octet(inside)
        return Laid(part, "client", SYN, offset, tuple(inside), room, after, payload, second=True, note=note)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        reading = read_plain(tcp)
        if isinstance(reading, EdoDrop):
            return reading
        if part is Part.SYN_ACK:
            reading.marked = confirms(tcp, reading.spans)
            return reading
        if part not in (Part.SYN, Part.BESIDE) or tcp[13] & (SYN | ACK) != SYN:
            return reading
        data_offset = reading.payload[0]
        extra = find_extra(tcp, data_offset)
        if extra is None:
            return reading
        start, middle, end = extra
        prefix, suffix = walk(tcp, start, middle), walk(tcp, middle, end)
        if prefix is None or suffix is None:
            # What only looks like options is the user's.
            return reading
        return Reading(True, prefix + reading.spans + suffix, (data_offset, start))
