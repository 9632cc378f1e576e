"""Aggregated option: one bit in the SYN for an option whose octets follow in the third segment.

draft-nishida-tcpm-agg-syn-ext-00, text read. The option has up to three blocks of an octet, each a group (two
bits, GID) and six bits for the options of the group. In a SYN group g has GID g - 1, in a SYN-ACK GID g, so a box
that echoes options is noticed. The options themselves follow in their own form in the third segment and its
answer. On these the option without a block says that more is to come: such a segment is acknowledged by one with
the option, and repeated by a timer though it has no text. The block 0xC0 says that it was the last. Assumed: an
ExID in place of the Kind that was to be assigned, so that lengths are two octets more; which bit means what, but
for which the document has registrations to come (``number``); that each option has to fit a header of 40 octets
beside this one; that no bit stands for MSS, TCP-AO, TCP-MD5 or a cookie of Fast Open, which have to be in the
SYN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from edo.codepoints import MSS as MSS_KIND
from edo.codepoints import SACK_PERMITTED, TIMESTAMPS, WSCALE
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
from edo.rivals.numbers import AGGREGATED

_LEGACY = Legacy()
_HEAD = 4
_GROUP = 6
_LAST: Final = 0xC0
_KNOWN: Final = {WSCALE: 0, SACK_PERMITTED: 1, TIMESTAMPS: 2, 28: 3, 30: 4, 69: 5}
_IN_THE_SYN: Final = frozenset({MSS_KIND, 19, 29, 34})

MOST_PARAMETER: Final = MOST_INSIDE - _HEAD - 1
"""Octets of an option that still fits a header beside the aggregated one."""

MORE = b""
"""Blocks of the option that says that more is to come."""

LAST = bytes((_LAST,))
"""Blocks of the option that says that nothing more is to come."""


def number(option: bytes) -> int | None:
    """The bit of an option, 0-17; None for one that has to be in the SYN.

    Groups 2 and 3 are shared by all kinds and ExIDs that have no bit of their own: two that fall on one cannot be
    promised together.
    """
    kind = option[0]
    if kind in _IN_THE_SYN:
        return None
    if kind in _KNOWN:
        return _KNOWN[kind]
    exid = int.from_bytes(option[2:4]) if kind in (253, 254) and len(option) >= 4 else 0
    return _GROUP + (kind + exid) % (2 * _GROUP)


def blocks(numbers: Iterable[int], answer: bool) -> bytes:
    """Blocks for these bits, as they stand in a SYN or, ``answer``, in a SYN-ACK."""
    bits = [0, 0, 0]
    for one in numbers:
        bits[one // _GROUP] |= 1 << one % _GROUP
    return bytes((group + answer) << _GROUP | mask for group, mask in enumerate(bits) if mask)


def option(contents: bytes, kind: int = 254) -> bytes:
    """The whole aggregated option around 0 to 3 blocks."""
    return bytes((kind, _HEAD + len(contents))) + AGGREGATED.to_bytes(2) + contents


def contents_of(tcp: memoryview, spans: Sequence[Span]) -> bytes | None:
    """The blocks of the one aggregated option; None where there is none, two, or one that is too long."""
    found = [span for span in spans if span[1] == AGGREGATED]
    if len(found) != 1 or not _HEAD <= found[0][3] <= _HEAD + 3:
        return None
    _, _, at, length = found[0]
    return bytes(tcp[at + _HEAD : at + length])


def numbers_of(contents: bytes, answer: bool) -> tuple[int, ...] | None:
    """The bits of a SYN's or, ``answer``, SYN-ACK's blocks; None for GIDs that cannot be there, or twice."""
    found: list[int] = []
    groups: set[int] = set()
    for block in contents:
        group = (block >> _GROUP) - answer
        if not 0 <= group < 3 or group in groups or not block & 0x3F:
            return None
        groups.add(group)
        found += [group * _GROUP + bit for bit in range(_GROUP) if block >> bit & 1]
    return tuple(found) if found else None


def split(wants: Sequence[Want], largest: int = MOST_PARAMETER) -> tuple[tuple[Want, ...], tuple[Want, ...]]:
    """(what stands in the SYN or SYN-ACK, what a bit stands for), where not all fit.

    ``largest``: the octets that an option may have which follows in the third segment.
    """
    if sum(len(want.octets) for want in wants) <= MOST_INSIDE:
        return tuple(wants), ()
    taken: set[int] = set()
    room = MOST_INSIDE - _HEAD - 3
    kept: list[Want] = []
    promised: list[Want] = []
    for want in wants:
        bit = number(want.octets)
        if len(want.octets) <= room:
            kept.append(want)
            room -= len(want.octets)
        elif bit is not None and bit not in taken and len(want.octets) <= largest:
            taken.add(bit)
            promised.append(want)
    return tuple(kept), tuple(promised)


def beside(parameters: Sequence[Want], every: Sequence[Want]) -> tuple[Want, ...]:
    """Of the options that every segment has those that are no parameters anyhow."""
    kinds = {want.octets[0] for want in parameters}
    return tuple(want for want in every if want.octets[0] not in kinds)


def chunks(parameters: Sequence[Want], every: Sequence[Want]) -> list[tuple[Want, ...]]:
    """The parameters by segment: each beside ``every`` and the aggregated option, the last with no more to come."""
    room = MOST_INSIDE - _HEAD - 1 - sum(len(want.octets) for want in beside(parameters, every))
    found: list[tuple[Want, ...]] = []
    left: tuple[Want, ...] = tuple(parameters)
    while True:
        kept, others = fit(left, room)
        if not kept and others:
            # One that has no room beside what every segment has goes alone.
            kept, others = others[:1], others[1:]
        found.append(kept)
        if not others:
            return found
        left = others


def laid_syn(
    part: Part,
    wants: Sequence[Want],
    space: Space,
    payload: int = 0,
    *,
    largest: int = MOST_PARAMETER,
    asked: frozenset[int] = frozenset(),
) -> Laid:
    """A SYN or SYN-ACK with bits for what has no room; the latter has those of ``asked``, to which it agrees."""
    answer = part is Part.SYN_ACK
    kept, promised = split(wants, largest)
    stands = {number(want.octets) for want in kept}
    bits = ({number(want.octets) for want in promised} | asked) - stands
    contents = blocks((bit for bit in bits if bit is not None), answer)
    mark = Piece(Zone.INSIDE, "aggregated", option(contents, space.dialect.points.experimental))
    kept, _ = fit(kept, MOST_INSIDE - len(mark.octets))
    inside = [*pieces_of(kept, Zone.INSIDE), mark]
    inside += padding(inside, Zone.INSIDE)
    room = room_left(space, inside, payload)
    names = ", ".join(want.name for want in promised)
    note = f"promises {names}" if names else ""
    flags, sender = (SYN | ACK, "server") if answer else (SYN, "client")
    return Laid(part, sender, flags, offset_octet(inside), tuple(inside), room, payload=payload, note=note)


class Aggregated(Method):
    """No packet more unless parameters need several; the SYN's room is for bits, not for octets."""

    name = "aggregated"
    document = "draft-nishida-tcpm-agg-syn-ext-00"
    assumed = "ExID for the Kind; which bit means what; each option fits a header"
    fallback = "the same connection, without what was promised"
    boxes = "one that removes unknown options turns it off"
    completes = True

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        laid = self.segments(part, wanted, space, payload)
        if len(laid) > 1 and payload:
            raise ValueError(f"there is room for 0 octets of payload in the first of several, not {payload}")
        return laid[0] if laid else None

    def exchange(self, wanted: Wanted, space: Space) -> tuple[Laid, ...]:
        return tuple(laid for part in Part for laid in self.segments(part, wanted, space))

    def segments(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> list[Laid]:
        """The segments of a part: of the third and its answer there may be several, payload is in the last."""
        used = split(wanted.syn)[1]
        if not used or part is Part.DATA or part is Part.BESIDE:
            plain_one = _LEGACY.lay_out(part, wanted, space, payload)
            return [] if plain_one is None else [plain_one]
        asked = frozenset(bit for want in used if (bit := number(want.octets)) is not None)
        if part is Part.SYN:
            return [laid_syn(part, wanted.syn, space, payload)]
        if part is Part.SYN_ACK:
            return [laid_syn(part, wanted.syn_ack, space, payload, asked=asked)]
        parameters = used if part is Part.THIRD else split(wanted.syn_ack)[1]
        return self._parameters(part, parameters, wanted.data, space, payload)

    @staticmethod
    def _parameters(
        part: Part, parameters: Sequence[Want], data: Sequence[Want], space: Space, payload: int
    ) -> list[Laid]:
        """The options that were promised, in as many segments as they need, and every segment's own."""
        sender = "client" if part is Part.THIRD else "server"
        kind = space.dialect.points.experimental
        laid: list[Laid] = []
        found = chunks(parameters, data)
        for index, own in enumerate(found):
            more = index < len(found) - 1
            mark = Piece(Zone.INSIDE, "aggregated", option(MORE if more else LAST, kind))
            inside = plain((*own, *beside(parameters, data)), mark)
            octets = 0 if more else payload
            room = 0 if more else room_left(space, inside, octets)
            note = "more to come: the peer acknowledges it, else it is repeated" if more else "the last of them"
            offset = offset_octet(inside)
            laid.append(Laid(part, sender, ACK, offset, tuple(inside), room, payload=octets, note=note))
        return laid

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        reading = read_plain(tcp)
        if isinstance(reading, EdoDrop):
            return reading
        contents = contents_of(tcp, reading.spans)
        if contents is None:
            return reading
        if part in (Part.SYN, Part.SYN_ACK):
            promised = numbers_of(contents, part is Part.SYN_ACK)
            reading.marked = promised is not None
            reading.promised = promised or ()
        elif part in (Part.THIRD, Part.ANSWER):
            reading.marked = contents in (MORE, LAST)
            reading.more = contents == MORE
        return reading
