"""The Internet checksum against RFC 1071's example, the plain definition, and scapy."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import checksum as scapy_checksum

from stack.checksum import checksum, fold, ones_complement_sum, pseudo_header_sum


def plain_sum(data: bytes) -> int:
    """Add 16-bit words with end-around carry, as RFC 1071 §4.1 does."""
    if len(data) % 2:
        data += b"\0"
    total = 0
    for at in range(0, len(data), 2):
        total += (data[at] << 8) | data[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_example_of_rfc_1071() -> None:
    """RFC 1071 §3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2."""
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert ones_complement_sum(data) == 0xDDF2
    assert checksum(data) == 0xFFFF - 0xDDF2


@pytest.mark.parametrize("size", [0, 1, 2, 3, 20, 1022, 1023, 1024, 1025, 1026, 1027, 1460, 9001, 65535])
@pytest.mark.parametrize("octet", [0x00, 0x01, 0xFF])
def test_sizes_and_both_zeros(size: int, octet: int) -> None:
    data = bytes([octet]) * size
    assert ones_complement_sum(data) == plain_sum(data)
    assert ones_complement_sum(memoryview(bytearray(data))) == plain_sum(data)
    assert checksum(data) == 0xFFFF - plain_sum(data)


@given(st.binary(max_size=300), st.integers(1, 12))
def test_equals_plain_definition(data: bytes, repeat: int) -> None:
    data *= repeat
    assert ones_complement_sum(data) == plain_sum(data)
    assert checksum(data) == scapy_checksum(data)


@given(st.binary(max_size=200), st.integers(1, 15))
def test_unaligned_views(data: bytes, skip: int) -> None:
    view = memoryview(data * 16)[skip:]
    assert ones_complement_sum(view) == plain_sum(bytes(view))


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 0xFFFF))
def test_parts_are_concatenated(parts: list[bytes], initial: int) -> None:
    assert checksum(*parts) == checksum(b"".join(parts))
    joined = initial.to_bytes(2, "big") + b"".join(parts)
    assert checksum(*parts, initial=initial) == checksum(joined)


@given(st.lists(st.integers(0, 0xFFFF), max_size=8))
def test_fold_is_the_sum_of_words(words: list[int]) -> None:
    assert fold(sum(words)) == plain_sum(b"".join(word.to_bytes(2, "big") for word in words))


@given(st.binary(min_size=2, max_size=100).filter(any))
def test_octets_with_their_checksum_give_zero(data: bytes) -> None:
    if len(data) % 2:
        data += b"\0"
    assert checksum(data, checksum(data).to_bytes(2, "big")) == 0


def test_pseudo_header_of_ipv4() -> None:
    """RFC 9293 §3.1: addresses, zero, protocol, TCP length."""
    source, destination = socket.inet_aton("192.0.2.1"), socket.inet_aton("198.51.100.255")
    octets = source + destination + bytes([0, 6]) + (1480).to_bytes(2, "big")
    assert pseudo_header_sum(source, destination, 1480) == plain_sum(octets)


def test_pseudo_header_of_ipv6() -> None:
    """RFC 8200 §8.1: addresses, 32-bit length, three zeros, next header."""
    source, destination = (socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::1", "ff02::1:ff00:7"))
    octets = source + destination + (70000).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    assert pseudo_header_sum(source, destination, 70000, 58) == plain_sum(octets)
