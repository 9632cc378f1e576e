"""HKDF against RFC 5869, the counter KDF against its definition in RFC 5926."""

from __future__ import annotations

from ao.kdf import counter_kdf, hkdf_expand, hkdf_extract


def test_rfc_5869_a_1() -> None:
    prk = hkdf_extract(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert hkdf_expand(prk, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_rfc_5869_a_3() -> None:
    prk = hkdf_extract(b"", b"\x0b" * 22)
    assert prk.hex() == "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"
    assert hkdf_expand(prk, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_counter_kdf_over_several_blocks() -> None:
    """RFC 5926 §3.1.1: i, label, context, length in bits; blocks joined and cut."""
    inputs: list[bytes] = []

    def prf(message: bytes) -> bytes:
        inputs.append(message)
        return bytes((len(inputs),)) * 16

    assert counter_kdf(prf, b"context", 40) == b"\x01" * 16 + b"\x02" * 16 + b"\x03" * 8
    assert inputs == [bytes((i,)) + b"TCP-AO" + b"context" + b"\x01\x40" for i in (1, 2, 3)]
