"""Net: what the ``socket`` module offers for making sockets, for the stack of one runner."""

from __future__ import annotations

import errno
import os
import socket as system
from typing import Any, Final, Protocol

from ..security import Security
from ..socket_core import Profile, SocketCore, SocketError
from .blocking import Address, Socket
from .shared import Home, SharedRunner

# Functions, types and errors of ``socket`` that are the same for every socket.
_SAME: Final = frozenset(
    (
        *("error", "gaierror", "herror", "timeout", "AddressFamily", "SocketKind", "AddressInfo", "MsgFlag"),
        *("getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "gethostname", "getnameinfo"),
        *("getfqdn", "getservbyname", "getservbyport", "getprotobyname", "has_ipv6"),
        *("htonl", "htons", "ntohl", "ntohs", "inet_aton", "inet_ntoa", "inet_ntop", "inet_pton"),
        *("getdefaulttimeout", "setdefaulttimeout", "_GLOBAL_DEFAULT_TIMEOUT"),
    )
)


class HasRunner(Protocol):
    """An interface whose stack runs in a thread of its own."""

    @property
    def runner(self) -> SharedRunner:
        """What runs the stack."""


class Net:
    """Sockets over ``interface``; where a program lets one put something in place of ``socket``, this fits.

    ``security`` is that of sockets for which none is given; ``profile`` has the habits of a system's sockets where
    POSIX leaves them open (None: the stack's own). Constants, errors and conversions are the system's.
    """

    def __init__(
        self, interface: HasRunner, *, security: Security | None = None, profile: Profile | None = None
    ) -> None:
        self._home = Home(interface.runner)
        self._security = security
        self._profile = profile

    def __getattr__(self, name: str) -> Any:
        """What of the ``socket`` module makes no socket and asks for none: AF_INET, timeout, inet_aton, ..."""
        if name.isupper() or name in _SAME:
            return getattr(system, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def socket(
        self,
        family: int = system.AF_INET,
        type: int = system.SOCK_STREAM,
        proto: int = 0,
        *,
        security: Security | None = None,
    ) -> Socket:
        """A new socket. Raises OSError: EAFNOSUPPORT, EPROTONOSUPPORT for anything but a stream over IP."""
        kind = type & ~(system.SOCK_NONBLOCK | system.SOCK_CLOEXEC)
        if kind != system.SOCK_STREAM or proto not in (0, system.IPPROTO_TCP):
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
        runner = self._home.runner
        try:
            core = SocketCore(
                runner.stack, family=int(family), profile=self._profile, security=security or self._security
            )
        except SocketError as error:
            raise error.plain from None
        made = Socket(self._home, core, proto)
        if type & system.SOCK_NONBLOCK:
            made.setblocking(False)
        return made

    def create_connection(
        self,
        address: tuple[str, int],
        timeout: float | object | None = ...,
        source_address: Address | None = None,
        *,
        all_errors: bool = False,
        security: Security | None = None,
    ) -> Socket:
        """Connect to (host, port), trying all addresses of a name in order; as ``socket.create_connection``."""
        host, port = address
        errors: list[Exception] = []
        for family, kind, proto, _, name in system.getaddrinfo(host, port, 0, system.SOCK_STREAM):
            made: Socket | None = None
            try:
                made = self.socket(family, kind, proto, security=security)
                if timeout is None or isinstance(timeout, int | float):
                    made.settimeout(timeout)
                if source_address is not None:
                    made.bind(source_address)
                made.connect(name)
            except OSError as error:
                if made is not None:
                    made.close()
                if not all_errors:
                    errors.clear()
                errors.append(error)
            else:
                return made
        if not errors:
            raise OSError("getaddrinfo returns an empty list")
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        raise errors[0]

    def create_server(
        self,
        address: tuple[str, int],
        *,
        family: int = system.AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
        security: Security | None = None,
    ) -> Socket:
        """A listening socket; as ``socket.create_server``. There is no SO_REUSEPORT."""
        if reuse_port:
            raise ValueError("SO_REUSEPORT not supported on this platform")
        if dualstack_ipv6 and family != system.AF_INET6:
            raise ValueError("dualstack_ipv6 requires AF_INET6 family")
        made = self.socket(family, security=security)
        try:
            made.setsockopt(system.SOL_SOCKET, system.SO_REUSEADDR, 1)
            if family == system.AF_INET6:
                made.setsockopt(system.IPPROTO_IPV6, system.IPV6_V6ONLY, int(not dualstack_ipv6))
            made.bind(address)
            made.listen(128 if backlog is None else backlog)
        except OSError as error:
            made.close()
            raise OSError(
                error.errno, f"{error.strerror} (while attempting to bind on address {address!r})"
            ) from None
        return made
