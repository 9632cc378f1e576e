"""Arguments of system calls as numbers, addresses and octets."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .constants import NOT_THERE, number_of
from .faults import Failed, Place, Refused
from .syntax import Anything, Apply, Expression, Integer, Items, Name, Struct, Text

_FIELDS = ("events", "revents", "fd", "u32", "u64", "ptr")


@dataclass(frozen=True, slots=True)
class Resolver:
    """Gives expressions their values; ``system`` is a profile's name, ``place`` where they stand."""

    system: str
    place: Place

    def number(self, expression: Expression, what: str = "a number") -> int:
        """The number that an expression says; raises Refused."""
        if isinstance(expression, Integer):
            return expression.value
        if isinstance(expression, Name):
            value = 0
            for name in expression.names:
                value |= self.constant(name)
            return value
        if isinstance(expression, Items) and len(expression.items) == 1:
            return self.number(expression.items[0], what)
        if isinstance(expression, Apply):
            return self.number(expression.argument, what)
        raise Refused(self.place, f"expected {what}, found {expression}")

    def constant(self, name: str) -> int:
        """The number of one name, or a number as it was written; raises Refused."""
        if name[0].isdigit() or name[0] == "-":
            return int(name, 0)
        value = number_of(name, self.system)
        if value is None:
            reason = f"not supported: {NOT_THERE[name]}" if name in NOT_THERE else f"unknown constant {name}"
            raise Refused(self.place, reason)
        return value

    def check(self, expression: Expression) -> None:
        """See that all names in an expression are known; raises Refused."""
        if isinstance(expression, Name):
            for name in expression.names:
                self.constant(name)
        elif isinstance(expression, Items):
            for item in expression.items:
                self.check(item)
        elif isinstance(expression, Struct):
            for _, value in expression.fields:
                self.check(value)
            for value in expression.members:
                self.check(value)

    def address(self, expression: Expression) -> tuple[str, int] | None:
        """Address and port of a socket address; None for ``...``. Raises Refused."""
        if isinstance(expression, Anything):
            return None
        if isinstance(expression, Struct):
            port, host = expression.get("sin_port"), expression.get("sin_addr")
            if port is not None and isinstance(host, Apply) and isinstance(host.argument, Text):
                return host.argument.value, self.number(port, "a port")
        raise Refused(self.place, f"not understood: the socket address {expression}")

    def octets(self, expression: Expression, count: int | None) -> bytes:
        """What is written: a text, or as many zeros as ``count`` says. Raises Refused."""
        if isinstance(expression, Anything) and count is not None and count >= 0:
            return bytes(count)
        if isinstance(expression, Text):
            data = self._escaped(expression)
            return data if count is None or expression.open else data.ljust(count, b"\0")[:count]
        raise Refused(self.place, f"not understood as what is written: {expression}")

    def vectors(self, expression: Expression) -> list[tuple[Expression, int]]:
        """Base and length of each part of an iovec or msghdr; raises Refused."""
        if isinstance(expression, Struct):
            inner = expression.get("msg_iov")
            if inner is not None:
                return self.vectors(inner)
        if not isinstance(expression, Items):
            raise Refused(self.place, f"not understood as an iovec: {expression}")
        parts: list[tuple[Expression, int]] = []
        for item in expression.items:
            if not isinstance(item, Struct):
                raise Refused(self.place, f"not understood as an iovec: {item}")
            base, size = item.get("iov_base"), item.get("iov_len")
            if base is None and len(item.members) == 2:
                base, size = item.members
            if base is None or size is None:
                raise Refused(self.place, f"not understood as an iovec: {item}")
            parts.append((base, self.number(size, "a length")))
        return parts

    def message(self, expected: Expression, control: list[tuple[int, int, int]]) -> None:
        """See that recvmsg gave flags and control messages as a msghdr says; raises Failed and Refused."""
        if not isinstance(expected, Struct):
            return
        flags = expected.get("msg_flags")
        if flags is not None and not isinstance(flags, Anything):
            self.compare("msg_flags", flags, 0)
        messages = expected.get("msg_control")
        if messages is None or isinstance(messages, Anything):
            return
        if not isinstance(messages, Items):
            raise Refused(self.place, f"not understood as control messages: {messages}")
        wanted = [
            tuple(self.number(item.get(f"cmsg_{name}") or Anything()) for name in ("level", "type", "data"))
            for item in messages.items
            if isinstance(item, Struct)
        ]
        if wanted != control:
            raise Failed(self.place, "bad control messages", str(messages), str(control))

    def option_value(self, expression: Expression) -> int | bytes:
        """What a socket option is set to; raises Refused."""
        if isinstance(expression, Text):
            return self._escaped(expression)
        if isinstance(expression, Struct):
            return self.linger(expression)
        return self.number(expression, "the value of a socket option")

    def linger(self, expression: Struct) -> bytes:
        """The octets of a struct linger; raises Refused."""
        on, seconds = expression.get("onoff"), expression.get("linger")
        if on is None or seconds is None:
            raise Refused(self.place, f"not understood as the value of a socket option: {expression}")
        return struct.pack("ii", self.number(on), self.number(seconds))

    def compare(self, what: str, expected: Expression, actual: int | bytes) -> None:
        """See that ``actual`` is what an expression says, ``...`` anything; raises Failed and Refused."""
        if isinstance(expected, Anything):
            return
        if isinstance(expected, Items) and len(expected.items) == 1:
            self.compare(what, expected.items[0], actual)
            return
        wanted: int | bytes
        if isinstance(expected, Text):
            wanted = self._escaped(expected)
            if isinstance(actual, bytes):
                actual = actual.rstrip(b"\0") if not expected.open else actual[: len(wanted)]
        elif isinstance(expected, Struct):
            wanted = self.linger(expected)
        else:
            wanted = self.number(expected)
        if wanted != actual:
            raise Failed(self.place, f"bad {what}", str(expected), _shown(actual))

    def _escaped(self, text: Text) -> bytes:
        """The octets of a string with C's escapes."""
        try:
            return text.value.encode().decode("unicode_escape").encode("latin-1")
        except UnicodeError:
            raise Refused(self.place, f"a string with an escape that is not C's: {text}") from None


def _shown(value: int | bytes) -> str:
    return str(value) if isinstance(value, int) else repr(value)[1:]
