"""poll and epoll of scripts."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stack.socket_core import Blocked, Event

from .descriptors import Descriptors, Watch
from .faults import Failed, Refused
from .machine import Machine
from .syntax import Anything, CallSpec, Expression, Items, Struct
from .values import Resolver

_CTL_ADD: Final = 1
_CTL_DEL: Final = 2


@dataclass(frozen=True, slots=True)
class Done:
    """A call has returned: its value, and the number of its error (0: none)."""

    value: int
    error: int = 0


Try = Callable[[], Done | Blocked]


class Polling:
    """The calls that ask what is ready, of all descriptors in ``table``."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.table = Descriptors()

    def _until(self, milliseconds: int) -> Blocked:
        deadline = None if milliseconds < 0 else self.machine.now + milliseconds / 1000
        return Blocked(Event.READABLE, 0, deadline)

    def _poll(self, call: CallSpec, resolver: Resolver) -> Try:
        watched = call.arguments[0]
        if not isinstance(watched, Items):
            raise Refused(resolver.place, f"not understood as what is polled: {watched}")
        entries: list[tuple[int, int, Expression]] = []
        for item in watched.items:
            fd = item.get("fd") if isinstance(item, Struct) else None
            events = item.get("events") if isinstance(item, Struct) else None
            if fd is None or events is None or not isinstance(item, Struct):
                raise Refused(resolver.place, f"not understood as what is polled: {item}")
            entries.append((resolver.number(fd), resolver.number(events), item.get("revents") or Anything()))
        wait = self._until(resolver.number(call.arguments[2]))

        def attempt() -> Done | Blocked:
            now = self.machine.now
            found = [self.table.poll(fd, events, now) for fd, events, _ in entries]
            if not any(found) and (wait.deadline is None or now < wait.deadline):
                return wait
            for bits, (fd, _, expected) in zip(found, entries, strict=True):
                resolver.compare(f"revents of descriptor {fd}", expected, bits)
            return Done(sum(bits > 0 for bits in found))

        return attempt

    def _epoll_ctl(self, call: CallSpec, resolver: Resolver) -> Try:
        instance, operation, number = (resolver.number(argument) for argument in call.arguments[:3])
        event = call.arguments[3]

        def attempt() -> Done:
            descriptor = self.table.open.get(instance)
            if descriptor is None or descriptor.watches is None or number not in self.table.open:
                return Done(-1, errno.EBADF)
            watches = descriptor.watches
            if (operation == _CTL_ADD) == (number in watches):
                return Done(-1, errno.EEXIST if operation == _CTL_ADD else errno.ENOENT)
            if operation == _CTL_DEL:
                del watches[number]
                return Done(0)
            watches[number] = Watch(*self._epoll_event(event, resolver, number))
            return Done(0)

        return attempt

    def _epoll_event(self, event: Expression, resolver: Resolver, number: int) -> tuple[int, tuple[str, int]]:
        if not isinstance(event, Struct) or (events := event.get("events")) is None:
            raise Refused(resolver.place, f"not understood as an event: {event}")
        for name in ("fd", "u32", "u64", "ptr"):
            if (value := event.get(name)) is not None:
                return resolver.number(events), (name, resolver.number(value))
        return resolver.number(events), ("fd", number)

    def _epoll_wait(self, call: CallSpec, resolver: Resolver) -> Try:
        instance, _, most, timeout = call.arguments
        number = resolver.number(instance)
        expected = call.arguments[1]
        wait = self._until(resolver.number(timeout))

        def attempt() -> Done | Blocked:
            now = self.machine.now
            descriptor = self.table.open.get(number)
            if descriptor is None or descriptor.watches is None:
                return Done(-1, errno.EBADF)
            found = self.table.epoll(number, resolver.number(most), now)
            if not found and (wait.deadline is None or now < wait.deadline):
                return wait
            items = expected.items if isinstance(expected, Items) else (expected,)
            for (bits, (name, value)), item in zip(found, items, strict=False):
                if isinstance(item, Struct):
                    events, (wanted_name, wanted) = self._epoll_event(item, resolver, value)
                    if (events, wanted) != (bits, value):
                        actual = f"{{events=0x{bits:x}, {name}={value}}}"
                        raise Failed(resolver.place, f"bad event ({wanted_name})", str(item), actual)
            return Done(len(found))

        return attempt
