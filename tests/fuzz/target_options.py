"""Options inside and behind Data Offset: walk, values, the Extension's word on the end, in each dialect."""

from __future__ import annotations

from construct import ConstructError

from edo.codec import ENO_SUBOPTIONS
from edo.codepoints import POINTS, Dialect
from edo.eno import negotiate, offered, syn_option
from edo.eno import parse as parse_eno
from edo.negotiation import Edo, EdoPolicy, EdoState
from edo.reasons import EdoDrop
from edo.walk import walk
from tests.edo.authority import Authority
from tests.edo.mutation import DIALECTS, Segments
from tests.fuzz.choices import Choices

_AUTHORITIES = [Authority(dialect) for dialect in DIALECTS]
_FLAGS = (0x10, 0x02, 0x12, 0x04, 0x14, 0x18, 0x11, 0x00)


def run(data: bytes) -> None:
    """The readers say what the declarations say, and a connection's EDO draws from it what the draft has."""
    choices = Choices(data)
    authority = choices.one_of(_AUTHORITIES)
    flags = choices.one_of(_FLAGS)
    policy = choices.one_of(tuple(EdoPolicy))
    active = choices.flag()
    segment = choices.rest()
    if len(segment) < 20:
        segment += bytes(20 - len(segment))
    authority.compare(segment)
    _negotiated(segment, flags, policy, authority.dialect, active)
    _eno(segment[20:52])


def _negotiated(segment: bytes, flags: int, policy: EdoPolicy, dialect: Dialect, active: bool) -> None:
    tcp = memoryview(segment)
    offset = tcp[12] >> 4 << 2
    spans = walk(tcp, 20, offset) if 20 <= offset <= len(tcp) else None
    if spans is None:
        return
    edo = Edo(policy, active=active, dialect=dialect)
    if active:
        edo.offer()
        edo.take_syn_ack(True)
    else:
        edo.take_syn(True)
    for _ in range(2):
        before = edo.state
        end = edo.boundary(tcp, offset, spans, flags)
        assert edo.state is before
        assert isinstance(end, EdoDrop) or offset <= end <= len(tcp)
        # RFC 9293 is all that counts where EDO is off, and in a SYN.
        if flags & 0x02 or not edo.on:
            assert end == offset
        edo.accepted(not isinstance(end, EdoDrop) and end > offset)
        assert edo.state in ((EdoState.OFF,) if policy is EdoPolicy.OFF else tuple(EdoState))


def _eno(contents: bytes) -> None:
    option = bytes((POINTS.eno, 2 + len(contents))) + contents
    eno = parse_eno(option)
    try:
        declared = ENO_SUBOPTIONS.parse(contents).suboptions
    except ConstructError:
        assert not eno.ok
    else:
        assert eno.ok
        assert len(eno.teps) == sum((part.tep or part.first) >= 0x20 for part in declared)
    offered(option)
    negotiate(option, syn_option())
    negotiate(syn_option(), option)


def seeds() -> list[bytes]:
    """A segment of each dialect."""
    return [
        bytes((number, 0, 1, 0)) + bytes(Segments(number, dialect).whole())
        for number, dialect in enumerate(DIALECTS)
    ]
