"""Encryption by stream position: each octet of a stream has one keystream octet, however it is cut.

Scheme C of the project's digest of draft-touch-tcp-ao-encrypt: no segment boundary, retransmission or order of
arrival changes which keystream octet meets which octet of the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from ..octets import Octets
from ..prepared import SHELF
from ..wiped import WIPED


class StreamContext(Protocol):
    """A running stream cipher that can be set to another place."""

    def update(self, data: Octets, /) -> bytes:
        """Return ``data`` with the next keystream octets applied."""

    def reset_nonce(self, nonce: bytes, /) -> None:
        """Go to the keystream of ``nonce``."""


class PositionCipher(ABC):
    """One direction of a connection under one key; applying it twice gives the octets back.

    One context runs while the connection is one of those that were used last (``prepared``). It goes on where the
    last call ended if the position does, which is the rule for octets sent or received in order, and is set anew
    only otherwise. It is made for the first octet: many connections send none in one of the directions.
    """

    __slots__ = ("_block_octets", "_context", "_key", "_next")

    def __init__(self, key: bytes, block_octets: int) -> None:
        self._key: bytes | None = key
        self._context: StreamContext | None = None
        self._block_octets = block_octets
        self._next = -1

    @abstractmethod
    def begin(self, key: bytes) -> StreamContext:
        """Return the context of a cipher with ``key``, at any place."""

    @abstractmethod
    def nonce(self, block: int) -> bytes:
        """Return the nonce that begins keystream block ``block``, the position divided by the block's octets."""

    def apply(self, position: int, data: Octets) -> bytes:
        """Return ``data`` encrypted, or decrypted, at its place in the stream.

        ``position`` (0 to 2^64-1) is the 64-bit stream number of the first octet: SNE and sequence number of
        that octet itself, not of a SYN before it. Any order, any alignment, any length.
        """
        # Taken once: another thread may have it released at any moment.
        context = self._context
        if context is None or position != self._next:
            context = self._seek(position)
        output = context.update(data)
        self._next = position + len(output)
        return output

    def apply_many(self, position: int, parts: Iterable[Octets]) -> bytes:
        """Return consecutive ``parts`` that begin at ``position`` encrypted, or decrypted, and joined."""
        context = self._context
        if context is None or position != self._next:
            context = self._seek(position)
        # A part that is refused would leave the context behind those before it.
        self._next = -1
        update = context.update
        output = b"".join([update(part) for part in parts])
        self._next = position + len(output)
        return output

    def _seek(self, position: int) -> StreamContext:
        # Octets that are refused after this must not leave the place before it trusted.
        self._next = -1
        context = self._context or self._prepare()
        block, inside = divmod(position, self._block_octets)
        context.reset_nonce(self.nonce(block))
        if inside:
            context.update(bytes(inside))
        return context

    def _prepare(self) -> StreamContext:
        key = self._key
        if key is None:
            return WIPED
        context = self._context = self.begin(key)
        SHELF.put(self)
        return context

    def release(self) -> None:
        """Let go of the context; it is made again for the next octet."""
        self._context = None

    def wipe(self) -> None:
        """Forget the key; any later use raises KeysWiped."""
        self._key = None
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
