"""HMAC-SHA256-128 with an HKDF (draft-ietf-tcpm-tcp-ao-algs-07; RFC 5869): an option of 20 octets.

The draft is no RFC yet; what stands here is its construction as other implementations have it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ..kdf import hkdf_expand, hkdf_extract
from .base import Mac, MacAlgorithm

_SALT = bytes(32)


class HmacSha256128(MacAlgorithm):
    """The leftmost 128 bits of HMAC-SHA-256 under a 256-bit traffic key."""

    name = "hmac-sha256-128"
    number = 3
    mac_octets = 16
    key_octets = 32
    lengths = range(16, 17)

    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Derive by HKDF-SHA-256 with a salt of zeros and the context alone as info: no label, no length."""
        return hkdf_expand(hkdf_extract(_SALT, master), context, self.key_octets)

    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        return Mac(HMAC(traffic_key, SHA256()), mac_octets or self.mac_octets)
