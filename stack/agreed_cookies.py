"""What SYN cookies stand for where keys are agreed on, and the hello that brings one back.

profile.md §5, "SYN cookies"; RFC 4987 §3.6. No state is made before a segment of a hello with a good cookie.
SYN-EOS is not confirmed, and a share of placement ``compact`` is not answered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ao.messages import MessageKind
from edo.codepoints import Dialect
from edo.eno import single, syn_option
from edo.extended import header_end
from edo.fast import read_options
from edo.options import Options
from edo.walk import walk

from .cookies import Cookies
from .handshake.agreed_b import takes
from .handshake.compact import offer_of
from .ports import FlowKey
from .run import ACK
from .security import Security
from .segment import Segment

_MASK: Final = 0xFFFFFFFF
# With cookies the TEP is offered to SYNs with one of these options only, so that both can be tried (profile.md §3).
FORMS: Final = (syn_option(), syn_option(aware=True))
# Where a hello's copy of A's option stands: its length, behind version, flags, random and ISN.
_ENO_LENGTH_AT: Final = 38


def promises(security: Security, syn: Segment) -> bytes | None:
    """The ENO option that a cookie is to cover, b"" for an answer without ENO; None: the SYN is to be dropped.

    ``syn`` with its options read.
    """
    eno = single(syn.options)
    if eno in FORMS and takes(security, syn, out_of_band=False) is None:
        return eno
    # With a share it is another placement's, which comes again.
    waits = "compact" in security.placements and offer_of(syn) is not None
    return None if waits or security.policy == "require" else b""


class Returned(NamedTuple):
    """A cookie that came back: our ISN, the peer's, the MSS that it stands for, and the ENO option that it covers.

    ``edo``: the answer had EDO Supported. ``hello``: the segment carries key exchange.
    """

    iss: int
    irs: int
    mss: int
    eno: bytes
    edo: bool
    hello: bool


def returned(
    cookies: Cookies, security: Security, dialect: Dialect, edo: bool, key: FlowKey, segment: Segment, now: float
) -> Returned | None:
    """The good cookie in an ACK to a listener; ``edo``: it answers offers of EDO."""
    iss = (segment.ack - 1) & _MASK
    if not security.agrees:
        return _in_ack(cookies, edo, key, segment, (b"",), now)
    end = header_end(segment.tcp, segment.spans, segment.data_offset, dialect)
    behind = walk(segment.tcp, segment.data_offset, end) if isinstance(end, int) else None
    if behind and isinstance(end, int) and segment.flags == ACK and end == len(segment.tcp):
        options = read_options(segment.tcp, behind, dialect.points)
        if options.ke:
            irs = (segment.seq + end - segment.data_offset - 1) & _MASK
            for eno in _copied(options):
                mss = cookies.check(key, irs, iss, now, edo=True, eno=eno)
                if mss is not None:
                    return Returned(iss, irs, mss, eno, True, True)
            return None
    return _in_ack(cookies, edo, key, segment, (b"", *FORMS), now)


def _in_ack(
    cookies: Cookies, edo: bool, key: FlowKey, segment: Segment, forms: tuple[bytes, ...], now: float
) -> Returned | None:
    """The cookie that an ordinary ACK brings; those of answers with ENO had EDO Supported too."""
    iss, irs = (segment.ack - 1) & _MASK, (segment.seq - 1) & _MASK
    for eno in forms:
        for supported in (True,) if eno else (False, True) if edo else (False,):
            mss = cookies.check(key, irs, iss, now, edo=supported, eno=eno)
            if mss is not None:
                return Returned(iss, irs, mss, eno, supported, False)
    return None


def _copied(options: Options) -> tuple[bytes, ...]:
    """The ENO option that a hello's first fragment says A's SYN had; both forms where it does not say."""
    for fragment in options.ke:
        octets = fragment.octets
        if fragment.message == MessageKind.HELLO and not fragment.offset and len(octets) > _ENO_LENGTH_AT:
            start = _ENO_LENGTH_AT + 1
            eno = octets[start : start + octets[_ENO_LENGTH_AT]]
            if len(eno) == octets[_ENO_LENGTH_AT]:
                return (eno,) if eno in FORMS else ()
    return FORMS
