"""What a stack tells an observer: segments, drops, states and recovery metrics, as they happen.

The stack knows nothing of files or formats; without an observer a connection pays one comparison per segment.
"""

from __future__ import annotations

from typing import Protocol

from .connection import Connection
from .run import Run
from .segment import Segment

FlowName = tuple[bytes, int, bytes, int]


class Trace(Protocol):
    """An observer; ``flow`` names a connection as (local address, local port, remote address, remote port).

    Times are seconds of the stack's clock. Nothing that is passed may be changed or kept.
    """

    def segment_received(self, flow: FlowName, segment: Segment, now: float) -> None:
        """A segment of the connection passed checksum and structure; it may still be dropped."""

    def segment_dropped(self, flow: FlowName, reason: str, now: float) -> None:
        """A segment was dropped; the reason is the name under which it is counted."""

    def segments_sent(self, flow: FlowName, run: Run, count: int, octets: int, now: float) -> None:
        """A run went out in ``count`` packets of ``octets`` octets together."""

    def updated(self, flow: FlowName, connection: Connection, now: float) -> None:
        """A batch or a timer is done: state and metrics may have changed."""
