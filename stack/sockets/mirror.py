"""A descriptor whose readiness is that of a userspace socket, for select, poll, epoll and event loops."""

from __future__ import annotations

import os
import socket
from typing import Final

from ..socket_core import Event

# More than a quarter of the least send buffer, so that the descriptor is not writable while this waits in it.
_FILL: Final = bytes(2048)


class Mirror:
    """One end of a pair of Unix stream sockets, kept such that poll(2) says of it what holds of a socket.

    POLLIN: an octet waits at this end. POLLOUT: nothing of ours waits in its send buffer. POLLRDHUP and POLLHUP:
    the other end was shut down. POLLERR and POLLPRI cannot be shown; a socket with an error is readable and
    writable. Nothing may be read from the descriptor or written to it but by ``show``.
    """

    __slots__ = ("_far", "_near", "_shown")

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self._shown = Event.WRITABLE

    def fileno(self) -> int:
        """The descriptor."""
        return self._near.fileno()

    def show(self, ready: Event) -> None:
        """Make the descriptor ready for what ``ready`` says; one system call for each bit that has changed.

        A hangup stays, whatever comes after.
        """
        if self._shown & Event.HANGUP:
            return
        if ready & Event.ERROR:
            ready |= Event.READABLE | Event.WRITABLE
        ready |= self._shown & Event.PEER_HANGUP
        changed = ready ^ self._shown
        if changed & Event.WRITABLE:
            if ready & Event.WRITABLE:
                self._far.recv(len(_FILL))
            else:
                self._near.send(_FILL)
        if changed & Event.READABLE and not (self._shown & Event.PEER_HANGUP):
            if ready & Event.READABLE:
                self._far.send(b"\0")
            else:
                self._near.recv(1)
        if changed & Event.PEER_HANGUP:
            self._far.shutdown(socket.SHUT_WR)
        if changed & Event.HANGUP:
            self._far.shutdown(socket.SHUT_RDWR)
        self._shown = ready

    def become(self, other: socket.socket) -> int:
        """Make the descriptor, under its number, one of ``other``, which is closed; it is the caller's then."""
        os.dup2(other.fileno(), self._near.fileno(), inheritable=False)
        other.close()
        self._far.close()
        return self._near.detach()

    def release(self) -> None:
        """Leave the descriptor to somebody who has taken it."""
        self._near.detach()
        self._far.close()

    def close(self) -> None:
        """Give the descriptors back."""
        self._near.close()
        self._far.close()
