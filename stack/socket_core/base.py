"""SocketBase: what a socket knows and what has happened to it; readiness, names and facts."""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from ..attempt import Attempt
from ..bindings import Binding
from ..connection import Connection
from ..events import Closed, Established, TcpError, Writable
from ..events import Event as Happening
from ..host import Stack
from ..listener import Listener
from ..security import Security
from ..states import State
from .errors import SocketError
from .info import information
from .names import Name, name_of
from .numbers import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    SO_RCVBUF,
    SO_SNDBUF,
    TCP_CM_INQ,
)
from .options import Settings
from .profile import OWN, Profile
from .readiness import NOTHING, Blocked, Event

# Until our FIN is acknowledged, a lingering close has not ended.
_LINGERING: Final = (State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)
BUFFERS: Final = {SO_RCVBUF: "receive_buffer", SO_SNDBUF: "send_buffer"}


class Phase(Enum):
    """What a socket is at: nothing yet, a listener, on the way, connected, or its connection is over."""

    FRESH = auto()
    LISTENING = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    OVER = auto()


class Bell:
    """The owner of a socket's attempt or listener: the runner rings it."""

    __slots__ = ("_ring",)

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def on_ready(self) -> None:
        """Something has happened."""
        self._ring()


class SocketBase:
    """The state of a socket; ``SocketCore`` has its calls."""

    __slots__ = (
        "_attempt",
        "_bell",
        "_binding",
        "_closed",
        "_error",
        "_fast_open_to",
        "_lingers_until",
        "_listener",
        "_more",
        "_phase",
        "_read_shut",
        "_reported",
        "_starved",
        "_stirred",
        "_stood",
        "_unread",
        "_write_shut",
        "family",
        "on_ready",
        "profile",
        "protection",
        "settings",
        "stack",
    )

    def __init__(
        self, stack: Stack, *, family: int, profile: Profile | None = None, security: Security | None = None
    ) -> None:
        if family not in (AF_INET, AF_INET6):
            raise SocketError(errno.EAFNOSUPPORT)
        self.stack = stack
        self.family = family
        self.profile = profile or OWN
        self.protection = security or Security()
        self.settings = Settings(self.profile, stack.config)
        self.on_ready: Callable[[], None] | None = None
        self._bell = Bell(self._rung)
        self._phase = Phase.FRESH
        self._attempt: Attempt | None = None
        self._listener: Listener | None = None
        self._binding: Binding | None = None
        self._error = 0
        self._fast_open_to: tuple[str, int] | None = None
        self._reported = False
        self._read_shut = False
        self._write_shut = False
        self._closed = False
        self._lingers_until: float | None = None
        self._more = False
        self._starved = False
        self._stirred = False
        self._stood = False
        self._unread = 0

    def __repr__(self) -> str:
        return f"<SocketCore {self._phase.name.lower()}>"

    # --- what holds ------------------------------------------------------------------------------------------

    def ready(self, now: float) -> Event:
        """What holds now (level): the bits of poll(2), with CONNECTED, ACCEPTABLE and CLOSED."""
        self._look()
        if self._closed:
            return Event.CLOSED if self._linger(now) is None else NOTHING
        if self._listener is not None:
            return Event.READABLE | Event.ACCEPTABLE if self._listener.waiting else NOTHING
        mask = Event.ERROR if self._error else NOTHING
        if self._phase is Phase.FRESH:
            return mask | Event.WRITABLE | Event.HANGUP
        if self._phase is Phase.CONNECTING:
            return mask
        mask |= Event.CONNECTED
        attempt = self._attempt
        assert attempt is not None
        over = self._phase is Phase.OVER
        read_shut = over or self._read_shut or _fin_came(attempt.flow.connection)
        if read_shut:
            mask |= Event.READABLE | Event.PEER_HANGUP
        elif attempt.readable >= self.settings.receive_lowat:
            mask |= Event.READABLE
        if attempt.urgent:
            mask |= Event.URGENT
        if over or self._write_shut or self._writable():
            mask |= Event.WRITABLE
        if over or (self._write_shut and read_shut):
            mask |= Event.HANGUP
        return mask | Event.CLOSED if over else mask

    def take_edge(self, now: float) -> Event:
        """What holds now if something has happened since the last call, else nothing: EPOLLET's sight of it."""
        self._look()
        stirred, self._stirred = self._stirred, False
        return self.ready(now) if stirred else NOTHING

    def getsockname(self) -> Name:
        """Our address and port."""
        self._usable()
        attempt = self._attempt
        if attempt is not None and self._phase is not Phase.FRESH:
            return name_of(self.family, attempt.flow.key[0], attempt.flow.key[1])
        binding = self._binding
        return (
            name_of(self.family, None, 0)
            if binding is None
            else name_of(self.family, binding.address, binding.port)
        )

    def getpeername(self) -> Name:
        """The peer's address and port. Raises ENOTCONN."""
        self._usable()
        self._look()
        if self._attempt is None or self._phase is not Phase.CONNECTED:
            raise SocketError(errno.ENOTCONN)
        key = self._attempt.flow.key
        return name_of(self.family, key[2], key[3])

    @property
    def remote(self) -> Name:
        """The peer's address and port, when the connection is over too; any where there was none."""
        key = None if self._attempt is None else self._attempt.flow.key
        return name_of(self.family, None, 0) if key is None else name_of(self.family, key[2], key[3])

    def control_messages(self) -> list[tuple[int, int, int]]:
        """What recvmsg tells beside octets, level, type and number each: how much can still be read (TCP_INQ).

        After the peer's FIN that is 1 at least, so that who reads on meets the end.
        """
        attempt = self._attempt
        if not self.settings.inq or attempt is None:
            return []
        fin = _fin_came(attempt.flow.connection)
        return [(IPPROTO_TCP, TCP_CM_INQ, attempt.readable or int(fin))]

    @property
    def stood(self) -> bool:
        """Whether a connection of this socket ever stood."""
        return self._stood

    @property
    def connected(self) -> bool:
        """Whether a connection stands."""
        self._look()
        return self._phase is Phase.CONNECTED

    @property
    def pending_error(self) -> int:
        """The errno that the next call fails with and SO_ERROR reads as; 0 for none. It stays."""
        self._look()
        return self._error

    @property
    def readable(self) -> int:
        """Octets that ``recv`` would return now."""
        return 0 if self._attempt is None else self._attempt.readable

    @property
    def send_room(self) -> int:
        """Octets that ``send`` would take now, if anything of it."""
        return 0 if self._connection is None else self._send_room()

    def info(self) -> dict[str, int | str]:
        """The fields of struct tcp_info by name, and ``state``, RFC 9293's."""
        self._look()
        return information(self._connection, self.state, self.stack.now)

    def set_protection(self, security: Security) -> None:
        """What is asked of the connections that begin from now on. Raises EISCONN once one is on the way."""
        self._usable()
        if self._phase is not Phase.FRESH:
            raise SocketError(errno.EISCONN)
        self.protection = security

    def security(self) -> dict[str, object]:
        """What protects the connection: the names of the line of a finished connection. Raises ENOTCONN."""
        if self._attempt is None:
            raise SocketError(errno.ENOTCONN)
        return self._attempt.security()

    def rekey(self) -> None:
        """Have new keys agreed on (``Attempt.rekey``). Raises ENOTCONN, or EOPNOTSUPP where that cannot be."""
        if self._attempt is None:
            raise SocketError(errno.ENOTCONN)
        try:
            self._attempt.rekey()
        except TcpError as error:
            raise SocketError(errno.EOPNOTSUPP, str(error.strerror)) from None

    def vouch(self) -> None:
        """The peer is authenticated (``Attempt.vouch``). Raises ENOTCONN, EOPNOTSUPP where there is no session."""
        if self._attempt is None:
            raise SocketError(errno.ENOTCONN)
        try:
            self._attempt.vouch()
        except TcpError as error:
            raise SocketError(errno.EOPNOTSUPP, str(error.strerror)) from None

    def report(self) -> dict[str, object]:
        """The line of a finished connection, as it is now. Raises ENOTCONN."""
        if self._attempt is None:
            raise SocketError(errno.ENOTCONN)
        return self._attempt.report()

    @property
    def state(self) -> State:
        """The state of RFC 9293 §3.3.2; LISTEN of a listener."""
        if self._listener is not None:
            return State.LISTEN
        connection = self._connection
        return State.CLOSED if connection is None else connection.state

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    # --- within ------------------------------------------------------------------------------------------

    @property
    def _connection(self) -> Connection | None:
        return None if self._attempt is None else self._attempt.flow.connection

    def _linger(self, now: float) -> Blocked | None:
        until = self._lingers_until
        connection = self._connection
        if until is None or connection is None:
            return None
        if now < until and connection.state in _LINGERING:
            return Blocked(Event.CLOSED, errno.EAGAIN, until)
        self._lingers_until = None
        assert self._attempt is not None
        self._attempt.owner = None
        return None

    def _usable(self) -> None:
        if self._phase is Phase.FRESH:
            # What the stack's settings are when the socket is put to use counts.
            self.settings.base = self.stack.config
        if self._closed:
            raise SocketError(errno.EBADF)

    def _check_level(self, level: int) -> None:
        if level == IPPROTO_IPV6 and self.family != AF_INET6:
            raise SocketError(errno.ENOPROTOOPT)

    def _rung(self) -> None:
        """The runner says that something has happened."""
        if self._listener is not None:
            self._stirred = True
        else:
            self._look()
        if self.on_ready is not None:
            self.on_ready()

    def _stir(self) -> None:
        self._stirred = True
        if self.on_ready is not None:
            self.on_ready()

    def _look(self) -> None:
        """Take what has happened to the connection."""
        attempt = self._attempt
        if attempt is None:
            return
        while (event := attempt.next_event()) is not None:
            self._happened(event)
        if self._starved and self._phase is Phase.CONNECTED and self._writable():
            self._starve(starved=False)
            self._stirred = True

    def _happened(self, event: Happening) -> None:
        if self._phase is Phase.OVER:
            return
        if isinstance(event, Closed):
            self._stirred = True
            if event.error is not None:
                self._error = self._code(event.error)
            self._phase = Phase.OVER
        elif isinstance(event, Established):
            self._stirred = self._stood = True
            if self._phase is Phase.CONNECTING:
                self._phase = Phase.CONNECTED
        elif not isinstance(event, Writable):
            self._stirred = True
            self._discard()
        elif self._more and self.profile.more_until_acknowledged and self._attempt is not None:
            self._cork(more=False)
            self.stack.touch(self._attempt.flow)

    def _code(self, error: TcpError) -> int:
        """The errno that an application gets for the end of a connection."""
        connection = self._connection
        assert connection is not None
        if error.errno == errno.ECONNRESET and _fin_came(connection):
            return self.profile.reset_after_fin
        if error.errno == errno.ETIMEDOUT and connection.softly is not None and connection.softly.errno:
            # What the network has said is the better answer (RFC 1122 §4.2.3.9).
            return connection.softly.errno
        return error.errno or 0

    def _take_error(self) -> int:
        error, self._error = self._error, 0
        return error

    def _discard(self) -> None:
        """After SHUT_RD, octets that come are for nobody where the profile says so."""
        attempt = self._attempt
        if not self._read_shut or attempt is None:
            return
        if self.profile.discards_after_read_shutdown:
            attempt.read()
        elif self._write_shut and self.profile.resets_after_shutdown and attempt.readable > self._unread:
            if not self._unread:
                attempt.read()
            self._error = errno.ECONNRESET
            self._phase = Phase.OVER
            attempt.abort()

    def _starve(self, *, starved: bool) -> None:
        """The application has, or has no longer, more than the send buffer takes."""
        self._starved = starved
        connection = self._connection
        if connection is not None:
            connection.starved = starved

    def _cork(self, *, more: bool) -> None:
        self._more = more
        connection = self._connection
        if connection is not None and connection.corked != (more or self.settings.cork):
            connection.cork(more or self.settings.cork)

    def _buffer(self, name: str) -> int:
        """The size of a buffer that is not what the settings say, 0 where it is."""
        connection = self._connection
        if connection is None:
            return 0
        if connection.config.round_buffers:
            return int(getattr(connection.config, name))
        if self._phase is not Phase.CONNECTED:
            return 0
        if getattr(connection.config, name):
            return 0
        # It follows what the connection needs.
        size = connection.receive_target if name == "receive_buffer" else connection.send_buffer
        return self.settings.reads_as(size)

    def _send_room(self) -> int:
        connection = self._connection
        assert connection is not None
        lowat = self.settings.notsent_lowat
        if lowat and connection.sending.end - connection.snd_nxt >= lowat:
            return 0
        return connection.send_room

    def _writable(self) -> bool:
        """Whether poll says so: a third of the send buffer is free (Linux's rule), and few octets are unsent."""
        connection = self._connection
        if connection is None or self._send_room() <= 0:
            return False
        return 2 * connection.send_room >= connection.unsent


def _fin_came(connection: Connection) -> bool:
    return 0 <= connection.peer_fin < connection.rcv_nxt
