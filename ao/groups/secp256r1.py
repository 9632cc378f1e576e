"""The NIST curve P-256, shares as uncompressed points (RFC 8422 §5.4; SEC 1 §2.3.3)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..octets import Random
from .base import BadShare, Group, PrivateShare

_OCTETS: Final = 65
_SCALAR_OCTETS: Final = 32
_UNCOMPRESSED: Final = 4
_CURVE: Final = SECP256R1()
# The number of points (FIPS 186-4 §D.1.2.3): a private key is one of 1 to this less 1.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _point(peer_share: bytes) -> EllipticCurvePublicKey:
    """The peer's point; the library finds what lies beside the curve, and infinity has another form."""
    if len(peer_share) != _OCTETS or peer_share[0] != _UNCOMPRESSED:
        raise BadShare(f"secp256r1: a share is an uncompressed point of {_OCTETS} octets")
    try:
        return EllipticCurvePublicKey.from_encoded_point(_CURVE, peer_share)
    except ValueError:
        raise BadShare("secp256r1: a share that is no point of the curve") from None


class Secp256r1Share(PrivateShare):
    """A private scalar and its point."""

    __slots__ = ("_private",)

    def __init__(self, scalar: int) -> None:
        self._private = derive_private_key(scalar, _CURVE)
        self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def secret(self, peer_share: bytes) -> bytes:
        """Return the x-coordinate of the shared point, 32 octets; raises BadShare, for one's own share too."""
        if peer_share == self.public:
            raise BadShare("secp256r1: the share is one's own, reflected")
        # The curve's number of points is prime, so no point makes the shared one infinity.
        return self._private.exchange(ECDH(), _point(peer_share))


class Secp256r1(Group):
    """A group that every TLS library knows."""

    name = "secp256r1"
    code = 23
    share_octets = _OCTETS
    answer_octets = _OCTETS

    def generate(self, random: Random) -> PrivateShare:
        # Drawn again where it is none: once in 2^32 (FIPS 186-4 §B.4.2).
        scalar = 0
        while not 0 < scalar < _ORDER:
            scalar = int.from_bytes(random(_SCALAR_OCTETS), "big")
        return Secp256r1Share(scalar)

    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        _point(peer_share)
        return self.generate(random)
