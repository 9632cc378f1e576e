"""NAT with port rewriting, and symmetric NAT: RFC 4787's and RFC 5382's words for how they map and filter."""

from __future__ import annotations

from random import Random
from typing import Final

from stack.batch import Octets
from stack.box import Direction, Emission
from stack.ip import address_octets

from .answers import refusal
from .base import SegmentBox, at_least, one_of
from .quoted import End, quoted_error, translated
from .registry import box
from .tcp import RST, SYN, Tcp

_FIRST_PORT: Final = 20_000
_PORTS: Final = 10_000
_TRIES: Final = 100
_UNKNOWN: Final = ("map", "drop", "reset")


class _Mapping:
    """An inside address and port, and what stands for it outside; ``last``: when it was last used, seconds."""

    __slots__ = ("inside", "key", "last", "outside")

    def __init__(self, key: tuple[End, End | None], outside: End, now: float) -> None:
        self.key = key
        self.inside = key[0]
        self.outside = outside
        self.last = now


class Nat(SegmentBox):
    """The client's address and port, and for each its own outside; what comes back is translated back.

    With endpoint-independent mapping (RFC 5382 §4.1) the outside is the same for all servers and what any of them
    sends is let in; ``symmetric``: each server has another, and only it is let in.
    """

    def __init__(
        self, random: Random, address: str, address6: str, expire: float, unknown: str, *, symmetric: bool
    ) -> None:
        super().__init__()
        at_least("expire", expire, 0.0)
        self._unknown = one_of("unknown", unknown, _UNKNOWN)
        self._random = random
        self._outside = {len(octets): octets for octets in map(address_octets, filter(None, (address, address6)))}
        for name, text, size in (("address", address, 4), ("address6", address6, 16)):
            if text and len(address_octets(text)) != size:
                raise ValueError(f"{name}: {text} is not of its family")
        self._expire = expire
        self._symmetric = symmetric
        self._by_inside: dict[tuple[End, End | None], _Mapping] = {}
        self._by_outside: dict[End, _Mapping] = {}

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment with the outside for the inside, or the other way."""
        if direction is Direction.BACKWARD:
            self._inward(tcp, now, out)
            return
        inside, server = (tcp.source, tcp.source_port), (tcp.destination, tcp.destination_port)
        key = (inside, server if self._symmetric else None)
        mapping = self._alive(self._by_inside.get(key), now)
        if mapping is None:
            if self._unknown != "map" and not tcp.flags & SYN:
                self.counts["unknown"] += 1
                if self._unknown == "reset" and not tcp.flags & RST:
                    out.append((now, Direction.BACKWARD, refusal(tcp)))
                return
            mapping = self._mapped(key, now)
            if mapping is None:
                self.counts["full"] += 1
                return
        mapping.last = now
        tcp.source, tcp.source_port = mapping.outside
        self.counts["translated"] += 1
        out.append((now, direction, tcp.octets()))

    def other(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append an ICMP error with what it quotes translated too, and other packets as they came."""
        error = quoted_error(packet)
        if error is None:
            out.append((now, direction, packet))
            return
        inward = direction is Direction.BACKWARD

        def swap(end: End) -> End:
            if inward:
                found = self._by_outside.get(end)
                return end if found is None else found.inside
            found = next((one for one in self._by_inside.values() if one.inside == end), None)
            return end if found is None else found.outside

        changed = translated(packet, swap, error)
        if changed is not None:
            self.counts["errors"] += 1
            out.append((now, direction, changed))

    def _inward(self, tcp: Tcp, now: float, out: list[Emission]) -> None:
        outside = (tcp.destination, tcp.destination_port)
        mapping = self._alive(self._by_outside.get(outside), now)
        if mapping is None or (self._symmetric and mapping.key[1] != (tcp.source, tcp.source_port)):
            self.counts["refused"] += 1
            return
        mapping.last = now
        tcp.destination, tcp.destination_port = mapping.inside
        self.counts["translated"] += 1
        out.append((now, Direction.BACKWARD, tcp.octets()))

    def _alive(self, mapping: _Mapping | None, now: float) -> _Mapping | None:
        if mapping is None or not self._expire or now - mapping.last <= self._expire:
            return mapping
        self.counts["expired"] += 1
        del self._by_inside[mapping.key]
        del self._by_outside[mapping.outside]
        return None

    def _mapped(self, key: tuple[End, End | None], now: float) -> _Mapping | None:
        address = self._outside.get(len(key[0][0]), key[0][0])
        for _ in range(_TRIES):
            outside = (address, _FIRST_PORT + self._random.randrange(_PORTS))
            if outside not in self._by_outside:
                mapping = self._by_inside[key] = self._by_outside[outside] = _Mapping(key, outside, now)
                self.counts["mapped"] += 1
                return mapping
        return None


@box(
    "nat", "rewrites the client's port, and its address where one is given (a NAT of endpoint-independent mapping)"
)
def nat(random: Random, *, address: str = "", address6: str = "", expire: float = 0.0, unknown: str = "map") -> Nat:
    """``expire``: seconds without traffic after which a mapping is forgotten (0: never); ``unknown``: what becomes
    of a segment but a SYN without a mapping: map, drop or reset.
    """
    return Nat(random, address, address6, expire, unknown, symmetric=False)


@box("symmetric-nat", "the same with another port for each server, and nothing else let in")
def symmetric_nat(
    random: Random, *, address: str = "", address6: str = "", expire: float = 0.0, unknown: str = "map"
) -> Nat:
    """The parameters are those of ``nat``."""
    return Nat(random, address, address6, expire, unknown, symmetric=True)
