"""sendto that may open a connection: with MSG_FASTOPEN, and of FreeBSD wherever Fast Open is on (RFC 7413)."""

from __future__ import annotations

import errno

from stack.socket_core import Blocked, Event, SocketCore
from stack.socket_core import numbers as n


class Sending:
    """One call of sendto, to be made until it is done; ``taken`` counts its octets that were taken."""

    def __init__(self, data: bytes, flags: int, address: tuple[str, int]) -> None:
        self.data = data
        self.flags = flags
        self.address = address
        self.taken = 0

    def go_on(self, core: SocketCore, now: float, *, waits: bool) -> Blocked | None:
        """Take what can be taken; what has to be waited for, None where the call returns.

        What follows the SYN's text goes when the connection stands, and a call that waits does not return before.
        """
        opens = bool(self.flags & n.MSG_FASTOPEN)
        while True:
            answer: int | Blocked = 0
            if not self.taken:
                answer = core.sendto(self.data, self.flags, *self.address, now)
            elif self.taken < len(self.data):
                answer = core.send(self.data[self.taken :], 0, now)
            if isinstance(answer, Blocked):
                return None if self.taken and not waits else answer
            self.taken += answer
            if waits and opens and not core.ready(now) & Event.CONNECTED:
                return Blocked(Event.CONNECTED, errno.EINPROGRESS)
            if self.taken >= len(self.data) or not waits:
                return None
