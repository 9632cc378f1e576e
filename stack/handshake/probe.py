"""Whether the peer still has the connection, when a clear SYN or RST says that it was restarted (profile.md §8)."""

from __future__ import annotations

import errno
import math
from typing import Final

from .. import closing
from ..connection import Connection
from ..run import ACK
from ..segment import Segment
from ..states import State
from ..tcb import HALF, MASK

_NEVER: Final = math.inf
# No more than one probe begins in so many seconds.
_PAUSE: Final = 10.0
# Keepalives after so many RTOs from the beginning, then in this interval, seconds.
_FIRST: Final = (0, 1, 2, 4)
_THEN: Final = 5.0


class Prober:
    """Protected keepalives, which a peer that lives answers under the MAC; anybody can send what starts them.

    Under timestamps an empty ACK goes before each. A keepalive is out of the window and its TSval is not taken
    (RFC 7323 §5.3, R2 and R3); the ACK's is, so that the answer echoes what no earlier segment can.

    ``timeout``: after so many seconds without an answer the connection ends (0: its user timeout); before that it
    does once four keepalives found none and a clear RST with SEQ = RCV.NXT came, as a host without the connection
    answers them.
    """

    __slots__ = ("_begun", "_connection", "_next_at", "_reset", "_rto", "_sent", "_timeout", "busy")

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self.busy = False
        self._begun = -_NEVER
        self._next_at = _NEVER
        self._rto = 0.0
        self._sent = 0
        self._reset = False

    def suspect(self, now: float) -> None:
        """A clear SYN that is not the connection's own came."""
        lives = State.ESTABLISHED <= self._connection.state < State.TIME_WAIT
        if self.busy or not lives or now - self._begun < _PAUSE:
            return
        self.busy = True
        self._begun = self._next_at = now
        # A timer that has backed off says nothing of how soon an answer can be there.
        self._rto = min(self._connection.rtt.rto, _THEN)
        self._sent = 0
        self._reset = False

    def reset(self, now: float) -> None:
        """A clear RST with SEQ = RCV.NXT came."""
        if not self.busy:
            self.suspect(now)
        elif self._sent:
            self._reset = True
            if self._sent >= len(_FIRST):
                self._next_at = now

    def good(self, segment: Segment) -> None:
        """A segment under the MAC came: the peer lives, unless the segment was on its way before we asked."""
        if self._connection.timestamps:
            begun = (int(self._begun * 1000.0) + self._connection.clock_offset) & MASK
            if segment.options.ts_val is None or (segment.options.ts_ecr - begun) & MASK >= HALF:
                return
        self.busy = False
        self._next_at = _NEVER

    def _ask(self, now: float) -> None:
        connection = self._connection
        options = connection.plain_options(now)
        first = connection.snd_una
        if connection.timestamps:
            connection.out.append(connection.control_run(ACK, first, options))
        connection.out.append(connection.control_run(ACK, first - 1, options))

    @property
    def next_deadline(self) -> float:
        """When ``advance`` has something to do, seconds; infinite for never."""
        return min(self._next_at, self._ends_at) if self.busy else _NEVER

    @property
    def _ends_at(self) -> float:
        timeout = self._timeout or self._connection.user_timeout
        return self._begun + timeout if timeout > 0 and self._sent >= len(_FIRST) else _NEVER

    def advance(self, now: float) -> None:
        """Send the next keepalive, or end the connection."""
        if not self.busy or self.next_deadline > now:
            return
        connection = self._connection
        if self._sent >= len(_FIRST) and (self._reset or self._ends_at <= now):
            self.busy = False
            connection.now = now
            closing.fail(connection, errno.ETIMEDOUT, "the peer was restarted: it answers no probe")
            return
        self._ask(now)
        self._sent += 1
        if self._sent < len(_FIRST):
            self._next_at = self._begun + _FIRST[self._sent] * self._rto
        else:
            self._next_at = now + _THEN
