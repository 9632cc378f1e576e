"""One account for a whole stack: the octets that its connections, fragments and waiting SYNs hold.

What is counted is memory that is really used, so small pieces count with the objects that they take. A peer must
not make a stack hold more than its limit, and a connection that is honest must get through while others try: each
has a reserve that it paid for when it began, and what is scarce is refused in the order of what can best be missed.
Beyond ``PRESSURE`` of the limit windows stop to grow, and octets beyond a hole are dropped (a receiver may do that,
RFC 2018 §8); beyond ``HIGH`` octets that others keep beyond a hole are dropped, then writes are refused and
octets in order are left to be sent again; what remains is for new connections, and beyond the limit there are none.
"""

from __future__ import annotations

from typing import Final, Protocol

# The octets that an idle connection takes, with what it may hold of the stream whatever the others do, octets.
RESERVE: Final = 4096
CONNECTION: Final = 7168 + RESERVE
# What is kept of a half-open connection, octets.
HALF_OPEN: Final = 768
# A SYN that waits for its out-of-band segment: the packet and its objects, octets.
PENDING_SYN: Final = 3072
# The limit of a stack that is given none, octets.
MEMORY: Final = 256 << 20
PRESSURE: Final = 3 / 4
HIGH: Final = 7 / 8
# Under pressure a connection's window is at most this part of what is left until ``high``.
_SHARE: Final = 16


class Holder(Protocol):
    """A connection, as the account sees it."""

    def drop_beyond_hole(self) -> None:
        """Forget what lies beyond a hole, and settle with the account."""


class Lingerer(Protocol):
    """A flow whose connection only waits for stray segments (TIME-WAIT)."""

    def leave(self) -> None:
        """Have the stack forget the flow."""


class Memory:
    """The account of one stack: ``limit`` octets at most (>= 1 MiB), ``held`` now.

    ``pressure`` and ``high`` are the marks above, octets. ``peak`` is the most that was held; ``pruned`` counts
    connections whose octets beyond a hole were dropped, ``evicted`` those that had to leave TIME-WAIT.
    Raises ValueError for a limit that is too small.
    """

    __slots__ = ("_holders", "_lingerers", "evicted", "held", "high", "limit", "peak", "pressure", "pruned")

    def __init__(self, limit: int) -> None:
        if limit < 1 << 20:
            raise ValueError(f"a stack's memory must be at least {1 << 20} octets, not {limit}")
        self.limit = limit
        self.pressure = int(limit * PRESSURE)
        self.high = int(limit * HIGH)
        self.held = 0
        self.peak = 0
        self.pruned = 0
        self.evicted = 0
        self._holders: dict[Holder, None] = {}
        self._lingerers: dict[Lingerer, None] = {}

    def charge(self, octets: int) -> None:
        """``octets`` more are held, or less where negative."""
        self.held += octets
        self.peak = max(self.peak, self.held)

    def admits(self) -> bool:
        """Whether there is room for another connection."""
        return self._admits(self.limit)

    def admits_syn(self) -> bool:
        """Whether a SYN may take memory: the last part is for those who have proven that they get our answers."""
        return self._admits(self.high)

    def _admits(self, most: int) -> bool:
        """Whether a connection fits below ``most``, those in TIME-WAIT giving way, the oldest first."""
        while self.held + CONNECTION > most and self._lingerers:
            lingerer = next(iter(self._lingerers))
            del self._lingerers[lingerer]
            lingerer.leave()
            self.evicted += 1
        return self.held + CONNECTION <= most

    def lingers(self, lingerer: Lingerer) -> None:
        """``lingerer`` may leave if its place is needed."""
        self._lingerers[lingerer] = None

    def left(self, lingerer: Lingerer) -> None:
        """``lingerer`` has left."""
        self._lingerers.pop(lingerer, None)

    @property
    def window(self) -> int:
        """The octets that a connection may offer to take under pressure."""
        return max((self.high - self.held) // _SHARE, RESERVE)

    def holds_beyond_hole(self, holder: Holder) -> None:
        """``holder`` has octets that can be dropped."""
        self._holders[holder] = None

    def forget(self, holder: Holder) -> None:
        """``holder`` has none any more."""
        self._holders.pop(holder, None)

    def prune(self, octets: int) -> None:
        """Make room for ``octets`` below ``high`` by dropping what lies beyond holes, as far as there is any."""
        while self.held + octets > self.high and self._holders:
            holder = next(iter(self._holders))
            del self._holders[holder]
            holder.drop_beyond_hole()
            self.pruned += 1


# For a connection that belongs to no stack.
UNBOUNDED: Final = Memory(1 << 62)
