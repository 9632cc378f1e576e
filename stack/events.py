"""What a connection tells the application, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass


class TcpError(OSError):
    """Why a connection failed; ``errno`` is the code a socket would give."""


class Event:
    """Base of all events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Established(Event):
    """The three-way handshake is done (RFC 9293 §3.5)."""


@dataclass(frozen=True, slots=True)
class Readable(Event):
    """Octets, or the end of the stream, can be read that could not be read before."""


@dataclass(frozen=True, slots=True)
class Writable(Event):
    """Octets or our FIN were acknowledged: the send buffer has more room than before, or lingering has ended."""


@dataclass(frozen=True, slots=True)
class SoftError(Event):
    """Something is wrong and the connection goes on: ICMP, or R1 retransmissions (RFC 9293 §3.9.1.8, §3.8.3)."""

    error: TcpError


@dataclass(frozen=True, slots=True)
class Urgent(Event):
    """The peer's urgent pointer has advanced: see ``urgent`` for what is left to read (RFC 9293 §3.8.5)."""


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """The connection is over for the application; ``error`` is None after an orderly close of both directions.

    It comes when no octet can be read or acknowledged any more, TIME-WAIT included: the application need not
    wait for that to end. ``unsent`` counts the octets that were written and never acknowledged.
    """

    error: TcpError | None
    unsent: int
