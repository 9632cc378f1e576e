"""What the device's headers say becomes what the batch says of each packet."""

from __future__ import annotations

import struct

from stack.batch import Checksum
from tun.offload import without_headers

# virtio 1.2 §5.1.6: flags NEEDS_CSUM 1, DATA_VALID 2; gso_type NONE 0, TCPV4 1, UDP 3, TCPV6 4, ECN 0x80.
U, F = Checksum.UNFINISHED, Checksum.FINISHED
CASES = [
    ((0, 0, 0), (F, 0)),
    ((1, 0, 0), (U, 0)),
    ((2, 0, 0), (U, 0)),
    ((1, 1, 1448), (U, 1448)),
    ((1, 4, 1428), (U, 1428)),
    ((1, 3, 1000), (U, 0)),
    ((1, 0x81, 1448), (U, 1448)),
]


def headed(flags: int, kind: int, size: int, packet: bytes) -> bytes:
    return struct.pack("=BBHHHH", flags, kind, 66, size, 20, 16) + packet


def test_each_packet_keeps_what_its_header_says() -> None:
    packets = [bytes([index]) * (100 if index % 2 else 60_000) for index in range(len(CASES))]
    batch = without_headers([headed(*case[0], packet) for case, packet in zip(CASES, packets, strict=True)])
    assert [bytes(packet) for packet in batch.packets] == packets
    assert batch.checksums == [state for _, (state, _) in CASES]
    assert batch.gso_sizes == [size for _, (_, size) in CASES]


def test_a_batch_of_finished_single_packets_says_nothing_more() -> None:
    batch = without_headers([headed(0, 0, 0, b"x" * 40)] * 3)
    assert (batch.checksums, batch.gso_sizes, list(batch.packets)) == (None, None, [b"x" * 40] * 3)
    assert len(without_headers([])) == 0
    batch = without_headers([headed(1, 0, 0, b"x" * 40)] * 3)
    assert (batch.checksums, batch.gso_sizes) == ([U] * 3, None)
