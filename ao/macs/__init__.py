"""MAC algorithms: a file each, and their registry."""

from __future__ import annotations

from .aes_128_cmac_96 import Aes128Cmac96
from .base import Mac, MacAlgorithm, MacContext
from .hmac_sha_1_96 import HmacSha196

__all__ = ["MACS", "Mac", "MacAlgorithm", "MacContext", "by_number"]

# By name, in the order in which they are preferred.
MACS: dict[str, MacAlgorithm] = {algorithm.name: algorithm for algorithm in (Aes128Cmac96(), HmacSha196())}

_BY_NUMBER: dict[int, MacAlgorithm] = {
    algorithm.number: algorithm for algorithm in MACS.values() if algorithm.number is not None
}


def by_number(number: int) -> MacAlgorithm | None:
    """Return the algorithm with suite octet ``number`` (0-255, profile.md §7), None where there is none."""
    return _BY_NUMBER.get(number)
