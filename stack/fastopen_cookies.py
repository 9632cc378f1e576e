"""Cookies of Fast Open: what a server gives a client's address, and knows again (RFC 7413 §4.1.2)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import Enum, auto
from hashlib import blake2s
from typing import Final

KEY_OCTETS: Final = 16
_COOKIE_OCTETS: Final = 8
# A key of our own serves so long and is accepted as long again, seconds: no cookie is good for ever (§4.1.2, 5).
_KEY_LIFE: Final = 6 * 3600.0

Tag = Callable[[bytes, bytes, bytes], bytes]
"""A MAC: key, client's and server's address to a cookie of 4 to 16 octets, an even number."""


class Found(Enum):
    """What a cookie is: made with the key of now, with the one before, or not ours."""

    CURRENT = auto()
    PREVIOUS = auto()
    UNKNOWN = auto()


def keyed_hash(key: bytes, client: bytes, server: bytes) -> bytes:
    """Keyed BLAKE2s over both addresses, which are of one family, 4 or 16 octets each; 8 octets."""
    return blake2s(client + server, key=key, digest_size=_COOKIE_OCTETS, person=b"fastopen").digest()


class FastOpenCookies:
    """Makes and checks cookies under two keys of 16 octets, the newer for those that are given.

    ``random`` gives keys, a new one every six hours; ``tag`` is the MAC. After ``set_keys`` none is made here.
    """

    __slots__ = ("_keys", "_made", "_random", "_tag")

    def __init__(self, random: Callable[[int], bytes], tag: Tag = keyed_hash) -> None:
        self._random: Callable[[int], bytes] | None = random
        self._tag = tag
        self._keys: tuple[bytes, ...] = (random(KEY_OCTETS),)
        self._made = float("-inf")

    def __repr__(self) -> str:
        return "<FastOpenCookies>"

    def set_keys(self, primary: bytes, backup: bytes | None = None) -> None:
        """Give cookies under ``primary`` and accept those under ``backup`` too: for servers that share an address.

        Raises ValueError where a key has not 16 octets.
        """
        keys = (primary,) if backup is None else (primary, backup)
        if any(len(key) != KEY_OCTETS for key in keys):
            raise ValueError(f"a key of Fast Open has {KEY_OCTETS} octets")
        self._keys = keys
        self._random = None

    def under(self, primary: bytes, backup: bytes | None = None) -> FastOpenCookies:
        """The same MAC under keys of another's; raises as ``set_keys``."""
        other = FastOpenCookies(bytes, self._tag)
        other.set_keys(primary, backup)
        return other

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys, the newer first."""
        return self._keys

    def make(self, client: bytes, server: bytes, now: float) -> bytes:
        """GetCookie(): the cookie of a client's address at one of ours."""
        self._rotate(now)
        return self._tag(self._keys[0], client, server)

    def check(self, cookie: bytes, client: bytes, server: bytes, now: float) -> Found:
        """IsCookieValid(), and under which key."""
        self._rotate(now)
        found = Found.UNKNOWN
        for key, what in zip(self._keys, (Found.CURRENT, Found.PREVIOUS), strict=False):
            if hmac.compare_digest(cookie, self._tag(key, client, server)) and found is Found.UNKNOWN:
                found = what
        return found

    def _rotate(self, now: float) -> None:
        if self._random is None or now - self._made < _KEY_LIFE:
            return
        if self._made > float("-inf"):
            # After a pause of two lives nobody holds a cookie that may still be good.
            kept = self._keys[:1] if now - self._made < 2 * _KEY_LIFE else ()
            self._keys = (self._random(KEY_OCTETS), *kept)
        self._made = now
