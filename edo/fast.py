"""Option values read straight from the octets, for every segment that arrives.

Says the same as the declarations of ``edo.codec``: an option whose Length or value they refuse is passed over.
"""

from __future__ import annotations

from struct import Struct

from edo.codepoints import POINTS, CodePoints, EdoKind
from edo.fastopen import COOKIE_OCTETS
from edo.options import Fragment, Options, Span

_TWO_WORDS = Struct(">II").unpack_from
_HALF = Struct(">H").unpack_from
_FRAGMENT = Struct(">BHH").unpack_from
_BLOCKS = tuple(Struct(f">{2 * blocks}I").unpack_from for blocks in range(32))

NO_AO = (-1, 0)
TWO_AO = (-2, 0)


def read_options(
    tcp: memoryview, spans: list[Span], points: CodePoints = POINTS, into: Options | None = None
) -> Options:
    """Return the values of the options that ``walk`` found in ``tcp``; add them to ``into`` if that is given.

    Unknown options and known ones of a wrong Length are passed over (RFC 9293 §3.1, MUST-6), but a KE option too
    short to be one becomes a fragment of message 0, which nobody takes, so that it can be counted. Of an
    option that should be there once and is there twice the last holds, but of TCP-ENO the first is kept and all
    are counted (RFC 8547 §4.1). TCP-AO, MD5 and the EDO Extension are left to their own readers.
    """
    options = Options() if into is None else into
    fragments: list[Fragment] = []
    for kind, exid, offset, length in spans:
        if kind == 8:
            if length == 10:
                options.ts_val, options.ts_ecr = _TWO_WORDS(tcp, offset + 2)
        elif exid >= 0:
            if exid == points.edo_exid:
                if length == 4 and points.edo is EdoKind.EXID:
                    options.edo_supported = True
            elif exid == points.ke_exid:
                fragments.append(_fragment(tcp, offset, length))
            elif exid == points.syn_eos_exid:
                if length == 4:
                    options.syn_eos = True
            elif exid == points.fast_open_exid and length - 4 in COOKIE_OCTETS:
                options.fast_open = bytes(tcp[offset + 4 : offset + length])
                options.fast_open_experimental = True
        elif kind == 5:
            if length >= 10 and length & 7 == 2:
                edges = _BLOCKS[length >> 3](tcp, offset + 2)
                options.sack = tuple(zip(edges[::2], edges[1::2], strict=True))
        elif kind == points.eno:
            options.eno_count += 1
            if options.eno_count == 1:
                options.eno = bytes(tcp[offset : offset + length])
        elif kind == 2:
            if length == 4:
                options.mss = _HALF(tcp, offset + 2)[0]
        elif kind == 3:
            if length == 3:
                options.wscale = tcp[offset + 2]
        elif kind == 4:
            if length == 2:
                options.sack_permitted = True
        elif kind == points.native_supported and length == 2:
            options.edo_supported = True
        elif kind == points.fast_open:
            if length - 2 in COOKIE_OCTETS:
                options.fast_open = bytes(tcp[offset + 2 : offset + length])
                options.fast_open_experimental = False
        elif kind == points.user_timeout and length == 4:
            options.user_timeout = _HALF(tcp, offset + 2)[0]
    if fragments:
        options.ke += tuple(fragments)
    return options


def _fragment(tcp: memoryview, offset: int, length: int) -> Fragment:
    if length < 10:
        return Fragment(0, 0, 0, b"")
    message, total, start = _FRAGMENT(tcp, offset + 4)
    return Fragment(message, total, start, bytes(tcp[offset + 9 : offset + length]))


def find_ao(spans: list[Span], points: CodePoints = POINTS) -> tuple[int, int]:
    """(offset, length) in octets of the TCP-AO option; ``NO_AO`` (-1, 0) or ``TWO_AO`` (-2, 0). RFC 5925 §2.2."""
    found = NO_AO
    for kind, _, offset, length in spans:
        if kind == points.ao:
            if found[0] != -1:
                return TWO_AO
            found = (offset, length)
    return found


def has_md5(spans: list[Span], points: CodePoints = POINTS) -> bool:
    """Whether a TCP-MD5 option is among ``spans`` (RFC 2385 §3.0)."""
    return any(kind == points.md5 for kind, _, _, _ in spans)


def find_md5(spans: list[Span], points: CodePoints = POINTS) -> tuple[int, int]:
    """(offset, length) in octets of the TCP-MD5 option (RFC 2385 §3.0); offset -1 for none, -2 for two."""
    found = (-1, 0)
    for kind, _, offset, length in spans:
        if kind == points.md5:
            if found[0] != -1:
                return (-2, 0)
            found = (offset, length)
    return found
