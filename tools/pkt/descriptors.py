"""Descriptors of a script: sockets and epoll instances by number."""

from __future__ import annotations

from dataclasses import dataclass, field

from stack.socket_core import Event, SocketCore

ONE_SHOT = 1 << 30
EDGE = 1 << 31
# POLLRDNORM and POLLWRNORM say again what POLLIN and POLLOUT say.
_READ_NORMAL = 0x40
_WRITE_NORMAL = 0x100


@dataclass(slots=True)
class Watch:
    """What an epoll instance watches of one socket; ``data`` is the field and value that it gives back.

    ``fresh``: it was not asked for yet, so that what holds is news whenever it came.
    """

    events: int
    data: tuple[str, int]
    armed: bool = True
    fresh: bool = True


@dataclass(slots=True)
class Descriptor:
    """A socket, or (``watches``) an epoll instance; ``waits`` is the opposite of O_NONBLOCK."""

    core: SocketCore | None = None
    waits: bool = True
    watches: dict[int, Watch] | None = None


@dataclass(slots=True)
class Descriptors:
    """The open ones by the script's numbers."""

    open: dict[int, Descriptor] = field(default_factory=dict)

    def poll(self, number: int, events: int, now: float) -> int:
        """The bits of poll(2) that hold of a descriptor, of those asked for; POLLNVAL where there is none."""
        descriptor = self.open.get(number)
        if descriptor is None or descriptor.core is None:
            return 0x20
        return _asked(descriptor.core.ready(now), events)

    def epoll(self, number: int, most: int, now: float) -> list[tuple[int, tuple[str, int]]]:
        """Events and data of what is ready in an epoll instance."""
        watches = self.open[number].watches
        assert watches is not None
        found: list[tuple[int, tuple[str, int]]] = []
        for watched, watch in watches.items():
            descriptor = self.open.get(watched)
            if descriptor is None or descriptor.core is None or not watch.armed or len(found) >= most:
                continue
            core = descriptor.core
            holds = core.take_edge(now)
            if watch.fresh or not watch.events & EDGE:
                holds = core.ready(now)
            watch.fresh = False
            events = _asked(holds, watch.events & 0xFFFF)
            if events:
                found.append((events, watch.data))
                watch.armed = not watch.events & ONE_SHOT
        return found


def _asked(holds: Event, events: int) -> int:
    """Of what holds that which is asked for, errors and hang-ups always."""
    bits = int(holds) & 0xFFFF
    if bits & Event.READABLE:
        bits |= _READ_NORMAL
    if bits & Event.WRITABLE:
        bits |= _WRITE_NORMAL
    return bits & (events | int(Event.ERROR | Event.HANGUP))
