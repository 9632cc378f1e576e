"""The octet types that every function here takes."""

from __future__ import annotations

from collections.abc import Callable

Octets = bytes | bytearray | memoryview

# A source of randomness: n octets when called with n.
Random = Callable[[int], bytes]
