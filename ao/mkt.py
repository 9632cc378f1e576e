"""Master key tuples and their table (RFC 5925 §3.1, §3.2; RFC 6978 §3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from .cipher import CIPHERS_BY_NAME
from .identifier import ByPeer, KeyFault, Network, check, matches, narrowness
from .lifetime import ALWAYS, Lifetime
from .macs import MACS, MacAlgorithm
from .traffic_keys import SocketPair

_MOST_ID = 255


class Nat(StrEnum):
    """Which side's address and port count as zero (RFC 6978 §3)."""

    none = "none"
    local = "local"
    remote = "remote"
    both = "both"


class MktConflict(ValueError):
    """Two tuples that share an id though one connection may belong to both (RFC 5925 §3.1).

    ``one`` and ``other`` are the tuples, ``field`` is ``recv_id`` or ``send_id``.
    """

    def __init__(self, one: Mkt, other: Mkt, field: str, key_id: int) -> None:
        super().__init__(f"keys {one.name!r} and {other.name!r}: the same {field} {key_id} for one peer")
        self.one = one
        self.other = other
        self.field = field


@dataclass(frozen=True, slots=True)
class Mkt:
    """One master key tuple.

    ``peer`` and ``local`` are networks, None for any; ports 1-65535, None for any. ``send_id`` goes into the KeyID
    of what is sent, ``recv_id`` is the KeyID of what is accepted, 0-255. ``secret`` is the master key, 1 octet or
    more. ``mac`` names an algorithm of ``ao.macs``, ``mac_octets`` its length in the option (None: the
    algorithm's own), ``encrypt`` a cipher of ``ao.cipher`` or None, ``lifetime`` when it serves. Raises KeyFault.
    """

    name: str
    send_id: int
    recv_id: int
    secret: bytes = field(repr=False)
    peer: Network | None = None
    peer_port: int | None = None
    local: Network | None = None
    local_port: int | None = None
    mac: str = "aes-128-cmac-96"
    mac_octets: int | None = None
    cover_options: bool = True
    encrypt: str | None = None
    nat: Nat = Nat.none
    lifetime: Lifetime = ALWAYS

    def __post_init__(self) -> None:
        for name, key_id in (("send_id", self.send_id), ("recv_id", self.recv_id)):
            if not 0 <= key_id <= _MOST_ID:
                raise KeyFault(name, f"{key_id} is not in 0-{_MOST_ID}")
        check(self)
        if not self.secret:
            raise KeyFault("secret", "the key is empty")
        if self.mac not in MACS:
            raise KeyFault("mac", f"{self.mac!r} is not one of {', '.join(MACS)}")
        lengths = MACS[self.mac].lengths
        if self.mac_octets is not None and self.mac_octets not in lengths:
            allowed = f"{lengths[0]}" if len(lengths) == 1 else f"in {lengths[0]}-{lengths[-1]}"
            raise KeyFault("mac_octets", f"{self.mac_octets} is not {allowed}, as {self.mac} has it")
        if self.encrypt is not None and self.encrypt not in CIPHERS_BY_NAME:
            raise KeyFault("encrypt", f"{self.encrypt!r} is not one of {', '.join(CIPHERS_BY_NAME)}")
        # Two peers with one key and one pair of ISNs would share a keystream (profile.md §9).
        one_peer = self.peer is not None and self.peer.num_addresses == 1
        if self.encrypt is not None and self.zero_remote and not one_peer:
            raise KeyFault("nat", f"{self.nat.value!r} with encryption needs one peer, not a prefix")

    @property
    def algorithm(self) -> MacAlgorithm:
        """The MAC algorithm."""
        return MACS[self.mac]

    @property
    def option_mac_octets(self) -> int:
        """Length of the MAC in the option, octets."""
        return self.algorithm.mac_octets if self.mac_octets is None else self.mac_octets

    @property
    def zero_local(self) -> bool:
        """Whether the local address and port count as zero."""
        return self.nat in (Nat.local, Nat.both)

    @property
    def zero_remote(self) -> bool:
        """Whether the remote address and port count as zero."""
        return self.nat in (Nat.remote, Nat.both)

    def matches(self, pair: SocketPair) -> bool:
        """Whether the connection identifier holds ``pair``."""
        return matches(self, pair)

    def overlaps(self, other: Mkt) -> bool:
        """Whether some socket pair belongs to both."""
        return (
            _ports_overlap(self.peer_port, other.peer_port)
            and _ports_overlap(self.local_port, other.local_port)
            and _networks_overlap(self.peer, other.peer)
            and _networks_overlap(self.local, other.local)
            and len({network.version for network in (self.peer, self.local, other.peer, other.local) if network})
            < 2
        )


def _ports_overlap(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


def _networks_overlap(one: Network | None, other: Network | None) -> bool:
    return one is None or other is None or one.overlaps(other)


class MktTable:
    """The configured keys of a host, which may be added and removed while connections use them (RFC 5925 §3.1).

    Where several match a connection, the one to send under is the narrowest that serves now, of equals the one that
    began to serve last, and of these the first: the choice never depends on a segment's options (RFC 5925 §3.1).
    ``at`` is the moment that lifetimes are held against, seconds since 1970; whoever has a clock moves it on.
    Raises MktConflict.
    """

    __slots__ = ("_by_peer", "_encrypt", "_mkts", "at")

    def __init__(self, mkts: Iterable[Mkt], *, at: float = 0.0) -> None:
        self.at = at
        self._encrypt: bool | None = None
        self._set(mkts)

    def _set(self, mkts: Iterable[Mkt]) -> None:
        ordered = tuple(sorted(mkts, key=narrowness, reverse=True))
        self._mkts = ordered
        self._by_peer = ByPeer(ordered)
        for mkt in ordered:
            self._refuse_conflicts(mkt)

    def demand_encryption(self, encrypt: bool) -> None:
        """From now on every key has a cipher, or none has; raises ValueError, naming one that is otherwise.

        Whether a connection encrypts does not change while it lives (draft-touch-tcp-ao-encrypt §3).
        """
        if self._encrypt is not encrypt:
            for mkt in self._mkts:
                _refuse_other_encryption(mkt, encrypt)
            self._encrypt = encrypt

    def add(self, mkt: Mkt) -> None:
        """Take one more key; raises MktConflict, or ValueError for its cipher, and then nothing has changed."""
        if self._encrypt is not None:
            _refuse_other_encryption(mkt, self._encrypt)
        before = (self._mkts, self._by_peer)
        try:
            self._set((*self._mkts, mkt))
        except MktConflict:
            self._mkts, self._by_peer = before
            raise

    def remove(self, mkt: Mkt) -> None:
        """Forget a key; raises KeyError where it is not here."""
        if mkt not in self._mkts:
            raise KeyError(mkt.name)
        self._set(other for other in self._mkts if other != mkt)

    @property
    def next_change(self) -> float:
        """When a key begins or ceases to serve after ``at``, seconds since 1970; infinite for never."""
        return min((mkt.lifetime.next_change(self.at) for mkt in self._mkts), default=math.inf)

    def _refuse_conflicts(self, mkt: Mkt) -> None:
        """Compare with the tuples whose peers hold this one's; those that it holds do it from their side."""
        if mkt.peer is None:
            near = self._by_peer.holding(0, 0)
        else:
            near = self._by_peer.holding(int(mkt.peer.network_address), mkt.peer.max_prefixlen, mkt.peer.prefixlen)
        for other in near:
            if other is not mkt:
                for kind in ("recv_id", "send_id"):
                    if getattr(mkt, kind) == getattr(other, kind) and mkt.overlaps(other):
                        raise MktConflict(other, mkt, kind, getattr(mkt, kind))

    def __len__(self) -> int:
        return len(self._mkts)

    def __iter__(self) -> Iterator[Mkt]:
        return iter(self._mkts)

    def matching(self, pair: SocketPair) -> Iterator[Mkt]:
        """Yield the tuples whose connection identifier holds ``pair``, the narrowest first."""
        yield from self._by_peer.matching(pair)

    def outgoing(self, pair: SocketPair) -> Mkt | None:
        """Return the tuple to begin sending under; None where none may be sent under now."""
        best = None
        for mkt in self.matching(pair):
            if best is not None and narrowness(mkt) != narrowness(best):
                break
            serves = mkt.lifetime.sends(self.at)
            if serves and (best is None or mkt.lifetime.send_from > best.lifetime.send_from):
                best = mkt
        return best

    def incoming(self, pair: SocketPair, key_id: int) -> Mkt | None:
        """Return the one tuple whose RecvID is the ``key_id`` (0-255) of a segment received on ``pair``."""
        for mkt in self.matching(pair):
            if mkt.recv_id == key_id and mkt.lifetime.accepts(self.at):
                return mkt
        return None

    def required(self, pair: SocketPair) -> bool:
        """Whether a segment without TCP-AO must be dropped (RFC 5925 §7.5), also while no key serves."""
        return next(self.matching(pair), None) is not None


def _refuse_other_encryption(mkt: Mkt, encrypt: bool) -> None:
    if encrypt != (mkt.encrypt is not None):
        fault = "does not encrypt, and ao-enc does" if encrypt else "encrypts, and only ao-enc does"
        raise ValueError(f"keys: key {mkt.name!r} {fault}")
