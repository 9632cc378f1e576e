"""TCP-ENO: the option's forms, its parsing, and which TEP two options negotiate (RFC 8547 §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from edo.codepoints import POINTS, CodePoints
from edo.options import Options

TEP_EXPERIMENTAL = 0x20
MAGIC = 0xED
VERSION = 1
B_BIT = 0x01
AWARE_BIT = 0x02
WITH_DATA = 0x80


def _option(contents: bytes, points: CodePoints) -> bytes:
    return bytes((points.eno, 2 + len(contents))) + contents


_TEP = bytes((TEP_EXPERIMENTAL | WITH_DATA, MAGIC, VERSION))


def syn_option(aware: bool = False, points: CodePoints = POINTS) -> bytes:
    """The option of an active opener's SYN; a global suboption of 0 is left out (RFC 8547 §4.2)."""
    return _option((bytes((AWARE_BIT,)) if aware else b"") + _TEP, points)


def syn_ack_option(aware: bool = False, points: CodePoints = POINTS) -> bytes:
    """The option of a passive opener's SYN-ACK, with b = 1 (RFC 8547 §4.2)."""
    return _option(bytes((B_BIT | (AWARE_BIT if aware else 0),)) + _TEP, points)


VACUOUS = _option(bytes((B_BIT,)), POINTS)
"""A passive opener's option without a TEP: ENO is known here but not to be had (RFC 8547 §4.7)."""

NON_SYN = _option(b"", POINTS)
"""The non-SYN form (RFC 8547 §4.1, Figure 3)."""


@dataclass(frozen=True, slots=True)
class Eno:
    """A parsed SYN-form option.

    ``global_bits`` are the five bits of the first global suboption, 0 without one; ``teps`` are (7-bit TEP
    identifier, suboption data or None where v = 0) in order; ``ok`` is False where RFC 8547 §4.4 has the
    option ignored, and then the rest is empty.
    """

    global_bits: int
    teps: tuple[tuple[int, bytes | None], ...]
    ok: bool

    @property
    def b(self) -> int:
        """The passive role bit: 1 is host B (RFC 8547 §4.3)."""
        return self.global_bits & B_BIT

    @property
    def aware(self) -> bool:
        """The application-aware bit (RFC 8547 §4.2)."""
        return bool(self.global_bits & AWARE_BIT)

    @property
    def vacuous(self) -> bool:
        """A good option without any TEP (RFC 8547 §4.7)."""
        return self.ok and not self.teps


_ILL_FORMED = Eno(0, (), ok=False)


def parse(octets: bytes, points: CodePoints = POINTS) -> Eno:
    """Parse a whole SYN-form option (RFC 8547 §4.1, §4.2, §4.4); never raises."""
    return _parse(octets, points.eno)


# Each handshake reads the two options several times, and nearly all hosts send the same ones.
@lru_cache(maxsize=64)
def _parse(octets: bytes, kind: int) -> Eno:
    if len(octets) < 2 or octets[0] != kind or octets[1] != len(octets):
        return _ILL_FORMED
    global_bits = -1
    teps: list[tuple[int, bytes | None]] = []
    at = 2
    while at < len(octets):
        first = octets[at]
        at += 1
        if first < 0x20:
            # Only the first global suboption counts, so that later ones can be given a meaning.
            global_bits = first if global_bits < 0 else global_bits
        elif first < WITH_DATA:
            teps.append((first, None))
        else:
            length = len(octets) - at
            if first < WITH_DATA + TEP_EXPERIMENTAL:
                length = (first & 0x1F) + 1
                if at + 1 + length > len(octets) or octets[at] < WITH_DATA + TEP_EXPERIMENTAL:
                    return _ILL_FORMED
                first = octets[at]
                at += 1
            teps.append((first & 0x7F, octets[at : at + length]))
            at += length
    return Eno(max(global_bits, 0), tuple(teps), ok=True)


def single(options: Options) -> bytes | None:
    """The SYN's ENO option, None where there is none or more than one (RFC 8547 §4.1)."""
    return options.eno if options.eno_count == 1 else None


class EnoFailure(StrEnum):
    """Why two options negotiate nothing; encryption is off then (RFC 8547 §4.6)."""

    ABSENT = "no ENO option"
    ILL_FORMED = "ENO option ill-formed"
    ROLES = "equal b bits"
    VACUOUS = "vacuous ENO option"
    NO_TEP = "no valid TEP"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What two SYN-form options agree on (RFC 8547 §4.5, §4.8).

    ``tep`` is the octet as host B sent it, v included; ``data_a`` and ``data_b`` the suboption data of the two
    hosts; ``transcript`` A's whole option followed by B's; ``aware_a`` and ``aware_b`` the application-aware bits.
    """

    tep: int
    data_a: bytes | None
    data_b: bytes | None
    transcript: bytes
    aware_a: bool
    aware_b: bool


Validity = Callable[[bytes | None, bytes | None], bool]
"""Whether suboption data of A and of B are valid to a TEP, seen together."""


def _version(data: bytes | None) -> int:
    """The version in the data of our TEP; 0 where it is another experiment's."""
    return data[1] if data is not None and len(data) >= 2 and data[0] == MAGIC else 0


def _ours_valid(data_a: bytes | None, data_b: bytes | None) -> bool:
    # A may be newer than we are: B answers with the highest version it has that is not above A's.
    return _version(data_a) >= VERSION and data_b == bytes((MAGIC, VERSION))


TEPS: dict[int, Validity] = {TEP_EXPERIMENTAL: _ours_valid}
"""The TEPs spoken here, by 7-bit identifier. None of them gives a meaning to repetition (RFC 8547 §4.5, 3)."""


def offered(octets: bytes | None, points: CodePoints = POINTS) -> bool:
    """Whether a SYN's option offers our TEP in a version that we speak, from a host A (b = 0)."""
    eno = parse(octets, points) if octets is not None else _ILL_FORMED
    ours = [data for tep, data in eno.teps if tep == TEP_EXPERIMENTAL]
    return eno.b == 0 and len(ours) == 1 and _version(ours[0]) >= VERSION


def negotiate(
    one: bytes | None, other: bytes | None, points: CodePoints = POINTS, teps: dict[int, Validity] | None = None
) -> Negotiated | EnoFailure:
    """Say what the SYN-form options of the two ends negotiate, given in any order (RFC 8547 §4.3, §4.5).

    None stands for a SYN without exactly one ENO option. The negotiated TEP is the last valid one in the option of
    the end whose b bit is 1; the order in the other's plays no part.
    """
    if one is None or other is None:
        return EnoFailure.ABSENT
    first, second = parse(one, points), parse(other, points)
    if not (first.ok and second.ok):
        return EnoFailure.ILL_FORMED
    if first.b == second.b:
        return EnoFailure.ROLES
    if first.vacuous or second.vacuous:
        return EnoFailure.VACUOUS
    (a, octets_a), (b, octets_b) = sorted(((first, one), (second, other)), key=lambda end: end[0].b)
    for tep, data_b in reversed(b.teps):
        offers = [data for candidate, data in a.teps if candidate == tep]
        repeated = len(offers) != 1 or sum(candidate == tep for candidate, _ in b.teps) != 1
        valid = (TEPS if teps is None else teps).get(tep)
        if not repeated and valid is not None and valid(offers[0], data_b):
            octet = tep | (0 if data_b is None else WITH_DATA)
            return Negotiated(octet, offers[0], data_b, octets_a + octets_b, a.aware, b.aware)
    return EnoFailure.NO_TEP
