"""TCP-MD5 (RFC 2385): whether a segment has the digest that a key gives, and what would have given it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ao.md5 import OPTION_OCTETS, Md5Key, Md5Signature, Md5Table
from ao.traffic_keys import SocketPair

from .mistakes import readings
from .packets import Packet


class Finding(NamedTuple):
    """The name of the key for a segment's ends (None: there is none), and what is wrong where it is not good."""

    good: bool
    key: str | None
    reason: str | None = None
    would_match: str | None = None


class Digests:
    """Judges segments that have the option, under the keys of either end."""

    def __init__(self, keys: Iterable[Md5Key]) -> None:
        self._table = Md5Table(keys)

    def judge(self, packet: Packet) -> Finding:
        """Recompute the digest of a segment with the option."""
        assert packet.md5 is not None
        keys = list(self._keys(packet))
        name = keys[0].name if keys else None
        if packet.md5[1] != OPTION_OCTETS:
            return Finding(False, name, f"its TCP-MD5 option has {packet.md5[1]} octets instead of {OPTION_OCTETS}")
        for key in keys:
            if _verifies(packet, key.secret):
                return Finding(True, key.name)
        reason = "the digest differs" if keys else "no key of TCP-MD5 is for these ends"
        return Finding(False, name, reason, self._would_match(packet, keys))

    def _keys(self, packet: Packet) -> Iterator[Md5Key]:
        """The key of the segment's sender and that of its receiver, whichever the file has."""
        segment = packet.segment
        pair = SocketPair(segment.source, segment.source_port, segment.destination, segment.destination_port)
        for way in (pair, pair.reverse):
            key = self._table.find(way)
            if key is not None:
                yield key

    def _would_match(self, packet: Packet, keys: list[Md5Key]) -> str | None:
        """The usual mistakes: what was typed, and for whom."""
        others = [key for key in self._table if key not in keys]
        for key in (*keys, *others):
            words = [] if key in keys else ["for other addresses or ports"]
            for reading, secret in (("", key.secret), *readings(key.secret)):
                if _verifies(packet, secret):
                    return ", ".join(filter(None, (f"key {key.name}", reading, *words)))
        return None


def _verifies(packet: Packet, secret: bytes) -> bool:
    assert packet.md5 is not None
    segment = packet.segment
    signature = Md5Signature(secret, segment.source, segment.destination)
    return signature.verify(segment.tcp, segment.data_offset, packet.md5[0])
