"""Inner Space: options inside the data stream, behind a count of the octets up to the next of them.

draft-briscoe-tcpm-inner-space-01, §1.3 to §2.3 read. Two connections are tried as with sister SYNs; on the
upgraded one every segment with text begins with an InSpace, that of a SYN or SYN-ACK behind Magic Number A:

    SYN    | Magic A 32 | SPS 16 | InOO 14 | Len=2 2 | Magic B 16 | SOO 14 | unused 2 | prefix | suffix | text
    others | SPS 16 | InOO 14 | Len=1 2 | inner options | text

SPS counts the octets of text, InOO the words of inner options, SOO those of the prefix, Len the words of the
InSpace. Options and InSpaces take sequence numbers, are reliable and in order, and cost window; a receiver goes
from one to the next by SPS and not by segments, so whoever cuts the stream anew does no harm (``Stream``).
Assumed: both magic numbers; that the header keeps what fits it and only the others go inside, behind the header's
in order; that a SYN needs all twelve octets of Magic A and InSpace; that options inside are as long as InOO can
count.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from edo.reasons import EdoDrop
from edo.rivals.base import (
    ACK,
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
from edo.rivals.legacy import FLAGS, Legacy, plain, read_plain
from edo.rivals.numbers import MAGIC_A, MAGIC_B
from edo.walk import walk

_LEGACY = Legacy()
_ON_SYN = Struct(">IHHHH")
_ON_OTHERS = Struct(">HH")
MOST_INNER = 4 * 0x3FFF
"""Octets of inner options that InOO can count."""

ON_SYN = _ON_SYN.size
ON_OTHERS = _ON_OTHERS.size


def on_syn(text: int, prefix: int, inner: int) -> bytes:
    """Magic A and InSpace of a SYN: octets of text (0-65,535), of prefix and of all inner options, whole words."""
    return _ON_SYN.pack(MAGIC_A, text, inner // 4 << 2 | 2, MAGIC_B, prefix // 4 << 2)


def on_others(text: int, inner: int) -> bytes:
    """InSpace of a segment without SYN: octets of text (0-65,535) and of inner options, whole words."""
    return _ON_OTHERS.pack(text, inner // 4 << 2 | 1)


def find_on_syn(tcp: memoryview, data_offset: int) -> tuple[int, int, int] | None:
    """(start, end of the prefix, end) of a SYN's inner options; None where its text does not begin with an InSpace.

    Both magic numbers, both lengths and the count of text have to fit.
    """
    if len(tcp) - data_offset < ON_SYN:
        return None
    magic, text, word, other, tail = _ON_SYN.unpack_from(tcp, data_offset)
    start = data_offset + ON_SYN
    end = start + (word & ~3)
    middle = start + (tail & ~3)
    if magic != MAGIC_A or word & 3 != 2 or other != MAGIC_B or middle > end or end + text != len(tcp):
        return None
    return start, middle, end


def _inner(wants: Sequence[Want], inside: Sequence[Piece], frame: int, space: Space, least: int) -> list[Piece]:
    """What fits behind the header and an InSpace, in whole words."""
    taken = 20 + sum(len(piece.octets) for piece in inside) + frame + least
    inner = pieces_of(fit(wants, min(MOST_INNER, space.segment - taken) - 3)[0], Zone.STREAM)
    return inner + padding(inner, Zone.STREAM)


def laid_syn(part: Part, wants: Sequence[Want], space: Space, payload: int = 0) -> Laid:
    """The SYN (``Part.BESIDE``) or SYN-ACK of an upgraded connection."""
    kept, others = fit(wants, MOST_INSIDE)
    inside = plain(kept)
    inner = _inner(others, inside, ON_SYN, space, 0)
    octets = on_syn(payload, 0, sum(len(piece.octets) for piece in inner))
    frame = [
        Piece(Zone.STREAM, "Magic Number A", octets[:4]),
        Piece(Zone.STREAM, "InSpace: SPS, InOO, Len", octets[4:8]),
        Piece(Zone.STREAM, "InSpace: Magic Number B, SOO", octets[8:]),
    ]
    before = (*inside, *frame, *inner)
    room = room_left(space, before, payload)
    flags, sender = (SYN | ACK, "server") if part is Part.SYN_ACK else (SYN, "client")
    note = "on a connection from another source port, with an ISN of its own; all of it takes sequence numbers"
    offset = offset_octet(inside)
    return Laid(part, sender, flags, offset, before, room, payload=payload, second=True, note=note)


class InnerSpace(Method):
    """One connection attempt more; then room in every segment that has text, and reliable options."""

    name = "inner-space"
    document = "draft-briscoe-tcpm-inner-space-01"
    assumed = "magic numbers; the header keeps what fits; nothing inside where all fits"
    fallback = "the ordinary connection; the upgraded one is reset"
    boxes = "one that drops SYNs with payload or cuts the payload off; splitters and proxies pass it on"

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        if not self._needed(wanted) or part in (Part.SYN, Part.ANSWER):
            return _LEGACY.lay_out(part, wanted, space, payload)
        if part is Part.BESIDE:
            return laid_syn(part, wanted.syn, space, payload)
        if part is Part.SYN_ACK:
            return laid_syn(part, wanted.syn_ack, space, payload)
        return self._other(part, wanted.data, space, payload)

    @staticmethod
    def _needed(wanted: Wanted) -> bool:
        sizes = (sum(len(want.octets) for want in wants) for wants in (wanted.syn, wanted.syn_ack, wanted.data))
        return any(size > MOST_INSIDE for size in sizes)

    def _other(self, part: Part, wants: Sequence[Want], space: Space, payload: int) -> Laid:
        kept, others = fit(wants, MOST_INSIDE)
        inside = plain(kept)
        before = list(inside)
        if part is Part.DATA or others or payload:
            inner = _inner(others, inside, ON_OTHERS, space, LEAST_PAYLOAD)
            size = sum(len(piece.octets) for piece in inner)
            before += [Piece(Zone.STREAM, "InSpace: SPS, InOO, Len", on_others(payload, size)), *inner]
        room = room_left(space, before, payload)
        if part is not Part.DATA and not others and not payload:
            # Text would need an InSpace, which a pure acknowledgment does not.
            room = max(room - ON_OTHERS, 0)
        offset = offset_octet(inside)
        return Laid(part, "client", FLAGS[part], offset, tuple(before), room, payload=payload, second=True)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        reading = read_plain(tcp)
        if isinstance(reading, EdoDrop):
            return reading
        data_offset = reading.payload[0]
        if part in (Part.SYN, Part.BESIDE, Part.SYN_ACK):
            found = find_on_syn(tcp, data_offset) if tcp[13] & SYN else None
            if found is None:
                return reading
            start, middle, end = found
            prefix, suffix = walk(tcp, start, middle), walk(tcp, middle, end)
            if prefix is None or suffix is None:
                return reading
            return Reading(True, prefix + reading.spans + suffix, (end, len(tcp)))
        if len(tcp) == data_offset:
            reading.marked = True
            return reading
        if len(tcp) - data_offset < ON_OTHERS:
            return EdoDrop.MALFORMED_SPACE
        text, word = _ON_OTHERS.unpack_from(tcp, data_offset)
        start = data_offset + ON_OTHERS
        end = start + (word & ~3)
        inner = walk(tcp, start, end) if word & 3 == 1 and end + text == len(tcp) else None
        if inner is None:
            return EdoDrop.MALFORMED_SPACE
        return Reading(True, reading.spans + inner, (end, len(tcp)))


class Stream:
    """One direction of an upgraded connection, from behind the SYN: text and options told apart by counting.

    ``take`` gets octets in order, in whatever pieces; ``options`` are the whole options found so far, for the
    caller to take away, ``inside`` is how many octets of text are still to come before the next InSpace. Holds at
    most one InSpace and its options, 65,536 octets.
    """

    __slots__ = ("_held", "broken", "inside", "options")

    def __init__(self) -> None:
        self._held = bytearray()
        self.inside = 0
        self.broken = False
        self.options: list[bytes] = []

    def take(self, octets: memoryview) -> list[memoryview]:
        """The text among ``octets``; from a contradiction on (``broken``) nothing any more."""
        text: list[memoryview] = []
        while len(octets) and not self.broken:
            if self.inside:
                text.append(octets[: self.inside])
                taken = len(text[-1])
                self.inside -= taken
                octets = octets[taken:]
                continue
            missing = self._size() - len(self._held)
            self._held += octets[:missing]
            octets = octets[missing:]
            if len(self._held) == self._size():
                self._finish()
        return text

    def _size(self) -> int:
        """Octets of the InSpace and, where it is known, its options."""
        held = self._held
        return ON_OTHERS + (int.from_bytes(held[2:4]) & ~3) if len(held) >= ON_OTHERS else ON_OTHERS

    def _finish(self) -> None:
        held = bytes(self._held)
        text, word = _ON_OTHERS.unpack_from(held)
        spans = walk(memoryview(held), ON_OTHERS, len(held)) if word & 3 == 1 else None
        if spans is None:
            self.broken = True
            return
        self._held.clear()
        self.inside = text
        self.options += [held[at : at + length] for _, _, at, length in spans]
