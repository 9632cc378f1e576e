"""Initial sequence numbers: a clock of 4 us plus a keyed hash of the socket pair (RFC 6528 §3)."""

from __future__ import annotations

from hashlib import blake2s

_TICKS_PER_SECOND = 250_000


class InitialNumbers:
    """Makes ISNs under one secret of 32 octets."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def number(self, key: tuple[bytes, int, bytes, int], now: float) -> int:
        """The 32-bit ISN of a connection that begins at ``now`` (seconds)."""
        local, local_port, remote, remote_port = key
        pair = b"".join((local, local_port.to_bytes(2, "big"), remote, remote_port.to_bytes(2, "big")))
        digest = blake2s(pair, key=self._secret, digest_size=4).digest()
        return (int(now * _TICKS_PER_SECOND) + int.from_bytes(digest, "big")) & 0xFFFFFFFF

    def offset(self, key: tuple[bytes, int, bytes, int]) -> int:
        """The 32-bit offset of a connection's timestamp clock, unlinkable between peers (RFC 7323 §5.4)."""
        local, local_port, remote, remote_port = key
        pair = b"".join((remote, remote_port.to_bytes(2, "big"), local, local_port.to_bytes(2, "big")))
        return int.from_bytes(blake2s(b"ts" + pair, key=self._secret, digest_size=4).digest(), "big")
