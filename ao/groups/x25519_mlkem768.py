"""X25519 and ML-KEM-768 together: safe while either is (draft-ietf-tls-ecdhe-mlkem §3; FIPS 203)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from ..octets import Random
from .base import BadShare, Group, PrivateShare
from .x25519 import X25519

_KEY_OCTETS: Final = 1184
_CIPHERTEXT_OCTETS: Final = 1088
_SEED_OCTETS: Final = 64
_CURVE: Final = X25519()

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""From an encapsulation key of 1,184 octets to (secret, ciphertext); ValueError for what is no key."""


def encapsulate(key: bytes) -> tuple[bytes, bytes]:
    """FIPS 203 §7.2 with its check of the modulus. The library takes no randomness here but its own."""
    return MLKEM768PublicKey.from_public_bytes(key).encapsulate()


class _Initiated(PrivateShare):
    """A's half: the key that B encapsulates to, and a curve share."""

    __slots__ = ("_curve", "_private")

    def __init__(self, seed: bytes, curve: PrivateShare) -> None:
        self._private = MLKEM768PrivateKey.from_seed_bytes(seed)
        self._curve = curve
        self.public = self._private.public_key().public_bytes_raw() + curve.public

    def secret(self, peer_share: bytes) -> bytes:
        """Return both secrets, ML-KEM's first, 64 octets; raises BadShare, for one's own curve share too."""
        if len(peer_share) != X25519MlKem768.answer_octets:
            raise BadShare(f"X25519MLKEM768: an answer of {len(peer_share)} octets")
        ciphertext, curve_share = peer_share[:_CIPHERTEXT_OCTETS], peer_share[_CIPHERTEXT_OCTETS:]
        # A ciphertext that was not made for this key gives a secret that nobody has (FIPS 203 §6.3).
        return self._private.decapsulate(ciphertext) + self._curve.secret(curve_share)


class _Responded(PrivateShare):
    """B's half: the secret that it encapsulated, and a curve share."""

    __slots__ = ("_curve", "_encapsulated")

    def __init__(self, encapsulated: bytes, ciphertext: bytes, curve: PrivateShare) -> None:
        self._encapsulated = encapsulated
        self._curve = curve
        self.public = ciphertext + curve.public

    def secret(self, peer_share: bytes) -> bytes:
        """Return both secrets, ML-KEM's first, 64 octets; raises BadShare, for one's own curve share too."""
        return self._encapsulated + self._curve.secret(peer_share[_KEY_OCTETS:])


class X25519MlKem768(Group):
    """The hybrid. Its 1,216 octets are what extended option space is for.

    ``encapsulate`` is the library's; a vector's takes its place where octets have to be known beforehand. All other
    randomness is passed in, as everywhere.
    """

    name = "X25519MLKEM768"
    code = 4588
    share_octets = _KEY_OCTETS + _CURVE.share_octets
    answer_octets = _CIPHERTEXT_OCTETS + _CURVE.answer_octets

    def __init__(self, encapsulate: Encapsulate = encapsulate) -> None:
        self._encapsulate = encapsulate

    def generate(self, random: Random) -> PrivateShare:
        seed = random(_SEED_OCTETS)
        return _Initiated(seed, _CURVE.generate(random))

    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        if len(peer_share) != self.share_octets:
            raise BadShare(f"{self.name}: a share of {len(peer_share)} octets, not {self.share_octets}")
        curve = _CURVE.respond(random, peer_share[_KEY_OCTETS:])
        try:
            secret, ciphertext = self._encapsulate(peer_share[:_KEY_OCTETS])
        except ValueError:
            raise BadShare(f"{self.name}: a key that fails the check of its modulus") from None
        return _Responded(secret, ciphertext, curve)
