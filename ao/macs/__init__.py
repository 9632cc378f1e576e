"""MAC algorithms: a file each, and their registry."""

from __future__ import annotations

from .aes_128_cmac_96 import Aes128Cmac96
from .base import Mac, MacAlgorithm, MacContext
from .hmac_sha256_128 import HmacSha256128
from .hmac_sha_1_96 import HmacSha196
from .kmac256_128 import Kmac256128
from .linux_hmac_sha256 import LinuxHmacSha256

__all__ = ["MACS", "Mac", "MacAlgorithm", "MacContext", "by_number", "register"]

# By name, in the order in which they are preferred.
MACS: dict[str, MacAlgorithm] = {}
_BY_NUMBER: dict[int, MacAlgorithm] = {}


def register(algorithm: MacAlgorithm) -> None:
    """Make ``algorithm`` available by its name and, where it has one, its suite octet.

    Raises ValueError if the name or the octet is taken.
    """
    number = algorithm.number
    if algorithm.name in MACS or number in _BY_NUMBER:
        raise ValueError(f"a MAC {algorithm.name!r} or with suite octet {number} exists")
    MACS[algorithm.name] = algorithm
    if number is not None:
        _BY_NUMBER[number] = algorithm


def by_number(number: int) -> MacAlgorithm | None:
    """Return the algorithm with suite octet ``number`` (0-255, profile.md §7), None where there is none."""
    return _BY_NUMBER.get(number)


for _algorithm in (Aes128Cmac96(), HmacSha196(), HmacSha256128(), Kmac256128(), LinuxHmacSha256()):
    register(_algorithm)
