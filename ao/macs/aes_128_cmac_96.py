"""AES-128-CMAC-96 with KDF_AES_128_CMAC (RFC 5926 §3.1.1.2, §3.2.2; RFC 4493, RFC 4615)."""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from ..kdf import counter_kdf
from .base import Mac, MacAlgorithm, MacContext

_ZERO_KEY = bytes(16)


def _cmac(key: bytes, message: bytes) -> bytes:
    running = CMAC(AES(key))
    running.update(message)
    return running.finalize()


class Aes128Cmac96(MacAlgorithm):
    """The leftmost 96 bits, or what a configured key cuts it to, of AES-CMAC under a 128-bit traffic key."""

    name = "aes-128-cmac-96"
    number = 1
    mac_octets = 12
    key_octets = 16
    lengths = range(8, 17)

    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Derive by AES-CMAC; a master key of other than 16 octets is condensed first (RFC 5926 §3.1.1.2)."""
        key = self.condensed(master)
        return counter_kdf(lambda message: _cmac(key, message), context, self.key_octets)

    def condensed(self, master: bytes) -> bytes:
        return master if len(master) == 16 else _cmac(_ZERO_KEY, master)

    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        # The library declares that it takes bytes only; it takes any buffer.
        return Mac(cast(MacContext, CMAC(AES(traffic_key))), mac_octets or self.mac_octets)
