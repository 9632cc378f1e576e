"""Connecting: the calls that begin a connection, by Fast Open (RFC 7413) where that is asked for."""

from __future__ import annotations

import errno

from ..attempt import Attempt
from ..dial import fast_open_room
from ..ip import address_text
from .base import Phase, SocketBase
from .errors import SocketError
from .names import octets_of
from .readiness import Blocked, Event


class Opening(SocketBase):
    """A socket that can connect."""

    __slots__ = ()

    def connect(self, address: str, port: int, now: float) -> Blocked | None:
        """Begin to connect, or say how that goes on; None once the connection stands.

        With TCP_FASTOPEN_CONNECT also where Fast Open can be used: then the first octets sent open the connection.

        ``Blocked.errno`` is EINPROGRESS the first time, EALREADY after. Raises EISCONN, EAFNOSUPPORT,
        EADDRNOTAVAIL, ENETUNREACH, ENOKEY, or what connecting has failed with; after that it may be tried again.
        """
        self._usable()
        self._look()
        if self._phase is Phase.CONNECTING:
            return Blocked(Event.CONNECTED, errno.EALREADY)
        if self._phase is Phase.OVER and not self._reported:
            self._phase = Phase.FRESH
            self._read_shut = self._write_shut = False
            raise SocketError(self._take_error() or errno.ECONNABORTED)
        if self._phase is Phase.CONNECTED and not self._reported:
            self._reported = True
            return None
        if self._phase is not Phase.FRESH:
            raise SocketError(errno.EISCONN)
        fast = self.settings.fast_open.connect
        if fast and self._fast_open_room(address, port, now):
            self._fast_open_to = (address, port)
            return None
        return self._dial(address, port, now, b"" if fast else None)

    def _fast_open_room(self, address: str, port: int, now: float) -> int:
        """Octets that a SYN to this peer may carry; 0 where there is no Fast Open or no cookie yet."""
        if self.protection.protect != "none":
            return 0
        remote = (address_text(octets_of(self.family, address)), port)
        return fast_open_room(self.stack, remote, self.settings.config(), now)

    def _dial(self, address: str, port: int, now: float, text: bytes | None) -> Blocked:
        """Begin to connect, by Fast Open with ``text`` if that is not None."""
        self._fast_open_to = None
        remote = octets_of(self.family, address)
        if not 0 < port < 65536:
            raise SocketError(errno.EADDRNOTAVAIL)
        local = self._binding.address if self._binding is not None else None
        try:
            attempt = self.stack.connect(
                (address_text(remote), port),
                now=now,
                local_port=self._binding.port if self._binding is not None else 0,
                local_address=address_text(local) if local is not None and any(local) else None,
                security=self.protection,
                config=self.settings.config(),
                fast_open=text,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SocketError(errno.EADDRNOTAVAIL) from None
            raise socket_error(error) from None
        self._error = 0
        self._take(attempt, Phase.CONNECTING)
        return Blocked(Event.CONNECTED, errno.EINPROGRESS)

    def _take(self, attempt: Attempt, phase: Phase) -> None:
        self._attempt = attempt
        self._phase = phase
        attempt.owner = self._bell

    def _open_fast(self, data: bytes, address: str, port: int, now: float) -> int | Blocked:
        room = self._fast_open_room(address, port, now)
        piece = data[:room]
        blocked = self._dial(address, port, now, piece)
        return len(piece) if piece else blocked


def socket_error(error: OSError) -> SocketError:
    """The error of a call for one of the stack's."""
    return SocketError(error.errno or errno.EINVAL, error.strerror or str(error))
