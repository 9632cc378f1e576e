"""Every option declared once: the authority for building, parsing, documentation and fuzzing.

A declaration states what stands behind Kind, Length and ExID, how many octets that may be, and ends in
``Terminated``. Steady-state segments are read by ``edo.fast``, which says the same. An option is added by one
``Declaration`` in the tuple that is given to ``Registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from construct import (
    Array,
    Byte,
    Bytes,
    Check,
    Construct,
    ConstructError,
    ExprAdapter,
    GreedyBytes,
    GreedyRange,
    If,
    IfThenElse,
    Int16ub,
    Int24ub,
    Int32ub,
    Struct,
    Tell,
    Terminated,
)

from edo.codepoints import (
    ACCECN_0,
    ACCECN_1,
    EXPERIMENTAL,
    MSS,
    POINTS,
    SACK,
    SACK_PERMITTED,
    TIMESTAMPS,
    WSCALE,
    CodePoints,
    EdoKind,
)
from edo.fastopen import COOKIE_OCTETS

Number = tuple[tuple[int, ...], int]
"""Kinds that an option may have on receipt, and its ExID or -1."""


class OptionError(ValueError):
    """Octets that are no option of their kind, or values that make none."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One option: name, number, octets behind Kind, Length and ExID (``sizes``), and their construct.

    While parsing, ``contents`` finds the number of those octets in the context as ``_params.size``.
    """

    name: str
    number: Callable[[CodePoints], Number]
    sizes: Container[int]
    contents: Construct


@dataclass(frozen=True, slots=True)
class Value:
    """A parsed option: the declaration's name and its fields."""

    name: str
    fields: dict[str, Any]


class Place(NamedTuple):
    """Where a field of an option stands: its name, octets from the Kind octet, length in octets, value."""

    name: str
    offset: int
    length: int
    value: Any


def _kind(kind: int) -> Callable[[CodePoints], Number]:
    return lambda _points: ((kind,), -1)


def _supported_number(points: CodePoints) -> Number:
    if points.edo is EdoKind.EXID:
        return EXPERIMENTAL, points.edo_exid
    return (points.native_supported,), -1


def _extension_number(points: CodePoints) -> Number:
    if points.edo is EdoKind.EXID:
        return EXPERIMENTAL, points.edo_exid
    return (points.native_extension,), -1


def _blocks(context: Any) -> int:
    return len(context.blocks) if context._building else context._params.size // 8


def _counters(context: Any) -> int:
    return int(len(context.counters) if context._building else context._params.size // 3)


def _long(context: Any) -> bool:
    return context.segment_length is not None if context._building else context._params.size == 4


_BLOCK = ExprAdapter(
    Struct(left=Int32ub, right=Int32ub),
    lambda block, _context: (block.left, block.right),
    lambda edges, _context: {"left": edges[0], "right": edges[1]},
)


def _has_length(suboption: Any) -> bool:
    return bool(0x80 <= suboption.first < 0xA0)


def _data_octets(suboption: Any) -> int:
    return int(suboption.first & 0x1F) + 1


# A global suboption or a TEP without data; a length octet, then a TEP and so many octets; a TEP whose data end with
# the option (RFC 8547 §4.1, §4.4).
_SUBOPTION = Struct(
    first=Byte,
    tep=If(_has_length, Byte),
    of_a_tep=Check(lambda suboption: suboption.tep is None or suboption.tep >= 0xA0),
    data=If(
        lambda suboption: suboption.first >= 0x80,
        IfThenElse(_has_length, Bytes(_data_octets), GreedyBytes),
    ),
)
ENO_SUBOPTIONS = Struct(suboptions=GreedyRange(_SUBOPTION), end=Terminated)
"""The contents of a SYN-form TCP-ENO option, which may be anything as far as the option itself is declared."""


def _declare(
    name: str, number: Callable[[CodePoints], Number], sizes: Container[int], **fields: Construct
) -> Declaration:
    return Declaration(name, number, sizes, Struct(**fields, end=Terminated))


DECLARATIONS: tuple[Declaration, ...] = (
    # RFC 9293 §3.2
    _declare("mss", _kind(MSS), {2}, mss=Int16ub),
    # RFC 7323 §2.2
    _declare("wscale", _kind(WSCALE), {1}, shift=Byte),
    # RFC 2018 §2, §3; more than four blocks need the room that EDO gives
    _declare("sack_permitted", _kind(SACK_PERMITTED), {0}),
    _declare("sack", _kind(SACK), range(8, 249, 8), blocks=Array(_blocks, _BLOCK)),
    # RFC 7323 §3.2
    _declare("timestamps", _kind(TIMESTAMPS), {8}, ts_val=Int32ub, ts_ecr=Int32ub),
    # RFC 2385 §3.0
    _declare("md5", lambda points: ((points.md5,), -1), {16}, digest=Bytes(16)),
    # RFC 5925 §2.2
    _declare(
        "ao", lambda points: ((points.ao,), -1), range(2, 254), key_id=Byte, rnext_key_id=Byte, mac=GreedyBytes
    ),
    # RFC 5482 §2; edo.usertimeout reads the field
    _declare("user_timeout", lambda points: ((points.user_timeout,), -1), {2}, field=Int16ub),
    # RFC 7413 §4.1.1 and, under the ExID, appendix A
    _declare("fast_open", lambda points: ((points.fast_open,), -1), COOKIE_OCTETS, cookie=GreedyBytes),
    _declare(
        "fast_open_exp", lambda points: (EXPERIMENTAL, points.fast_open_exid), COOKIE_OCTETS, cookie=GreedyBytes
    ),
    # RFC 9768 §3.2.3: three counters, whose order tells the kinds apart; the last may be missing. Not used here.
    _declare("accecn_0", _kind(ACCECN_0), range(0, 10, 3), counters=Array(_counters, Int24ub)),
    _declare("accecn_1", _kind(ACCECN_1), range(0, 10, 3), counters=Array(_counters, Int24ub)),
    # RFC 8547 §4.1; ``ENO_SUBOPTIONS`` has the contents of the SYN form
    _declare("eno", lambda points: ((points.eno,), -1), range(254), contents=GreedyBytes),
    # draft-ietf-tcpm-tcp-edo §4.1, §4.2: one number, told apart by the Length
    _declare("edo_supported", _supported_number, {0}),
    _declare("edo_extension", _extension_number, {2, 4}, header_length=Int16ub, segment_length=If(_long, Int16ub)),
    # draft-touch-tcpm-tcp-syn-ext-opt §5, base form
    _declare("syn_eos", lambda points: (EXPERIMENTAL, points.syn_eos_exid), {0}),
    # A piece of a key-exchange message: 1 to 246 octets of it
    _declare(
        "ke",
        lambda points: (EXPERIMENTAL, points.ke_exid),
        range(6, 252),
        message=Byte,
        total=Int16ub,
        offset=Int16ub,
        octets=GreedyBytes,
    ),
)


class Registry:
    """The declared options under one set of code points, found by name or by kind and ExID."""

    def __init__(self, points: CodePoints, declarations: tuple[Declaration, ...] = DECLARATIONS) -> None:
        self._by_name: dict[str, tuple[bytes, Declaration]] = {}
        self._by_number: dict[tuple[int, int], list[Declaration]] = {}
        for declaration in declarations:
            kinds, exid = declaration.number(points)
            kind = points.experimental if exid >= 0 else kinds[0]
            head = bytes((kind, 0)) + (exid.to_bytes(2) if exid >= 0 else b"")
            self._by_name[declaration.name] = (head, declaration)
            for taken in kinds:
                self._by_number.setdefault((taken, exid), []).append(declaration)

    def names(self) -> tuple[str, ...]:
        """Names of the declared options."""
        return tuple(self._by_name)

    def parse(self, octets: bytes) -> Value:
        """Parse one whole option; OptionError where it is unknown or not what its declaration says."""
        declaration, contents = self._declared(octets)
        return Value(declaration.name, _plain(declaration, declaration.contents, contents))

    def locate(self, octets: bytes) -> tuple[str, tuple[Place, ...]]:
        """Name of one whole option and where each of its fields stands, Kind, Length and ExID left out.

        Raises OptionError as ``parse`` does.
        """
        declaration, contents = self._declared(octets)
        told = _plain(declaration, _told(declaration), contents)
        head = len(octets) - len(contents)
        names = [name for name in told if not name.startswith("from ")]
        starts = [told[f"from {name}"] for name in names]
        places = zip(names, starts, [*starts, len(contents)][1:], strict=True)
        # A field that is there in another form of the option only has no octets here.
        return declaration.name, tuple(
            Place(name, head + start, end - start, told[name]) for name, start, end in places if end > start
        )

    def known(self, kind: int, exid: int) -> tuple[str, ...]:
        """Names of the options with this kind and ExID (-1: none), whatever their Length."""
        return tuple(declaration.name for declaration in self._by_number.get((kind, exid), ()))

    def _declared(self, octets: bytes) -> tuple[Declaration, bytes]:
        if len(octets) < 2 or octets[1] != len(octets):
            raise OptionError("the Length octet is not the option's length")
        exid = int.from_bytes(octets[2:4]) if octets[0] in EXPERIMENTAL and len(octets) >= 4 else -1
        contents = octets[2:] if exid < 0 else octets[4:]
        for declaration in self._by_number.get((octets[0], exid), ()):
            if len(contents) in declaration.sizes:
                return declaration, contents
        raise OptionError(f"no option of kind {octets[0]}, ExID {exid} has {len(octets)} octets")

    def build(self, name: str, **fields: object) -> bytes:
        """Build one whole option of 2 to 255 octets; OptionError where the values make none."""
        if name not in self._by_name:
            raise OptionError(f"no option is called {name}")
        head, declaration = self._by_name[name]
        if not fields.keys() <= {part.name for part in declaration.contents.subcons}:
            raise OptionError(f"{name}: a field that is not declared")
        try:
            contents = bytes(declaration.contents.build(fields))
        except (ConstructError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise OptionError(f"{name}: these values make no option") from error
        if len(contents) not in declaration.sizes:
            raise OptionError(f"{name}: {len(contents)} octets of contents are not allowed")
        return head[:1] + bytes((len(head) + len(contents),)) + head[2:] + contents


def _told(declaration: Declaration) -> Construct:
    """The declaration with the position noted before each field."""
    fields = [part for part in declaration.contents.subcons if part.name != "end"]
    told = [entry for part in fields for entry in (f"from {part.name}" / Tell, part)]
    return Struct(*told, "end" / Terminated)


def _plain(declaration: Declaration, form: Construct, contents: bytes) -> dict[str, Any]:
    try:
        parsed = form.parse(contents, size=len(contents))
    except ConstructError as error:
        raise OptionError(f"{declaration.name}: malformed contents of {len(contents)} octets") from error
    fields = {name: value for name, value in parsed.items() if name not in {"_io", "end"}}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


@lru_cache(maxsize=64)
def registry(points: CodePoints = POINTS) -> Registry:
    """The registry of ``points``, made once."""
    return Registry(points)


def parse_option(octets: bytes, points: CodePoints = POINTS) -> Value:
    """Parse one whole option of 2 to 255 octets; raises OptionError."""
    return registry(points).parse(octets)


def build_option(name: str, points: CodePoints = POINTS, **fields: object) -> bytes:
    """Build one whole option from the fields of its declaration; raises OptionError."""
    return registry(points).build(name, **fields)
