"""The numbers of every option, each overridable, and the dialect in which EDO is spoken.

The Extended Data Offset and what builds on it have no assigned option kind, so by default they share the
experimental kind 254 and are told apart by ExIDs (RFC 6994 §2); EDO may be given native kinds instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from edo.plan import Form

MSS = 2
WSCALE = 3
SACK_PERMITTED = 4
SACK = 5
TIMESTAMPS = 8
ACCECN_0 = 172
ACCECN_1 = 174
EXPERIMENTAL = (253, 254)


class EdoKind(Enum):
    """How EDO's options are numbered: by ExID, as two kinds 79 and 80, or as the one kind 237."""

    EXID = "exid"
    NATIVE_79_80 = "79/80"
    NATIVE_237 = "237"


class Units(Enum):
    """What Header_Length counts: 32-bit words (draft-ietf-tcpm-tcp-edo §4) or octets (a prototype of 2023)."""

    WORDS = "words"
    OCTETS = "octets"


class FormChoice(Enum):
    """Which form of the Extension is sent; AUTO is short under a MAC and long otherwise."""

    AUTO = "auto"
    SHORT = "short"
    LONG = "long"


class OptionOrder(Enum):
    """Whose order and padding the options have: this stack's own, or another system's (``edo.orders``)."""

    OWN = "own"
    LINUX = "linux"
    FREEBSD = "freebsd"


@dataclass(frozen=True, slots=True)
class CodePoints:
    """Option kinds (0-255) and ExIDs (0-65535).

    ``experimental`` is the kind sent with ExIDs; 253 and 254 are both taken on receipt (RFC 6994 §3). ``edo``
    says how EDO is numbered. Raises ValueError where a number is out of its range.
    """

    experimental: int = 254
    edo_exid: int = 0x0ED0
    syn_eos_exid: int = 0x5E05
    ke_exid: int = 0xA0E1
    eno: int = 69
    ao: int = 29
    md5: int = 19
    fast_open: int = 34
    fast_open_exid: int = 0xF989
    user_timeout: int = 28
    edo: EdoKind = EdoKind.EXID

    native_supported: int = field(init=False, default=-1)
    """Kind of a native EDO Supported; -1 where EDO goes by its ExID."""

    native_extension: int = field(init=False, default=-1)
    """Kind of a native EDO Extension; -1 where EDO goes by its ExID."""

    def __post_init__(self) -> None:
        if self.experimental not in EXPERIMENTAL:
            raise ValueError(f"experimental kind must be 253 or 254, not {self.experimental}")
        exids = (self.edo_exid, self.syn_eos_exid, self.ke_exid, self.fast_open_exid)
        if any(not 0 <= exid <= 0xFFFF for exid in exids) or len(set(exids)) < len(exids):
            raise ValueError("ExIDs must be four different numbers of 0 to 65535")
        kinds = (self.eno, self.ao, self.md5, self.fast_open, self.user_timeout)
        if any(not 2 <= kind <= 255 for kind in kinds) or len(set(kinds)) < len(kinds):
            raise ValueError("option kinds must be different numbers of 2 to 255")
        if self.edo is EdoKind.NATIVE_79_80:
            object.__setattr__(self, "native_supported", 79)
            object.__setattr__(self, "native_extension", 80)
        elif self.edo is EdoKind.NATIVE_237:
            object.__setattr__(self, "native_supported", 237)
            object.__setattr__(self, "native_extension", 237)


POINTS = CodePoints()


@dataclass(frozen=True, slots=True)
class Dialect:
    """How EDO is written on the wire: numbering, units of Header_Length, form, and all other code points.

    ``order`` is whose order the options have. ``data_padding``: segments with data are padded with NOPs to so many
    octets of options where EDO is on, as a prototype does to show that there may be more than 40 (0: not).
    ``points.edo`` always equals ``kind``. The derived fields are what writers and readers of the two options
    need: kinds taken for an Extension, the ExID (-1 with native kinds), the whole Lengths in octets, the octets
    that one unit of Header_Length stands for, and whether both options have the same number and are told apart
    by Length (draft-ietf-tcpm-tcp-edo §4).
    """

    kind: EdoKind = EdoKind.EXID
    units: Units = Units.WORDS
    form: FormChoice = FormChoice.AUTO
    points: CodePoints = POINTS
    order: OptionOrder = OptionOrder.OWN
    data_padding: int = 0

    extension_kinds: tuple[int, int] = field(init=False, compare=False, repr=False)
    exid: int = field(init=False, compare=False, repr=False)
    supported_octets: int = field(init=False, compare=False, repr=False)
    short_octets: int = field(init=False, compare=False, repr=False)
    long_octets: int = field(init=False, compare=False, repr=False)
    unit: int = field(init=False, compare=False, repr=False)
    shares_number: bool = field(init=False, compare=False, repr=False)
    number: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        points = replace(self.points, edo=self.kind)
        by_exid = self.kind is EdoKind.EXID
        derived = {
            "points": points,
            "extension_kinds": (254, 253) if by_exid else (points.native_extension,) * 2,
            "exid": points.edo_exid if by_exid else -1,
            "supported_octets": 4 if by_exid else 2,
            "short_octets": 6 if by_exid else 4,
            "long_octets": 8 if by_exid else 6,
            "unit": 4 if self.units is Units.WORDS else 1,
            "shares_number": self.kind is not EdoKind.NATIVE_79_80,
            "number": hash((self.kind, self.units, self.form, points, self.order, self.data_padding)),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        # Made once: a dialect is part of the key under which header templates are looked up for every run.
        return self.number

    def supported(self) -> bytes:
        """The whole EDO Supported option (draft-ietf-tcpm-tcp-edo §4.1)."""
        if self.exid < 0:
            return bytes((self.points.native_supported, 2))
        return bytes((self.points.experimental, 4)) + self.exid.to_bytes(2)

    def extension_octets(self, form: Form) -> int:
        """The length of an Extension in that form, octets."""
        return self.short_octets if form is Form.SHORT else self.long_octets

    def extension(self, form: Form, header_octets: int) -> bytes:
        """The whole Extension for a header of ``header_octets`` (a multiple of 4); Segment_Length is zero.

        draft-ietf-tcpm-tcp-edo §4.2. Raises OverflowError where Header_Length does not fit 16 bits.
        """
        length = self.extension_octets(form)
        if self.exid < 0:
            head = bytes((self.points.native_extension, length))
        else:
            head = bytes((self.points.experimental, length)) + self.exid.to_bytes(2)
        tail = b"" if form is Form.SHORT else bytes(2)
        return head + (header_octets // self.unit).to_bytes(2) + tail


DEFAULT = Dialect()
