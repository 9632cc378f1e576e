"""One way to compute a segment's MAC, and whether it gives the MAC that the segment has."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from ao.auth import SegmentMac
from ao.macs import MacAlgorithm
from ao.mkt import Mkt
from ao.traffic_keys import context
from edo.codepoints import DEFAULT
from stack.protection import kept_spans

from .packets import Packet


@dataclass(frozen=True, slots=True)
class Trial:
    """What a MAC depends on, apart from the segment (RFC 5925 §5.1, §5.2; RFC 6978 §3).

    ISNs and SNE are 32 bits; ``source`` is the end that sent the segment.
    """

    secret: bytes = field(repr=False)
    algorithm: MacAlgorithm
    mac_octets: int
    cover_options: bool
    zero_source: bool
    zero_destination: bool
    source_isn: int
    destination_isn: int
    sne: int

    def traffic_key(self, packet: Packet) -> bytes:
        """The traffic key of the segment's direction."""
        segment = packet.segment
        octets = context(
            segment.source,
            segment.source_port,
            segment.destination,
            segment.destination_port,
            self.source_isn,
            self.destination_isn,
            zero_source=self.zero_source,
            zero_destination=self.zero_destination,
        )
        return self.algorithm.traffic_key(self.secret, octets)

    def verifies(self, packet: Packet) -> bool:
        """Whether the segment has this MAC."""
        place = packet.ao
        if place is None or place[1] != self.mac_octets + 4:
            return False
        segment = packet.segment
        mac = _keyed(
            self.algorithm,
            self.traffic_key(packet),
            self.mac_octets,
            segment.source,
            segment.destination,
            self.cover_options,
            self.zero_source,
            self.zero_destination,
        )
        keep = () if self.cover_options else kept_spans(segment, *place, DEFAULT)
        return mac.verify(self.sne, segment.tcp, segment.data_offset, place[0], keep)


@lru_cache(maxsize=256)
def _keyed(
    algorithm: MacAlgorithm,
    traffic_key: bytes,
    mac_octets: int,
    source: bytes,
    destination: bytes,
    cover_options: bool,
    zero_source: bool,
    zero_destination: bool,
) -> SegmentMac:
    """The MAC of one direction, prepared once for all of a connection's segments."""
    return SegmentMac(
        algorithm.prepare(traffic_key, mac_octets),
        mac_octets,
        source,
        destination,
        cover_options=cover_options,
        zero_source=zero_source,
        zero_destination=zero_destination,
    )


def trial_of(mkt: Mkt, sent: bool, source_isn: int, destination_isn: int, sne: int) -> Trial:
    """The right way under a key: ``sent`` if the key's own host sent the segment, else it received it."""
    zero = (mkt.zero_local, mkt.zero_remote)
    return Trial(
        mkt.secret,
        mkt.algorithm,
        mkt.option_mac_octets,
        mkt.cover_options,
        zero[0] if sent else zero[1],
        zero[1] if sent else zero[0],
        source_isn,
        destination_isn,
        sne,
    )
