"""TCP-MD5: keys and digests of the signature option for peers that know nothing better (RFC 2385).

The digest covers pseudo-header, fixed header and data, and no option. Its key is for a pair of addresses, has no
number and cannot change while a connection lives. TCP-AO obsoletes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hmac import compare_digest

from .identifier import ByPeer, KeyFault, Network, check
from .octets import Octets
from .traffic_keys import SocketPair
from .wiped import KeysWiped

NAME = "md5"
OPTION_OCTETS = 18

_FIXED_HEADER = 20
_CHECKSUM = 16
_AFTER_CHECKSUM = 18
_ZERO_CHECKSUM = bytes(2)


@dataclass(frozen=True, slots=True)
class Md5Key:
    """One key of TCP-MD5.

    ``secret``, 1 octet or more, is the same at both ends (RFC 2385 §4.5 wants 80 octets to be possible).
    ``peer`` and ``local`` are networks, None for any; ports 1-65535, None for any. Raises KeyFault.
    """

    name: str
    secret: bytes = field(repr=False)
    peer: Network | None = None
    peer_port: int | None = None
    local: Network | None = None
    local_port: int | None = None

    def __post_init__(self) -> None:
        if not self.secret:
            raise KeyFault("secret", "the key is empty")
        check(self)


class Md5Conflict(ValueError):
    """Two keys for the same connections: nothing in a segment would tell which is meant."""

    def __init__(self, one: Md5Key, other: Md5Key) -> None:
        super().__init__(f"keys {one.name!r} and {other.name!r}: both of TCP-MD5 for the same connections")
        self.one = one
        self.other = other


class Md5Table:
    """The keys of TCP-MD5 of a host; of several that match, the narrowest is the one. Raises Md5Conflict."""

    __slots__ = ("_by_peer", "_keys")

    def __init__(self, keys: Iterable[Md5Key]) -> None:
        self._keys = tuple(keys)
        seen: dict[tuple[object, ...], Md5Key] = {}
        for key in self._keys:
            first = seen.setdefault((key.peer, key.peer_port, key.local, key.local_port), key)
            if first is not key:
                raise Md5Conflict(first, key)
        self._by_peer = ByPeer(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Md5Key]:
        return iter(self._keys)

    def find(self, pair: SocketPair) -> Md5Key | None:
        """Return the key of a connection; None where TCP-MD5 is not used for it."""
        return next(self._by_peer.matching(pair), None)


class Md5Signature:
    """The digests of one direction of a connection (RFC 2385 §2.0).

    ``source`` and ``destination`` are the addresses of its segments, 4 or 16 octets.
    """

    __slots__ = ("_after_length", "_before_length", "_length_octets", "_secret")

    def __init__(self, secret: bytes, source: bytes, destination: bytes) -> None:
        self._secret: bytes | None = secret
        # The pseudo-header around its length field (RFC 9293 §3.1, RFC 8200 §8.1).
        if len(source) == 4:
            self._before_length, self._after_length = source + destination + b"\x00\x06", b""
            self._length_octets = 2
        else:
            self._before_length, self._after_length = source + destination, b"\x00\x00\x00\x06"
            self._length_octets = 4

    def tag(self, _sne: int, header: Octets, rest: Octets, _keep: tuple[tuple[int, int], ...] = ()) -> bytes:
        """Return the digest of a segment to be sent; ``rest`` is all behind Data Offset. Raises KeysWiped.

        ``header`` is what Data Offset holds, its checksum of any value. No sequence number extension is covered
        and no option, whatever is to be kept: the form is that of ``auth.SegmentMac``.
        """
        if self._secret is None:
            raise KeysWiped("the key of this connection has been wiped")
        digest = hashlib.md5(
            b"".join(
                (
                    self._before_length,
                    (len(header) + len(rest)).to_bytes(self._length_octets, "big"),
                    self._after_length,
                    header[:_CHECKSUM],
                    _ZERO_CHECKSUM,
                    header[_AFTER_CHECKSUM:_FIXED_HEADER],
                )
            )
        )
        digest.update(rest)
        digest.update(self._secret)
        return digest.digest()

    def verify(self, tcp: memoryview, data_offset: int, offset: int) -> bool:
        """Whether the digest of the option at ``offset`` is right, compared in constant time.

        ``tcp`` is header and payload as received; ``offset`` counts octets from its start to the Kind octet.
        """
        digest = tcp[offset + 2 : offset + OPTION_OCTETS]
        return compare_digest(self.tag(0, tcp[:data_offset], tcp[data_offset:]), digest)

    def wipe(self) -> None:
        """Forget the key; any later use raises KeysWiped."""
        self._secret = None
