"""Checksums of many segments of one length at once (RFC 1071 §2 (D), parallel summation)."""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from ..batch import Octets
from ..checksum import ones_complement_sum

_SWAPPED: Final = sys.byteorder == "little"
# Fewer than so many packets are summed one by one.
_FEW: Final = 4


def remainders(octets: Octets, size: int) -> list[int]:
    """The sums, modulo 0xFFFF, of the 16-bit words of each ``size`` octets (a multiple of 4) of ``octets``."""
    words = np.frombuffer(octets, np.uint32).reshape(-1, size >> 2)
    sums: list[int] = (words.sum(axis=1, dtype=np.uint64) % 0xFFFF).tolist()
    if _SWAPPED:
        # Adding byte-swapped words gives the byte-swapped sum (RFC 1071 §2 (B)).
        return [(total >> 8) | ((total & 0xFF) << 8) for total in sums]
    return sums


def right(packets: list[Octets], size: int, header: bytes, pseudo: int) -> int:
    """How many of ``packets``, in a row from the first, have a right checksum.

    All have ``size`` octets and begin with the same ``header`` of IP (a multiple of 4 octets); ``pseudo`` is the
    sum of the pseudo-header with the length of their TCP segments.
    """
    # What precedes the segment is in the sums of whole packets, too, and the same in all.
    wanted = (ones_complement_sum(header) - pseudo) % 0xFFFF
    if len(packets) < _FEW or size & 3:
        for index, packet in enumerate(packets):
            if (ones_complement_sum(packet) - wanted) % 0xFFFF:
                return index
        return len(packets)
    for index, total in enumerate(remainders(b"".join(packets), size)):
        if total != wanted:
            return index
    return len(packets)
