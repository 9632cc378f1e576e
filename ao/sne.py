"""Sequence number extension (RFC 5925 §6.2, RFC 9187) by 64-bit arithmetic.

The algorithm printed in RFC 5925 is incomplete (RFC 9187 §1). Here the extension is the upper half of the 64-bit
number that is nearest to one already known, which gives every answer of RFC 9187 §6.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_HALF = 0x80000000


def nearest(seq: int, reference: int) -> int:
    """Return the 64-bit number nearest to ``reference`` whose low 32 bits are ``seq``.

    Negative where that number lies before the first epoch: such a segment has no SNE and cannot be verified.
    """
    return reference + (((seq - reference + _HALF) & _MASK) - _HALF)


class SneTracker:
    """The SNE of one direction of a connection, for who follows it without a connection (a capture's reader).

    The reference starts at the ISN with SNE 0 and moves by ``accept`` only, which is called when the segment's MAC
    has verified: a forged segment then cannot move it (RFC 9187 §5).
    """

    __slots__ = ("_reference",)

    def __init__(self, isn: int) -> None:
        self._reference = isn

    def sne(self, seq: int) -> int | None:
        """Return the SNE (0 to 2^32-1) of 32-bit ``seq``; None for a number before the first epoch."""
        number = nearest(seq, self._reference)
        return None if number < 0 else number >> 32

    def accept(self, seq: int) -> None:
        """Move the reference on to 32-bit ``seq``, of a segment whose MAC was good; it never goes back."""
        self._reference = max(self._reference, nearest(seq, self._reference))
