"""What every MAC algorithm of TCP-AO provides (RFC 5925 §3.1, RFC 5926 §3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ..octets import Octets


class MacContext(Protocol):
    """A keyed MAC computation that has not ended; a copy goes on from the same state."""

    def copy(self) -> MacContext:
        """Return an independent computation in the same state."""

    def update(self, data: Octets, /) -> None:
        """Add octets to the input."""

    def finalize(self) -> bytes:
        """Return the whole MAC, not cut."""


class Mac:
    """A MAC algorithm with a traffic key, prepared once and copied for each message.

    ``context`` is the keyed computation with nothing added yet; ``octets`` is how many leftmost octets stand in
    the option (RFC 5926 §3.2).
    """

    __slots__ = ("context", "octets")

    def __init__(self, context: MacContext, octets: int) -> None:
        self.context = context
        self.octets = octets

    def tag(self, *parts: Octets) -> bytes:
        """Return the MAC over ``parts``, cut to its length in the option."""
        running = self.context.copy()
        for part in parts:
            running.update(part)
        return running.finalize()[: self.octets]


class Keyed:
    """A MAC algorithm with a traffic key, prepared whenever ``context`` is asked for; ``octets`` as in Mac."""

    __slots__ = ("_algorithm", "_traffic_key", "octets")

    def __init__(self, algorithm: MacAlgorithm, traffic_key: bytes, octets: int) -> None:
        self._algorithm = algorithm
        self._traffic_key = traffic_key
        self.octets = octets

    @property
    def context(self) -> MacContext:
        """A keyed computation with nothing added yet."""
        return self._algorithm.prepare(self._traffic_key, self.octets).context


class MacAlgorithm(ABC):
    """One MAC algorithm with its KDF.

    ``name`` is the name of the user interface; ``number`` the suite octet (profile.md §7), None where the
    algorithm serves configured keys only; ``mac_octets`` the MAC's length in the option; ``key_octets`` the
    traffic key's length; ``lengths`` the lengths in octets to which a configured key may cut the MAC.
    """

    name: str
    number: int | None
    mac_octets: int
    key_octets: int
    lengths: range

    @abstractmethod
    def traffic_key(self, master: bytes, context: bytes) -> bytes:
        """Return the traffic key of ``key_octets`` octets (RFC 5926 §3.1)."""

    def condensed(self, master: bytes) -> bytes:
        """What of ``master`` ``traffic_key`` goes by, for who derives several keys: it gives the same of it."""
        return master

    @abstractmethod
    def prepare(self, traffic_key: bytes, mac_octets: int | None = None) -> Mac:
        """Return the MAC keyed with ``traffic_key``, cut to ``mac_octets`` (None: the algorithm's own length)."""
