"""The keys that may open a capture: those of a key log, and configured ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ao.auth import SegmentMac
from ao.cipher import PositionCipher
from ao.keylog import End, KeyLogError, LoggedKeys
from ao.keys import Key, configured_key
from ao.messages import Flag
from ao.mkt import Mkt
from ao.traffic_keys import SocketPair


class KeyBookError(ValueError):
    """A key log that cannot be read; one line that names file and line."""


class Direction:
    """What opens the segments that one end sends under one key; ``name`` says which key that is."""

    __slots__ = ("cipher", "cover_options", "mac", "mac_octets", "name")

    def __init__(self, name: str, key: Key, *, by_owner: bool) -> None:
        self.name = name
        self.mac: SegmentMac = key.sign if by_owner else key.check
        self.cipher: PositionCipher | None = key.encrypt if by_owner else key.decrypt
        self.cover_options = key.cover_options
        self.mac_octets = key.mac_octets


def read_keylog(path: Path) -> list[LoggedKeys]:
    """The lines of a key log; raises KeyBookError for one that is none, OSError where it cannot be read."""
    found = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line.strip():
            try:
                found.append(LoggedKeys.parse(line))
            except KeyLogError as error:
                raise KeyBookError(f"{path}:{number}: {error}") from None
    return found


class KeyBook:
    """Finds the keys of a connection. Made once for a capture."""

    def __init__(self, logged: Iterable[LoggedKeys] = (), configured: Iterable[Mkt] = ()) -> None:
        self._logged: dict[int, list[LoggedKeys]] = {}
        for entry in logged:
            self._logged.setdefault(entry.generation & 0xFF, []).append(entry)
        self._configured = tuple(configured)

    def candidates(self, source: End, destination: End, isns: Mapping[End, int], key_id: int) -> Iterator[Directed]:
        """What may have signed a segment from ``source`` with KeyID ``key_id`` (0-255), the latest line first.

        ``isns`` are the numbers of the connection's SYNs as far as the capture has them; a line is for it where
        these agree, and so do the ends, unless addresses and ports count as zero (profile.md §9).
        """
        for entry in reversed(self._logged.get(key_id, ())):
            for a, b in ((source, destination), (destination, source)):
                if _is_of(entry, a, b, isns):
                    name = f"generation {entry.generation}"
                    yield (
                        Direction(name, entry.key(a, b), by_owner=a == source),
                        entry.isn_a if a == source else entry.isn_b,
                    )
        if len(isns) < 2:
            return
        for mkt in self._configured:
            for local, remote in ((source, destination), (destination, source)):
                pair = SocketPair(local[0], local[1], remote[0], remote[1])
                wanted = mkt.send_id if local == source else mkt.recv_id
                if wanted == key_id and mkt.matches(pair):
                    key = configured_key(mkt, pair, isns[local], isns[remote])
                    yield Direction(f"key {mkt.name}", key, by_owner=local == source), isns[source]


Directed = tuple[Direction, int]
"""A direction, and the ISN from which it sends."""


def _is_of(entry: LoggedKeys, a: End, b: End, isns: Mapping[End, int]) -> bool:
    if isns.get(a, entry.isn_a) != entry.isn_a or isns.get(b, entry.isn_b) != entry.isn_b:
        return False
    if (entry.a, entry.b) == (a, b):
        return True
    return bool(entry.flags & Flag.NAT) and len(isns) == 2
