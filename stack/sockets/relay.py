"""A descriptor of the system's that carries a userspace connection: for whoever reads and writes descriptors."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Final, Protocol

_BLOCK: Final = 1 << 16


class Carried(Protocol):
    """A connected socket that waits."""

    def recv(self, bufsize: int, /) -> bytes:
        """Octets, b"" at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def shutdown(self, how: int, /) -> None:
        """End one direction."""

    def close(self) -> None:
        """Close, and end what waits."""


def carry(carried: Carried) -> socket.socket:
    """One end of a pair of Unix stream sockets; two threads pass on what goes through it, until both sides end.

    The end of either direction is passed on as a half-close. A connection that fails is the end of both, without
    its error; closing the descriptor closes the connection.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    inward = threading.Thread(target=_inward, args=(carried, far), name="edotun in", daemon=True)
    inward.start()
    threading.Thread(target=_outward, args=(carried, far, inward), name="edotun out", daemon=True).start()
    return near


def _inward(carried: Carried, far: socket.socket) -> None:
    how = socket.SHUT_RDWR
    with contextlib.suppress(OSError):
        while data := carried.recv(_BLOCK):
            far.sendall(data)
        how = socket.SHUT_WR
    with contextlib.suppress(OSError):
        far.shutdown(how)


def _outward(carried: Carried, far: socket.socket, inward: threading.Thread) -> None:
    with contextlib.suppress(OSError):
        while data := far.recv(_BLOCK):
            carried.sendall(data)
        carried.shutdown(socket.SHUT_WR)
        # The other direction goes on until it ends or the descriptor is closed.
        hangup = select.poll()
        hangup.register(far, 0)
        hangup.poll()
    carried.close()
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
    inward.join()
    far.close()
