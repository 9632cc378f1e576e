"""Options of a user's own: declared with construct in a few lines, bounded, carried without the stack knowing them.

    echo = experiment("echo", Struct("number" / Int32ub), exid=0xE0C0, most=4, send=number, receive=heard)

What does not fit one option's 255 octets goes in pieces, each with the same number: behind Kind, Length and ExID
stand which piece it is (from 0) and how many there are, an octet each, and up to 249 octets of the contents. All
stand in one segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from construct import Struct, Terminated

from edo.codepoints import EXPERIMENTAL, POINTS

MOST: Final = 1024
"""The most octets of contents that an experiment may declare."""

SYN: Final = "syn"
ACK: Final = "ack"
DATA: Final = "data"
SEGMENTS: Final = (SYN, ACK, DATA)
"""Kinds of segments: SYN and SYN-ACK, those without payload, those with."""

_OPTION: Final = 255
_PIECE_HEAD: Final = 2
# Kinds of the stack's own options, native ones of EDO among them, and of RFC 9293 itself.
_OWN_KINDS: Final = frozenset(
    {0, 1, 2, 3, 4, 5, 8, 79, 80, 237, POINTS.md5, POINTS.ao, POINTS.eno, POINTS.fast_open, POINTS.user_timeout}
)
_OWN_EXIDS: Final = frozenset({POINTS.edo_exid, POINTS.syn_eos_exid, POINTS.ke_exid, POINTS.fast_open_exid})

Send = Callable[[Any], "Mapping[str, object] | None"]
Receive = Callable[[Any, dict[str, Any]], object]


class ExperimentError(ValueError):
    """Values that make no option of an experiment, or octets that are none; the message is one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """One declared option; made by ``experiment``. ``told`` are the failures that have been reported."""

    name: str
    fields: Struct
    most: int
    kind: int
    exid: int | None
    send: Send | None
    receive: Receive | None
    on: frozenset[str]
    every: bool
    told: set[str] = field(default_factory=set, repr=False)

    @property
    def head_octets(self) -> int:
        """Octets before the contents: Kind, Length, ExID."""
        return 2 if self.exid is None else 4

    @property
    def in_pieces(self) -> bool:
        """Whether the contents may need more than one option, and so always go in pieces."""
        return self.head_octets + self.most > _OPTION

    @property
    def most_octets(self) -> int:
        """Octets of the option, or of all its pieces, with as long contents as are declared."""
        if not self.in_pieces:
            return self.head_octets + self.most
        return self.most + -(-self.most // self._room) * (self.head_octets + _PIECE_HEAD)

    @property
    def _room(self) -> int:
        return _OPTION - self.head_octets - _PIECE_HEAD

    def bears(self, kind: int, exid: int) -> bool:
        """Whether an option of this kind and ExID (-1: none) is one of this experiment."""
        if self.exid is None:
            return kind == self.kind
        return exid == self.exid and kind in EXPERIMENTAL

    def build(self, values: Mapping[str, object]) -> tuple[bytes, ...]:
        """The whole option or its pieces, from its fields' values; raises ExperimentError and nothing else."""
        try:
            contents = bytes(self.fields.build(dict(values)))
        except Exception as error:
            raise ExperimentError(f"{self.name}: these values make no option: {type(error).__name__}") from None
        return self.wrap(contents)

    def wrap(self, contents: bytes) -> tuple[bytes, ...]:
        """Contents as the whole option or its pieces; raises ExperimentError for more than is declared."""
        if len(contents) > self.most:
            raise ExperimentError(f"{self.name}: {len(contents)} octets of contents, {self.most} are declared")
        if not self.in_pieces:
            return (self._option(contents),)
        count = max(-(-len(contents) // self._room), 1)
        return tuple(
            self._option(bytes((index, count)) + contents[index * self._room : (index + 1) * self._room])
            for index in range(count)
        )

    def _option(self, contents: bytes) -> bytes:
        number = b"" if self.exid is None else self.exid.to_bytes(2)
        return bytes((self.kind, self.head_octets + len(contents))) + number + contents

    def parse(self, options: Sequence[bytes]) -> dict[str, Any]:
        """The values of the fields, from the options of one segment that bear the number, in their order.

        Of an option that is not declared to go in pieces the first counts. Raises ExperimentError and nothing else.
        """
        contents = self._contents(options)
        if len(contents) > self.most:
            raise ExperimentError(f"{self.name}: {len(contents)} octets of contents, {self.most} are declared")
        try:
            parsed = Struct("fields" / self.fields, Terminated).parse(contents).fields
            return {name: value for name, value in parsed.items() if name != "_io"}
        except Exception as error:
            raise ExperimentError(f"{self.name}: malformed contents: {type(error).__name__}") from None

    def _contents(self, options: Sequence[bytes]) -> bytes:
        if not self.in_pieces:
            return options[0][self.head_octets :]
        pieces = [octets[self.head_octets :] for octets in options]
        for index, piece in enumerate(pieces):
            if len(piece) < _PIECE_HEAD or (piece[0], piece[1]) != (index, len(pieces)):
                raise ExperimentError(f"{self.name}: the pieces of the segment do not go together")
        return b"".join(piece[_PIECE_HEAD:] for piece in pieces)


def experiment(
    name: str,
    fields: Struct,
    *,
    exid: int | None = None,
    kind: int | None = None,
    most: int,
    send: Send | None = None,
    receive: Receive | None = None,
    on: Iterable[str] = (ACK, DATA),
    every: bool = False,
) -> Experiment:
    """Declare an option of one's own.

    ``fields`` is a construct ``Struct`` of what stands behind Kind, Length and ExID, ``most`` how many octets that
    may be (0-1,024). It is told apart by its ``exid`` (0-65535, RFC 6994) or by a ``kind`` of its own (6-252).
    ``send(view)`` is asked for each segment of the kinds in ``on`` ("syn", "ack", "data") and gives the values of
    the fields, or None for no option in this segment; ``receive(view, fields)`` is called for each that came in a
    segment that the connection accepts. ``view`` tells of the connection (``stack.experiments.View``). ``every``:
    it goes with every segment of data, so these leave room for it.

    Raises ValueError, one line that names the fault.
    """
    if not name or not name.isidentifier():
        raise ValueError(f"experiment: name {name!r} is no identifier")
    if not isinstance(fields, Struct):
        raise ValueError(f"experiment {name}: fields must be a construct Struct")
    if not 0 <= most <= MOST:
        raise ValueError(f"experiment {name}: most must be 0 to {MOST} octets, not {most}")
    if exid is None and kind is None:
        raise ValueError(f"experiment {name}: it needs an exid or a kind")
    if exid is not None and (not 0 <= exid <= 0xFFFF or exid in _OWN_EXIDS):
        raise ValueError(f"experiment {name}: ExID 0x{exid:04X} is not one of 0 to 0xFFFF, or the stack's own")
    if exid is not None and kind not in (None, *EXPERIMENTAL):
        raise ValueError(f"experiment {name}: an ExID stands under kind 253 or 254, not {kind}")
    if exid is None and (kind is None or not 2 <= kind <= 252 or kind in _OWN_KINDS):
        raise ValueError(f"experiment {name}: kind {kind} is not one of 6 to 252, or the stack's own")
    segments = frozenset(on)
    if not segments <= frozenset(SEGMENTS):
        raise ValueError(f"experiment {name}: on is of {', '.join(SEGMENTS)}")
    own = POINTS.experimental if kind is None else kind
    return Experiment(name, fields, most, own, exid, send, receive, segments, every)


def check(experiments: Sequence[Experiment]) -> None:
    """Raise ValueError where two have one name or number."""
    seen: set[object] = set()
    for one in experiments:
        number = one.kind if one.exid is None else ("ExID", one.exid)
        for what in (one.name, number):
            if what in seen:
                raise ValueError(f"experiment {one.name}: another has its name or number")
            seen.add(what)
