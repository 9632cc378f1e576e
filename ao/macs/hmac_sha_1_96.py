"""HMAC-SHA-1-96 with KDF_HMAC_SHA1 (RFC 5926 §3.1.1.1, §3.2.1; RFC 2104)."""

from __future__ import annotations

from hmac import digest

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.hmac import HMAC

from ..kdf import counter_kdf
from .base import Mac, MacAlgorithm


class HmacSha196(MacAlgorithm):
    """The leftmost 96 bits, or what a configured key cuts it to, of HMAC-SHA-1 under a 160-bit traffic key."""

    name = "hmac-sha-1-96"
    number = 2
    mac_octets = 12
    key_octets = 20
    lengths = range(8, 21)

    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Derive by HMAC-SHA-1 under the master key as it is (RFC 5926 §3.1.1.1)."""
        return counter_kdf(lambda message: digest(master, message, "sha1"), context, self.key_octets)

    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        return Mac(HMAC(traffic_key, SHA1()), mac_octets or self.mac_octets)
