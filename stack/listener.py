"""Listener: a port that takes connections, its backlog and the SYNs that wait for their out-of-band segment."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Protocol

from ao.messages import MessageKind
from edo.codepoints import CodePoints
from edo.fast import read_options
from edo.messages import Assembler, Took
from edo.syneos import MOST_WITH_MESSAGE, read_oob

from .attempt import Attempt
from .config import TcpConfig
from .fastopen_cookies import FastOpenCookies
from .memory import PENDING_SYN
from .ports import Carrier, FlowKey, Home
from .protection import Protection
from .security import Security
from .segment import Segment

# SYNs that wait for their OOB at the same time, and how long each does: min(this, initial RTO / 4), seconds.
_PENDING_LIMIT = 256
# Octets of a segment for which PENDING_SYN has room.
_USUAL = 1500
OOB_WAIT = 0.2
# How long a connection that opened fast and was reset counts as if it were pending, seconds (RFC 7413 §5.1).
_RESET_COUNTS = 60.0


class Hall(Home, Protocol):
    """A stack, as its listeners see it."""

    def unlisten(self, listener: Listener) -> None:
        """The listener takes no more SYNs."""

    def open_without_oob(self, pending: PendingSyn, now: float) -> None:
        """Open the connection of a SYN whose OOB did not come."""


class PendingSyn:
    """A SYN that waits for its out-of-band segment; it is no connection yet (profile.md §5).

    ``segment`` has a copy of the packet, whose memory is not ours beyond its batch; ``protection`` is what it
    verified under and its OOB has to, None for a clear one. ``charge`` is what all of it takes, octets.
    """

    __slots__ = ("charge", "key", "listener", "next_deadline", "over", "protection", "scheduled", "segment")

    def __init__(self, listener: Listener, key: FlowKey, segment: Segment, deadline: float) -> None:
        self.listener = listener
        self.key = key
        self.segment = segment
        # A SYN may bring as much text as an IP packet has room for.
        self.charge = PENDING_SYN + max(len(segment.tcp) - _USUAL, 0)
        self.next_deadline: float | None = deadline
        self.scheduled: float | None = None
        self.over = False
        self.protection: Protection | None = None

    def advance(self, now: float) -> None:
        """The OOB did not come: go on as if SYN-EOS had not been there (SYN-EOS §6)."""
        self.listener.out_of_band_missed(self, now)


class Listener:
    """Connections that were accepted wait in it; ``accept`` takes the next one.

    ``backlog`` bounds connections that are not yet accepted, half-open ones included: beyond it SYNs are dropped.
    ``config`` is what connections get from now on (None: the stack's); ``fast_open_cookies`` makes the cookies of
    this listener alone (None: the stack's); ``kept`` counts its half-open connections in the SYN cache.
    """

    def __init__(
        self,
        stack: Hall,
        address: bytes | None,
        port: int,
        security: Security,
        backlog: int,
        config: TcpConfig | None = None,
    ) -> None:
        self.stack = stack
        self.address = address
        self.port = port
        self.security = security
        self.backlog = backlog
        self.config = config
        self.owner: object | None = None
        self.closed = False
        self._queue: deque[Attempt] = deque()
        self._half_open: dict[Carrier, None] = {}
        self.kept = 0
        self._pending: OrderedDict[FlowKey, PendingSyn] = OrderedDict()
        self._fast_opens: dict[Carrier, None] = {}
        self._fast_opens_reset: deque[float] = deque()
        self.fast_open_cookies: FastOpenCookies | None = None

    # --- the application ---------------------------------------------------------------------------------

    def accept(self) -> Attempt | None:
        """The next connection, None when there is none."""
        return self._queue.popleft() if self._queue else None

    @property
    def waiting(self) -> int:
        """How many connections can be accepted."""
        return len(self._queue)

    def close(self) -> None:
        """Take no more connections; those that were not accepted are reset (RFC 9293 §3.10.4)."""
        if self.closed:
            return
        self.closed = True
        self.stack.unlisten(self)
        for pending in list(self._pending.values()):
            self.release(pending)
        for flow in list(self._half_open):
            flow.abort()
        while self._queue:
            self._queue.popleft().abort()

    # --- the stack ---------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether another SYN has to be dropped."""
        return self._opening + len(self._queue) >= self.backlog

    @property
    def queue_full(self) -> bool:
        """Whether no further connection may wait to be accepted."""
        return len(self._queue) >= self.backlog

    @property
    def crowded(self) -> bool:
        """Whether half of the backlog is taken: SYN-EOS is not confirmed then (profile.md §5)."""
        return 2 * self._opening >= self.backlog

    @property
    def _opening(self) -> int:
        return len(self._half_open) + len(self._pending) + self.kept

    def opened(self, flow: Carrier) -> None:
        """A half-open connection was made for this listener."""
        flow.listener = self
        self._half_open[flow] = None

    def offer(self, flow: Carrier) -> None:
        """The connection may be accepted."""
        self._half_open.pop(flow, None)
        if self.closed:
            flow.abort()
            return
        attempt = Attempt(self.stack, flow, "accept", flow.started)
        flow.attempt = attempt
        self._queue.append(attempt)
        self.stack.ready(self)

    def stood(self, flow: Carrier) -> None:
        """A connection completed its three-way handshake."""
        self._fast_opens.pop(flow, None)

    def gone(self, flow: Carrier) -> None:
        """A connection ended, which may have been half open."""
        self._half_open.pop(flow, None)
        if flow in self._fast_opens:
            del self._fast_opens[flow]
            self._fast_opens_reset.append(self.stack.now + _RESET_COUNTS)

    def fast_opened(self, flow: Carrier) -> None:
        """A connection opened fast and does not stand yet."""
        self._fast_opens[flow] = None

    def fast_opens_pending(self, now: float) -> int:
        """PendingFastOpenRequests (RFC 7413 §4.2), with those that ended a short while ago.

        Resets that a forged SYN draws shall not make room for the next (§5.1).
        """
        ended = self._fast_opens_reset
        while ended and ended[0] <= now:
            ended.popleft()
        return len(self._fast_opens) + len(ended)

    def pending(self, key: FlowKey) -> PendingSyn | None:
        """The SYN of this socket pair that waits for its OOB."""
        return self._pending.get(key)

    def await_out_of_band(self, key: FlowKey, segment: Segment, deadline: float) -> PendingSyn | None:
        """Keep a SYN until its OOB comes; None when too many wait already."""
        if len(self._pending) >= _PENDING_LIMIT:
            return None
        segment.tcp = memoryview(bytes(segment.tcp))
        pending = PendingSyn(self, key, segment, deadline)
        self._pending[key] = pending
        self.stack.memory.charge(pending.charge)
        return pending

    def release(self, pending: PendingSyn) -> None:
        """The SYN waits no longer."""
        pending.over = True
        if self._pending.pop(pending.key, None) is not None:
            self.stack.memory.charge(-pending.charge)

    def out_of_band_missed(self, pending: PendingSyn, now: float) -> None:
        """Answer a SYN whose OOB did not come, and remember that for its prefix."""
        self.release(pending)
        self.stack.peers.oob_missed(pending.key[2], now)
        self.stack.open_without_oob(pending, now)


def message_out_of_band(points: CodePoints, segment: Segment, kind: MessageKind) -> bytes | None:
    """The whole message ``kind`` that an OOB segment's payload carries; None when it holds anything else."""
    spans = read_oob(segment.tcp, segment.data_offset, points=points, most=MOST_WITH_MESSAGE)
    if spans is None:
        return None
    options = read_options(segment.tcp, spans, points)
    assembler = Assembler(kind)
    return assembler.message if assembler.take(*options.ke) is Took.COMPLETE else None
