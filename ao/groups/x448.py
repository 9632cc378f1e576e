"""X448 (RFC 7748 §5, §6.2)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey

from ..octets import Random
from .base import BadShare, Group, PrivateShare

_OCTETS: Final = 56
_PRIME: Final = 2**448 - 2**224 - 1

# The u-coordinates of the points of order 1, 2 and 4 on the curve and its twist. The scalar is a multiple of 4, so
# these, and no others, make the secret zero (RFC 7748 §6.2).
_SMALL_ORDER: Final = frozenset({0, 1, _PRIME - 1})


def _check(peer_share: bytes) -> None:
    if len(peer_share) != _OCTETS:
        raise BadShare(f"x448: a share of {len(peer_share)} octets, not {_OCTETS}")
    # A coordinate may be written unreduced (RFC 7748 §5).
    if int.from_bytes(peer_share, "little") % _PRIME in _SMALL_ORDER:
        raise BadShare("x448: a share that makes the secret zero")


class X448Share(PrivateShare):
    """A private key of 56 octets and its public one."""

    __slots__ = ("_private",)

    def __init__(self, private: bytes) -> None:
        self._private = X448PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def secret(self, peer_share: bytes) -> bytes:
        """Return the secret of 56 octets; raises BadShare, for one's own share and a zero result too."""
        _check(peer_share)
        if peer_share == self.public:
            raise BadShare("x448: the share is one's own, reflected")
        try:
            return self._private.exchange(X448PublicKey.from_public_bytes(peer_share))
        except ValueError:
            raise BadShare("x448: a share that makes the secret zero") from None


class X448(Group):
    """For those who want more than the 128 bits of x25519."""

    name = "x448"
    code = 30
    share_octets = _OCTETS
    answer_octets = _OCTETS

    def generate(self, random: Random) -> PrivateShare:
        return X448Share(random(_OCTETS))

    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        _check(peer_share)
        return self.generate(random)
