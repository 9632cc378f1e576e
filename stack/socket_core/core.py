"""SocketCore: what a socket is, but for waiting. POSIX's calls with Linux's results, over one stack."""

from __future__ import annotations

import errno
from typing import Final

from ..bindings import Binding
from ..events import TcpError
from ..ip import address_text
from ..states import State
from .base import BUFFERS, Phase
from .eno import NAMES as ENO
from .eno import SETTABLE, TOLD, asked, changed, told
from .errors import SocketError
from .extended import edo_asked, with_edo
from .info import packed
from .names import octets_of
from .numbers import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    MSG_EOR,
    MSG_FASTOPEN,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SIOCATMARK,
    SIOCINQ,
    SIOCOUTQ,
    SIOCOUTQNSD,
    SO_ACCEPTCONN,
    SO_DOMAIN,
    SO_ERROR,
    SOL_SOCKET,
    TCP_CORK,
    TCP_ENO_TEP_MANDATORY,
    TCP_EXT_DATA_OFFSET,
    TCP_INFO,
    TCP_MAXSEG,
    TCP_NODELAY,
)
from .opening import Opening, socket_error
from .readiness import Blocked, Event
from .values import Value, integer

# Setting these sends what was held back by MSG_MORE.
_PUSHING: Final = ((IPPROTO_TCP, TCP_NODELAY), (IPPROTO_TCP, TCP_CORK))


class SocketCore(Opening):
    """A stream socket of ``stack``; ``family`` AF_INET or AF_INET6 (which takes IPv4 too, as ``::ffff:a.b.c.d``).

    A call returns its value, raises ``SocketError``, or returns ``Blocked``: then it has to be made again when
    what it names has come true. ``now`` is seconds of the stack's clock. ``on_ready`` is called when something has
    happened that may end a wait, by whoever tells owners after the stack's verbs. Without a runner, state is as
    true: every call looks at the stack first.
    """

    __slots__ = ()

    # --- opening -----------------------------------------------------------------------------------------

    def bind(self, address: str, port: int) -> None:
        """Take ``address`` ("" or the unspecified one: any) and ``port`` (0: a free one).

        Raises EINVAL (bound already, no address), EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT.
        """
        self._usable()
        octets = octets_of(self.family, address)
        if self._binding is not None or self._phase is not Phase.FRESH:
            raise SocketError(errno.EINVAL)
        if any(octets) and octets not in self.stack.addresses:
            raise SocketError(errno.EADDRNOTAVAIL)
        if not 0 <= port < 65536:
            raise SocketError(errno.EINVAL)
        # The unspecified address of an IPv6 socket stands for IPv4's too.
        anywhere = not any(octets) and self.family == AF_INET6 and not self.settings.v6only
        self._bind(None if anywhere else octets, port)

    def _bind(self, octets: bytes | None, port: int, *, listens: bool = False) -> None:
        shares = self.settings.reuse_address
        bindings = self.stack.bindings
        try:
            if port:
                self._binding = bindings.bind(octets, port, shares=shares)
            elif self.settings.port_later and not listens:
                self._binding = Binding(octets, 0, shares)
            else:
                self._binding = bindings.bind_any(octets, self.stack.random, shares=shares)
        except OSError as error:
            raise socket_error(error) from None

    def listen(self, backlog: int) -> None:
        """Take connections, of which ``backlog`` may wait; on a listener: change the backlog.

        Raises EINVAL (connected), EADDRINUSE.
        """
        self._usable()
        self._look()
        size = min(max(backlog, 0), self.profile.most_backlog) + self.profile.backlog_extra
        if self._listener is not None:
            self._listener.backlog = max(size, 1)
            return
        if self._phase is not Phase.FRESH:
            raise SocketError(errno.EINVAL)
        if self._binding is None:
            v4 = self.family == AF_INET
            self._bind(bytes(4) if v4 else bytes(16) if self.settings.v6only else None, 0, listens=True)
        elif not self._binding.port:
            self._bind(self._binding.address, 0, listens=True)
        binding = self._binding
        assert binding is not None
        if self.stack.bindings.taken(binding.address, binding.port, shares=True, own=binding):
            raise SocketError(errno.EADDRINUSE)
        try:
            self._listener = self.stack.listen(
                binding.port,
                address=None if binding.address is None else address_text(binding.address),
                security=self.protection,
                backlog=max(size, 1),
                config=self.settings.config() if self.settings.asked else None,
            )
        except OSError as error:
            raise socket_error(error) from None
        self._listener.owner = self._bell
        self._give_keys()
        self._phase = Phase.LISTENING

    def _give_keys(self) -> None:
        """The listener has Fast Open's keys of its own where they were set (TCP_FASTOPEN_KEY)."""
        keys = self.settings.fast_open.keys
        if keys and self._listener is not None:
            self._listener.fast_open_cookies = self.stack.fast_open_cookies.under(*keys)

    def accept(self, now: float) -> SocketCore | Blocked:
        """The next connection. Raises EINVAL where this is no listener."""
        self._usable()
        if self._listener is None:
            raise SocketError(errno.EINVAL)
        attempt = self._listener.accept()
        if attempt is None:
            return Blocked(Event.ACCEPTABLE, errno.EAGAIN)
        child = SocketCore(self.stack, family=self.family, profile=self.profile, security=self.protection)
        child.settings = self.settings.copy()
        child._reported = True
        child._take(attempt, Phase.CONNECTED)
        child._look()
        return child

    # --- octets ------------------------------------------------------------------------------------------

    def send(self, data: bytes, flags: int, now: float) -> int | Blocked:
        """Queue as much of ``data`` as there is room for; returns how many octets that was.

        Flags: MSG_MORE (more will follow: a last segment that is not full waits), MSG_OOB (urgent up to the last
        octet, RFC 6093), MSG_EOR (what is sent later shares no segment with it). Raises
        EPIPE (this direction is closed), an error that waits, or what the profile has for
        a socket that was never connected.
        """
        self._usable()
        self._look()
        if self._fast_open_to is not None:
            return self._open_fast(data, *self._fast_open_to, now)
        if self._phase is Phase.CONNECTING and not self._write_shut:
            self._starve(starved=bool(data))
            return Blocked(Event.CONNECTED, errno.EAGAIN)
        if self._error:
            raise SocketError(self._take_error())
        if self._phase in (Phase.FRESH, Phase.LISTENING):
            raise SocketError(self.profile.unconnected_send)
        if self._write_shut or self._phase is not Phase.CONNECTED:
            raise SocketError(errno.EPIPE)
        if not data:
            return 0
        room = self._send_room()
        if room <= 0:
            self._starve(starved=True)
            return Blocked(Event.WRITABLE, errno.EAGAIN)
        piece = data if len(data) <= room else data[:room]
        self._starve(starved=len(data) > room)
        self._cork(more=bool(flags & MSG_MORE))
        assert self._attempt is not None
        try:
            urgent = bool(flags & MSG_OOB) and len(piece) == len(data)
            record = bool(flags & MSG_EOR) and len(piece) == len(data)
            self._attempt.write(piece, urgent=urgent, push=not flags & MSG_MORE, record=record)
        except TcpError as error:
            raise SocketError(error.errno or errno.EPIPE) from None
        return len(piece)

    def sendto(self, data: bytes, flags: int, address: str, port: int, now: float) -> int | Blocked:
        """As ``send``: a stream has one peer, whose address is not looked at.

        With MSG_FASTOPEN (RFC 7413) it connects with as much of ``data`` in the SYN as that may have, where a
        cookie of the peer is known; else the SYN asks for one, and ``Blocked`` says EINPROGRESS. Where Fast Open is
        a switch of the profile, it does so without the flag, and takes all of ``data``. Raises as ``connect``, and
        EOPNOTSUPP where Fast Open is off.
        """
        self._usable()
        self._look()
        if self._phase is Phase.FRESH and self._fast_open_to is None:
            if flags & MSG_FASTOPEN:
                if not self.settings.config().fast_open.client:
                    raise SocketError(errno.EOPNOTSUPP)
                return self._open_fast(data, address, port, now)
            if self.profile.fast_open_switch and self.settings.fast_open.pending:
                self._dial(address, port, now, data)
                return len(data)
        octets_of(self.family, address)
        return self.send(data, flags, now)

    def recv(self, count: int, flags: int, now: float) -> bytes | Blocked:
        """At most ``count`` octets; b"" at the end of the stream or after reading was shut down.

        Flags: MSG_PEEK (they stay). Raises ENOTCONN, an error that waits (after the octets that came before it),
        EINVAL for MSG_OOB: urgent data is in line (RFC 6093 §5).
        """
        self._usable()
        self._look()
        if flags & MSG_OOB:
            raise SocketError(errno.EINVAL)
        if self._phase in (Phase.FRESH, Phase.LISTENING):
            raise SocketError(self._take_error() or errno.ENOTCONN)
        if self._phase is Phase.CONNECTING:
            return Blocked(Event.READABLE, errno.EAGAIN)
        attempt = self._attempt
        assert attempt is not None
        if count <= 0:
            return b""
        if attempt.readable:
            urgent = attempt.urgent
            if urgent > 1:
                # One call never returns octets from before and behind the mark (POSIX, sockatmark).
                count = min(count, urgent - 1)
            return attempt.peek(count) if flags & MSG_PEEK else attempt.read(count)
        if attempt.eof:
            return b""
        if self._error:
            raise SocketError(self._take_error())
        if self._read_shut or self._phase is Phase.OVER:
            return b""
        return Blocked(Event.READABLE, errno.EAGAIN)

    # --- closing -----------------------------------------------------------------------------------------

    def shutdown(self, how: int, now: float) -> None:
        """End one direction or both (SHUT_RD, SHUT_WR, SHUT_RDWR). Raises EINVAL, ENOTCONN.

        A listener whose reading is shut down listens no longer; connecting is given up.
        """
        self._usable()
        self._look()
        if how not in (SHUT_RD, SHUT_WR, SHUT_RDWR):
            raise SocketError(errno.EINVAL)
        if self._listener is not None:
            if how != SHUT_WR:
                self._listener.owner = None
                self._listener.close()
                self._listener = None
                self._phase = Phase.FRESH
                self._stir()
            return
        if self._phase in (Phase.FRESH, Phase.OVER):
            raise SocketError(errno.ENOTCONN)
        attempt = self._attempt
        assert attempt is not None
        if self._phase is Phase.CONNECTING:
            attempt.owner = None
            attempt.abort()
            self._error = errno.ECONNRESET
            self._phase = Phase.OVER
            self._stir()
            return
        if how != SHUT_RD and not self._write_shut:
            self._write_shut = True
            attempt.write_eof()
        if how != SHUT_WR:
            self._read_shut = True
            self._unread = attempt.readable
            self._discard()
        self._stir()

    def close(self, now: float) -> Blocked | None:
        """Give the socket up. With SO_LINGER and a time: ``Blocked`` until all is acknowledged or that is over.

        SO_LINGER with no time resets the connection, as unread octets do (RFC 2525 §2.17).
        """
        if self._closed:
            return self._linger(now)
        self._look()
        self._closed = True
        if self._binding is not None:
            self.stack.bindings.release(self._binding)
        if self._listener is not None:
            self._listener.owner = None
            self._listener.close()
            return None
        attempt = self._attempt
        if attempt is None or self._phase is Phase.OVER:
            return None
        seconds = self.settings.linger
        if seconds == 0:
            attempt.owner = None
            attempt.abort()
            return None
        self._cork(more=False)
        attempt.close(now)
        if seconds > 0 and self._phase is Phase.CONNECTED:
            self._lingers_until = now + seconds
        else:
            attempt.owner = None
        return self._linger(now)

    def abort(self, now: float) -> None:
        """Give the socket up with a reset (RFC 9293 §3.10.5)."""
        self.settings.linger = 0
        self.close(now)

    # --- options -------------------------------------------------------------------------------

    def setsockopt(self, level: int, name: int, value: Value) -> None:
        """Set an option, at once where that has a meaning. Raises ENOPROTOOPT, EINVAL, ENOENT."""
        self._usable()
        self._look()
        self._check_level(level)
        if (level, name) == (IPPROTO_TCP, TCP_EXT_DATA_OFFSET):
            self.set_protection(with_edo(self.protection, value, self.stack.edo.dialect))
            return
        if level == IPPROTO_TCP and name in ENO:
            self._set_eno(name, value)
            return
        self.settings.set(level, name, value)
        if self._listener is not None:
            self._listener.config = self.settings.config()
            self._give_keys()
        elif self._attempt is not None and self._phase in (Phase.CONNECTING, Phase.CONNECTED):
            self._cork(more=self._more and (level, name) not in _PUSHING)
            if (level, name) == (IPPROTO_TCP, TCP_NODELAY) and not self.settings.config().nagle:
                # It pushes what a cork holds back, too.
                self._attempt.flow.connection.hurry()
            self._attempt.configure(self.settings.config())

    def _set_eno(self, name: int, value: Value) -> None:
        """An option of TCP-ENO; to insist on a TEP where the connection is plain already is to end it."""
        if name not in SETTABLE:
            raise SocketError(errno.ENOPROTOOPT)
        plain = self._attempt is not None and self._attempt.security()["mode"] == "none"
        if name == TCP_ENO_TEP_MANDATORY and plain and self._phase is Phase.CONNECTED and integer(value):
            assert self._attempt is not None
            self._attempt.abort()
            self._error = errno.ECONNABORTED
            self._phase = Phase.OVER
            return
        self.set_protection(changed(self.protection, name, value))

    def getsockopt(self, level: int, name: int, now: float) -> Value:
        """What an option is: a number, or octets (SO_LINGER, TCP_INFO, TCP_CONGESTION). Raises ENOPROTOOPT."""
        self._usable()
        self._look()
        self._check_level(level)
        if level == SOL_SOCKET:
            if name == SO_ERROR:
                return self._take_error()
            if name == SO_ACCEPTCONN:
                return int(self._listener is not None)
            if name == SO_DOMAIN:
                return self.family
            if name in BUFFERS and (size := self._buffer(BUFFERS[name])):
                return size
        elif level == IPPROTO_TCP:
            if name == TCP_EXT_DATA_OFFSET:
                return edo_asked(self.protection)
            if name in SETTABLE:
                return asked(self.protection, name, listening=self._listener is not None)
            if name in TOLD:
                return told(self._attempt, name)
            if name == TCP_INFO:
                return packed(self.info())
            if name == TCP_MAXSEG:
                connection = self._connection
                if connection is not None and connection.state >= State.ESTABLISHED:
                    return connection.segment_size
                return int(self.settings.get(level, name)) or 536
        return self.settings.get(level, name)

    def ioctl(self, request: int) -> int:
        """SIOCINQ: octets to be read; SIOCOUTQ: written and not acknowledged; SIOCOUTQNSD: not sent; a FIN is one.

        SIOCATMARK: 1 where the next octet is the last urgent one, else 0 (POSIX, sockatmark).

        Raises EINVAL on a listener, ENOTTY for any other request.
        """
        self._usable()
        self._look()
        if request not in (SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK):
            raise SocketError(errno.ENOTTY)
        if self._listener is not None:
            raise SocketError(errno.EINVAL)
        connection = self._connection
        if connection is None or self._attempt is None:
            return 0
        if request == SIOCATMARK:
            return int(self._attempt.urgent == 1)
        if request == SIOCINQ:
            return self._attempt.readable
        if self._phase is not Phase.CONNECTED:
            return 0
        end = connection.sending.end + connection.fin_queued
        return max(end - (connection.snd_una if request == SIOCOUTQ else connection.snd_nxt), 0)
