"""Fast Open's socket options (RFC 7413, appendix): Linux's, and FreeBSD's switch."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import Final

from ..config import FastOpen
from ..fastopen_cookies import KEY_OCTETS
from .errors import SocketError
from .numbers import TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_FASTOPEN_NO_COOKIE
from .values import Value, bounded

NAMES: Final = (TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_FASTOPEN_NO_COOKIE)
# Pending requests of a listener where Fast Open is on or off only.
_SWITCHED_ON: Final = 128
_MOST: Final = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class FastOpenOptions:
    """What was asked for.

    ``pending`` is how many requests of a listener may be; where Fast Open is a switch, 1 for on. ``connect``:
    connecting waits for the first octets. ``keys`` have 16 octets each, the newer first (none: the stack's).
    ``cookies``: whether they are needed.
    """

    pending: int = 0
    connect: bool = False
    keys: tuple[bytes, ...] = ()
    cookies: bool = True

    @property
    def asked(self) -> bool:
        """Whether TCP is to be told anything of it."""
        return self.pending > 0 or not self.cookies

    def applied(self, base: FastOpen, *, switch: bool) -> FastOpen:
        """TCP's settings with what was asked for."""
        if self.pending:
            base = replace(base, pending=_SWITCHED_ON if switch else self.pending)
        if not self.cookies:
            base = replace(base, client_cookies=False, server_cookies=False)
        return base

    def having(self, name: int, value: Value) -> FastOpenOptions:
        """The options with one set; SocketError EINVAL where the value is none of its."""
        if name == TCP_FASTOPEN:
            return replace(self, pending=bounded(value, 0, _MOST))
        if name == TCP_FASTOPEN_CONNECT:
            return replace(self, connect=bool(bounded(value, 0, 1)))
        if name == TCP_FASTOPEN_NO_COOKIE:
            return replace(self, cookies=not bounded(value, 0, 1))
        if isinstance(value, int) or len(value) not in (KEY_OCTETS, 2 * KEY_OCTETS):
            raise SocketError(errno.EINVAL)
        return replace(self, keys=tuple(value[at : at + KEY_OCTETS] for at in range(0, len(value), KEY_OCTETS)))

    def read(self, name: int) -> Value:
        """What one option reads as."""
        if name == TCP_FASTOPEN_KEY:
            return b"".join(self.keys)
        return {
            TCP_FASTOPEN: self.pending,
            TCP_FASTOPEN_CONNECT: int(self.connect),
            TCP_FASTOPEN_NO_COOKIE: int(not self.cookies),
        }[name]
