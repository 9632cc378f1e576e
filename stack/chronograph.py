"""What kept a sender from sending, and for how long: what TCP_INFO tells as busy time and its parts."""

from __future__ import annotations

from enum import IntEnum


class Limit(IntEnum):
    """What a sender is at: nothing, sending, or held back by the peer's window or by a full send buffer."""

    IDLE = 0
    BUSY = 1
    WINDOW = 2
    BUFFER = 3


class Chronograph:
    """Adds up the time spent at each; ``at`` is the present one, ``spent`` has seconds of those that are over."""

    __slots__ = ("at", "since", "spent")

    def __init__(self) -> None:
        self.at = Limit.IDLE
        self.since = 0.0
        self.spent = [0.0, 0.0, 0.0, 0.0]

    def turn(self, limit: Limit, now: float) -> None:
        """From ``now`` on the sender is at ``limit``."""
        if limit is not self.at:
            self.spent[self.at] += now - self.since
            self.at = limit
            self.since = now

    def total(self, limit: Limit, now: float) -> float:
        """Seconds at ``limit`` until ``now``; of BUSY those of the two that follow are a part."""
        kinds = (Limit.BUSY, Limit.WINDOW, Limit.BUFFER) if limit is Limit.BUSY else (limit,)
        return sum(self.spent[kind] + (now - self.since if kind is self.at else 0.0) for kind in kinds)
