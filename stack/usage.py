"""How far the congestion window is used: what says whether it may grow.

RFC 5681 and RFC 9438 let the window grow while it is what limits sending. With ``TcpConfig.grow_half_used`` it may,
in slow start, while at least half of it was in flight during the last round trip (RFC 7661 §4.1: validated).
"""

from __future__ import annotations


class Usage:
    """``most`` octets were outstanding in the round trip that ends at ``end``; ``limited``: the window was full."""

    __slots__ = ("end", "limited", "most")

    def __init__(self, una: int) -> None:
        self.end = una
        self.limited = False
        self.most = 0

    def note(self, una: int, nxt: int, *, limited: bool) -> None:
        """Octets were sent up to ``nxt``, or the window kept some back (``limited``); ``una`` is SND.UNA."""
        outstanding = nxt - una
        if una >= self.end or limited or (not self.limited and outstanding > self.most):
            self.limited = limited
            self.most = outstanding
            self.end = nxt

    def allows(self, cwnd: float, ssthresh: float) -> bool:
        """Whether the window may grow by an acknowledgment; octets."""
        return self.limited or (cwnd < ssthresh and cwnd < 2 * self.most)
