"""The stream of an upgraded connection: text and options in what TCP carries (draft-briscoe-tcpm-inner-space-01).

It stands between a connection and its application, and is used as a connection is. What is written is cut to
segments, each with its InSpace in front; what comes is told apart by counting, wherever segments were cut
(``edo.rivals.inner_space``).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Final

from edo.rivals.inner_space import ON_OTHERS, Stream, on_others

from . import ledger
from .connection import Connection
from .events import TcpError

# So many octets of text are taken from the connection, and so from its window, before the application reads them.
_AHEAD: Final = 1 << 16
# So many of the peer's options are kept for the application.
_MOST_OPTIONS: Final = 256


class InnerStream:
    """Both directions of a connection behind its SYNs.

    ``skip`` octets of the peer's stream were the InSpace and options of its SYN, ``text`` followed them there; of
    what was counted as sent ``sent`` octets are no text. ``take`` is called for each option that comes, the first
    256 only; ``broken`` once the peer's counts contradict themselves, which ends the connection; ``measure`` before
    the connection is asked how large a segment is. Urgent data is text like any other.
    """

    def __init__(
        self,
        connection: Connection,
        skip: int,
        text: int,
        sent: int,
        take: Callable[[bytes], None],
        broken: Callable[[], None],
        measure: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._skip = skip
        self._counting = Stream()
        self._counting.inside = text
        self._take = take
        self._broken = broken
        self._measure = measure
        self._options = 0
        self._text: deque[memoryview] = deque()
        self._ahead = 0
        self._framed = sent
        self._read = 0

    # --- out ---------------------------------------------------------------------------------------------

    def write(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """As ``Connection.write``; each segment ends a record, so that the next begins with an InSpace."""
        connection = self._connection
        if ledger.room_for(connection, len(data)) < len(data):
            raise TcpError(errno.ENOBUFS, f"the stack's memory is used up: no room for {len(data)} octets")
        # It has its own reasons to refuse.
        connection.write(b"")
        self.queue(data, push=push)

    def queue(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """As ``write``, which was allowed."""
        connection = self._connection
        self._measure()
        size = max(connection.segment_size - ON_OTHERS, 1)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            connection.queue(on_others(len(piece), 0) + piece, push=push, record=True)
            self._framed += ON_OTHERS

    # --- in ----------------------------------------------------------------------------------------------

    def _pull(self) -> None:
        connection = self._connection
        counting = self._counting
        while self._ahead < _AHEAD and not counting.broken:
            octets = connection.read(_AHEAD) if connection.readable else b""
            if not octets:
                return
            view = memoryview(octets)
            skipped = min(self._skip, len(view))
            self._skip -= skipped
            for text in counting.take(view[skipped:]):
                self._text.append(text)
                self._ahead += len(text)
            for option in counting.options:
                self._options += 1
                if self._options <= _MOST_OPTIONS:
                    self._take(option)
            counting.options.clear()
            if counting.broken:
                self._broken()

    def read(self, limit: int = -1, *, whole: bool = True) -> bytes:
        """As ``Connection.read``."""
        self._pull()
        out: list[memoryview] = []
        left = self._ahead if limit < 0 else min(limit, self._ahead)
        self._ahead -= left
        self._read += left
        while left:
            first = self._text.popleft()
            if len(first) > left:
                self._text.appendleft(first[left:])
                first = first[:left]
            left -= len(first)
            out.append(first)
        return b"".join(out)

    def peek(self, limit: int) -> bytes:
        """As ``Connection.peek``."""
        self._pull()
        found = b""
        for text in self._text:
            if len(found) >= limit:
                break
            found += text[: limit - len(found)]
        return found

    @property
    def readable(self) -> int:
        """As ``Connection.readable``."""
        self._pull()
        return self._ahead

    @property
    def eof(self) -> bool:
        """As ``Connection.eof``; an end within a count is the end all the same."""
        self._pull()
        return not self._ahead and self._connection.eof

    @property
    def octets_in(self) -> int:
        """Octets of text that came, as far as they were told apart."""
        return self._read + self._ahead

    @property
    def octets_out(self) -> int:
        """Octets of text that left, at least."""
        return max(self._connection.octets_out - self._framed, 0)

    def close(self, now: float | None = None) -> None:
        """As ``Connection.close``: what is unread and no text is no reason for a reset."""
        self._pull()
        self._connection.close(now)
