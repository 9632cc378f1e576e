"""The report: what one side saw of the other's clear SYN or SYN-ACK, told under the MAC (profile.md §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import Bytes, Const, ConstructError, IfThenElse, Int8ub, Int16ub, OneOf, Struct, Terminated, this

from .fast import read_report, write_report
from .messages import VERSION, MalformedMessage

HAVE: Final = 0x01
"""Flag: "I have your report"."""
HAVE_CONFIRMED: Final = 0x02
"""Flag: "I have your report with ``HAVE``"."""
_NOT_SEEN: Final = 255
_MOST_OPTIONS: Final = 40

_REPORT = Struct(
    "version" / Const(VERSION, Int8ub),
    "flags" / Int8ub,
    "family" / OneOf(Int8ub, (4, 6)),
    "source" / IfThenElse(this.family == 4, Bytes(4), Bytes(16)),
    "port" / Int16ub,
    "tcp_flags" / Int8ub,
    "ecn" / OneOf(Int8ub, range(4)),
    "ttl" / Int8ub,
    "window" / Int16ub,
    "nopt" / OneOf(Int8ub, (*range(_MOST_OPTIONS + 1), _NOT_SEEN)),
    "options" / Bytes(lambda context: 0 if context.nopt == _NOT_SEEN else context.nopt),
    Terminated,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What came: ``source`` 4 or 16 octets, ``port``, ``tcp_flags`` (8 bits), ``ecn`` of the IP header, ``ttl``,
    ``window`` (16 bits), and the ``options`` inside Data Offset, None where the segment was not kept (a cookie).

    ``flags`` are ``HAVE`` and ``HAVE_CONFIRMED``; unknown ones are sent as 0 and ignored.
    """

    flags: int
    source: bytes
    port: int
    tcp_flags: int
    ecn: int
    ttl: int
    window: int
    options: bytes | None

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        unseen = self.options is None
        tcp_flags, ecn = (0, 0) if unseen else (self.tcp_flags, self.ecn)
        ttl, window = (0, 0) if unseen else (self.ttl, self.window)
        written = write_report(
            VERSION, self.flags, self.source, self.port, tcp_flags, ecn, ttl, window, self.options
        )
        if written is not None:
            return written
        fields = {
            "flags": self.flags,
            "family": 4 if len(self.source) == 4 else 6,
            "source": self.source,
            "port": self.port,
            "tcp_flags": tcp_flags,
            "ecn": ecn,
            "ttl": ttl,
            "window": window,
            "nopt": _NOT_SEEN if self.options is None else len(self.options),
            "options": self.options or b"",
        }
        try:
            octets: bytes = _REPORT.build(fields)
        except ConstructError as error:
            raise ValueError(f"report cannot be encoded: {type(error).__name__}") from None
        return octets

    @classmethod
    def decode(cls, octets: bytes) -> Report:
        """Return the report that ``octets`` are; raises MalformedMessage, and nothing else."""
        read = read_report(octets, VERSION)
        if read is not None:
            return cls(read[0] & (HAVE | HAVE_CONFIRMED), *read[1:])
        try:
            fields = _REPORT.parse(octets)
        except ConstructError as error:
            raise MalformedMessage(f"report: {type(error).__name__}") from None
        return cls(
            fields.flags & (HAVE | HAVE_CONFIRMED),
            fields.source,
            fields.port,
            fields.tcp_flags,
            fields.ecn,
            fields.ttl,
            fields.window,
            None if fields.nopt == _NOT_SEEN else fields.options,
        )
