"""Encryption by stream position: each octet of a stream has one keystream octet, however it is cut.

Scheme C of the project's digest of draft-touch-tcp-ao-encrypt: no segment boundary, retransmission or order of
arrival changes which keystream octet meets which octet of the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from ..octets import Octets
from ..wiped import WIPED


class StreamContext(Protocol):
    """A running stream cipher that can be set to another place."""

    def update(self, data: Octets, /) -> bytes:
        """Return ``data`` with the next keystream octets applied."""

    def update_into(self, data: Octets, buffer: bytearray, /) -> int:
        """The same, written to ``buffer``."""

    def reset_nonce(self, nonce: bytes, /) -> None:
        """Go to the keystream of ``nonce``."""


class PositionCipher(ABC):
    """One direction of a connection under one key; applying it twice gives the octets back.

    One context runs for the connection's life. It goes on where the last call ended if the position does, which
    is the rule for octets sent or received in order, and is set anew only otherwise.
    """

    __slots__ = ("_block_octets", "_context", "_next", "_skip")

    def __init__(self, context: StreamContext, block_octets: int) -> None:
        self._context: StreamContext = context
        self._block_octets = block_octets
        self._next = -1
        self._skip = bytearray(block_octets)

    @abstractmethod
    def nonce(self, block: int) -> bytes:
        """Return the nonce that begins keystream block ``block``, the position divided by the block's octets."""

    def apply(self, position: int, data: Octets) -> bytes:
        """Return ``data`` encrypted, or decrypted, at its place in the stream.

        ``position`` (0 to 2^64-1) is the 64-bit stream number of the first octet: SNE and sequence number of
        that octet itself, not of a SYN before it. Any order, any alignment, any length.
        """
        if position != self._next:
            self._seek(position)
        output = self._context.update(data)
        self._next = position + len(output)
        return output

    def apply_many(self, position: int, parts: Iterable[Octets]) -> bytes:
        """Return consecutive ``parts`` that begin at ``position`` encrypted, or decrypted, and joined."""
        if position != self._next:
            self._seek(position)
        # A part that is refused would leave the context behind those before it.
        self._next = -1
        update = self._context.update
        output = b"".join([update(part) for part in parts])
        self._next = position + len(output)
        return output

    def _seek(self, position: int) -> None:
        # Octets that are refused after this must not leave the place before it trusted.
        self._next = -1
        block, inside = divmod(position, self._block_octets)
        self._context.reset_nonce(self.nonce(block))
        if inside:
            self._context.update_into(bytes(inside), self._skip)

    def wipe(self) -> None:
        """Forget the key; any later use raises KeysWiped."""
        self._context = WIPED
        self._next = -1


class CipherAlgorithm(ABC):
    """One cipher: ``name`` of the user interface, suite octet ``number``, lengths of key and salt in octets."""

    name: str
    number: int
    key_octets: int
    salt_octets: int

    @abstractmethod
    def prepare(self, key: bytes, salt: bytes) -> PositionCipher:
        """Return the cipher keyed for one direction of one connection."""
