"""KMAC256-128 with a KDF of KMAC256 (draft-ietf-tcpm-tcp-ao-algs-07; NIST SP 800-185 §4, SP 800-56C rev. 2 §4.1).

The draft leaves the customization string of the MAC open; it is taken to be empty, as other implementations do.
"""

from __future__ import annotations

from ..octets import Octets
from .base import Mac, MacAlgorithm

# SP 800-56C rev. 2 §4.1, option 3: without a salt the key is of zeros, the block size of KMAC256 less four octets.
_KDF_KEY = bytes(132)
_COUNTER = b"\x00\x00\x00\x01"


class _Collected:
    """A keyed computation that collects its input: the library's KMAC cannot be copied once it has begun."""

    __slots__ = ("_key", "_octets", "_parts")

    def __init__(self, key: bytes, octets: int, parts: tuple[bytes, ...] = ()) -> None:
        self._key = key
        self._octets = octets
        self._parts = parts

    def copy(self) -> _Collected:
        return _Collected(self._key, self._octets, self._parts)

    def update(self, data: Octets, /) -> None:
        self._parts = (*self._parts, bytes(data))

    def finalize(self) -> bytes:
        return _kmac(self._key, b"".join(self._parts), self._octets)


def _kmac(key: bytes, message: bytes, octets: int, customization: bytes = b"") -> bytes:
    # Loaded only now: few ask for this MAC, and the library takes its time.
    from Crypto.Hash import KMAC256

    running = KMAC256.new(key=key, mac_len=octets, custom=customization)
    running.update(message)
    return bytes(running.digest())


class Kmac256128(MacAlgorithm):
    """KMAC256 of 128 bits, asked for at that length (not cut from a longer one), under a 256-bit traffic key."""

    name = "kmac256-128"
    number = 4
    mac_octets = 16
    key_octets = 32
    lengths = range(16, 17)

    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Derive by the one-step KDF: KMAC256 of counter, master key and context, customized by "KDF"."""
        return _kmac(_KDF_KEY, _COUNTER + master + context, self.key_octets, b"KDF")

    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        octets = mac_octets or self.mac_octets
        return Mac(_Collected(traffic_key, octets), octets)
