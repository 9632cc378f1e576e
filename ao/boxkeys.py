"""Keys for a box on the path that takes part: it may verify and sign segments, and cannot read their payload.

A file of such keys has a line for each direction of each generation of a connection. What stands there are traffic
keys of the MAC (RFC 5925 §5.2), the last step of the key schedule (profile.md §7): nothing leads from one back to
``ao``, and nothing from ``ao`` to ``enc``, under whose keys the payload is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from .auth import SegmentMac
from .ends import endpoint
from .keylog import End, KeyLogError, LoggedKeys, read_end, read_number, read_row, read_secret
from .macs import MACS, by_number
from .messages import Flag
from .schedule import Schedule
from .traffic_keys import context

_FIELDS: Final = ("from", "to", "isn_from", "isn_to", "key_id", "mac", "nat", "cover_options", "key")


@dataclass(frozen=True, slots=True)
class BoxKey:
    """What signs the segments from ``source`` to ``destination`` that have KeyID ``key_id`` (0-255).

    Ends are (address of 4 or 16 octets, port) and ISNs have 32 bits, as the end that wrote the line saw them.
    ``mac`` names an algorithm of ``ao.macs``. With ``nat`` addresses and ports count as zero (profile.md §9);
    without ``cover_options`` options stay outside the MAC. ``key`` is the traffic key, as long as the algorithm has
    it.
    """

    source: End
    destination: End
    source_isn: int
    destination_isn: int
    key_id: int
    mac: str
    nat: bool
    cover_options: bool
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, logged: LoggedKeys) -> tuple[BoxKey, BoxKey]:
        """The keys of one generation, of segments of A and of B. Raises ValueError for a MAC that is not known."""
        algorithm = by_number(logged.suite.mac)
        if algorithm is None:
            raise ValueError(f"suite {logged.suite.mac} is not available")
        master = Schedule(logged.prk).ao
        nat = bool(logged.flags & Flag.NAT)
        cover_options = not logged.flags & Flag.OPTIONS_OUTSIDE
        a, b = (logged.a, logged.isn_a), (logged.b, logged.isn_b)

        def one(source: tuple[End, int], destination: tuple[End, int]) -> BoxKey:
            (one, isn), (other, other_isn) = source, destination
            of_direction = context(*one, *other, isn, other_isn, zero_source=nat, zero_destination=nat)
            key = algorithm.traffic_key(master, of_direction)
            return cls(
                one, other, isn, other_isn, logged.generation & 0xFF, algorithm.name, nat, cover_options, key
            )

        return one(a, b), one(b, a)

    def line(self) -> str:
        """The line, without its end."""
        row = {
            "from": endpoint(*self.source),
            "to": endpoint(*self.destination),
            "isn_from": self.source_isn,
            "isn_to": self.destination_isn,
            "key_id": self.key_id,
            "mac": self.mac,
            "nat": self.nat,
            "cover_options": self.cover_options,
            "key": self.key.hex(),
        }
        return json.dumps(row)

    @classmethod
    def parse(cls, text: str) -> BoxKey:
        """Read a line; raises KeyLogError."""
        row = read_row(text, _FIELDS)
        mac = row["mac"]
        if not isinstance(mac, str) or mac not in MACS or MACS[mac].number is None:
            raise KeyLogError(f"'mac' is {str(mac)[:60]!r}, which is not known")
        for name in ("nat", "cover_options"):
            if type(row[name]) is not bool:
                raise KeyLogError(f"{name!r} is neither true nor false")
        source, destination = read_end(row, "from"), read_end(row, "to")
        if len(source[0]) != len(destination[0]):
            raise KeyLogError("'from' and 'to' are of two families")
        return cls(
            source,
            destination,
            read_number(row, "isn_from", 1 << 32),
            read_number(row, "isn_to", 1 << 32),
            read_number(row, "key_id", 256),
            mac,
            row["nat"],
            row["cover_options"],
            read_secret(row, "key", MACS[mac].key_octets),
        )

    @property
    def mac_octets(self) -> int:
        """Length of the MAC in the option, octets."""
        return MACS[self.mac].mac_octets

    def signer(self, source: bytes, destination: bytes) -> SegmentMac:
        """What signs and verifies segments between these addresses, which a NAT may have made others."""
        return SegmentMac(
            MACS[self.mac].prepare(self.key),
            self.mac_octets,
            source,
            destination,
            cover_options=self.cover_options,
            zero_source=self.nat,
            zero_destination=self.nat,
        )
