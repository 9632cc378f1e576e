"""The octets that ``source`` and ``connect --bytes`` send: a function of the position, so that any can be verified.

Octets 8n to 8n + 7 are the counter n under an invertible mixing (big-endian), so no two 8-octet blocks of a stream
are equal: an octet lost, doubled or moved anywhere is seen.
"""

from __future__ import annotations

from typing import Final

_ODD: Final = 0x9E3779B97F4A7C15
_SHIFT: Final = 29


def pattern(position: int, count: int) -> bytes:
    """Return ``count`` octets (0 or more) of the pattern from octet ``position`` (0 or more) on."""
    # Loaded only now: it takes longer than all else that a command needs to say what is wrong with its call.
    import numpy as np

    if count <= 0:
        return b""
    first = position // 8
    blocks = np.arange(first + 1, (position + count + 7) // 8 + 1, dtype=np.uint64)
    blocks *= np.uint64(_ODD)
    blocks ^= blocks >> np.uint64(_SHIFT)
    skip = position - 8 * first
    return blocks.astype(">u8").tobytes()[skip : skip + count]


def first_difference(position: int, received: bytes) -> int:
    """Return the position of the first octet that is not the pattern's, -1 where all are."""
    expected = pattern(position, len(received))
    if expected == received:
        return -1
    return position + next(i for i, (a, b) in enumerate(zip(expected, received, strict=True)) if a != b)
