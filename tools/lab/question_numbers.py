"""What an experimental option number costs against an assigned one: octets, and what boxes do to either."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final

from edo.codepoints import Dialect, EdoKind, FormChoice
from stack.batch import Octets
from stack.box import Direction
from stack.run import SYN
from stack.security import Security
from stack.simulator import Delay, Tap

from ..attacks.segments import NOP, Parts
from ..boxes.registry import arranged, make
from .carrying import PREFER, Report, Way
from .cell import Outcome
from .crossing import cross
from .paths import judged

_DELAY: Final = 0.02
ENDS: Final = {
    "experimental kind 254": EdoKind.EXID,
    "kinds 79 and 80": EdoKind.NATIVE_79_80,
    "kind 237": EdoKind.NATIVE_237,
}
_FORMS: Final = {
    "octets of EDO in a SYN": None,
    "octets of EDO in a segment; long form": FormChoice.LONG,
    "octets of EDO in a segment; short form": FormChoice.SHORT,
}
_BOXES: Final = {
    "no box": (),
    "experimental kinds are removed": ("strip:kinds=253+254",),
    "unknown kinds are removed": ("strip",),
    "unknown kinds are removed behind SYNs": ("strip:syn=except",),
    "SYNs with unknown kinds are dropped": ("drop-unknown:syn=only",),
    "segments with unknown kinds are dropped": ("drop-unknown",),
}


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Octets and boxes, by number."""
    ends = list(ENDS)[:2] if reduced else list(ENDS)
    return [(case, one) for case in (*_FORMS, *_BOXES) for one in ends]


class _Seen:
    """The EDO options that the client sends: in SYNs, and in what follows, whole."""

    def __init__(self, dialect: Dialect) -> None:
        self._syn, self._later = dialect.points.native_supported, dialect.points.native_extension
        self._exid = b"" if dialect.exid < 0 else dialect.exid.to_bytes(2)
        self.syn = b""
        self.later = b""

    def see(self, packet: Octets, direction: Direction, now: float) -> None:
        """Look at one packet."""
        parts = Parts.read(packet) if direction is Direction.FORWARD else None
        if parts is None:
            return
        if parts.flags & SYN:
            self.syn = self.syn or self._find(parts.inside, self._syn)
        else:
            self.later = self.later or self._find(parts.inside, self._later)

    def _find(self, options: list[bytes], kind: int) -> bytes:
        for one in options:
            if one != NOP and (one[2:4] == self._exid if self._exid else one[0] == kind):
                return one
        return b""


def _had(client: Report, server: Report) -> bool:
    return client["edo"] == server["edo"] == "confirmed"


def run(case: str, ends: str, seed: int) -> Outcome:
    """Have two ends speak with EDO numbered so, across the box or to see how long its options are."""
    dialect = Dialect(kind=ENDS[ends], form=_FORMS.get(case) or FormChoice.AUTO)
    security = Security(edo="strict", dialect=dialect)
    boxes = [make(text, Random(f"boxes {seed}")) for text in _BOXES.get(case, ())]
    seen = _Seen(dialect)
    crossed = cross(security, security, [Tap(seen.see), *arranged(boxes, Delay(_DELAY))], seed)
    outcome, found = judged(crossed, Way(ends, PREFER, partial(_both, security), _had))
    found["option in the SYN"], found["option in a segment"] = seen.syn.hex(), seen.later.hex()
    if case in _FORMS:
        option = seen.syn if _FORMS[case] is None else seen.later
        return Outcome("exact", {"value": len(option), "unit": "octets", **found})
    return Outcome(outcome, found)


def _both(security: Security) -> tuple[Security, Security]:
    return security, security
