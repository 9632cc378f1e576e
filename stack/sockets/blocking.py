"""Socket: the calls of ``socket.socket``, over the stack of a runner in another thread."""

from __future__ import annotations

import errno
import operator
import socket
from typing import Any, Final

from ..security import Security
from ..socket_core import Blocked, SocketCore
from .relay import carry
from .shared import Home
from .transfer import Buffer, OctetSocket
from .waiting import system_error

Address = tuple[Any, ...]
# The longest value of an option that ``socket`` asks for, octets.
_MOST_VALUE: Final = 1024
# The bounds of the machine's int.
_LEAST, _MOST = -(1 << 31), (1 << 31) - 1


class Socket(OctetSocket):
    """A stream socket of a userspace stack, with the methods, results and errors of ``socket.socket``.

    Every method may be called from any thread. ``close`` ends the waits of other threads with EBADF. ``fileno``
    is a real descriptor for select, poll, epoll, selectors and asyncio's ``sock_*`` calls: it is readable when
    ``recv`` or ``accept`` would not wait, writable when ``send`` would not, and hangs up with the connection; it is
    not to be read or written itself (``detach`` gives one that is). ``dup``, ``share`` and ancillary data do not
    exist.
    """

    def __init__(self, home: Home, core: SocketCore, proto: int = 0) -> None:
        super().__init__(home, core)
        self._proto = proto

    # --- opening -----------------------------------------------------------------------------------------

    def bind(self, address: Address) -> None:
        """Take a local address and port, (host, port) or IPv6's four; host "" is any, port 0 a free one."""
        host, port = self._resolve("bind", address)
        self._at_once(lambda _: self._core.bind(host, port))

    def listen(self, backlog: int = 128) -> None:
        """Take connections; ``backlog`` of them may wait for ``accept``."""
        self._at_once(lambda _: self._core.listen(backlog))

    def accept(self) -> tuple[Socket, Address]:
        """The next connection and its peer's address."""
        core = self._call(self._core.accept, self._timeout)
        return Socket(self._home, core, self._proto), core.remote

    def connect(self, address: Address) -> None:
        """Connect to (host, port); names are resolved by the system. Raises what ``socket.socket.connect`` does."""
        self._connect(*self._resolve("connect", address))

    def connect_ex(self, address: Address) -> int:
        """As ``connect``, but errors of connecting are returned as numbers; a name that is none raises."""
        host, port = self._resolve("connect_ex", address)
        try:
            self._connect(host, port)
        except OSError as error:
            # A timeout of ours has no number.
            return error.errno or errno.EAGAIN
        return 0

    def _connect(self, host: str, port: int) -> None:
        timeout = self._timeout
        first = True

        def operation(now: float) -> Blocked | None:
            nonlocal first
            result = self._core.connect(host, port, now)
            if first and timeout is not None and result is not None and result.errno == errno.EALREADY:
                # With a timeout the system's sockets do not wait for a connection that another call has begun.
                raise system_error(errno.EALREADY)
            first = False
            return result

        self._call(operation, timeout)

    def shutdown(self, how: int) -> None:
        """End one direction or both: SHUT_RD, SHUT_WR, SHUT_RDWR."""
        which = operator.index(how)
        self._at_once(lambda now: self._core.shutdown(which, now))

    def detach(self) -> int:
        """Close this object, and return a descriptor that carries the connection itself: octets, not readiness.

        It is that of ``fileno``, if that was asked for, and the caller's to close. Whatever reads and writes
        descriptors works on it, as ``ssl.SSLContext.wrap_socket`` does, which calls this; two threads pass the
        octets on. It is no Internet socket: options, addresses and errors of the connection are not to be had from
        it. Raises ENOTCONN.
        """
        runner = self._runner
        with runner.lock:
            core, mirror = self._core, self._mirror
            self._mirror = None
            if core.closed:
                raise system_error(errno.EBADF)
            if not core.connected:
                if mirror is not None:
                    # Who has asked for the descriptor before this has taken it, and closes it.
                    mirror.release()
                raise system_error(errno.ENOTCONN)
            self._core = SocketCore(runner.stack, family=core.family)
            self._core.close(runner.now())
            carried = Socket(self._home, core, self._proto)
            carried.settimeout(None)
            self.ring()
        near = carry(carried)
        return near.detach() if mirror is None else mirror.become(near)

    # --- options and facts -------------------------------------------------------------------------------

    def setsockopt(self, level: int, name: int, value: int | Buffer | None, optlen: int | None = None) -> None:
        """Set an option; numbers are those of the ``socket`` module on Linux."""
        if value is None and optlen is not None:
            # The system's would read from nowhere.
            raise system_error(errno.EFAULT)
        if isinstance(value, int):
            if not _LEAST <= value <= _MOST:
                raise TypeError(f"the value of an option must fit an int of the machine, not {value}")
            given: int | bytes = value
        elif isinstance(value, bytes | bytearray | memoryview):
            given = bytes(value)
        else:
            raise TypeError(f"a bytes-like object is required, not {type(value).__name__!r}")
        self._at_once(lambda _: self._core.setsockopt(level, name, given))

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> int | bytes:
        """An option as a number, or with ``buflen`` as at most so many octets of the machine's structure."""
        if not 0 <= buflen <= _MOST_VALUE:
            raise OSError("getsockopt buflen out of range")
        value = self._at_once(lambda now: self._core.getsockopt(level, name, now))
        if buflen:
            octets = value if isinstance(value, bytes) else value.to_bytes(4, "little", signed=value < 0)
            return octets[:buflen]
        return value if isinstance(value, int) else int.from_bytes(value[:4], "little", signed=True)

    def ioctl(self, request: int) -> int:
        """FIONREAD (SIOCINQ), TIOCOUTQ (SIOCOUTQ) or SIOCOUTQNSD: octets that wait; SIOCATMARK."""
        return self._at_once(lambda _: self._core.ioctl(request))

    def getsockname(self) -> Address:
        """The local address and port."""
        return self._at_once(lambda _: self._core.getsockname())

    def getpeername(self) -> Address:
        """The peer's address and port. Raises ENOTCONN."""
        return self._at_once(lambda _: self._core.getpeername())

    def set_security(self, security: Security) -> None:
        """What is asked of the connections that begin here from now on, by ``connect`` or ``listen``.

        Raises EISCONN once the socket connects, is connected or listens.
        """
        self._at_once(lambda _: self._core.set_protection(security))

    def security(self) -> dict[str, object]:
        """What protects the connection: the names of the line of a finished connection. Raises ENOTCONN."""
        return self._at_once(lambda _: self._core.security())

    def rekey(self) -> None:
        """Have new keys agreed on (``Attempt.rekey``). Raises ENOTCONN, or EOPNOTSUPP where that cannot be."""
        self._at_once(lambda _: self._core.rekey())

    def vouch(self) -> None:
        """The peer is authenticated (``Attempt.vouch``). Raises ENOTCONN, EOPNOTSUPP where there is no session."""
        self._at_once(lambda _: self._core.vouch())

    def report(self) -> dict[str, object]:
        """The line of a finished connection, as it is now. Raises ENOTCONN."""
        return self._at_once(lambda _: self._core.report())

    def info(self) -> dict[str, int | str]:
        """The fields of struct tcp_info by name, with ``state``, RFC 9293's."""
        return self._at_once(lambda _: self._core.info())

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AddressFamily(self._core.family)

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """What the socket was made with: 0 or IPPROTO_TCP, which are the same."""
        return self._proto

    def get_inheritable(self) -> bool:
        """False: a stack is part of one process."""
        return False

    def __repr__(self) -> str:
        state = "closed" if self._core.closed else self._core.state.name
        return f"<edotun.sockets.Socket {self.family.name} {state}>"
