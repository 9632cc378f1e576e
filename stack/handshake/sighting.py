"""What was sent and seen of a handshake's clear SYN and SYN-ACK, for what authenticates them (profile.md §8)."""

from __future__ import annotations

from dataclasses import dataclass

from ..ip import Ip, parse
from ..segment import Segment


@dataclass(frozen=True, slots=True)
class Sighting:
    """A SYN or SYN-ACK as it left or came.

    ``source`` has 4 or 16 octets; ``ecn`` are the two bits of the IP header, ``ttl`` TTL or Hop Limit,
    ``window`` the 16-bit field, ``options`` the option octets inside Data Offset.
    """

    source: bytes
    source_port: int
    flags: int
    ecn: int
    ttl: int
    window: int
    options: bytes


def of_segment(segment: Segment) -> Sighting:
    """A segment as it came."""
    return Sighting(
        segment.source,
        segment.source_port,
        segment.flags,
        segment.ecn,
        segment.ttl,
        segment.window,
        bytes(segment.tcp[20 : segment.data_offset]),
    )


def of_packet(packet: bytes) -> Sighting:
    """A packet of our own as it leaves."""
    ip = parse(packet)
    assert isinstance(ip, Ip)
    tcp = ip.payload(packet)
    return of_segment(Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, tcp))
