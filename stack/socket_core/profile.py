"""Profiles: the habits in which the sockets of systems differ, as settings."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """How sockets behave where POSIX leaves it open. Sizes in octets.

    ``buffer_factor``: SO_RCVBUF and SO_SNDBUF read as so many times what was asked for, and the protocol may use
    what was asked for (Linux: 2). ``least_buffer`` and ``largest_buffer`` bound what they read as.
    ``backlog_extra``: how many connections more than the backlog may wait. ``most_backlog`` bounds the backlog.
    ``unconnected_send`` is the errno of sending on a socket that was never connected, ``reset_after_fin`` that of a
    reset which comes after the peer's FIN. ``discards_after_read_shutdown``: what comes after the reading side was
    shut down is acknowledged and forgotten, and what waited is forgotten at once.
    ``resets_after_shutdown``: what comes after both sides were shut down is answered with a reset.
    ``more_until_acknowledged``: what MSG_MORE holds back goes, by Nagle's rule, with the next acknowledgment.
    ``scale_by_buffer``: SO_RCVBUF also settles the window's shift. ``whole_send_buffer``: what SO_SNDBUF reads as
    may be filled with octets.
    ``fast_open_switch``: TCP_FASTOPEN is on or off, of either end; elsewhere it is how many requests of a listener
    may be pending.
    """

    name: str = "own"
    buffer_factor: int = 1
    least_buffer: int = 2048
    largest_buffer: int = 1 << 30
    backlog_extra: int = 1
    most_backlog: int = 4096
    unconnected_send: int = errno.EPIPE
    reset_after_fin: int = errno.EPIPE
    discards_after_read_shutdown: bool = False
    resets_after_shutdown: bool = False
    more_until_acknowledged: bool = False
    scale_by_buffer: bool = False
    whole_send_buffer: bool = False
    fast_open_switch: bool = False


OWN: Final = Profile()
LINUX: Final = Profile(
    "linux",
    buffer_factor=2,
    least_buffer=2304,
    largest_buffer=1 << 31,
    resets_after_shutdown=True,
    more_until_acknowledged=True,
    scale_by_buffer=True,
    whole_send_buffer=True,
)
FREEBSD: Final = Profile(
    "freebsd",
    backlog_extra=0,
    unconnected_send=errno.ENOTCONN,
    reset_after_fin=errno.ECONNRESET,
    discards_after_read_shutdown=True,
    fast_open_switch=True,
)
PROFILES: Final = {profile.name: profile for profile in (OWN, LINUX, FREEBSD)}
