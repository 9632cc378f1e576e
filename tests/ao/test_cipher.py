"""Encryption by stream position."""

from __future__ import annotations

import functools
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.cipher import CIPHERS, CIPHERS_BY_NAME, PositionCipher
from ao.wiped import WIPED, KeysWiped

STREAM = random.Random(1).randbytes(200)
KEY = bytes(range(32))
SALT = b"saltsaltsalt"


@pytest.fixture(params=sorted(CIPHERS_BY_NAME))
def make(request: pytest.FixtureRequest) -> Callable[[], PositionCipher]:
    algorithm = CIPHERS_BY_NAME[request.param]
    return lambda: algorithm.prepare(KEY[: algorithm.key_octets], SALT[: algorithm.salt_octets])


def keystream_octet(number: int, key: bytes, position: int) -> int:
    """Scheme C, one octet at a time: octet P mod 16 of AES(key, salt || P div 16); of ChaCha20 by ao-enc.md §5."""
    if number == 3:
        block = position // 64
        nonce = (int.from_bytes(SALT, "big") ^ block >> 32).to_bytes(12, "big")
        return chacha_block(key, block & 0xFFFFFFFF, nonce)[position % 64]
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(SALT[:8] + (position // 16).to_bytes(8, "big"))[position % 16]


@functools.cache
def chacha_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """The block function of RFC 8439 §2.3, written from its text."""
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + counter.to_bytes(4, "little") + nonce))
    state = start.copy()

    def turn(a: int, b: int, bits: int, c: int) -> None:
        state[a] = (state[a] + state[b]) & 0xFFFFFFFF
        mixed = state[c] ^ state[a]
        state[c] = (mixed << bits | mixed >> (32 - bits)) & 0xFFFFFFFF

    columns = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)]
    diagonals = [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            turn(a, b, 16, d)
            turn(c, d, 12, b)
            turn(a, b, 8, d)
            turn(c, d, 7, b)
    return struct.pack("<16I", *((one + other) & 0xFFFFFFFF for one, other in zip(state, start, strict=True)))


@pytest.mark.parametrize("octets", [b"", b"octet"], ids=["unused", "used"])
def test_what_is_wiped_holds_neither_the_key_nor_what_was_made_of_it(
    make: Callable[[], PositionCipher], octets: bytes
) -> None:
    cipher = make()
    if octets:
        cipher.apply(0, octets)
    cipher.wipe()
    assert cipher._key is None
    assert cipher._context is WIPED
    with pytest.raises(KeysWiped):
        cipher.apply(len(octets), b"octet")


def test_chacha_block_rfc_8439() -> None:
    """RFC 8439 §2.3.2: what the others are compared with is right itself."""
    block = chacha_block(KEY, 1, bytes.fromhex("000000090000004a00000000"))
    assert block.hex().startswith("10f1e7e4d13b5915500fdd1fa32071c4")
    assert block.hex().endswith("a2503c4e")


def test_registry() -> None:
    """Suite octets, names, key and salt lengths of profile.md §7 and ao-enc.md §5."""
    assert [(c.number, c.name, c.key_octets, c.salt_octets) for c in CIPHERS.values()] == [
        (1, "aes-128-ctr", 16, 8),
        (2, "aes-256-ctr", 32, 8),
        (3, "chacha20", 32, 12),
    ]


@pytest.mark.parametrize(
    "start", [0, 1, 15, 16, 2**32 - 100, 2**32 - 7, 2**36 - 50, 2**38 - 100, 2**38 - 64, 2**63, 2**64 - 300]
)
@pytest.mark.parametrize("number", sorted(CIPHERS))
def test_against_the_definition(number: int, start: int) -> None:
    algorithm = CIPHERS[number]
    key = KEY[: algorithm.key_octets]
    expected = bytes(octet ^ keystream_octet(number, key, start + i) for i, octet in enumerate(STREAM))
    cipher = algorithm.prepare(key, SALT[: algorithm.salt_octets])
    assert cipher.apply(start, STREAM) == expected
    # Octet by octet too: a running context does not carry beyond what one nonce gives.
    pieces = [cipher.apply(start + i, STREAM[i : i + 1]) for i in range(len(STREAM))]
    assert b"".join(pieces) == expected
    assert cipher.apply_many(start, [STREAM[:50], STREAM[50:]]) == expected


@pytest.mark.parametrize("start", [0, 2**32 - 100])
def test_cut_at_every_boundary(make: Callable[[], PositionCipher], start: int) -> None:
    whole = make().apply(start, STREAM)
    cipher = make()
    for cut in range(len(STREAM) + 1):
        pieces = (cipher.apply(start, STREAM[:cut]), cipher.apply(start + cut, STREAM[cut:]))
        assert b"".join(pieces) == whole
    for cut in range(len(STREAM) + 1):  # the later piece first
        tail = cipher.apply(start + cut, memoryview(STREAM)[cut:])
        assert cipher.apply(start, bytearray(STREAM[:cut])) + tail == whole


@settings(max_examples=60)
@given(
    st.sampled_from([0, 3, 2**32 - 90, 2**40 - 17]),
    st.lists(st.tuples(st.integers(0, len(STREAM)), st.integers(0, len(STREAM))), max_size=12),
)
def test_any_pieces_in_any_order(start: int, pieces: list[tuple[int, int]]) -> None:
    cipher = CIPHERS[1].prepare(KEY[:16], SALT[:8])
    whole = CIPHERS[1].prepare(KEY[:16], SALT[:8]).apply(start, STREAM)
    for one, other in pieces:
        first, last = min(one, other), max(one, other)
        assert cipher.apply(start + first, STREAM[first:last]) == whole[first:last]


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 2**34))
def test_many_is_one_joined(parts: list[bytes], start: int) -> None:
    cipher = CIPHERS[1].prepare(KEY[:16], SALT[:8])
    cipher.apply(7, b"moves the context")
    assert cipher.apply_many(start, parts) == CIPHERS[1].prepare(KEY[:16], SALT[:8]).apply(start, b"".join(parts))
    total = sum(map(len, parts))
    assert cipher.apply(start + total, b"x") == CIPHERS[1].prepare(KEY[:16], SALT[:8]).apply(start + total, b"x")


def test_twice_gives_the_octets_back(make: Callable[[], PositionCipher]) -> None:
    cipher = make()
    assert cipher.apply(12345, cipher.apply(12345, STREAM)) == STREAM


def test_a_refused_call_leaves_no_wrong_place_behind(make: Callable[[], PositionCipher]) -> None:
    """Octets at a wrong place of the keystream would be the two-time pad that the scheme is there to prevent."""
    expected = make().apply(0, STREAM)
    wrong: Any = "text"
    cipher = make()
    refusals: list[Callable[[], bytes]] = [
        lambda: cipher.apply(-5, STREAM),
        lambda: cipher.apply(1000, wrong),
        lambda: cipher.apply_many(100, [STREAM, wrong]),
        lambda: cipher.apply_many(1000, [STREAM, wrong]),
    ]
    for refused in refusals:
        assert cipher.apply(0, STREAM[:100]) == expected[:100]
        with pytest.raises((OverflowError, TypeError)):
            refused()
        assert cipher.apply(100, STREAM[100:]) == expected[100:]


def test_wiped(make: Callable[[], PositionCipher]) -> None:
    cipher = make()
    cipher.apply(0, b"abc")
    cipher.wipe()
    for position in (3, 0):
        with pytest.raises(KeysWiped):
            cipher.apply(position, b"abc")
