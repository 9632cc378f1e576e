"""What was verified under one key: Linux's pkt_good and pkt_bad of a key."""

from __future__ import annotations


class Tally:
    """Received segments whose MAC was ``good`` or ``bad`` under one key of one connection."""

    __slots__ = ("bad", "good")

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
