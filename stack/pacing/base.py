"""What a pacer is: it turns a rate into moments at which octets may go."""

from __future__ import annotations


class Pacer:
    """``rate`` in octets a second, 0 for no limit; ``window`` the congestion window in octets, 0 if unknown;
    ``next_at`` when something may go again, seconds; ``credit`` how many octets may go until then.

    Before each output the sender sets rate and window and calls ``open``; it sends no more than ``credit`` and
    calls ``spend`` for each run. Where octets wait it comes back at ``next_at``.
    """

    __slots__ = ("credit", "next_at", "rate", "window")

    def __init__(self) -> None:
        self.rate = 0.0
        self.window = 0
        self.next_at = 0.0
        self.credit = 0

    def open(self, now: float, smss: int) -> bool:
        """Set ``credit`` if it is time (``smss`` octets is a segment); False, and no credit, before ``next_at``."""
        raise NotImplementedError

    def spend(self, octets: int, now: float) -> None:
        """``octets`` are sent now: take them off ``credit``, and say when the next may go."""
        raise NotImplementedError

    def hold(self, until: float) -> None:
        """Nothing goes before ``until``, seconds."""
        self.next_at = max(self.next_at, until)
        self.credit = 0
