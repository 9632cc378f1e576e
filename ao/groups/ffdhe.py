"""Diffie-Hellman over the finite fields of RFC 7919: ffdhe2048 and ffdhe3072.

The library that computes it calls finite-field Diffie-Hellman deprecated and will drop it. Nothing else here uses
it; where it is gone these groups are not available, and everything else is as before.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

from cryptography.utils import CryptographyDeprecationWarning

from ..octets import Random
from .base import BadShare, Group, PrivateShare

_Parameters: Any = None
_Public: Any = None
_Private: Any = None
with warnings.catch_warnings():
    # That it is deprecated is told when these names are looked up, which happens here alone.
    warnings.filterwarnings("ignore", "Diffie-Hellman over finite fields", CryptographyDeprecationWarning)
    try:
        from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers as _Parameters
        from cryptography.hazmat.primitives.asymmetric.dh import DHPrivateNumbers as _Private
        from cryptography.hazmat.primitives.asymmetric.dh import DHPublicNumbers as _Public
    except ImportError:
        pass

_GENERATOR: Final = 2


def _e(bits: int) -> int:
    """The integer part of 2^bits * e, from the series of 1/n!."""
    guard = 64
    term, total, n = 1 << bits + guard, 0, 0
    while term:
        total += term
        n += 1
        term //= n
    return total >> guard


def _prime(bits: int, offset: int) -> int:
    """The modulus of RFC 7919 Appendix A, of which each has its own ``offset``."""
    return (1 << bits) - (1 << bits - 64) + (_e(bits - 130) + offset << 64) - 1


class FfdheShare(PrivateShare):
    """A private exponent and its power of 2, padded with zeros on the left."""

    __slots__ = ("_group", "_private")

    def __init__(self, group: Ffdhe, exponent: int) -> None:
        self._group = group
        # The library wants to be told the power as well, and does not look at it: so it computes it itself, in
        # constant time, as the secret shared with who sent the generator.
        told = _Private(exponent, _Public(_GENERATOR, group.numbers))
        self._private = told.private_key()
        generator = _Public(_GENERATOR, group.numbers).public_key()
        self.public = bytes(self._private.exchange(generator)).rjust(group.share_octets, b"\0")

    def secret(self, peer_share: bytes) -> bytes:
        """Return the secret, padded with zeros on the left; raises BadShare, for one's own share too."""
        group = self._group
        value = group.value(peer_share)
        if peer_share == self.public:
            raise BadShare(f"{group.name}: the share is one's own, reflected")
        try:
            secret = self._private.exchange(_Public(value, group.numbers).public_key())
        except ValueError:
            raise BadShare(f"{group.name}: a share that is none") from None
        return bytes(secret).rjust(group.share_octets, b"\0")


class Ffdhe(Group):
    """One of RFC 7919's groups: ``bits`` of its modulus; exponents have ``exponent_octets`` (RFC 7919 §5.2)."""

    costly = True

    def __init__(self, name: str, code: int, bits: int, offset: int, exponent_octets: int) -> None:
        self.name = name
        self.code = code
        self.share_octets = self.answer_octets = bits // 8
        self.prime = _prime(bits, offset)
        self.numbers = _Parameters(self.prime, _GENERATOR)
        self._exponent_octets = exponent_octets

    def generate(self, random: Random) -> PrivateShare:
        exponent = 0
        while exponent < _GENERATOR:
            exponent = int.from_bytes(random(self._exponent_octets), "big")
        return FfdheShare(self, exponent)

    def respond(self, random: Random, peer_share: bytes) -> PrivateShare:
        self.value(peer_share)
        return self.generate(random)

    def value(self, peer_share: bytes) -> int:
        """The number that a share stands for; raises BadShare unless it is one of 2 to p - 2 (RFC 7919 §5.1)."""
        if len(peer_share) != self.share_octets:
            raise BadShare(f"{self.name}: a share of {len(peer_share)} octets, not {self.share_octets}")
        value = int.from_bytes(peer_share, "big")
        if not 1 < value < self.prime - 1:
            raise BadShare(f"{self.name}: a share that makes the secret known")
        return value


def available() -> tuple[Ffdhe, ...]:
    """The groups in order of preference, none where the library has no finite-field Diffie-Hellman.

    Exponents have 36 and 32 octets, more than the 275 and 225 bits of RFC 7919 Appendix A.
    """
    if _Private is None:
        return ()
    return (Ffdhe("ffdhe3072", 257, 3072, 2625351, 36), Ffdhe("ffdhe2048", 256, 2048, 560316, 32))
