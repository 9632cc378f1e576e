"""What a socket can be waited for, and the answer of a call that would have to wait."""

from __future__ import annotations

from enum import IntFlag


class Event(IntFlag):
    """Readiness. The low 16 bits are those of poll(2), so ``int(event) & 0xFFFF`` is what poll returns.

    ``READABLE`` recv returns at once (octets, the end or an error), or a listener has a connection; ``URGENT``
    there is urgent data to be read; ``WRITABLE`` send takes octets or fails at once; ``ERROR`` there is an error to
    be fetched; ``HANGUP`` nothing can be sent or received any more; ``PEER_HANGUP`` nothing more will come. What a
    ``Blocked`` names besides: ``CONNECTED`` connecting has ended, well or not; ``ACCEPTABLE`` a connection can be
    accepted; ``CLOSED`` a lingering close has ended.
    """

    READABLE = 0x0001
    URGENT = 0x0002
    WRITABLE = 0x0004
    ERROR = 0x0008
    HANGUP = 0x0010
    PEER_HANGUP = 0x2000
    CONNECTED = 0x1_0000
    ACCEPTABLE = 0x2_0000
    CLOSED = 0x4_0000
    # The names of poll(2).
    IN = 0x0001
    PRI = 0x0002
    OUT = 0x0004
    ERR = 0x0008
    HUP = 0x0010
    RDHUP = 0x2000


NOTHING = Event(0)


class Blocked:
    """The call has to wait until one of ``until`` holds, or until ``deadline`` (seconds) where there is one.

    The caller waits in its own way and calls again. ``errno`` is what a socket that does not wait gives instead.
    """

    __slots__ = ("deadline", "errno", "until")

    def __init__(self, until: Event, errno: int, deadline: float | None = None) -> None:
        self.until = until
        self.errno = errno
        self.deadline = deadline

    def __repr__(self) -> str:
        return f"Blocked({self.until!r}, errno={self.errno}, deadline={self.deadline})"
