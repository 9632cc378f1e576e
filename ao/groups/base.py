"""What every key-exchange group provides (profile.md §6)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..octets import Random


class BadShare(ValueError):
    """A peer's share has the wrong length, is one's own, or fails its group's check."""


class PrivateShare(ABC):
    """One's own half of an exchange. ``public`` is the share to be sent."""

    __slots__ = ("public",)

    public: bytes

    @abstractmethod
    def secret(self, peer_share: bytes) -> bytes:
        """Return the shared secret; raises BadShare."""


class Group(ABC):
    """One group, named and numbered as in the TLS registry of supported groups.

    ``share_octets`` is the length of A's share, ``answer_octets`` that of B's. ``costly``: a share is too dear to
    be made for an address that has proven nothing (profile.md §5).
    """

    name: str
    code: int
    share_octets: int
    answer_octets: int
    costly: bool = False

    @abstractmethod
    def generate(self, random: Random) -> PrivateShare:
        """Make A's half from random octets."""

    @abstractmethod
    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        """Make B's half, after as much of A's share was checked as is cheap; raises BadShare.

        The costly part, the secret, is left to ``PrivateShare.secret``.
        """
