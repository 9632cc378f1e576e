"""What a method of finding option space says: where the octets of each segment stand, and how they are read back.

A caller names the options that it wants, as octets, for the SYN, the SYN-ACK and every later segment. For each
``Part`` of an exchange a method answers with a ``Laid``, the exact octets of that segment but for ports, numbers,
window and checksum, or with None where it sends no such segment::

    method = find("four-way")
    wanted = Wanted(syn=(Want("mss", b"\\x02\\x04\\x05\\xb4"), Want("big", bytes((200, 60)) + bytes(58))))
    for laid in method.exchange(wanted, Space(mtu=1500)):
        print(laid.part, laid.room, [(piece.zone, piece.label, piece.octets.hex()) for piece in laid.pieces])
    method.misfits(wanted, Space(mtu=1500))

The other way ``Method.read`` takes any octets at all and gives a ``Reading`` or the reason to drop them; it raises
nothing and takes at most a few steps an octet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from struct import Struct
from typing import ClassVar, Final

from edo.codepoints import DEFAULT, Dialect
from edo.options import Span
from edo.reasons import EdoDrop

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10

HEADER: Final = 20
MOST_INSIDE: Final = 40
LEAST_PAYLOAD: Final = 4
"""Octets that the options of a data segment leave for its payload (draft-ietf-tcpm-tcp-edo §5)."""

_NOP: Final = b"\x01"
_FIXED: Final = Struct(">HHIIBBHHH")


class Part(StrEnum):
    """The segments of an exchange, in order: the SYN, one beside it, its answer, and what follows."""

    SYN = "syn"
    BESIDE = "beside"
    """What goes with the SYN: an out-of-band segment, or the SYN of a second connection."""

    SYN_ACK = "syn-ack"
    THIRD = "third"
    """The client's answer to the SYN-ACK; in a four-way handshake a SYN-ACK of its own."""

    ANSWER = "answer"
    """The server's answer to that, where the method has one."""

    DATA = "data"
    """Every later segment, of either side."""


class Zone(StrEnum):
    """What octets count as: for whoever knows the method, and (STREAM) for whoever does not."""

    INSIDE = "inside"
    """Options inside Data Offset, padding among it."""

    BEHIND = "behind"
    """Header by the method's rule, behind what Data Offset says; it takes no sequence numbers."""

    STREAM = "stream"
    """Options and their frame in what TCP takes for payload."""


@dataclass(frozen=True, slots=True)
class Want:
    """One wanted option: what it is called and its whole octets, 2-255 of them, Kind and Length first.

    ``directional``: it asks what the SYN-ACK must answer, so it should stand in the first SYN if any can
    (draft-borman-tcp4way-00). Raises ValueError where the octets are no whole option.
    """

    name: str
    octets: bytes
    directional: bool = False

    def __post_init__(self) -> None:
        if not 2 <= len(self.octets) <= 255 or self.octets[0] < 2 or self.octets[1] != len(self.octets):
            raise ValueError(f"{self.name}: not one whole option with Kind and Length")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options that are wanted in the SYN, in the SYN-ACK and in every segment after these.

    In order of importance: what comes first keeps its place in a segment that old peers understand.
    """

    syn: tuple[Want, ...] = ()
    syn_ack: tuple[Want, ...] = ()
    data: tuple[Want, ...] = ()

    def of(self, sender: str) -> tuple[Want, ...]:
        """What the "client" wants in its SYN, the "server" in its SYN-ACK."""
        return self.syn if sender == "client" else self.syn_ack


@dataclass(frozen=True, slots=True)
class Space:
    """What bounds a segment: the ``mtu`` in octets, ``ip_header`` of 20 or 40, and how EDO is written.

    ``authenticated``: a MAC covers the segments, which makes EDO's short form enough.
    """

    mtu: int = 1500
    ip_header: int = 20
    dialect: Dialect = field(default=DEFAULT)
    authenticated: bool = False

    @property
    def segment(self) -> int:
        """The most octets of a TCP segment, its header included."""
        return max(min(self.mtu, 0xFFFF) - self.ip_header, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring octets of one meaning: an option, padding, or a frame that a method puts around options.

    ``want`` is the wanted option that they are or, ``promised``, that they stand for.
    """

    zone: Zone
    label: str
    octets: bytes
    want: Want | None = None
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """What a layout leaves to its sender: ports, numbers and window."""

    source_port: int = 0
    destination_port: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0


@dataclass(frozen=True, slots=True)
class Laid:
    """One segment as a method lays it out, for a payload of ``payload`` octets.

    ``sender`` is "client" or "server"; ``flags`` the octet of TCP flags; ``offset`` the octet with Data Offset and
    the reserved bits as on the wire; ``before`` stands between the 20 fixed octets and the payload, ``after``
    behind the payload; ``room`` is the most payload that a segment has with these options (octets, 0 where it
    cannot have any). ``second``: it belongs to a second connection, from another source port. ``note`` tells in one
    line what else is particular.
    """

    part: Part
    sender: str
    flags: int
    offset: int
    before: tuple[Piece, ...]
    room: int
    after: tuple[Piece, ...] = ()
    payload: int = 0
    second: bool = False
    note: str = ""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All octets but the fixed header and the payload, in order."""
        return self.before + self.after

    @property
    def data_offset(self) -> int:
        """Data Offset in octets, as the field says."""
        return (self.offset >> 4) * 4

    @property
    def octets(self) -> int:
        """Octets of the whole segment, fixed header and payload included."""
        return HEADER + sum(len(piece.octets) for piece in self.pieces) + self.payload

    @property
    def carried(self) -> tuple[Want, ...]:
        """The wanted options whose octets the segment has."""
        return tuple(piece.want for piece in self.pieces if piece.want is not None and not piece.promised)

    def segment(self, fields: Fields, payload: bytes = b"") -> bytes:
        """The segment's octets, its checksum zero; ValueError for a payload of another length than laid out."""
        if len(payload) != self.payload:
            raise ValueError(f"laid out for {self.payload} octets of payload, not {len(payload)}")
        head = _FIXED.pack(
            fields.source_port,
            fields.destination_port,
            fields.seq,
            fields.ack,
            self.offset,
            self.flags,
            fields.window,
            0,
            0,
        )
        front = b"".join(piece.octets for piece in self.before)
        return head + front + payload + b"".join(piece.octets for piece in self.after)


class Reading:
    """What a receiver finds in a segment.

    ``marked``: the segment says that its sender uses the method; else it is read as RFC 9293 has it. ``spans`` are
    the options in the order in which they are processed, offsets from the start of the TCP header; ``payload`` is
    (start, end) of the user's octets. ``promised`` are numbers of options that are announced and come later,
    ``more`` says that further segments with options follow.
    """

    __slots__ = ("marked", "more", "payload", "promised", "spans")

    def __init__(
        self, marked: bool, spans: list[Span], payload: tuple[int, int], promised: tuple[int, ...] = ()
    ) -> None:
        self.marked = marked
        self.spans = spans
        self.payload = payload
        self.promised = promised
        self.more = False


class Method(ABC):
    """A method, its name in the registry, its document, and in a few words what it does about peers and boxes.

    ``document`` names the text that was followed, ``assumed`` what it leaves open and was decided here.
    ``fallback``: what an old peer makes of it; ``boxes``: what may stop it on the way. ``completes``: options of
    SYN and SYN-ACK count as theirs in the third segment and its answer, too.
    """

    name: ClassVar[str]
    document: ClassVar[str]
    assumed: ClassVar[str]
    fallback: ClassVar[str]
    boxes: ClassVar[str]
    completes: ClassVar[bool] = False

    @abstractmethod
    def lay_out(self, part: Part, wanted: Wanted, space: Space, payload: int = 0) -> Laid | None:
        """Lay out ``part`` for ``payload`` octets; None where the method sends no such segment.

        What does not fit is left out, see ``misfits``. Raises ValueError for a payload beyond ``Laid.room``.
        """

    @abstractmethod
    def read(self, part: Part, tcp: memoryview, space: Space) -> Reading | EdoDrop:
        """Read a whole segment, its checksum good, as ``part`` of an exchange in which the method may be in use.

        In ``Part.DATA`` (and ``THIRD``, ``ANSWER``) both sides have agreed on the method. Raises nothing.
        """

    def exchange(self, wanted: Wanted, space: Space) -> tuple[Laid, ...]:
        """Every segment of the exchange without payload, in the order in which they are sent."""
        laid = (self.lay_out(part, wanted, space) for part in Part)
        return tuple(segment for segment in laid if segment is not None)

    def misfits(self, wanted: Wanted, space: Space) -> tuple[tuple[Part, Want], ...]:
        """The wanted options that go nowhere, with the part for which they were wanted: SYN, SYN_ACK or DATA."""
        found: list[tuple[Part, Want]] = []
        late = (Part.DATA,) if self.completes else (Part.DATA, Part.THIRD, Part.ANSWER)
        laid = self.exchange(wanted, space)
        for part, sender, wants in ((Part.SYN, "client", wanted.syn), (Part.SYN_ACK, "server", wanted.syn_ack)):
            carried = [
                want for one in laid if one.sender == sender and one.part not in late for want in one.carried
            ]
            found += [(part, want) for want in wants if want not in carried]
        last = [want for one in laid if one.part is Part.DATA for want in one.carried]
        return (*found, *((Part.DATA, want) for want in wanted.data if want not in last))


def fit(wants: Sequence[Want], room: int) -> tuple[tuple[Want, ...], tuple[Want, ...]]:
    """(those that fit ``room`` octets, the others): each in its turn, if there is room left for it."""
    kept: list[Want] = []
    left: list[Want] = []
    for want in wants:
        if len(want.octets) <= room:
            room -= len(want.octets)
            kept.append(want)
        else:
            left.append(want)
    return tuple(kept), tuple(left)


def pieces_of(wants: Sequence[Want], zone: Zone) -> list[Piece]:
    """Each wanted option as a piece."""
    return [Piece(zone, want.name, want.octets, want) for want in wants]


def padding(pieces: Sequence[Piece], zone: Zone, following: int = 0) -> list[Piece]:
    """NOPs with which ``pieces`` and ``following`` octets behind them are whole words; none where they are."""
    missing = -(sum(len(piece.octets) for piece in pieces) + following) % 4
    return [Piece(zone, "NOP", _NOP * missing)] if missing else []


def offset_octet(inside: Sequence[Piece], reserved: int = 0) -> int:
    """The octet with Data Offset over the fixed header and ``inside``, whole words, and the ``reserved`` bits."""
    return (HEADER + sum(len(piece.octets) for piece in inside)) // 4 << 4 | reserved


def room_left(space: Space, pieces: Sequence[Piece], payload: int) -> int:
    """The most payload octets beside the fixed header and ``pieces``; ValueError where ``payload`` is beyond."""
    room = max(space.segment - HEADER - sum(len(piece.octets) for piece in pieces), 0)
    if not 0 <= payload <= room:
        raise ValueError(f"there is room for {room} octets of payload, not {payload}")
    return room


def data_offset_of(tcp: memoryview) -> int | None:
    """Data Offset in octets; None where it lies below the fixed header or past the segment (RFC 9293 §3.1)."""
    if len(tcp) < HEADER:
        return None
    octets = (tcp[12] >> 4) * 4
    return octets if HEADER <= octets <= len(tcp) else None
