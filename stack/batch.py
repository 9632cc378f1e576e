"""Batch: what passes between a device and the stack, a list of IP packets."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

Octets = bytes | bytearray | memoryview


class Checksum(IntEnum):
    """State of a packet's transport checksum."""

    FINISHED = 0
    UNFINISHED = 1
    BAD = 2


class Batch:
    """IP packets that arrived, or leave, together.

    ``checksums`` and ``gso_sizes`` (octets of payload of each segment on the wire, 0 for a single one) stand beside
    ``packets`` that arrived, index by index; None means that every checksum is finished, resp. that every packet is
    one segment. Packets that leave tell of this themselves (``stack.offload``). A packet's memory is valid until
    the batch is done: who keeps octets copies them.
    """

    __slots__ = ("checksums", "gso_sizes", "packets")

    def __init__(
        self,
        packets: Sequence[Octets],
        checksums: Sequence[Checksum] | None = None,
        gso_sizes: Sequence[int] | None = None,
    ) -> None:
        self.packets = packets
        self.checksums = checksums
        self.gso_sizes = gso_sizes

    def __len__(self) -> int:
        return len(self.packets)
