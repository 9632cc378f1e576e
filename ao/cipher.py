"""The registry of ciphers, by suite octet and by name (profile.md §7)."""

from __future__ import annotations

from .ciphers.aes_ctr import AesCtr
from .ciphers.base import CipherAlgorithm, PositionCipher
from .ciphers.chacha20 import ChaCha

__all__ = ["CIPHERS", "CIPHERS_BY_NAME", "NO_CIPHER", "CipherAlgorithm", "PositionCipher"]

# The suite octet that says that the payload is authenticated and not encrypted.
NO_CIPHER = 0

# In the order in which they are preferred.
CIPHERS: dict[int, CipherAlgorithm] = {cipher.number: cipher for cipher in (AesCtr(1, 16), AesCtr(2, 32), ChaCha())}

CIPHERS_BY_NAME: dict[str, CipherAlgorithm] = {cipher.name: cipher for cipher in CIPHERS.values()}
