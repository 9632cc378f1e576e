"""Four-way handshake: the client answers the SYN-ACK with one of its own, which EDO may extend.

draft-borman-tcp4way-00, text read. A reserved bit, 4WAY, in SYN and SYN-ACK says that a side can do this; the
client may still end with a plain ACK. Assumed: which of the reserved bits it is; that the SYN offers EDO, without
which nothing is gained; that a SYN-ACK with 4WAY may be extended, since its SYN offered both, and then has no EDO
Supported beside the Extension; that the client's SYN-ACK repeats the bit and no option of its SYN. Options that
ask for an answer in the SYN-ACK stay in the SYN as far as they can ("directional" in the document).
"""

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
    Reading,
    Space,
    Want,
    Wanted,
    fit,
    offset_octet,
    room_left,
)
from edo.rivals.extension import Edo, laid_extended, offers, read_extended, supported
from edo.rivals.legacy import plain
from edo.rivals.numbers import FOUR_WAY

_EDO = Edo()


def split(wants: tuple[Want, ...], space: Space) -> tuple[tuple[Want, ...], tuple[Want, ...]]:
    """(what the SYN has, what is left for the client's SYN-ACK): directional options go into the SYN first."""
    room = MOST_INSIDE - len(supported(space).octets)
    kept, _ = fit(sorted(wants, key=lambda want: not want.directional), room)
    return tuple(want for want in wants if want in kept), tuple(want for want in wants if want not in kept)


def besides(wants: Sequence[Want], others: Sequence[Want]) -> tuple[Want, ...]:
    """``wants`` and those of ``others`` that are of another kind than any of them."""
    kinds = {want.octets[0] for want in wants}
    return (*wants, *(want for want in others if want.octets[0] not in kinds))


def _is_long(wants: Sequence[Want], space: Space) -> bool:
    """Whether a SYN-ACK with these options and EDO Supported has to be extended."""
    return sum(len(want.octets) for want in wants) + len(supported(space).octets) > MOST_INSIDE


def _marked(part: Part, wants: Sequence[Want], sender: str, flags: int, space: Space, payload: int) -> Laid:
    """A segment with 4WAY and EDO Supported and all its options inside Data Offset."""
    inside = plain(wants, supported(space))
    room = room_left(space, inside, payload)
    offset = offset_octet(inside, FOUR_WAY)
    return Laid(part, sender, flags, offset, tuple(inside), room, payload=payload, note="4WAY")


def laid_syn_ack(wants: Sequence[Want], space: Space, payload: int = 0) -> Laid:
    """The SYN-ACK to a SYN with 4WAY and EDO Supported."""
    flags = SYN | ACK
    if not _is_long(wants, space):
        return _marked(Part.SYN_ACK, wants, "server", flags, space, payload)
    note = "4WAY: extended, since its SYN had 4WAY and EDO Supported"
    return laid_extended(
        Part.SYN_ACK, "server", flags, wants, space, payload, least=0, reserved=FOUR_WAY, note=note
    )


class FourWay(Method):
    """No packet more if all options fit; else two, and the server's first octets come half a round trip later."""

    name = "four-way"
    document = "draft-borman-tcp4way-00"
    assumed = "which reserved bit; EDO in the SYN; SYN-ACKs with the bit may be extended"
    fallback = "the same connection: an old server ignores the bit"
    boxes = "one that clears reserved bits or drops segments that have them; one that removes EDO"
    completes = True

    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        kept, others = split(wanted.syn, space)
        long = _is_long(wanted.syn_ack, space)
        if part is Part.BESIDE or (not others and not long):
            return _EDO.lay_out(part, wanted, space, payload)
        if part is Part.SYN:
            return _marked(part, kept, "client", SYN, space, payload)
        if part is Part.SYN_ACK:
            return laid_syn_ack(wanted.syn_ack, space, payload)
        if part is Part.THIRD and others:
            return laid_extended(
                part,
                "client",
                SYN | ACK,
                besides(others, wanted.data),
                space,
                payload,
                least=0,
                reserved=FOUR_WAY,
                note="the client's SYN-ACK: SEQ is its ISN, the SYN takes no other number than before",
            )
        if part is Part.ANSWER and not others:
            return None
        sender = "server" if part is Part.ANSWER else "client"
        return laid_extended(part, sender, ACK, wanted.data, space, payload)

    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        if part in (Part.ANSWER, Part.DATA):
            return _EDO.read(part, tcp, space)
        reading = read_extended(tcp, space)
        if isinstance(reading, EdoDrop):
            return reading
        has_bit = bool(tcp[13] & SYN and tcp[12] & FOUR_WAY)
        if part is Part.THIRD:
            return reading if reading.marked else EdoDrop.EDO_MISSING
        reading.marked = has_bit and (reading.marked or offers(reading.spans, tcp, space))
        if part is Part.SYN and not reading.marked:
            # No Extension has a meaning in a SYN that nobody asked for (draft-ietf-tcpm-tcp-edo, rule N2).
            return _EDO.read(part, tcp, space)
        return reading
