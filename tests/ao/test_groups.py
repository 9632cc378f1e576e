"""x25519: RFC 7748's vectors, and shares that are refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ao.groups import GROUPS, GROUPS_BY_NAME, BadShare
from tests.ao.support import counting, scripted

X25519 = GROUPS[29]
PRIME = 2**255 - 19
# Points of order 1 or 2, 4, 8, 8 and, on the twist, 4 (RFC 7748 §6.1 asks for the zero check because of them).
SMALL = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    PRIME - 1,
]
ENCODINGS = [
    (value | top << 255).to_bytes(32, "little")
    for u in SMALL
    for value in (u, u + PRIME)
    if value < 2**255
    for top in (0, 1)
]


def test_registry() -> None:
    """Code and lengths of profile.md §6."""
    assert GROUPS_BY_NAME["x25519"] is X25519
    assert (X25519.name, X25519.code, X25519.share_octets, X25519.answer_octets) == ("x25519", 29, 32, 32)


def test_rfc_7748_section_6_1() -> None:
    alice = X25519.generate(
        scripted(bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    )
    bob = X25519.respond(
        scripted(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")), alice.public
    )
    assert alice.public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert alice.secret(bob.public).hex() == bob.secret(alice.public).hex() == secret


@pytest.mark.parametrize("share", ENCODINGS, ids=bytes.hex)
def test_small_order(share: bytes) -> None:
    """Refused when the answer is made, before any secret is computed; the library says too that it is zero."""
    with pytest.raises(ValueError, match="shared key"):
        X25519PrivateKey.from_private_bytes(bytes(range(32))).exchange(X25519PublicKey.from_public_bytes(share))
    with pytest.raises(BadShare):
        X25519.respond(counting(), share)
    with pytest.raises(BadShare):
        X25519.generate(counting()).secret(share)


def test_every_encoding_is_here() -> None:
    # Unreduced writings exist below 19 only: of 0 and 1.
    assert len(ENCODINGS) == 14


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_length(length: int) -> None:
    with pytest.raises(BadShare):
        X25519.respond(counting(), b"\x09" * length)
    with pytest.raises(BadShare):
        X25519.generate(counting()).secret(b"\x09" * length)


def test_reflection() -> None:
    share = X25519.generate(counting())
    with pytest.raises(BadShare, match="reflected"):
        share.secret(share.public)


def test_no_secret_in_a_repr() -> None:
    private = bytes(range(32))
    share = X25519.generate(scripted(private))
    assert private.hex() not in repr(share)
    assert repr(private) not in repr(share)
