"""SYN-EOS: the SYN's options that do not fit, in an out-of-band segment beside it (OOB); EDO from then on.

draft-touch-tcpm-tcp-syn-ext-opt-09 and -10, base form. Assumed, since the text leaves it open: an ExID of our own;
the OOB's header has SYN-EOS alone (§6, the second of the stricter alternatives); the SYN offers EDO as well, so
that it is had where the OOB does not arrive; options are moved only if they do not all fit the SYN.
"""

from __future__ import annotations

from edo.extended import header_end
from edo.reasons import EdoDrop
from edo.rivals.base import (
    ACK,
    MOST_INSIDE,
    RST,
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
from edo.rivals.extension import Edo, laid_extended, supported
from edo.rivals.legacy import laid_plain, read_plain
from edo.syneos import MOST_JOINED, MOST_WITH_MESSAGE, option, read_oob
from edo.walk import walk

_EDO = Edo()


def _mark(space: Space) -> Piece:
    return Piece(Zone.INSIDE, "SYN-EOS", option(space.dialect.points))


def _exid(want: Want) -> int:
    return int.from_bytes(want.octets[2:4])


def split(wants: tuple[Want, ...], space: Space) -> tuple[tuple[Want, ...], tuple[Want, ...]]:
    """(what the SYN keeps, what goes out of band): nothing does where all fit beside EDO Supported."""
    ends = len(supported(space).octets)
    if sum(len(want.octets) for want in wants) + ends <= MOST_INSIDE:
        return wants, ()
    return fit(wants, MOST_INSIDE - ends - len(_mark(space).octets))


class SynEos(Method):
    """One packet more, beside the SYN; the SYN-ACK confirms it and may be extended by EDO."""

    name = "syn-eos"
    document = "draft-touch-tcpm-tcp-syn-ext-opt-10"
    assumed = "code point; OOB header with SYN-EOS alone; options are moved only where they do not fit"
    fallback = "the same connection; an old server drops the OOB"
    boxes = "one that drops segments with neither SYN nor ACK, as connection tracking does"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        kept, others = split(wanted.syn, space)
        if not others or part in (Part.THIRD, Part.ANSWER, Part.DATA):
            return _EDO.lay_out(part, wanted, space, payload)
        if part is Part.SYN:
            pieces = [*pieces_of(kept, Zone.INSIDE), _mark(space)]
            end = supported(space)
            pieces += [*padding(pieces, Zone.INSIDE, len(end.octets)), end]
            return laid_plain(part, "client", SYN, pieces, space, payload)
        if part is Part.BESIDE:
            return self._out_of_band(others, space, payload)
        mark = _mark(space)
        area = [*pieces_of(wanted.syn_ack, Zone.INSIDE), mark]
        if sum(len(piece.octets) for piece in area) <= MOST_INSIDE:
            area += padding(area, Zone.INSIDE)
            return laid_plain(part, "server", SYN | ACK, area, space, payload, "confirms SYN-EOS and EDO")
        return laid_extended(
            part,
            "server",
            SYN | ACK,
            wanted.syn_ack,
            space,
            payload,
            least=0,
            first=(mark,),
            note="confirms SYN-EOS and EDO; extended, since its SYN had SYN-EOS",
        )

    def _out_of_band(self, others: tuple[Want, ...], space: Space, payload: int) -> Laid:
        """The OOB: it has no room for the user's octets."""
        inside = [_mark(space)]
        points = space.dialect.points
        message = any(want.octets[0] == points.experimental and _exid(want) == points.ke_exid for want in others)
        area = (MOST_WITH_MESSAGE if message else MOST_JOINED) - MOST_INSIDE
        carried = pieces_of(fit(others, min(area, space.segment - 24) - 3)[0], Zone.STREAM)
        carried += padding(carried, Zone.STREAM)
        if payload:
            raise ValueError(f"there is room for 0 octets of payload, not {payload}")
        room_left(space, [*inside, *carried], 0)
        before = (*inside, *carried)
        note = "SEQ is the SYN's, neither SYN nor ACK is set, no sequence number is taken"
        return Laid(Part.BESIDE, "client", 0, offset_octet(inside), before, 0, note=note)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        if part in (Part.THIRD, Part.ANSWER, Part.DATA):
            return _EDO.read(part, tcp, space)
        reading = read_plain(tcp)
        if isinstance(reading, EdoDrop):
            return reading
        points = space.dialect.points
        exid = points.syn_eos_exid
        reading.marked = any(span[1] == exid and span[3] == 4 for span in reading.spans)
        if part is Part.SYN or not reading.marked:
            return reading if part is not Part.BESIDE else EdoDrop.STRAY_OOB
        end = reading.payload[0]
        if part is Part.BESIDE:
            joined = read_oob(tcp, end, points=points, most=MOST_WITH_MESSAGE)
            if joined is None or tcp[13] & (SYN | ACK | RST):
                return EdoDrop.STRAY_OOB
            if len(tcp) - end > MOST_JOINED and all(span[1] != points.ke_exid for span in joined):
                return EdoDrop.STRAY_OOB
            return Reading(True, joined, (len(tcp), len(tcp)))
        extended = header_end(tcp, reading.spans, end, space.dialect)
        if isinstance(extended, EdoDrop):
            return extended
        if extended is None:
            return reading
        behind = walk(tcp, end, extended)
        if behind is None:
            return EdoDrop.MALFORMED_OPTION
        return Reading(True, reading.spans + behind, (extended, len(tcp)))
