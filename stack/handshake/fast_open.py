"""The opener's handshake with Fast Open: what is asked of a server and remembered of it (RFC 7413 §4.1.3)."""

from __future__ import annotations

from typing import Final

from ao.keys import Key
from edo.layout import fit_syn

from ..config import FastOpen
from ..fastopen import FastOpening
from ..flow import Flow
from ..peers import FastOpenCookie
from ..run import SYN, Run
from ..segment import Segment
from ..states import State
from ..variables import DEFAULT_MSS
from .base import Handshake

# A SYN's text leaves room for all options that a header can have, so that it fits whichever are sent, also if a box
# on the path adds some.
_OPTION_SPACE: Final = 40
# More than this in a SYN draws fragmentation and firewalls (RFC 7413 §4.1.3), by octets of the IP header.
_LARGEST_MSS: Final = {20: 1460, 40: 1440}


def text_room(mss: int, mtu: int, ip_header: int, unknown: int = 0) -> int:
    """How many octets the text of a SYN may have where the peer's ``mss`` is known, or 0 (RFC 7413 §4.1.3).

    ``unknown``: what is taken for an MSS that is not known (0: what RFC 9293 §3.7.1 says).
    """
    known = mss or unknown or DEFAULT_MSS[ip_header]
    return max(min(known, _LARGEST_MSS[ip_header], mtu - ip_header - 20) - _OPTION_SPACE, 0)


def offer(flow: Flow, settings: FastOpen, now: float) -> FastOpening | None:
    """What the first SYN carries; None for a plain one: the path is in doubt, or the option has no room."""
    local, _, remote, port = flow.key
    peers = flow.stack.peers
    if not settings.client or peers.fast_open_in_doubt(local, remote, port, now):
        return None
    config = flow.connection.config
    known = peers.fast_open_cookie(local, remote, now)
    mss = 0 if known is None else known.mss
    room = text_room(mss, config.mtu, config.ip_header, settings.unknown_mss)
    if not settings.client_cookies:
        return FastOpening(None, octets=room)
    if known is None or not known.cookie:
        return FastOpening(b"", experimental=known is not None and known.experimental)
    options = flow.connection.syn_options(False)
    options.edo_supported = flow.edo.offer()
    options.fast_open = known.cookie
    options.fast_open_experimental = known.experimental
    if fit_syn(options, dialect=flow.edo.dialect).fast_open is None:
        return None
    return FastOpening(known.cookie, experimental=known.experimental, octets=room)


class FastOpener(Handshake):
    """RFC 9293's handshake, from which ``peers`` learns cookies and where Fast Open does not get through."""

    __slots__ = (
        "_opening",
        "_settings",
    )

    def __init__(self, flow: Flow, opening: FastOpening, settings: FastOpen) -> None:
        super().__init__(flow)
        self._opening = opening
        self._settings = settings

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Take a segment; the first SYN-ACK that stands tells what the server makes of Fast Open."""
        connection = self.flow.connection
        before = connection.state
        super().take(segment, number, key, now)
        if before is State.SYN_SENT and connection.state > State.SYN_RECEIVED:
            self._learn(segment, now)

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        """A SYN that has to go again may have been swallowed for what it carried (§4.1.3.1): it goes plain."""
        if run.flags & SYN and run.transmission == 1:
            self.doubt(now)
        super().dress(run, now, out)

    def doubt(self, now: float) -> None:
        """A negative response: silence, ICMP, or text that was not acknowledged (§4.1.3.1)."""
        local, _, remote, port = self.flow.key
        self.flow.stack.peers.fast_open_failed(local, remote, port, now, self._settings.pause)

    def _learn(self, segment: Segment, now: float) -> None:
        local, _, remote, port = self.flow.key
        peers = self.flow.stack.peers
        connection = self.flow.connection
        opening, connection.opening = self._opening, None
        options = segment.options
        taken = bool(opening.octets) and connection.snd_una > connection.iss + 1
        mss = options.mss or 0
        if options.fast_open and opening.cookie is not None:
            cookie = FastOpenCookie(options.fast_open, mss, options.fast_open_experimental)
            peers.fast_open_learned(local, remote, port, cookie, now)
        elif taken:
            cookie = FastOpenCookie(opening.cookie or b"", mss, opening.experimental)
            peers.fast_open_learned(local, remote, port, cookie, now)
        elif self._settings.try_experimental and opening.cookie == b"" and not connection.transmission:
            # Once by the other form of the option, then by this one again.
            peers.fast_open_learned(local, remote, port, FastOpenCookie(b"", mss, not opening.experimental), now)
        elif opening.cookie is not None or opening.octets:
            self.doubt(now)
