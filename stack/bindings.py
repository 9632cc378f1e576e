"""Bindings: which ports the sockets of a stack have taken by bind, beside listeners and connections."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping

from .ports import FlowKey

# Ephemeral ports (RFC 6335 §6); one is chosen at random and searched from there (RFC 6056 §3.3.1).
FIRST_PORT = 49152
PORTS = 65536 - FIRST_PORT

# A listener's or a socket's own end: None is every address, the unspecified one every address of its family.
Door = tuple[bytes | None, int]


class Binding:
    """A port that a socket has taken; ``shares``: another that shares as well may take it too (SO_REUSEADDR)."""

    __slots__ = ("address", "port", "shares")

    def __init__(self, address: bytes | None, port: int, shares: bool) -> None:
        self.address = address
        self.port = port
        self.shares = shares


class Bindings:
    """The bindings of one stack; ``listeners`` and ``flows`` are looked at, never changed."""

    def __init__(self, listeners: Iterable[Door], flows: Mapping[FlowKey, object]) -> None:
        self._listeners = listeners
        self._flows = flows
        self._bound: dict[int, list[Binding]] = {}

    def bind(self, address: bytes | None, port: int, *, shares: bool) -> Binding:
        """Take ``port`` (1-65535); raises OSError EADDRINUSE where another use of it forbids that."""
        if self.taken(address, port, shares=shares):
            raise OSError(errno.EADDRINUSE, f"port {port} is in use")
        return self._keep(address, port, shares)

    def bind_any(self, address: bytes | None, random: Callable[[int], bytes], *, shares: bool) -> Binding:
        """Take a free ephemeral port; raises OSError EADDRINUSE where there is none."""
        busy = {key[1] for key in self._flows}
        busy.update(port for _, port in self._listeners)
        busy.update(self._bound)
        start = int.from_bytes(random(2), "big")
        for step in range(PORTS):
            port = FIRST_PORT + (start + step) % PORTS
            if port not in busy:
                return self._keep(address, port, shares)
        raise OSError(errno.EADDRINUSE, "no port is free")

    def _keep(self, address: bytes | None, port: int, shares: bool) -> Binding:
        binding = Binding(address, port, shares)
        self._bound.setdefault(port, []).append(binding)
        return binding

    def release(self, binding: Binding) -> None:
        """Give a port back; nothing the second time."""
        bound = self._bound.get(binding.port, [])
        if binding in bound:
            bound.remove(binding)
            if not bound:
                del self._bound[binding.port]

    def taken(self, address: bytes | None, port: int, *, shares: bool, own: Binding | None = None) -> bool:
        """Whether a use of ``port`` other than ``own`` forbids another: sharing never helps against a listener."""
        if any(other == port and overlap(address, local) for local, other in self._listeners):
            return True
        for binding in self._bound.get(port, ()):
            if binding is not own and overlap(address, binding.address) and not (shares and binding.shares):
                return True
        return not shares and any(key[1] == port and overlap(address, key[0]) for key in self._flows)


def overlap(first: bytes | None, other: bytes | None) -> bool:
    """Whether two local addresses have one in common."""
    if first is None or other is None or first == other:
        return True
    return len(first) == len(other) and not (any(first) and any(other))
