"""Sequence numbers: 32 bits on the wire, 64-bit stream numbers inside (RFC 9293 §3.4, RFC 9187).

A stream number starts at the ISN's own value, so its upper 32 bits are the sequence number extension of TCP-AO
and the number itself is the position of an octet for the cipher; it never wraps in a connection's life.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_HALF = 0x80000000


def extend(wire: int, reference: int) -> int:
    """Return the stream number nearest to ``reference`` (64 bit) whose low 32 bits are ``wire``.

    May be negative: the number then lies before the first epoch and has no sequence number extension.
    """
    return reference + (((wire - reference + _HALF) & _MASK) - _HALF)


def low32(number: int) -> int:
    """Return the 32 bits of a stream number that travel on the wire."""
    return number & _MASK
