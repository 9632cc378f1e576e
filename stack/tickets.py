"""Tickets: sessions that may be resumed, in memory only, bounded, for an hour (profile.md §7, Resumption).

Who was A offers, who was B takes: two stores, so that nothing of one's own can be reflected.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ao.groups import GROUPS
from ao.sessions import Session

from .ip import address_text
from .remembered import Remembered, Row

# How long a session can be resumed, seconds.
TICKET_MEMORY: Final = 3600.0
_Kept = tuple[Session, bytes]


class _Sessions(Remembered[bytes, _Kept]):
    """Sessions by ticket, each with the address of the peer."""

    __slots__ = ()

    def __init__(self, kind: str) -> None:
        super().__init__(kind, _row, lambda _ticket, _address: False)

    def newest(self, address: bytes, groups: Collection[int], now: float) -> Session | None:
        """The newest session with ``address`` whose group is one of ``groups``."""
        for (session, whose), until in reversed(self._entries.values()):
            if whose == address and session.group in groups and until > now:
                return session
        return None

    def erase(self, address: bytes | None = None) -> int:
        """Forget everything, or the sessions with ``address``; returns how many that were."""
        if address is None:
            return super().erase()
        tickets = [ticket for ticket, ((_, whose), _) in self._entries.items() if whose == address]
        for ticket in tickets:
            self.drop(ticket)
        return len(tickets)


class Tickets:
    """The sessions of one stack: ``offers`` of connections that it opened, ``takes`` of those that it accepted."""

    def __init__(self) -> None:
        self.offers = _Sessions("ticket-to-offer")
        self.takes = _Sessions("ticket-to-take")
        self._lent: set[bytes] = set()

    def keep(self, session: Session, address: bytes, *, is_a: bool, now: float) -> None:
        """A connection with ``address`` was confirmed; this side was A or B."""
        (self.offers if is_a else self.takes).put(session.ticket, (session, address), now + TICKET_MEMORY)

    def offer(self, address: bytes, groups: Collection[int], now: float) -> Session | None:
        """The session to offer to ``address``; whatever becomes of the offer, it is not made again."""
        session = self.offers.newest(address, groups, now)
        if session is not None:
            self.offers.drop(session.ticket)
        return session

    def take(self, ticket: bytes, groups: Collection[int], now: float) -> Session | None:
        """The session of a ticket that was offered, for one attempt, which ends in ``used`` or ``give_back``."""
        kept = self.takes.get(ticket, now)
        if kept is None or ticket in self._lent or kept[0].group not in groups:
            return None
        self._lent.add(ticket)
        return kept[0]

    def used(self, session: Session) -> None:
        """The first good MAC under the keys of a session that was taken has come."""
        self._lent.discard(session.ticket)
        self.takes.drop(session.ticket)

    def give_back(self, session: Session) -> None:
        """An attempt with a session that was taken has ended before."""
        self._lent.discard(session.ticket)


def _row(_ticket: bytes, kept: _Kept) -> Row:
    # The ticket itself would let its holder spoil it: it is not shown.
    return {"peer": address_text(kept[1]), "group": GROUPS[kept[0].group].name}
