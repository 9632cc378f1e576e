"""Values of socket options as calls give them: a number, or octets."""

from __future__ import annotations

import errno
import struct
from typing import Final

from .errors import SocketError

_INT: Final = struct.Struct("i")

Value = int | bytes


def integer(value: Value) -> int:
    """The number in an option's value: itself, or the machine's int; SocketError EINVAL where it is too short."""
    if isinstance(value, int):
        return value
    if len(value) < _INT.size:
        raise SocketError(errno.EINVAL)
    number: int = _INT.unpack_from(value)[0]
    return number


def bounded(value: Value, least: int, most: int) -> int:
    """The number, which has to be within bounds; SocketError EINVAL."""
    number = integer(value)
    if not least <= number <= most:
        raise SocketError(errno.EINVAL)
    return number
