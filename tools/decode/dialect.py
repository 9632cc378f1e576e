"""In which dialect EDO is spoken on a connection, found from its segments.

Header_Length in words and in octets are both lawful readings of one number, so a stack is told which; someone who
looks on may compare how many of a connection's segments each reading fits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from edo.codepoints import Dialect, EdoKind, Units
from edo.extended import find_extension, header_end
from edo.options import Span
from edo.walk import walk

KINDS: Final = (EdoKind.EXID, EdoKind.NATIVE_79_80, EdoKind.NATIVE_237)
DIALECTS: Final = {
    (kind, units): Dialect(kind=kind, units=units) for kind in KINDS for units in (Units.WORDS, Units.OCTETS)
}
# A Supported in a SYN says more than any number of segments that may mean something else by the same kind.
_OFFER: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A dialect, and whether ``kind`` and ``units`` of it were seen in segments (else given, or the default)."""

    dialect: Dialect
    kind_seen: bool
    units_seen: bool


def supported_by(spans: list[Span]) -> set[EdoKind]:
    """The numberings in which a SYN's options have EDO Supported (draft-ietf-tcpm-tcp-edo §4.1)."""
    found = set()
    for kind, exid, _, length in spans:
        if exid == DIALECTS[EdoKind.EXID, Units.WORDS].exid and length == 4:
            found.add(EdoKind.EXID)
        elif kind == 79 and length == 2:
            found.add(EdoKind.NATIVE_79_80)
        elif kind == 237 and length == 2:
            found.add(EdoKind.NATIVE_237)
    return found


class Evidence:
    """What the segments of one connection say; ``kind`` and ``units`` are given by who knows, or None."""

    __slots__ = ("_fits", "_kind", "_kinds", "_units")

    def __init__(self, kind: EdoKind | None, units: Units | None) -> None:
        self._kind = kind
        self._units = units
        self._kinds: Counter[EdoKind] = Counter()
        self._fits: Counter[tuple[EdoKind, Units]] = Counter()

    def take(self, tcp: memoryview, spans: list[Span], data_offset: int, *, syn: bool) -> None:
        """Take one segment's options inside Data Offset (20-60 octets)."""
        if syn:
            for kind in supported_by(spans):
                self._kinds[kind] += _OFFER
        for (kind, units), dialect in DIALECTS.items():
            if find_extension(tcp, spans, data_offset, dialect) is None:
                continue
            if units is Units.WORDS:
                self._kinds[kind] += 1
            end = header_end(tcp, spans, data_offset, dialect)
            if isinstance(end, int) and walk(tcp, data_offset, end) is not None:
                self._fits[kind, units] += 1

    def found(self) -> Found:
        """The dialect that fits most; where both units fit as well, words (draft-ietf-tcpm-tcp-edo §4.2)."""
        kind = self._kind or max(KINDS, key=lambda one: self._kinds[one])
        words, octets = self._fits[kind, Units.WORDS], self._fits[kind, Units.OCTETS]
        units = self._units or (Units.OCTETS if octets > words else Units.WORDS)
        return Found(
            DIALECTS[kind, units],
            kind_seen=self._kind is None and self._kinds[kind] > 0,
            units_seen=self._units is None and words != octets,
        )
