"""The same operations on the kernel's sockets and on ours, each written down with its result.

A case is Python text. Whatever is called on a socket in it is written into a log with its result or error, and
``ready()`` writes what poll(2) says of the descriptor. Before each operation everything that is under way has
arrived, here as there, so that a case waits for nothing. Addresses and ports that differ from run to run are
written as names.
"""

from __future__ import annotations

import errno
import re
import select
import socket as system
import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from stack.sockets import Net
from tun.threaded import BlockingInterface

BOUND: Final = 60.0
# POLLERR and POLLPRI cannot be shown by a descriptor that stands for another (see Mirror).
_BITS: Final = {
    select.POLLIN: "in",
    select.POLLOUT: "out",
    select.POLLHUP: "hup",
    select.POLLRDHUP: "rdhup",
}
_RESET: Final = struct.pack("ii", 1, 0)
# Addresses that neither of the two has, and of groups.
_ELSEWHERE: Final = {system.AF_INET: "203.0.113.9", system.AF_INET6: "2001:db8:9::9"}
_MANY: Final = {system.AF_INET: "224.0.0.1", system.AF_INET6: "ff02::1"}
_KERNEL: Final = {system.AF_INET: "127.0.0.1", system.AF_INET6: "::1"}
_OURS: Final = {system.AF_INET: "192.0.2.1", system.AF_INET6: "2001:db8::1"}


class Failed:
    """What a call has raised: its class, its number where it has one."""

    def __init__(self, error: BaseException) -> None:
        number = getattr(error, "errno", None)
        code = "" if number is None else errno.errorcode.get(number, str(number))
        self.text = f"{type(error).__name__}({code})"

    def __bool__(self) -> bool:
        return False


class Watched:
    """A socket whose calls are written down; ``name`` is its name in the log."""

    def __init__(self, twin: Twin, name: str, inner: Any) -> None:
        self.twin = twin
        self.name = name
        self.inner = inner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.twin.call(self, name, arguments)

    def ready(self) -> None:
        """Write down what poll(2) says of the descriptor."""
        found = self._poll(select.POLLIN | select.POLLOUT | select.POLLHUP | select.POLLRDHUP)
        shown = [name for bit, name in _BITS.items() if found & bit]
        self.twin.log.append(f"{self.name} is ready for {' '.join(shown) or 'nothing'}")

    def can(self) -> None:
        """Write down whether it is readable and writable, leaving hangups out."""
        found = self._poll(select.POLLIN | select.POLLOUT)
        self.twin.log.append(
            f"{self.name}: readable {bool(found & select.POLLIN)}, writable {bool(found & select.POLLOUT)}"
        )

    def _poll(self, bits: int) -> int:
        self.twin.settle()
        poll = select.poll()
        poll.register(self.inner.fileno(), bits)
        found = dict(poll.poll(0)).get(self.inner.fileno(), 0)
        return found | (select.POLLIN | select.POLLOUT if found & select.POLLERR else 0)

    def reset(self) -> None:
        """Close with a reset."""
        self.setsockopt(system.SOL_SOCKET, system.SO_LINGER, _RESET)
        self.close()

    def small(self) -> None:
        """Have small buffers."""
        self.inner.setsockopt(system.SOL_SOCKET, system.SO_SNDBUF, 20000)
        self.inner.setsockopt(system.SOL_SOCKET, system.SO_RCVBUF, 20000)

    def fill(self) -> None:
        """Send until nothing more is taken."""
        self.filled = 0
        refused = 0
        while refused < 3:
            self.twin.settle()
            try:
                self.filled += self.inner.send(bytes(5000))
                refused = 0
            except BlockingIOError:
                refused += 1

    def drained_by(self, peer: Watched) -> None:
        """Have the peer read all that ``fill`` has sent."""
        left = self.filled
        while left:
            self.twin.settle()
            select.select([peer.inner], [], [], BOUND)
            left -= len(peer.inner.recv(left))


class Twin:
    """One of the two: makes sockets and keeps the log. ``settle`` waits until nothing is under way."""

    def __init__(
        self,
        family: int,
        hosts: dict[system.AddressFamily, str],
        make: Callable[[int], Any],
        settle: Callable[[], None],
    ) -> None:
        self.family = system.AddressFamily(family)
        self.hosts = hosts
        self.host = hosts[self.family]
        self.make = make
        self.settle = settle
        self.log: list[str] = []
        self._made: list[Watched] = []
        self._ports: dict[int, str] = {}

    def run(self, case: str) -> list[str]:
        """Do what a case says, and return what was written down."""
        v4 = system.AF_INET
        names = {name: getattr(system, name) for name in dir(system) if name.isupper()}
        other = system.AF_INET6 if self.family is v4 else v4
        names |= {
            "BOUND": BOUND,
            "address": self.address,
            "elsewhere": _ELSEWHERE[self.family],
            "host": self.host,
            "host_v4": self.hosts[v4],
            "many": _MANY[self.family],
            "nobody": self.nobody,
            "other_family": _ELSEWHERE[other],
            "pack": struct.pack,
            "pair": self.pair,
            "port": self.port,
            "server": self.server,
            "socket": self.socket,
            "socket_v4": lambda name, timeout=0.0: self.watch(name, self.make(v4), timeout),
            "twice": self.twice,
        }
        try:
            exec("; ".join(line.strip() for line in case.strip().splitlines()), names)
        except Exception as error:
            self.log.append(f"the case ends with {error!r}")
        finally:
            for watched in self._made:
                watched.inner.close()
        return self.log

    # --- what cases call -----------------------------------------------------------------------------------

    def socket(self, name: str, timeout: float | None = 0.0) -> Watched:
        """A new socket that does not wait, or as ``timeout`` says."""
        return self.watch(name, self.make(self.family), timeout)

    def server(self, backlog: int = 5) -> Watched:
        """A listening socket."""
        made = self.make(self.family)
        made.bind((self.host, 0))
        made.listen(backlog)
        watched = self.watch("server", made)
        self.port(watched)
        return watched

    def pair(self) -> tuple[Watched, Watched]:
        """A connection: the socket that has connected and the one that was accepted, which do not wait."""
        with self.make(self.family) as listener:
            listener.bind((self.host, 0))
            listener.listen(1)
            self._ports[listener.getsockname()[1]] = "the port of b"
            first = self.make(self.family)
            first.settimeout(BOUND)
            listener.settimeout(BOUND)
            first.connect(listener.getsockname()[:2])
            # After a timeout's wait the first call of connect still says that it has succeeded.
            first.connect_ex(listener.getsockname()[:2])
            second, _ = listener.accept()
        self._ports[first.getsockname()[1]] = "the port of a"
        return self.watch("a", first), self.watch("b", second)

    def nobody(self) -> tuple[str, int]:
        """An address where nobody listens."""
        with self.make(self.family) as found:
            found.bind((self.host, 0))
            to: tuple[str, int] = found.getsockname()[:2]
        self._ports[to[1]] = "nobody's port"
        return to

    def address(self, watched: Watched) -> tuple[str, int]:
        """Where a socket is bound."""
        host, port = watched.inner.getsockname()[:2]
        return (str(host), int(port))

    def port(self, watched: Watched) -> None:
        """Write the port of a socket by its name."""
        self._ports[self.address(watched)[1]] = f"the port of {watched.name}"

    def twice(self, watched: Watched, level: int, name: int, *values: int) -> None:
        """Set an option to each value and read it."""
        for value in values:
            watched.setsockopt(level, name, value)
            watched.getsockopt(level, name)

    def watch(self, name: str, inner: Any, timeout: float | None = 0.0) -> Watched:
        """Write down what is done with a socket."""
        inner.settimeout(timeout)
        watched = Watched(self, name, inner)
        self._made.append(watched)
        return watched

    # --- the log -------------------------------------------------------------------------------------------

    def call(self, watched: Watched, name: str, arguments: tuple[Any, ...]) -> Any:
        """Make a call and write down what came of it."""
        self.settle()
        given = ", ".join(map(self._shown, arguments))
        result: Any
        try:
            result = getattr(watched.inner, name)(*arguments)
        except Exception as error:
            result = Failed(error)
        if name == "accept" and result:
            result = (self.watch(f"child of {watched.name}", result[0]), result[1])
        if name == "fileno" and isinstance(result, int):
            result = min(result, 0)
        self.log.append(f"{watched.name}.{name}({given}) -> {self._shown(result)}")
        return result

    def _shown(self, value: Any) -> str:
        if isinstance(value, Watched):
            return value.name
        if isinstance(value, Failed):
            return value.text
        if isinstance(value, tuple) and len(value) in (2, 4) and isinstance(value[0], str):
            host, port = value[0], value[1]
            for own, known in ((self.host, "HOST"), (self.hosts[system.AF_INET], "HOST4")):
                host = re.sub(f"(?<![0-9a-f.]){re.escape(own)}$", known, host)
            if isinstance(port, int) and 0 < port < 65536:
                port = self._ports.setdefault(port, f"port {len(self._ports)}")
            return str((host, port, *value[2:]))
        if isinstance(value, tuple | list):
            return "(" + ", ".join(map(self._shown, value)) + ")"
        if isinstance(value, memoryview):
            return f"{len(value)} octets of memory"
        return "HOST" if value == self.host else repr(value)


class Barrier:
    """Waits until what was sent over the kernel's loopback has arrived: a datagram sent after it has."""

    def __init__(self) -> None:
        self._socket = system.socket(system.AF_INET, system.SOCK_DGRAM)
        self._socket.settimeout(BOUND)
        self._socket.bind(("127.0.0.1", 0))

    def __call__(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()


class Quiet:
    """Waits until nothing is under way in a stack that talks to itself."""

    def __init__(self, interface: BlockingInterface) -> None:
        self._runner = interface.runner

    def __call__(self) -> None:
        quiet = 0
        while quiet < 2:
            done = threading.Event()
            busy: list[bool] = []

            def look(done: threading.Event = done, busy: list[bool] = busy) -> None:
                driver = self._runner.driver
                device: Any = driver._device
                busy.append(bool(driver.stack._dirty or driver.stack.out or device.waiting))
                done.set()

            self._runner.post(look)
            assert done.wait(BOUND), "the stack's thread does not answer"
            quiet = 0 if busy[0] else quiet + 1


def kernel_twin(family: int, settle: Callable[[], None]) -> Twin:
    """The system's sockets."""
    return Twin(family, _KERNEL, lambda kind: system.socket(kind, system.SOCK_STREAM), settle)


def our_twin(family: int, net: Net, settle: Callable[[], None]) -> Twin:
    """Ours."""
    return Twin(family, _OURS, lambda kind: net.socket(kind, system.SOCK_STREAM), settle)
