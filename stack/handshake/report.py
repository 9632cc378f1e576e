"""The handshake authenticated afterwards: each side tells the other what it saw of its SYN (profile.md §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ao.messages import MalformedMessage
from ao.report import HAVE, HAVE_CONFIRMED, Report

from ..flow import Flow
from ..states import State
from .differences import CLOCK, EDO, SACK, WINDOW_SCALE, Difference, closest
from .sighting import Sighting

_NEVER: Final = math.inf
# So many segments carry a report that the peer has not confirmed, unless we insist on its own.
_SEGMENTS: Final = 10
# A report that nothing took along leaves alone after so many seconds; again, where it was not confirmed, after so
# many, twice as many, and so on.
_ALONE: Final = 0.2
_AGAIN: Final = 1.0
# How long a side that insists waits for the peer's report, seconds.
_PATIENCE: Final = 30.0
# What a side that insists does not let pass.
_STRICT: Final = frozenset({WINDOW_SCALE, SACK, CLOCK, EDO})


class Reporter:
    """Reports on one connection: ``seen`` is the peer's SYN or SYN-ACK (None: a cookie kept nothing of it),
    ``sent`` every variant of ours.

    ``strict``: nothing is completed before the peer's report has come, and some differences end the connection.
    ``differences`` is None before that; ``fault`` is why the connection has to end.
    """

    __slots__ = (
        "_alone_at",
        "_confirmed",
        "_count",
        "_drawn",
        "_flags",
        "_flow",
        "_patience_at",
        "_seen",
        "_sent",
        "_wait",
        "differences",
        "fault",
        "strict",
    )

    def __init__(self, flow: Flow, seen: Sighting | None, sent: Sequence[Sighting], *, strict: bool) -> None:
        self._flow = flow
        self._seen = seen
        self._sent = sent
        self.strict = strict
        self.differences: list[Difference] | None = None
        self.fault: str | None = None
        self._flags = 0
        # Whether the peer's report says that it has ours, whether it draws ours, and how often ours has gone.
        self._confirmed = False
        self._drawn = False
        self._count = 0
        self._wait = _AGAIN
        self._alone_at = flow.stack.now + _ALONE
        self._patience_at = flow.stack.now + _PATIENCE if strict else _NEVER

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, octets: bytes, now: float) -> bool:
        """Take the peer's report; False where it is none. The last to arrive holds."""
        try:
            report = Report.decode(octets)
        except MalformedMessage:
            return False
        self._flags |= HAVE | (HAVE_CONFIRMED if report.flags & HAVE else 0)
        if report.flags & HAVE:
            self._confirmed = True
        if not report.flags & HAVE_CONFIRMED:
            self._drawn = True
            self._alone_at = now + _ALONE
        self._compare(report)
        self._patience_at = _NEVER
        return True

    def _compare(self, report: Report) -> None:
        if report.options is None or not self._sent:
            # Of a SYN that was not kept the peer knows the source alone.
            own = self._sent[:1]
            kept = [replace(one, source=report.source, source_port=report.port) for one in own]
            self.differences = closest(own, kept[0], self._flow.edo.dialect.points) if kept else []
            if self.strict and report.options is None:
                self.fault = "the peer kept nothing of our SYN, so that nothing vouches for it"
            return
        seen = Sighting(
            report.source, report.port, report.tcp_flags, report.ecn, report.ttl, report.window, report.options
        )
        self.differences = closest(self._sent, seen, self._flow.edo.dialect.points)
        if self.strict:
            altered = next((str(one) for one in self.differences if one.of in _STRICT), None)
            self.fault = None if altered is None else f"the handshake was tampered with: {altered}"

    # --- out ---------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether the next segment carries our report."""
        return self._drawn or (not self._confirmed and (self.strict or self._count < _SEGMENTS))

    def message(self) -> bytes:
        """Our report, which leaves now."""
        self._count += 1
        self._drawn = False
        self._alone_at = self._flow.stack.now + self._wait
        self._wait *= 2
        seen = self._seen
        if seen is None:
            _, _, remote, port = self._flow.key
            return Report(self._flags, remote, port, 0, 0, 0, 0, None).encode()
        return Report(
            self._flags,
            seen.source,
            seen.source_port,
            seen.flags & 0xFF,
            seen.ecn,
            seen.ttl,
            seen.window,
            seen.options,
        ).encode()

    # --- time --------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float:
        """When ``advance`` has something to do, seconds; infinite for never."""
        return min(self._alone_at if self.busy else _NEVER, self._patience_at)

    def advance(self, now: float) -> None:
        """What was to go along with other things goes alone; what did not come is missed."""
        if self.busy and self._alone_at <= now:
            self._alone_at = now + self._wait
            # Where there is nothing more to say the peer may have forgotten the connection, and would reset it.
            if State.ESTABLISHED <= self._flow.connection.state < State.TIME_WAIT:
                self._flow.connection.ack_now = True
                self._flow.stack.touch(self._flow)
        if self._patience_at <= now:
            self._patience_at = _NEVER
            self.fault = f"no report of the handshake came in {_PATIENCE:.0f} s"
