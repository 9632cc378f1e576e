"""The Internet checksum (RFC 1071) and the pseudo-header of TCP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).

Sums are taken modulo 0xFFFF: 0x10000 is 1 there, so an integer made of all octets in network order has the same
remainder as the sum of its 16-bit words. Short input goes that way; for long input numpy adds faster.
"""

from __future__ import annotations

import sys

import numpy as np

from .batch import Octets

_NUMPY_FROM = 1024  # octets; where numpy's fixed cost of about 2 us is earned back
_SWAPPED = sys.byteorder == "little"


def ones_complement_sum(data: Octets) -> int:
    """Return the 16-bit ones' complement sum of ``data``, 0-0xFFFF (RFC 1071 §1).

    An odd last octet counts as the high half of a word. The sum is 0 only where every octet is zero; a non-zero
    multiple of 0xFFFF gives 0xFFFF, which keeps the two zeros of ones' complement apart. Sums of parts of even
    length may be added and folded again by ``fold``.
    """
    size = len(data)
    if size < _NUMPY_FROM:
        total = int.from_bytes(data, "big")
        if size & 1:
            total <<= 8
        return total % 0xFFFF or (0xFFFF if total else 0)
    return _long_sum(data, size)


def _long_sum(data: Octets, size: int) -> int:
    words = size >> 2
    total = int(np.add.reduce(np.frombuffer(data, np.uint32, words), dtype=np.uint64))
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    if _SWAPPED:
        # Adding byte-swapped words gives the byte-swapped sum (RFC 1071 §2 (B)).
        folded = (folded >> 8) | ((folded & 0xFF) << 8)
    if size & 3:
        tail = bytes(data[words << 2 :])
        folded += int.from_bytes(tail, "big") << ((4 - len(tail)) << 3)
        return folded % 0xFFFF or (0xFFFF if folded else 0)
    return folded


def fold(total: int) -> int:
    """Return ``total`` (any sum of ones' complement sums, >= 0) as one ones' complement sum, 0-0xFFFF."""
    return total % 0xFFFF or (0xFFFF if total else 0)


def pseudo_header_sum(source: bytes, destination: bytes, length: int, protocol: int = 6) -> int:
    """Return the ones' complement sum of the pseudo-header, 0-0xFFFF (RFC 9293 §3.1; IPv6: RFC 8200 §8.1).

    Addresses are 4 or 16 octets each, of one family; ``length`` is that of header and payload of ``protocol`` in
    octets. Both families' pseudo-headers have the same sum, since only the widths of their fields differ.
    """
    total = int.from_bytes(source, "big") + int.from_bytes(destination, "big") + length + protocol
    return total % 0xFFFF or (0xFFFF if total else 0)


def checksum(*parts: Octets, initial: int = 0) -> int:
    """Return the Internet checksum of the concatenated ``parts``, 0-0xFFFF (RFC 1071 §1).

    ``initial`` is a sum to begin with, such as the pseudo-header's. Over octets that contain their own correct
    checksum the result is 0. A part may have any length: one that begins at an odd octet counts byte-swapped.
    """
    total = initial
    odd = False
    for part in parts:
        partial = ones_complement_sum(part)
        total += partial << 8 if odd else partial
        odd ^= bool(len(part) & 1)
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))
