"""Errors of sockets: an OSError of the class that its errno has in Python, with the system's usual text."""

from __future__ import annotations

import errno
from typing import Final

_TEXTS: Final[dict[int, str]] = {
    errno.EACCES: "Permission denied",
    errno.EADDRINUSE: "Address already in use",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
    errno.EAFNOSUPPORT: "Address family not supported by protocol",
    errno.EAGAIN: "Resource temporarily unavailable",
    errno.EALREADY: "Operation already in progress",
    errno.EBADF: "Bad file descriptor",
    errno.ECONNABORTED: "Software caused connection abort",
    errno.ECONNREFUSED: "Connection refused",
    errno.ECONNRESET: "Connection reset by peer",
    errno.EDOM: "Numerical argument out of domain",
    errno.EHOSTUNREACH: "No route to host",
    errno.EINPROGRESS: "Operation now in progress",
    errno.EINVAL: "Invalid argument",
    errno.EISCONN: "Transport endpoint is already connected",
    errno.ENETUNREACH: "Network is unreachable",
    errno.ENOENT: "No such file or directory",
    errno.ENOKEY: "Required key not available",
    errno.ENOPROTOOPT: "Protocol not available",
    errno.ENOTCONN: "Transport endpoint is not connected",
    errno.EOPNOTSUPP: "Operation not supported",
    errno.EPIPE: "Broken pipe",
    errno.EPROTO: "Protocol error",
    errno.ETIMEDOUT: "Connection timed out",
}


class SocketError(OSError):
    """What a call on a socket fails with; ``errno`` is the number, ``strerror`` one line."""

    def __init__(self, number: int, text: str = "") -> None:
        super().__init__(number, text or _TEXTS.get(number, f"Error {number}"))

    @property
    def plain(self) -> OSError:
        """The same as the built-in class of its errno (ConnectionRefusedError, BlockingIOError, ...)."""
        return OSError(self.errno, self.strerror)
