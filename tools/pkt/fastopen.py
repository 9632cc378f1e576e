"""Fast Open of the systems that scripts were written for: their cookies and the settings of their keys."""

from __future__ import annotations

import re
from typing import Final

from stack.fastopen_cookies import FastOpenCookies, Tag
from stack.host import Stack

_MASK: Final = 0xFFFFFFFFFFFFFFFF
_START: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_KEY: Final = re.compile(r"[0-9a-fA-F]{1,8}(?:-[0-9a-fA-F]{1,8}){3}")
_KEYS_OF_LINUX: Final = "net.ipv4.tcp_fastopen_key"
_KEY_OF_FREEBSD: Final = "net.inet.tcp.fastopen.setkey"
_CLIENT_OF_FREEBSD: Final = "net.inet.tcp.fastopen.client_enable"


def siphash(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 of ``data`` under a key of 16 octets, little-endian (Aumasson and Bernstein, 2012)."""
    keys = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v0, v1, v2, v3 = (start ^ keys[index % 2] for index, start in enumerate(_START))
    padded = data + bytes(-(len(data) + 1) % 8) + bytes((len(data) & 0xFF,))
    words = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    for word, rounds in [(word, 2) for word in words] + [(0, 4)]:
        v3 ^= word
        if rounds == 4:
            v2 ^= 0xFF
        for _ in range(rounds):
            v0 = (v0 + v1) & _MASK
            v1 = _left(v1, 13) ^ v0
            v0 = _left(v0, 32)
            v2 = (v2 + v3) & _MASK
            v3 = _left(v3, 16) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = _left(v3, 21) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = _left(v1, 17) ^ v2
            v2 = _left(v2, 32)
        v0 ^= word
    return (v0 ^ v1 ^ v2 ^ v3).to_bytes(8, "little")


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


def linux_tag(key: bytes, client: bytes, server: bytes) -> bytes:
    """Linux's cookie, since 5.3: over both addresses."""
    return siphash(key, client + server)


def freebsd_tag(key: bytes, client: bytes, _server: bytes) -> bytes:
    """FreeBSD's cookie: over the client's address."""
    return siphash(key, client)


def linux_keys(value: str) -> tuple[bytes, ...]:
    """Keys of net.ipv4.tcp_fastopen_key: one or two, each of four words that are little-endian; else ValueError."""
    keys = value.split(",")
    if not 1 <= len(keys) <= 2 or any(_KEY.fullmatch(key) is None for key in keys):
        raise ValueError("one or two keys of four words in hexadecimal")
    return tuple(b"".join(int(word, 16).to_bytes(4, "little") for word in key.split("-")) for key in keys)


def prepare(stack: Stack, tag: Tag | None, key: bytes) -> None:
    """Have ``stack`` make a system's cookies, under the key that scripts take it to have (None, b"": its own)."""
    if tag is not None:
        stack.fast_open_cookies = FastOpenCookies(stack.random, tag)
    if key:
        stack.fast_open_cookies.set_keys(key)


def obey(name: str, value: str, stack: Stack) -> None:
    """What a setting of a system does beside TCP's: keys are set; without clients what they knew is erased."""
    if name == _KEYS_OF_LINUX:
        stack.fast_open_cookies.set_keys(*linux_keys(value))
    elif name == _KEY_OF_FREEBSD:
        stack.fast_open_cookies.set_keys(bytes.fromhex(value))
    elif name == _CLIENT_OF_FREEBSD and value == "0":
        stack.peers.forget()
