"""Whose a packet is where several processes share a device: the ports of its connection say so."""

from __future__ import annotations

import struct
from typing import Final

from stack.batch import Batch, Checksum, Octets
from stack.ip import ICMP, ICMPV6, TCP, IpDrop, parse, walk_extensions
from stack.offload import GSO_NONE, GSO_TCPV4, HEADER, NEEDS_CSUM
from stack.reassembly import Reassembler

_PORTS: Final = struct.Struct("!HH")
_FRAGMENT_BITS: Final = 0x3FFF
# Errors of ICMP that quote a packet: what is unreachable, quench, redirect, time exceeded, parameter problem.
_ERRORS_V4: Final = (3, 4, 5, 11, 12)
_ERRORS_V6: Final = 128  # Errors have less.
_QUOTE: Final = 8
_FINISHED: Final = HEADER.pack(0, GSO_NONE, 0, 0, 0, 0)


class Fragment:
    """What ``ports_of`` says of a fragment: who it is for is not known before the packet is whole."""


FRAGMENT: Final = Fragment()


def ports_of(packet: Octets) -> int | Fragment | None:
    """The exclusive or of both ports of the connection that a packet, or what it quotes, belongs to; None: of none.

    It is the same for both directions. Never raises on any octets.
    """
    size = len(packet)
    if size < 20:
        return None
    if packet[0] >> 4 == 4:
        at = (packet[0] & 15) << 2
        if (packet[6] << 8 | packet[7]) & _FRAGMENT_BITS:
            return FRAGMENT
        protocol = packet[9]
        if protocol == ICMP and size > at + _QUOTE and packet[at] in _ERRORS_V4:
            return _quoted(packet[at + _QUOTE :])
    elif packet[0] >> 4 == 6 and size >= 40:
        found = walk_extensions(packet, packet[6], size)
        if isinstance(found, IpDrop):
            return FRAGMENT if found is IpDrop.FRAGMENT else None
        protocol, at = found
        if protocol == ICMPV6 and size > at + _QUOTE and packet[at] < _ERRORS_V6:
            return _quoted(packet[at + _QUOTE :])
    else:
        return None
    if protocol != TCP or size < at + 4:
        return None
    source, destination = _PORTS.unpack_from(packet, at)
    return int(source ^ destination)


def _quoted(quote: Octets) -> int | None:
    size = len(quote)
    if size >= 24 and quote[0] >> 4 == 4:
        protocol, at = quote[9], (quote[0] & 15) << 2
    elif size >= 44 and quote[0] >> 4 == 6:
        found = walk_extensions(quote, quote[6], size)
        if isinstance(found, IpDrop):
            return None
        protocol, at = found
    else:
        return None
    if protocol != TCP or size < at + 4:
        return None
    source, destination = _PORTS.unpack_from(quote, at)
    return int(source ^ destination)


class Sorter:
    """Tells the packets of process ``own`` (0 to ``count`` - 1) from others', and puts fragments together.

    Packets of no connection stay with whoever has read them. Times are seconds of one clock.
    """

    def __init__(self, own: int, count: int) -> None:
        self._own = own
        self._count = count
        self._fragments = Reassembler()

    def sort(self, batch: Batch, now: float) -> tuple[Batch, list[tuple[int, bytes]]]:
        """Our own packets, and the others with their process, each copied behind a header (``stack.offload``)."""
        own, count = self._own, self._count
        states, sizes = batch.checksums, batch.gso_sizes
        self._fragments.expire(now)
        mine: list[int] = []
        whole: list[bytes] = []
        others: list[tuple[int, bytes]] = []
        for index, packet in enumerate(batch.packets):
            ports = ports_of(packet)
            if isinstance(ports, int):
                owner = ports % count
                if owner != own:
                    state = Checksum.FINISHED if states is None else states[index]
                    others.append((owner, _header(state, 0 if sizes is None else sizes[index]) + packet))
                    continue
            elif ports is FRAGMENT and parse(packet) is IpDrop.FRAGMENT:
                # The header was found sound: what is put together gets another checksum.
                taken = self._fragments.take(packet, now)
                if not isinstance(taken, bytes):
                    continue
                ports = ports_of(taken)
                if isinstance(ports, int) and ports % count != own:
                    others.append((ports % count, _FINISHED + taken))
                else:
                    whole.append(taken)
                continue
            mine.append(index)
        if len(mine) == len(batch):
            return batch, others
        packets: list[Octets] = [*(batch.packets[index] for index in mine), *whole]
        more = len(whole)
        return (
            Batch(
                packets,
                None if states is None else [states[index] for index in mine] + [Checksum.FINISHED] * more,
                None if sizes is None else [sizes[index] for index in mine] + [0] * more,
            ),
            others,
        )


def _header(state: Checksum, size: int) -> bytes:
    if size:
        return HEADER.pack(NEEDS_CSUM, GSO_TCPV4, 0, size, 0, 0)
    return _FINISHED if state is not Checksum.UNFINISHED else HEADER.pack(NEEDS_CSUM, GSO_NONE, 0, 0, 0, 0)
