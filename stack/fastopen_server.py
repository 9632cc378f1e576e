"""What a listener makes of Fast Open in a SYN (RFC 7413 §4.2.2)."""

from __future__ import annotations

from .config import FastOpen
from .fastopen import FastOpening
from .fastopen_cookies import FastOpenCookies, Found
from .listener import Listener
from .segment import Segment


def judge(
    listener: Listener, settings: FastOpen, cookies: FastOpenCookies, segment: Segment, now: float
) -> FastOpening | None:
    """Steps 1 to 3 for a SYN whose options are read; None where it asks for nothing, or nothing is offered.

    A request, and a cookie that is not ours, get a cookie; one of the key before gets a new one, and its text is
    taken all the same.
    """
    options = segment.options
    if not settings.server or not settings.pending:
        return None
    if options.fast_open is None and (settings.server_cookies or len(segment.tcp) == segment.data_offset):
        return None
    if listener.fast_opens_pending(now) >= min(settings.pending, listener.backlog):
        listener.stack.counters["fast_open_overflow"] += 1
        return FastOpening(None)
    cookie = options.fast_open
    if not settings.server_cookies and cookie != b"":
        return FastOpening(None, accepted=True)
    client, server = segment.source, segment.destination
    found = cookies.check(cookie, client, server, now) if cookie else Found.UNKNOWN
    answer = None if found is Found.CURRENT else cookies.make(client, server, now)
    accepted = found is not Found.UNKNOWN
    listener.stack.counters["fast_open_accepted" if accepted else "fast_open_cookies_sent"] += 1
    return FastOpening(answer, experimental=options.fast_open_experimental, accepted=accepted)
