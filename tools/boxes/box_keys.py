"""What a box may sign with: the file that an end writes for it, or configured keys that encrypt nothing."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from ao.auth import SegmentMac
from ao.boxkeys import BoxKey
from ao.keyfile import load
from ao.keylog import End, KeyLogError, LoggedKeys
from ao.keys import configured_key, syn_receive, syn_send
from ao.mkt import Mkt
from ao.traffic_keys import SocketPair

# Of so many keys the latest are held: a file is written for as long as its end runs.
_MOST_KEYS: Final = 4096


class BoxKeysError(ValueError):
    """A file that gives a box no keys; one line that names it."""


class Signature:
    """One key in one direction: ``mac`` verifies and signs, ``isn`` is where its sender's numbers begin."""

    __slots__ = ("cover_options", "isn", "mac", "mac_octets")

    def __init__(self, mac: SegmentMac, mac_octets: int, isn: int, *, cover_options: bool) -> None:
        self.mac = mac
        self.mac_octets = mac_octets
        self.isn = isn
        self.cover_options = cover_options


class BoxKeys(Protocol):
    """Finds keys for segments."""

    def syn(self, source: End, destination: End, isn: int, key_id: int) -> Iterator[Signature]:
        """What may have signed a SYN without ACK whose number is ``isn``."""

    def other(self, source: End, destination: End, isns: Mapping[End, int], key_id: int) -> Iterator[Signature]:
        """What may have signed any other segment; ``isns`` are those that the box has seen."""


class HeldBoxKeys:
    """Keys of agreements, as they are given: ``take`` is what a stack's key log may be."""

    def __init__(self) -> None:
        self._keys: deque[BoxKey] = deque(maxlen=_MOST_KEYS)

    def take(self, logged: LoggedKeys) -> None:
        """Hold the MAC's keys of a generation, and nothing else of it."""
        self._keys.extend(BoxKey.of(logged))

    def syn(self, source: End, destination: End, isn: int, key_id: int) -> Iterator[Signature]:
        """None: where keys are agreed on, SYNs are clear."""
        return iter(())

    def other(self, source: End, destination: End, isns: Mapping[End, int], key_id: int) -> Iterator[Signature]:
        """The latest key first.

        A key is for segments between its ends; where addresses count as zero, also for those between others with
        its ISNs, which a translator has made of them.
        """
        for key in reversed(self._keys):
            if key.key_id != key_id:
                continue
            same = (key.source, key.destination) == (source, destination)
            translated = key.nat and (isns.get(source), isns.get(destination)) == (
                key.source_isn,
                key.destination_isn,
            )
            if same or translated:
                mac = key.signer(source[0], destination[0])
                yield Signature(mac, key.mac_octets, key.source_isn, cover_options=key.cover_options)


class AgreedBoxKeys(HeldBoxKeys):
    """The keys of ``--box-keys``, read from ``path`` as it grows: each generation's are there before it is used.

    Raises BoxKeysError where others may read the file; a line that is none is passed over, and ``faults`` counts.
    One that does not exist yet has no keys.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._position = 0
        self._rest = b""
        self.faults = 0
        self._add()

    def other(self, source: End, destination: End, isns: Mapping[End, int], key_id: int) -> Iterator[Signature]:
        """As of what it holds, with what has been added to the file."""
        self._read_on()
        return super().other(source, destination, isns, key_id)

    def _read_on(self) -> None:
        """Read what has been added; who watches packets is not stopped by a file that cannot be read any more."""
        try:
            self._add()
        except BoxKeysError:
            self.faults += 1

    def _add(self) -> None:
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                if stat.S_IMODE(state.st_mode) & 0o077:
                    raise BoxKeysError(f"{self._path}: others than its owner may read or write it (chmod 600)")
                if state.st_size <= self._position:
                    return
                file.seek(self._position)
                octets = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise BoxKeysError(f"{self._path}: cannot be read: {error.strerror}") from None
        self._position += len(octets)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            try:
                self._keys.append(BoxKey.parse(line.decode(errors="replace")))
            except KeyLogError:
                self.faults += 1


class ConfiguredBoxKeys:
    """Keys of mode ``ao``, in the file of one end.

    Raises BoxKeysError for one that encrypts: who has the master key of such a tuple has the payload's keys too.
    """

    def __init__(self, mkts: Iterable[Mkt]) -> None:
        self._mkts = tuple(mkts)
        for mkt in self._mkts:
            if mkt.encrypt is not None:
                raise BoxKeysError(f"key {mkt.name!r} encrypts: with its secret a box could read the payload")

    @classmethod
    def read(cls, path: Path) -> ConfiguredBoxKeys:
        """Those of a keys file; raises ``ao.keyfile.KeyFileError`` as well."""
        return cls(load(path))

    def syn(self, source: End, destination: End, isn: int, key_id: int) -> Iterator[Signature]:
        """The tuples with this KeyID, as the file's owner and as its peer has them."""
        for mkt, pair, owns in self._of(source, destination, key_id):
            yield _signature(mkt, (syn_send if owns else syn_receive)(mkt, pair, isn), isn)

    def other(self, source: End, destination: End, isns: Mapping[End, int], key_id: int) -> Iterator[Signature]:
        """None before both SYNs have been seen: the keys are made of their numbers."""
        if source not in isns or destination not in isns:
            return
        isn, other = isns[source], isns[destination]
        for mkt, pair, owns in self._of(source, destination, key_id):
            key = configured_key(mkt, pair, isn if owns else other, other if owns else isn)
            yield _signature(mkt, key.sign if owns else key.check, isn)

    def _of(self, source: End, destination: End, key_id: int) -> Iterator[tuple[Mkt, SocketPair, bool]]:
        """(tuple, ends as its owner has them, whether the owner is ``source``)."""
        for mkt in self._mkts:
            for owns in (True, False):
                local, remote = (source, destination) if owns else (destination, source)
                pair = SocketPair(*local, *remote)
                if (mkt.send_id if owns else mkt.recv_id) == key_id and mkt.matches(pair):
                    yield mkt, pair, owns


def _signature(mkt: Mkt, mac: SegmentMac, isn: int) -> Signature:
    return Signature(mac, mkt.option_mac_octets, isn, cover_options=mkt.cover_options)
