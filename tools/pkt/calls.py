"""System calls of scripts, made on ``stack.socket_core``.

``Calls.prepare`` gives a function that makes the call; each time it is called it is done, or says what it waits
for.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

from stack.security import Security
from stack.socket_core import Blocked, Event, SocketCore, SocketError
from stack.socket_core import numbers as n

from .constants import NOT_THERE, number_of
from .descriptors import Descriptor
from .faults import Failed, Place, Refused
from .ground import Ground
from .machine import Machine
from .opening import Sending
from .polling import Done, Polling, Try
from .profiles import Profile
from .syntax import Anything, CallSpec, Expression
from .values import Resolver

_NONBLOCK: Final = 0o4000
# Calls whose second argument is where octets are.
_BUFFERED: Final = frozenset({"write", "send", "sendto", "read", "recv", "recvfrom"})
_KEPT_FLAGS: Final = n.MSG_OOB | n.MSG_PEEK | n.MSG_MORE | n.MSG_EOR | n.MSG_FASTOPEN


class Calls(Polling):
    """The process under test: its descriptors and the calls that it makes."""

    def __init__(self, machine: Machine, profile: Profile, ground: Ground) -> None:
        super().__init__(machine)
        self.profile = profile
        self.ground = ground
        self.under_test: SocketCore | None = None

    # --- what the interpreter asks ---------------------------------------------------------------------------

    @staticmethod
    def check(call: CallSpec, resolver: Resolver) -> None:
        """See that the call and all names in it are known; raises Refused."""
        if call.name not in _CALLS:
            unknown = f"unknown system call {call.name}"
            raise Refused(
                resolver.place, f"not supported: {NOT_THERE[call.name]}" if call.name in NOT_THERE else unknown
            )
        least, most, _ = _CALLS[call.name]
        if not least <= len(call.arguments) <= most:
            raise Refused(resolver.place, f"{call.name} with {len(call.arguments)} arguments")
        for argument in (*call.arguments, call.result):
            resolver.check(argument)
        if call.error is not None and not isinstance(getattr(errno, call.error, None), int):
            raise Refused(resolver.place, f"unknown error {call.error}")

    def prepare(self, call: CallSpec, place: Place) -> Try:
        """The call as a function to be called until it is done; raises Refused, and Failed once it is called."""
        resolver = Resolver(self.profile.name, place)
        _, _, method = _CALLS[call.name]
        if call.name in _BUFFERED and str(call.arguments[1]) == "NULL":
            return lambda: Done(-1, errno.EFAULT)
        attempt = method(self, call, resolver)

        def guarded() -> Done | Blocked:
            try:
                return attempt()
            except SocketError as error:
                return Done(-1, error.errno or 0)

        return guarded

    def number_of_result(self, call: CallSpec, place: Place) -> int | None:
        """The value that the script expects, None for any."""
        if isinstance(call.result, Anything):
            return None
        return Resolver(self.profile.name, place).number(call.result, "a result")

    # --- descriptors -----------------------------------------------------------------------------------------

    def _new(self, call: CallSpec, place: Place, descriptor: Descriptor) -> Done:
        """Take the number that the script gives a descriptor."""
        number = self.number_of_result(call, place)
        if number is None or number < 0:
            # The script expects that there is none: what the number would have been is the lowest that is free.
            return Done(next(free for free in range(3, 1 << 16) if free not in self.table.open))
        if number in self.table.open:
            raise Failed(place, f"descriptor {number} is in use")
        self.table.open[number] = descriptor
        if descriptor.core is not None:
            self.under_test = descriptor.core
        return Done(number)

    def _epoll_create(self, call: CallSpec, resolver: Resolver) -> Try:
        return lambda: self._new(call, resolver.place, Descriptor(watches={}))

    def _socket_of(self, call: CallSpec, resolver: Resolver) -> Descriptor:
        number = resolver.number(call.arguments[0], "a descriptor")
        descriptor = self.table.open.get(number)
        if descriptor is None or descriptor.core is None:
            raise SocketError(errno.EBADF)
        return descriptor

    def _waiting(self, descriptor: Descriptor, answer: Done | Blocked, flags: int = 0) -> Done | Blocked:
        """What a call returns that would have to wait: that, or the error where it must not."""
        if isinstance(answer, Blocked) and (not descriptor.waits or flags & n.MSG_DONTWAIT):
            return Done(-1, answer.errno)
        return answer

    # --- opening ---------------------------------------------------------------------------------------------

    def _socket(self, call: CallSpec, resolver: Resolver) -> Try:
        domain, kind, protocol = call.arguments
        family = self.ground.family if isinstance(domain, Anything) else resolver.number(domain)
        bits = resolver.number(kind)
        if bits & 0xFF != n.SOCK_STREAM or resolver.number(protocol) not in (0, n.IPPROTO_TCP):
            raise Refused(resolver.place, f"not supported: a socket of type {kind} and protocol {protocol}")

        def attempt() -> Done:
            core = SocketCore(self.machine.stack, family=family, profile=self.profile.sockets)
            if self.profile.latest_socket:
                self.machine.begin()
            return self._new(call, resolver.place, Descriptor(core, waits=not bits & _NONBLOCK))

        return attempt

    def _address(self, given: tuple[str, int] | None, family: int, own: bool) -> tuple[str, int]:
        if given is None:
            ground = self.ground
            given = (ground.local, ground.bind_port) if own else (ground.remote, ground.connect_port)
        if family == n.AF_INET6 and ":" not in given[0]:
            return f"::ffff:{given[0]}", given[1]
        return given

    def _bind(self, call: CallSpec, resolver: Resolver) -> Try:
        given = resolver.address(call.arguments[1])

        def attempt() -> Done:
            core = _core(self._socket_of(call, resolver))
            core.bind(*self._address(given, core.family, own=True))
            return Done(0)

        return attempt

    def _listen(self, call: CallSpec, resolver: Resolver) -> Try:
        backlog = resolver.number(call.arguments[1])

        def attempt() -> Done:
            core = _core(self._socket_of(call, resolver))
            if core.protection == Security():
                core.protection = self._security(self.profile.listening_edo)
            core.listen(backlog)
            self.machine.listens(core.getsockname()[1])
            return Done(0)

        return attempt

    def _security(self, edo: str) -> Security:
        return Security(edo=edo, dialect=self.machine.dialect)

    def _accept(self, call: CallSpec, resolver: Resolver) -> Try:
        flags = resolver.number(call.arguments[3]) if len(call.arguments) > 3 else 0

        def attempt() -> Done | Blocked:
            descriptor = self._socket_of(call, resolver)
            child = _core(descriptor).accept(self.machine.now)
            if isinstance(child, Blocked):
                return self._waiting(descriptor, child)
            # FreeBSD's accepted sockets inherit O_NONBLOCK, Linux's do not.
            waits = descriptor.waits if self.profile.name == "freebsd" else not flags & _NONBLOCK
            done = self._new(call, resolver.place, Descriptor(child, waits=waits))
            self.machine.accepted(child.getsockname()[1], child.remote[1])
            return done

        return attempt

    def _connect(self, call: CallSpec, resolver: Resolver) -> Try:
        given = resolver.address(call.arguments[1])
        begun = False

        def attempt() -> Done | Blocked:
            nonlocal begun
            descriptor = self._socket_of(call, resolver)
            core = _core(descriptor)
            address, port = self._address(given, core.family, own=False)
            if core.protection == Security():
                core.protection = self._security(self.profile.dialling_edo)
            answer = core.connect(address, port, self.machine.now)
            if not begun:
                begun = True
                self.under_test = core
                remote = self.machine.remote
                self.machine.connects(core.getsockname()[1], remote, port)
            return self._waiting(descriptor, Done(0) if answer is None else answer)

        return attempt

    # --- octets ----------------------------------------------------------------------------------------------

    def _send_all(self, call: CallSpec, resolver: Resolver, data: bytes, flags: int) -> Try:
        """Write all of ``data``; a socket that waits returns once all of it was taken."""
        taken = 0

        def attempt() -> Done | Blocked:
            nonlocal taken
            descriptor = self._socket_of(call, resolver)
            core = _core(descriptor)
            while True:
                answer = core.send(data[taken:], flags & _KEPT_FLAGS, self.machine.now)
                if isinstance(answer, Blocked):
                    if taken and (not descriptor.waits or flags & n.MSG_DONTWAIT):
                        return Done(taken)
                    return self._waiting(descriptor, answer, flags)
                taken += answer
                waits = descriptor.waits and not flags & n.MSG_DONTWAIT
                if waits and not core.ready(self.machine.now) & Event.CONNECTED:
                    # It has opened fast, and does not return before the connection stands.
                    return Blocked(Event.CONNECTED, errno.EINPROGRESS)
                if taken >= len(data):
                    return Done(taken)

        return attempt

    def _write(self, call: CallSpec, resolver: Resolver) -> Try:
        data = resolver.octets(call.arguments[1], resolver.number(call.arguments[2], "a length"))
        return self._send_all(call, resolver, data, self._flags(call, resolver))

    def _flags(self, call: CallSpec, resolver: Resolver) -> int:
        return resolver.number(call.arguments[3], "flags") if len(call.arguments) > 3 else 0

    def _sendto(self, call: CallSpec, resolver: Resolver) -> Try:
        data = resolver.octets(call.arguments[1], resolver.number(call.arguments[2], "a length"))
        flags = self._flags(call, resolver)
        if flags & n.MSG_FASTOPEN and str(call.arguments[4]) == "AF_UNSPEC":
            return lambda: Done(-1, errno.EOPNOTSUPP)
        if not flags & n.MSG_FASTOPEN and not self.profile.sockets.fast_open_switch:
            return self._send_all(call, resolver, data, flags)
        address = self._address(resolver.address(call.arguments[4]), self.ground.family, own=False)

        sending = Sending(data, flags & _KEPT_FLAGS, address)

        def attempt() -> Done | Blocked:
            descriptor = self._socket_of(call, resolver)
            core = _core(descriptor)
            if core.protection == Security():
                core.protection = self._security(self.profile.dialling_edo)
            waits = descriptor.waits and not flags & n.MSG_DONTWAIT
            blocked = sending.go_on(core, self.machine.now, waits=waits)
            return Done(sending.taken) if blocked is None else self._waiting(descriptor, blocked, flags)

        return attempt

    def _writev(self, call: CallSpec, resolver: Resolver) -> Try:
        parts = resolver.vectors(call.arguments[1])
        data = b"".join(resolver.octets(base, size) for base, size in parts)
        flags = resolver.number(call.arguments[2], "flags") if call.name == "sendmsg" else 0
        return self._send_all(call, resolver, data, flags)

    def _receive(self, call: CallSpec, resolver: Resolver, count: int, flags: int, into: Expression) -> Try:
        kept = b""

        def attempt() -> Done | Blocked:
            nonlocal kept
            descriptor = self._socket_of(call, resolver)
            answer = _core(descriptor).recv(count - len(kept), flags & _KEPT_FLAGS, self.machine.now)
            if isinstance(answer, Blocked):
                return (
                    Done(len(kept)) if kept and not descriptor.waits else self._waiting(descriptor, answer, flags)
                )
            kept += answer
            if answer and flags & n.MSG_WAITALL and len(kept) < count:
                return Blocked(Event.READABLE, errno.EAGAIN)
            if not isinstance(into, Anything) and kept:
                resolver.compare("octets read", into, kept)
            return Done(len(kept))

        return attempt

    def _read(self, call: CallSpec, resolver: Resolver) -> Try:
        count = resolver.number(call.arguments[2], "a length")
        return self._receive(call, resolver, count, self._flags(call, resolver), call.arguments[1])

    def _readv(self, call: CallSpec, resolver: Resolver) -> Try:
        count = sum(size for _, size in resolver.vectors(call.arguments[1]))
        if call.name == "readv":
            return self._receive(call, resolver, count, 0, Anything())
        flags = resolver.number(call.arguments[2], "flags")
        attempt = self._receive(call, resolver, count, flags, Anything())

        def with_message() -> Done | Blocked:
            answer = attempt()
            if isinstance(answer, Done) and not answer.error:
                resolver.message(call.arguments[1], _core(self._socket_of(call, resolver)).control_messages())
            return answer

        return with_message

    # --- ending ----------------------------------------------------------------------------------------------

    def _shutdown(self, call: CallSpec, resolver: Resolver) -> Try:
        how = resolver.number(call.arguments[1])

        def attempt() -> Done:
            _core(self._socket_of(call, resolver)).shutdown(how, self.machine.now)
            return Done(0)

        return attempt

    def _close(self, call: CallSpec, resolver: Resolver) -> Try:
        number = resolver.number(call.arguments[0], "a descriptor")
        closing: SocketCore | None = None

        def attempt() -> Done | Blocked:
            nonlocal closing
            if closing is None:
                descriptor = self.table.open.pop(number, None)
                if descriptor is None:
                    return Done(-1, errno.EBADF)
                if descriptor.core is None:
                    return Done(0)
                closing = descriptor.core
            answer = closing.close(self.machine.now)
            return Done(0) if answer is None else answer

        return attempt

    # --- options ---------------------------------------------------------------------------------------------

    def _setsockopt(self, call: CallSpec, resolver: Resolver) -> Try:
        level, name = resolver.number(call.arguments[1]), resolver.number(call.arguments[2])
        value = resolver.option_value(call.arguments[3])
        signs = str(call.arguments[2]) == "TCP_MD5SIG"

        def attempt() -> Done:
            core = _core(self._socket_of(call, resolver))
            if signs:
                # FreeBSD's is a switch; the keys are setkey's.
                core.set_protection(self.machine.signing(resolver.place) if value else Security())
            else:
                core.setsockopt(level, name, value)
            return Done(0)

        return attempt

    def _getsockopt(self, call: CallSpec, resolver: Resolver) -> Try:
        level, name = resolver.number(call.arguments[1]), resolver.number(call.arguments[2])

        def attempt() -> Done:
            core = _core(self._socket_of(call, resolver))
            value = core.getsockopt(level, name, self.machine.now)
            resolver.compare(f"value of {call.arguments[2]}", call.arguments[3], value)
            return Done(0)

        return attempt

    def _fcntl(self, call: CallSpec, resolver: Resolver) -> Try:
        command = call.arguments[1]
        nonblock = number_of("O_NONBLOCK", self.profile.name) or 0
        bits = resolver.number(call.arguments[2]) if len(call.arguments) > 2 else 0
        name = str(command)

        def attempt() -> Done:
            descriptor = self._socket_of(call, resolver)
            if name == "F_GETFL":
                return Done(2 | (0 if descriptor.waits else nonblock))
            if name == "F_SETFL":
                descriptor.waits = not bits & nonblock
            elif name != "F_SETFD":
                raise Refused(resolver.place, f"fcntl with {name}")
            return Done(0)

        return attempt

    def _ioctl(self, call: CallSpec, resolver: Resolver) -> Try:
        request = resolver.number(call.arguments[1])

        def attempt() -> Done:
            value = _core(self._socket_of(call, resolver)).ioctl(request)
            if len(call.arguments) > 2:
                resolver.compare(f"value of {call.arguments[1]}", call.arguments[2], value)
            return Done(0)

        return attempt


def _core(descriptor: Descriptor) -> SocketCore:
    core = descriptor.core
    assert core is not None
    return core


_Method = Callable[[Calls, CallSpec, Resolver], Try]
# Name: the least and the most arguments, and who makes the call.
_CALLS: Final[dict[str, tuple[int, int, _Method]]] = {
    "socket": (3, 3, Calls._socket),
    "bind": (3, 3, Calls._bind),
    "listen": (2, 2, Calls._listen),
    "accept": (3, 3, Calls._accept),
    "accept4": (4, 4, Calls._accept),
    "connect": (3, 3, Calls._connect),
    "write": (3, 3, Calls._write),
    "send": (4, 4, Calls._write),
    "sendto": (6, 6, Calls._sendto),
    "writev": (3, 3, Calls._writev),
    "sendmsg": (3, 3, Calls._writev),
    "read": (3, 3, Calls._read),
    "recv": (4, 4, Calls._read),
    "recvfrom": (6, 6, Calls._read),
    "readv": (3, 3, Calls._readv),
    "recvmsg": (3, 3, Calls._readv),
    "shutdown": (2, 2, Calls._shutdown),
    "close": (1, 1, Calls._close),
    "setsockopt": (5, 5, Calls._setsockopt),
    "getsockopt": (5, 5, Calls._getsockopt),
    "fcntl": (2, 3, Calls._fcntl),
    "ioctl": (2, 3, Calls._ioctl),
    "poll": (3, 3, Calls._poll),
    "epoll_create": (1, 1, Calls._epoll_create),
    "epoll_create1": (1, 1, Calls._epoll_create),
    "epoll_ctl": (4, 4, Calls._epoll_ctl),
    "epoll_wait": (4, 4, Calls._epoll_wait),
}
