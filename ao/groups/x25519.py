"""X25519 (RFC 7748 §5, §6.1)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ..octets import Random
from .base import BadShare, Group, PrivateShare

_OCTETS = 32
_PRIME = 2**255 - 19
_COORDINATE = 2**255 - 1

# The u-coordinates of the points of order 1, 2, 4 and 8 on the curve and its twist. The scalar is a multiple of 8,
# so these, and no others, make the secret zero (RFC 7748 §6.1).
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)


def _check(peer_share: bytes) -> None:
    if len(peer_share) != _OCTETS:
        raise BadShare(f"x25519: a share of {len(peer_share)} octets, not {_OCTETS}")
    # The top bit does not count and a coordinate may be written unreduced (RFC 7748 §5).
    if (int.from_bytes(peer_share, "little") & _COORDINATE) % _PRIME in _SMALL_ORDER:
        raise BadShare("x25519: a share that makes the secret zero")


class X25519Share(PrivateShare):
    """A private key of 32 octets and its public one."""

    __slots__ = ("_private",)

    def __init__(self, private: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def secret(self, peer_share: bytes) -> bytes:
        """Return the secret of 32 octets; raises BadShare, for one's own share and a zero result too."""
        _check(peer_share)
        if peer_share == self.public:
            raise BadShare("x25519: the share is one's own, reflected")
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(peer_share))
        except ValueError:
            raise BadShare("x25519: a share that makes the secret zero") from None


class X25519(Group):
    """The default group."""

    name = "x25519"
    code = 29
    share_octets = _OCTETS
    answer_octets = _OCTETS

    def generate(self, random: Random) -> PrivateShare:
        return X25519Share(random(_OCTETS))

    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        _check(peer_share)
        return self.generate(random)
