"""Option space of one connection: the plan of each header, and what there was no room for (profile.md §1)."""

from __future__ import annotations

from typing import Final

from edo.area import MOST_INSIDE
from edo.codepoints import CodePoints, Dialect
from edo.fast import read_options
from edo.layout import AO_HEAD, HEADER, NoRoom, lay_out
from edo.negotiation import Edo, EdoState
from edo.options import Options
from edo.plan import Form, Plan
from edo.walk import walk

from .protection import Protection
from .run import ACK, RST, SYN
from .variables import LEGACY_SACK_ROOM

_NOP: Final = b"\x01"
# What options leave to data in a segment of the usual size, and a SACK block; octets.
_DATA_ROOM: Final = 128
_BLOCK: Final = 8
# The timestamps option, octets.
_TIMESTAMPS: Final = 10
_OVERHEADS: Final[dict[tuple[Dialect, int, int, bool, bool], int]] = {}
_MOST_OVERHEADS: Final = 256


def lay(
    edo: Edo,
    protection: Protection,
    options: Options,
    flags: int,
    riders: tuple[bytes, ...] = (),
    *,
    answers_extended: bool,
    length: int = 0,
) -> Plan:
    """Lay out the header with which a run of ``length`` octets with ``options`` and ``flags`` goes.

    ``riders`` are whole options that go with it; ``answers_extended``: a RST among the flags answers a segment that
    had an Extension (draft-ietf-tcpm-tcp-edo, RST). Raises ``edo.layout.NoRoom``.
    """
    syn = bool(flags & SYN)
    extension = None
    behind = False
    if not syn and edo.state is not EdoState.OFF and (not flags & RST or edo.rst_extension(answers_extended)):
        authenticated = protection.authenticates
        extension = edo.form(authenticated)
        behind = bool(riders) or edo.may_extend(authenticated)
    plan = lay_out(
        options,
        ao_octets=protection.ao_octets,
        key_ids=protection.key_ids,
        extension=extension,
        behind=behind,
        riders=riders,
        dialect=edo.dialect,
        syn=syn,
        md5=protection.md5,
    )
    padding = edo.dialect.data_padding
    if padding and length and extension is not None and plan.header_octets < HEADER + padding:
        riders += (_NOP * (HEADER + padding - plan.header_octets),)
        return lay(edo, protection, options, flags, riders, answers_extended=answers_extended)
    return plan


def overhead(edo: Edo, protection: Protection, *, timestamps: bool) -> int:
    """Option octets of each segment with data, those apart that only some carry (RFC 9293 §3.7.1)."""
    # Asked for every batch of every connection, and nearly always the same.
    form = edo.form(protection.authenticates)
    written = 0 if form is None else 1 if form is Form.SHORT else 2
    shape = (edo.dialect, written, protection.ao_octets, protection.md5, timestamps)
    known = _OVERHEADS.get(shape)
    if known is not None:
        return known
    options = Options(ts_val=0) if timestamps else Options()
    try:
        octets = lay(edo, protection, options, ACK, answers_extended=False).header_octets - HEADER
    except NoRoom:
        octets = MOST_INSIDE
    octets = max(octets, edo.dialect.data_padding) if edo.on else octets
    if len(_OVERHEADS) >= _MOST_OVERHEADS:
        _OVERHEADS.clear()
    _OVERHEADS[shape] = octets
    return octets


def mac_room(edo: Edo, *, timestamps: bool) -> int:
    """Octets that a MAC of TCP-AO may have in every segment without SYN beside what else has to be there."""
    form = edo.form(True)
    extension = 0 if form is None else edo.dialect.extension_octets(form)
    return MOST_INSIDE - AO_HEAD - extension - (_TIMESTAMPS if timestamps else 0)


def sack_room(edo: Edo, protection: Protection, segment_size: int) -> int:
    """How many SACK blocks the connection may put into a segment; the layout leaves out what does not fit inside.

    Behind Data Offset they take of the octets: at least so many are left to these (draft-ietf-tcpm-tcp-edo, MSS).
    """
    if not edo.may_extend(protection.authenticates):
        return LEGACY_SACK_ROOM
    return max((segment_size - _DATA_ROOM) // _BLOCK, LEGACY_SACK_ROOM)


def not_carried(asked: Options, plan: Plan, points: CodePoints) -> Options | None:
    """What a SYN laid out by ``plan`` carries, where that is less than ``asked``: the rest yielded to others."""
    header = memoryview(bytes(HEADER) + plan.octets)
    sent = read_options(header, walk(header, HEADER, plan.data_offset) or [], points)
    same = (asked.ts_val, asked.wscale, asked.sack_permitted) == (sent.ts_val, sent.wscale, sent.sack_permitted)
    return None if same else sent
