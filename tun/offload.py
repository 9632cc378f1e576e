"""The virtio-net header on a TUN: whether the kernel has it, what it may do, and reading batches that carry it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Sequence
from typing import Final

from stack.batch import Batch, Checksum, Octets
from stack.offload import DATA_VALID, GSO_TCPV4, GSO_TCPV6, HEADER, NEEDS_CSUM

IFF_VNET_HDR: Final = 0x4000
_TUNSETOFFLOAD: Final = 0x400454D0
_TUNSETVNETHDRSZ: Final = 0x400454D8
# TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6. Not TUN_F_TSO_ECN: whether CWR then stands on the first of the segments or, as
# accurate ECN has it, on all, depends on the kernel's version, so it shall cut those itself.
_FEATURES: Final = 0x01 | 0x02 | 0x04
_SEGMENTED: Final = (GSO_TCPV4, GSO_TCPV6)
# Beside the kind: CWR is set. It is not asked for, and would do no harm: what has CWR is cut again.
_ECN: Final = 0x80
_SIZE: Final = HEADER.size
# The longest packet with its header, octets, and what a batch holds: a quarter of what a core's own cache has.
_LONGEST: Final = 65_535 + 40 + _SIZE
_ROOM: Final = 1 << 19
# A packet up to this size is rather copied once more than looked at through a view.
_COPIED: Final = 4096


def use(descriptor: int, *, on: bool) -> bool:
    """Have the kernel leave checksums unfinished and segments uncut, or not; whether it does so now."""
    try:
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _FEATURES if on else 0)
    except OSError:
        return False
    return on


class Reader:
    """Reads packets with their headers, of ten octets, without the count of merged buffers that virtio 1 adds.

    Raises OSError.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("i", _SIZE))
        self._descriptor = descriptor

    def read(self, limit: int, packets: list[bytes]) -> None:
        """Append what waits to ``packets``: at most ``limit`` packets, and little more than half a MiB."""
        descriptor = self._descriptor
        read = os.read
        left = _ROOM
        for _ in range(limit):
            # Memory for the longest packet, of which the rest is given back, costs less than views of one's own.
            octets = read(descriptor, _LONGEST)
            packets.append(octets)
            left -= len(octets)
            if left <= 0:
                return


def without_headers(packets: Sequence[bytes]) -> Batch:
    """The batch that packets with headers make."""
    count = len(packets)
    found: list[Octets] = [
        packet[_SIZE:] if len(packet) < _COPIED else memoryview(packet)[_SIZE:] for packet in packets
    ]
    heads = [packet[:_SIZE] for packet in packets]
    if count and heads.count(heads[0]) == count:
        # All the same, as they mostly are: one is looked at.
        state, size = _read(heads[0])
        states, sizes = [state] * count, [size] * count
    else:
        read = [_read(head) for head in heads]
        states, sizes = [state for state, _ in read], [size for _, size in read]
    finished = states.count(Checksum.FINISHED) == count
    return Batch(found, None if finished else states, sizes if any(sizes) else None)


def _read(head: bytes) -> tuple[Checksum, int]:
    """The state of a packet's checksum, and the payload octets of each segment that it stands for (0: one)."""
    flags, kind, _, size, _, _ = HEADER.unpack(head)
    # Unfinished: it never left this machine, or who received it has checked it.
    state = Checksum.UNFINISHED if flags & (NEEDS_CSUM | DATA_VALID) else Checksum.FINISHED
    return state, size if kind & ~_ECN in _SEGMENTED else 0
