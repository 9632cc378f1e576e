"""The bare loop with the kernel's TCP at the other end: as much of TCP as the kernel needs to go on, and no more.

It answers or sends a SYN, then takes segments as they come and acknowledges each batch, or sends as long as the
peer's window is open. Nothing is protected, so segments of up to 64 KiB pass where the TUN has a virtio-net header.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any, Final

from ..programs import ProgramError
from .bare import BATCH, Way, device, room

_LARGEST: Final = 65_535
_SCALE: Final = 10
# A port for each process: the kernel may still know the connection of the one before.
_FIRST_PORT, _PORTS = 20_000, 40_000
_SYN, _FIN, _ACK = 0x02, 0x01, 0x10
_MASK: Final = 0xFFFFFFFF
_OUR_ISN: Final = 1000
# How long is waited for a SYN, its answer, or anything at all before what was lost is sent again; milliseconds.
_PATIENCE: Final = 10_000.0
_STALL: Final = 50.0
_MOST_UNDER_WAY: Final = 32 * 65_536
_MOST_AHEAD: Final = 1 << 31


class _Link:
    """The device, what waits for it, and the packets that come."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.descriptor, self.vnet = device(job["host"], job["mtu"])
        self.job = job
        self.memory = room()
        self.at = 30 if self.vnet else 20
        self._waits = select.poll()
        self._waits.register(self.descriptor, select.POLLIN)

    def wait(self, patience: float) -> bool:
        """Whether something comes within so many milliseconds."""
        return bool(self._waits.poll(patience))

    def read(self) -> memoryview | None:
        """The next packet, valid until the next call; None where none waits."""
        try:
            return self.memory[: os.readv(self.descriptor, (self.memory,))]
        except BlockingIOError:
            return None

    def ways(self, own: str, peer: str, ports: tuple[int, int]) -> tuple[Way, Way, Way]:
        """What is sent, what comes, and a SYN that is sent, with its own options: MSS, timestamps, window scale."""
        out, syn = (Way(own, peer, self.job, vnet=self.vnet, forward=True, payload=1) for _ in range(2))
        into = Way(peer, own, self.job, vnet=self.vnet, forward=True, payload=1)
        out.ports = syn.ports = ports
        into.ports = ports[::-1]
        mss = self.job["mtu"] - 40
        syn.options = b"\x02\x04" + mss.to_bytes(2, "big") + b"\x08\x0a" + bytes(8) + bytes((1, 3, 3, _SCALE))
        syn.options += b"\x01\x01"
        syn.header = 20 + len(syn.options)
        return out, into, syn

    def syn(self, flags: int) -> tuple[memoryview, int]:
        """The TCP header and options of the segment with these flags that comes, and its sequence number."""
        end = time.monotonic() + _PATIENCE / 1000
        while time.monotonic() < end:
            self.wait(_PATIENCE)
            packet = self.read()
            # An IPv6 router solicitation comes out of a new TUN unasked.
            if packet is not None and len(packet) >= self.at + 20 and packet[self.at + 13] == flags:
                tcp = packet[self.at :]
                return tcp, int.from_bytes(tcp[4:8])
        raise ProgramError("no SYN has come")


def receive(job: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Take what the kernel sends, from its first connection's SYN to its FIN."""
    link = _Link(job)
    own = job["own"].partition("/")[0]
    ready()
    tcp, isn = link.syn(_SYN)
    out, into, syn = link.ways(own, job["peer"], (job["port"], int.from_bytes(tcp[:2])))
    seal, open_ = out.seal(), into.open()
    os.write(link.descriptor, syn.seal()(_OUR_ISN, isn + 1, b"", _SYN | _ACK))
    number, octets, missing = isn + 1, 0, 0
    began = last = cpu = 0.0
    over = False
    while not over:
        if not link.wait(_PATIENCE):
            raise ProgramError("the kernel has fallen silent")
        before = number
        for _ in range(BATCH):
            packet = link.read()
            if packet is None:
                break
            found = open_(packet)
            if found is None:
                continue
            data = len(found[2])
            if found[0] != number & _MASK:
                # It will come again, since it is not acknowledged.
                missing += data > 0
                continue
            number += data
            octets += data
            over = bool(packet[link.at + 13] & _FIN)
        if over or number != before:
            flags = _ACK | _FIN if over else _ACK
            os.write(link.descriptor, seal(_OUR_ISN + 1, number + over, b"", flags))
        if number != before:
            last = time.monotonic()
            if not began:
                began, cpu, octets = last, time.process_time(), 0
    used = time.process_time() - cpu
    os.close(link.descriptor)
    return {"octets": octets, "seconds": last - began, "cpu": used, "dropped": missing}


def send(job: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Send to the kernel for the job's seconds, and a FIN when all is acknowledged."""
    link = _Link(job)
    own = job["own"].partition("/")[0]
    out, into, syn = link.ways(own, job["address"], (_FIRST_PORT + os.getpid() % _PORTS, job["port"]))
    seal, open_ = out.seal(), into.open()
    os.write(link.descriptor, syn.seal()(_OUR_ISN, 0, b"", _SYN))
    tcp, isn = link.syn(_SYN | _ACK)
    scale = _window_scale(bytes(tcp[20 : tcp[12] >> 4 << 2]))
    ack = isn + 1
    count = out.large or out.room
    payload = memoryview(bytes(range(256)) * (count // 256 + 1))[:count]
    position = acked = _OUR_ISN + 1
    window = int.from_bytes(tcp[14:16])
    os.write(link.descriptor, seal(position, ack, b"", _ACK))
    began = time.monotonic()
    end, most, cpu, stalls = began + job["seconds"], job["octets"], time.process_time(), 0
    write, descriptor = os.write, link.descriptor
    sending = True
    while sending or acked < position:
        sending = position < most if most else time.monotonic() < end
        room_left = acked + min(window, _MOST_UNDER_WAY) - position
        while sending and room_left >= count:
            write(descriptor, seal(position, ack, payload, _ACK))
            position += count
            room_left -= count
        if not link.wait(_STALL) and position > acked:
            # What was lost comes again, and everything behind it.
            stalls += 1
            position = acked
        while (packet := link.read()) is not None:
            found = open_(packet)
            if found is not None:
                ahead = (found[1] - acked) & _MASK
                # After what was sent again it may have been there already.
                acked += ahead if ahead <= _MOST_AHEAD else 0
                position = max(position, acked)
                window = int.from_bytes(packet[link.at + 14 : link.at + 16]) << scale
    write(descriptor, seal(position, ack, b"", _FIN | _ACK))
    result = {"octets": position - _OUR_ISN - 1, "seconds": time.monotonic() - began}
    used = time.process_time() - cpu
    # The device stays until the kernel has taken the FIN.
    link.wait(_STALL)
    os.close(descriptor)
    return {**result, "cpu": used, "dropped": stalls}


def _window_scale(options: bytes) -> int:
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 3:
            return options[at + 2]
        at += 1 if options[at] == 1 else options[at + 1]
    return 0
