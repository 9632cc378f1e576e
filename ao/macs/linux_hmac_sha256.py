"""What Linux calls hmac(sha256): HMAC-SHA-256 with the KDF of RFC 5926 §3.1.1 over that hash.

It stands in no RFC and differs from hmac-sha256-128 in its KDF. The kernel cuts the MAC to what it is told.
"""

from __future__ import annotations

from hmac import digest

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ..kdf import counter_kdf
from .base import Mac, MacAlgorithm


class LinuxHmacSha256(MacAlgorithm):
    """The leftmost octets, 12 unless it is told otherwise, of HMAC-SHA-256 under a 256-bit traffic key."""

    name = "linux-hmac-sha256"
    number = None
    mac_octets = 12
    key_octets = 32
    lengths = range(8, 33)

    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Derive by HMAC-SHA-256 in counter mode under the master key as it is."""
        return counter_kdf(lambda message: digest(master, message, "sha256"), context, self.key_octets)

    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        return Mac(HMAC(traffic_key, SHA256()), mac_octets or self.mac_octets)
