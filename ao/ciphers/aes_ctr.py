"""AES-128-CTR and AES-256-CTR by position: block n is AES(key, salt || n as 64 bits), n = position div 16."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .base import CipherAlgorithm, PositionCipher, StreamContext

_BLOCK = 16


class AesPositionCipher(PositionCipher):
    """AES in counter mode (NIST SP 800-38A §6.5); ``key`` of 16 or 32 octets, ``salt`` of 8."""

    __slots__ = ("_salt",)

    def __init__(self, key: bytes, salt: bytes) -> None:
        super().__init__(key, _BLOCK)
        self._salt = salt

    def begin(self, key: bytes) -> StreamContext:
        return Cipher(AES(key), CTR(self.nonce(0))).encryptor()

    def nonce(self, block: int) -> bytes:
        return self._salt + block.to_bytes(8, "big")


class AesCtr(CipherAlgorithm):
    """AES-CTR with a key of ``key_octets`` octets."""

    salt_octets = 8

    def __init__(self, number: int, key_octets: int) -> None:
        self.name = f"aes-{8 * key_octets}-ctr"
        self.number = number
        self.key_octets = key_octets

    def prepare(self, key: bytes, salt: bytes) -> PositionCipher:
        return AesPositionCipher(key, salt)
