"""ChaCha20 by position (RFC 8439 §2.3, §2.4): block n has n's low 32 bits as counter, the others in the nonce."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from ..octets import Octets
from .base import CipherAlgorithm, PositionCipher, StreamContext

_BLOCK = 64
# Octets of keystream under one nonce: 2^32 blocks. A running context would carry beyond them in its own way.
_PERIOD = 1 << 38


class ChaChaPositionCipher(PositionCipher):
    """ChaCha20; ``key`` of 32 octets, ``salt`` of 12, combined with the upper bits of the block's number."""

    __slots__ = ("_salt",)

    def __init__(self, key: bytes, salt: bytes) -> None:
        super().__init__(key, _BLOCK)
        self._salt = int.from_bytes(salt, "big")

    def begin(self, key: bytes) -> StreamContext:
        return Cipher(ChaCha20(key, self.nonce(0)), None).encryptor()

    def nonce(self, block: int) -> bytes:
        counter = (block & 0xFFFFFFFF).to_bytes(4, "little")
        return counter + (self._salt ^ block >> 32).to_bytes(12, "big")

    def apply(self, position: int, data: Octets) -> bytes:
        room = _PERIOD - position % _PERIOD
        if len(data) > room:
            return super().apply(position, data[:room]) + self.apply(position + room, data[room:])
        if room == _PERIOD:
            self._next = -1
        return super().apply(position, data)

    def apply_many(self, position: int, parts: Iterable[Octets]) -> bytes:
        parts = list(parts)
        octets = sum(map(len, parts))
        if position % _PERIOD and octets <= _PERIOD - position % _PERIOD:
            return super().apply_many(position, parts)
        return self.apply(position, b"".join(parts))


class ChaCha(CipherAlgorithm):
    """ChaCha20 with a key of 32 octets and a salt of 12."""

    name = "chacha20"
    number = 3
    key_octets = 32
    salt_octets = 12

    def prepare(self, key: bytes, salt: bytes) -> PositionCipher:
        return ChaChaPositionCipher(key, salt)
