"""Segments made by scapy, whose checksums are its own, and boxes made of their text."""

from __future__ import annotations

import random
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from stack.box import Box, Direction
from tools.boxes.registry import make

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
CLIENT_PORT, SERVER_PORT = 50_000, 80
UNKNOWN = (253, b"\x0e\xd0\x01\x02")


def segment(
    text: bytes = b"",
    flags: str = "A",
    *,
    backward: bool = False,
    version: int = 4,
    **fields: Any,
) -> bytes:
    """A segment of the client's, or the server's; ``fields`` are scapy's of TCP."""
    source, destination = ENDS[version][::-1] if backward else ENDS[version]
    ports = (SERVER_PORT, CLIENT_PORT) if backward else (CLIENT_PORT, SERVER_PORT)
    ip = IP(src=source, dst=destination) if version == 4 else IPv6(src=source, dst=destination)
    packet = ip / TCP(sport=ports[0], dport=ports[1], flags=flags, **fields)
    return bytes(packet / Raw(text) if text else packet)


def dissected(packet: object) -> Any:
    """scapy's TCP layer of a packet whose lengths and checksums are right."""
    octets = bytes(packet)  # type: ignore[call-overload]
    layer = IP if octets[0] >> 4 == 4 else IPv6
    found = layer(octets)
    again = layer(octets)
    del again[TCP].chksum
    if layer is IP:
        del again.chksum, again.len
    else:
        del again.plen
    assert bytes(again) == octets, "a length or a checksum is wrong"
    return found


def through(made: Box, *packets: bytes, backward: bool = False, now: float = 0.0) -> list[Any]:
    """What leaves a box at once or later on the same way, dissected."""
    direction = Direction.BACKWARD if backward else Direction.FORWARD
    out = made.process(list(packets), direction, now)
    assert all(towards is direction for _, towards, _ in out)
    return [dissected(packet) for _, _, packet in out]


def named(text: str, seed: int = 1) -> Any:
    """A box by its text."""
    return make(text, random.Random(seed))
