"""Connection identifiers: which socket pairs a configured key is for (RFC 5925 §3.1), and keys by their peers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, Protocol, TypeVar

from .traffic_keys import SocketPair

Network = IPv4Network | IPv6Network

_MOST_PORT = 65535


class KeyFault(ValueError):
    """A configured key that cannot be; ``field`` names the part at fault."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field


class Identified(Protocol):
    """What is for some connections: networks, None for any address; ports 1-65535, None for any."""

    @property
    def peer(self) -> Network | None:
        """The peer's addresses."""

    @property
    def peer_port(self) -> int | None:
        """The peer's port."""

    @property
    def local(self) -> Network | None:
        """Our addresses."""

    @property
    def local_port(self) -> int | None:
        """Our port."""


def check(key: Identified) -> None:
    """Raise KeyFault where ports are none or the two networks are of different families."""
    for name, port in (("peer_port", key.peer_port), ("local_port", key.local_port)):
        if port is not None and not 1 <= port <= _MOST_PORT:
            raise KeyFault(name, f"{port} is not in 1-{_MOST_PORT}")
    if key.peer is not None and key.local is not None and key.peer.version != key.local.version:
        raise KeyFault("local", "the address family is not the peer's")


def matches(key: Identified, pair: SocketPair) -> bool:
    """Whether ``pair`` is one of the key's."""
    return (
        (key.peer_port is None or key.peer_port == pair.remote_port)
        and (key.local_port is None or key.local_port == pair.local_port)
        and _holds(key.peer, pair.remote)
        and _holds(key.local, pair.local)
    )


def _holds(network: Network | None, address: bytes) -> bool:
    if network is None:
        return True
    if network.max_prefixlen != 8 * len(address):
        return False
    shift = network.max_prefixlen - network.prefixlen
    return int.from_bytes(address, "big") >> shift == int(network.network_address) >> shift


def narrowness(key: Identified) -> tuple[int, bool, int, bool]:
    """How narrow a connection identifier is: by peer, peer port, local address, local port."""
    return (
        -1 if key.peer is None else key.peer.prefixlen,
        key.peer_port is not None,
        -1 if key.local is None else key.local.prefixlen,
        key.local_port is not None,
    )


_Key = TypeVar("_Key", bound=Identified)


class ByPeer(Generic[_Key]):
    """Keys by their peers, the narrowest first: one look-up for each prefix length in use."""

    __slots__ = ("_networks",)

    def __init__(self, keys: Iterable[_Key]) -> None:
        # Those for any peer stand under -1.
        self._networks: dict[tuple[int, int], dict[int, list[_Key]]] = {}
        for key in sorted(keys, key=narrowness, reverse=True):
            peer = key.peer
            bits, prefix = (0, -1) if peer is None else (peer.max_prefixlen, peer.prefixlen)
            number = 0 if peer is None else int(peer.network_address) >> (bits - prefix)
            self._networks.setdefault((bits, prefix), {}).setdefault(number, []).append(key)

    def holding(self, peer: int, bits: int, longest: int = 128) -> Iterator[_Key]:
        """Yield the keys whose peer is a prefix, of at most ``longest`` bits, of an address of ``bits`` bits."""
        for (of_bits, prefix), networks in self._networks.items():
            if of_bits == 0:
                yield from networks[0]
            elif of_bits == bits and prefix <= longest:
                yield from networks.get(peer >> (bits - prefix), ())

    def matching(self, pair: SocketPair) -> Iterator[_Key]:
        """Yield the keys of ``pair``, the narrowest first."""
        for key in self.holding(int.from_bytes(pair.remote, "big"), 8 * len(pair.remote)):
            if matches(key, pair):
                yield key
