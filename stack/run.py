"""Run: consecutive octets of one connection's stream with the control fields of the segments that carry them.

One class serves both ways. Outgoing, a run may be longer than a segment: the sealer cuts it. Incoming, a run is
one segment or several that were merged after their options were parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edo.options import Options

from .batch import Octets

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80
AE = 0x100
# Not on the wire: AE, CWR and ECE of a run to be sent are a counter (RFC 9768).
ACCURATE = 0x200


class Keystream(Protocol):
    """A position-addressed cipher, as far as a connection needs to know one."""

    def apply(self, position: int, data: bytes | bytearray | memoryview, /) -> bytes:
        """Return ``data`` with the keystream of stream number ``position`` (octets) applied."""


class Run:
    """Control fields and octets of one or more segments of one connection.

    ``seq`` and ``ack`` are 64-bit stream numbers; ``seq`` counts the SYN where ``flags`` has one, so the first
    payload octet is ``seq + 1`` then. ``window`` is the 16-bit field, unscaled. ``payload`` holds ``length``
    octets in order. ``segments`` is how many wire segments a received run stands for. ``segment_size`` is the
    most payload octets a sent segment may have. ``transmission`` counts earlier sendings of a SYN or SYN-ACK.
    ``urgent`` is the distance from ``seq`` to the octet behind urgent data, 0 for none to be told of: received, the
    field where URG is set; sent, any number, of which the sealer makes URG and the field of each segment.
    ``cipher`` decrypts a received payload by position, None where it is plain.
    """

    __slots__ = (
        "ack",
        "cipher",
        "ecn",
        "flags",
        "length",
        "options",
        "payload",
        "segment_size",
        "segments",
        "seq",
        "transmission",
        "urgent",
        "window",
    )

    def __init__(
        self,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        options: Options,
        payload: Sequence[Octets] = (),
        length: int = 0,
        *,
        urgent: int = 0,
        segments: int = 1,
        segment_size: int = 0,
        transmission: int = 0,
        ecn: int = 0,
        cipher: Keystream | None = None,
    ) -> None:
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.window = window
        self.options = options
        self.payload = payload
        self.length = length
        self.urgent = urgent
        self.segments = segments
        self.segment_size = segment_size
        self.transmission = transmission
        self.ecn = ecn
        self.cipher = cipher


def head_of(run: Run, octets: int) -> tuple[Run, Run | None]:
    """Cut a run to be sent in two: at most ``octets`` (>= 1) of its payload, and the rest, None for nothing.

    FIN and PSH go with the last octets, CWR with the first (RFC 3168 §6.1.2).
    """
    if run.length <= octets:
        return run, None
    whole = run.payload[0] if len(run.payload) == 1 else memoryview(b"".join(run.payload))
    accurate = run.flags & ACCURATE
    first = Run(
        run.seq,
        run.ack,
        run.flags & ~(FIN | PSH),
        run.window,
        run.options,
        [whole[:octets]],
        octets,
        urgent=run.urgent,
        segment_size=run.segment_size,
        ecn=run.ecn,
    )
    rest = Run(
        run.seq + octets,
        run.ack,
        run.flags if accurate else run.flags & ~CWR,
        run.window,
        run.options,
        [whole[octets:]],
        run.length - octets,
        urgent=max(run.urgent - octets, 0),
        segment_size=run.segment_size,
        ecn=run.ecn,
    )
    return first, rest


def same_clock(first: Options, other: Options) -> bool:
    """Whether two neighbours' timestamps allow merging: both or none, TSval not going back (RFC 7323 §5)."""
    a, b = first.ts_val, other.ts_val
    if a is None or b is None:
        return a is b
    return first.ts_ecr == other.ts_ecr and ((b - a) & 0xFFFFFFFF) < 0x80000000
