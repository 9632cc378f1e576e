"""Encryption by stream position."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.cipher import CIPHERS, CIPHERS_BY_NAME, PositionCipher
from ao.wiped import KeysWiped

STREAM = random.Random(1).randbytes(200)
KEY = bytes(range(32))
SALT = b"saltsalt"


@pytest.fixture(params=sorted(CIPHERS_BY_NAME))
def make(request: pytest.FixtureRequest) -> Callable[[], PositionCipher]:
    algorithm = CIPHERS_BY_NAME[request.param]
    return lambda: algorithm.prepare(KEY[: algorithm.key_octets], SALT)


def keystream_octet(key: bytes, position: int) -> int:
    """Scheme C, one octet at a time: octet P mod 16 of AES(key, salt || P div 16)."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(SALT + (position // 16).to_bytes(8, "big"))
    return block[position % 16]


def test_registry() -> None:
    """Suite octets, names, key and salt lengths of profile.md §7 and ao-enc.md §5."""
    assert [(c.number, c.name, c.key_octets, c.salt_octets) for c in CIPHERS.values()] == [
        (1, "aes-128-ctr", 16, 8),
        (2, "aes-256-ctr", 32, 8),
    ]


@pytest.mark.parametrize("start", [0, 1, 15, 16, 2**32 - 100, 2**32 - 7, 2**36 - 50, 2**63, 2**64 - 300])
@pytest.mark.parametrize("number", sorted(CIPHERS))
def test_against_the_definition(number: int, start: int) -> None:
    key = KEY[: CIPHERS[number].key_octets]
    expected = bytes(octet ^ keystream_octet(key, start + i) for i, octet in enumerate(STREAM))
    assert CIPHERS[number].prepare(key, SALT).apply(start, STREAM) == expected


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
    cipher = CIPHERS[1].prepare(KEY[:16], SALT)
    whole = CIPHERS[1].prepare(KEY[:16], SALT).apply(start, STREAM)
    for one, other in pieces:
        first, last = min(one, other), max(one, other)
        assert cipher.apply(start + first, STREAM[first:last]) == whole[first:last]


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 2**34))
def test_many_is_one_joined(parts: list[bytes], start: int) -> None:
    cipher = CIPHERS[1].prepare(KEY[:16], SALT)
    cipher.apply(7, b"moves the context")
    assert cipher.apply_many(start, parts) == CIPHERS[1].prepare(KEY[:16], SALT).apply(start, b"".join(parts))
    total = sum(map(len, parts))
    assert cipher.apply(start + total, b"x") == CIPHERS[1].prepare(KEY[:16], SALT).apply(start + total, b"x")


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
