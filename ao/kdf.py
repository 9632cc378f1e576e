"""Key derivation: the counter-mode KDF of RFC 5926 and HKDF with SHA-256 (RFC 5869)."""

from __future__ import annotations

from collections.abc import Callable
from hmac import digest

_LABEL = b"TCP-AO"


def counter_kdf(prf: Callable[[bytes], bytes], context: bytes, octets: int) -> bytes:
    """Return ``octets`` octets of traffic key (RFC 5926 §3.1.1).

    ``prf`` is the keyed function, ``context`` the octets of RFC 5925 §5.2. Block i, counted from 1, is
    prf(i || "TCP-AO" || context || output length in bits).
    """
    tail = _LABEL + context + (octets * 8).to_bytes(2, "big")
    output = b""
    block = 0
    while len(output) < octets:
        block += 1
        output += prf(block.to_bytes(1, "big") + tail)
    return output[:octets]


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """Return the pseudorandom key of 32 octets (RFC 5869 §2.2)."""
    return digest(salt, secret, "sha256")


def hkdf_expand(key: bytes, info: bytes, octets: int) -> bytes:
    """Return ``octets`` octets (1-8160) of output keying material (RFC 5869 §2.3)."""
    output = block = b""
    counter = 0
    while len(output) < octets:
        counter += 1
        block = digest(key, block + info + counter.to_bytes(1, "big"), "sha256")
        output += block
    return output[:octets]
