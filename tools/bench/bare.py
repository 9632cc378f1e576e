"""The bare loop: the system calls, header packing, MAC and cipher calls of a transfer with no TCP around them.

It is the floor that the stack is measured against: two processes with a TUN each, segments of the stack's own
layouts one after the other, a window of 256 segments, an acknowledgment for each batch of at most 64 that was read.
Nothing is repeated, nothing is handed to an application, and what arrives is checked as far as a MAC needs it. It
stands in this one file, is never compiled, and makes its devices itself.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from hashlib import md5
from hmac import compare_digest
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from ao.macs import MACS

WINDOW: Final = 256
BATCH: Final = 64
# Segments of 64 KiB under way: beyond this they only leave the caches.
_LARGE_WINDOW: Final = 32
_LARGEST: Final = 65_535
# What a batch is read into, octets: as much as stays in a core's own cache.
_ROOM: Final = 1 << 19
_DEVICE: Final = "bare0"
_PORTS: Final = (40_000, 5_001)
_SECRET: Final = b"a secret that both ends have"
_MASK: Final = 0xFFFFFFFF
_ACK, _PSH_ACK, _FIN_ACK = 0x10, 0x18, 0x11
# How long a receiver waits for more, and a sender for an acknowledgment before it goes on without, seconds.
_SILENCE: Final = 1.0
_STALL: Final = 0.05

# linux/if_tun.h, linux/sockios.h, linux/virtio_net.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF: Final = 0x0001 | 0x1000  # IFF_TUN, IFF_NO_PI
_IFF_VNET_HDR: Final = 0x4000
_CSUM_AND_TSO4: Final = 0x01 | 0x02
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU, _SIOCSIFTXQLEN = 0x8914, 0x8916, 0x891C, 0x8922, 0x8943
_NEEDS_CSUM, _GSO_TCPV4 = 1, 1
_VNET: Final = struct.Struct("=BBHHHH")
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_NUMBERS: Final = struct.Struct("!II")
_SHORT: Final = struct.Struct("!H")

Seal = Callable[[int, int, Any, int], bytes]
Open = Callable[[memoryview], "tuple[int, int, bytes | memoryview] | None"]


def device(address: str, mtu: int) -> tuple[int, bool]:
    """Make a TUN with the kernel's ``address`` (/24) on it; its descriptor, and whether it has a virtio-net header.

    Raises OSError.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    name = _DEVICE.encode()
    vnet = True
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name, _IFF | _IFF_VNET_HDR))
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _CSUM_AND_TSO4)
    except OSError:
        # A kernel without it: packets as they are on a wire.
        vnet = False
        os.close(descriptor)
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name, _IFF))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        inet = struct.pack("16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(address))
        mask = struct.pack("16sHH4s16x", name, socket.AF_INET, 0, b"\xff\xff\xff\x00")
        fcntl.ioctl(one, _SIOCSIFMTU, struct.pack("16si20x", name, mtu))
        fcntl.ioctl(one, _SIOCSIFTXQLEN, struct.pack("16si20x", name, 10_000))
        fcntl.ioctl(one, _SIOCSIFADDR, inet)
        fcntl.ioctl(one, _SIOCSIFNETMASK, mask)
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh22x", name, 0x1 | 0x40))
    return descriptor, vnet


def options(protect: str, mac_octets: int) -> tuple[bytes, int]:
    """The option octets of each segment in a mode, as the stack lays them out, and where the MAC stands in them."""
    stamps = b"\x08\x0a" + bytes(8)
    if protect == "none":
        return b"\x01\x01" + stamps, -1
    if protect == "md5":
        return b"\x13\x12" + bytes(16) + stamps, 2
    ao = bytes((29, 4 + mac_octets, 1, 1)) + bytes(mac_octets)
    if not protect.endswith("-dh"):
        return ao + b"\x01\x01" + stamps, 4
    # EDO's short Extension (draft-ietf-tcpm-tcp-edo §4): the header's length in words.
    size = (20 + len(ao) + 10 + 2 + 6 + 2) // 4
    return ao + stamps + b"\x01\x01\xfe\x06\x0e\xd0" + size.to_bytes(2, "big") + b"\x01\x01", 4


def traffic_key(mac: str, source: bytes, destination: bytes) -> bytes:
    """The key of one direction: two addresses are context enough for a loop that has one connection."""
    return MACS[mac].traffic_key(_SECRET, source + destination)


def _cipher(source: bytes) -> Any:
    key = (source * 4)[:16]
    return Cipher(AES(key), CTR(bytes(16))).encryptor()


def _sum(octets: bytes | bytearray | memoryview) -> int:
    """The ones' complement sum of octets (RFC 1071), not inverted."""
    if len(octets) % 2:
        octets = bytes(octets) + b"\x00"
    return int.from_bytes(octets) % 0xFFFF


class Way:
    """One direction: how its segments are made, by ``seal``, and looked at, by ``open``.

    ``large`` is the payload of a segment that the kernel cuts into ones of ``room`` octets; 0: none is.
    """

    def __init__(
        self, source: str, destination: str, job: dict[str, Any], *, vnet: bool, forward: bool, payload: int = 0
    ) -> None:
        self.source, self.destination = socket.inet_aton(source), socket.inet_aton(destination)
        self.ports = _PORTS if forward else _PORTS[::-1]
        self.protect, self.mac = job["protect"], job["mac"]
        algorithm = MACS.get(self.mac)
        self.mac_octets = algorithm.mac_octets if algorithm is not None else 16
        self.options, self.mac_offset = options(self.protect, self.mac_octets)
        self.vnet = vnet
        self.header = 20 + len(self.options)
        self.room = job["mtu"] - 20 - self.header
        self.large = 0
        if vnet and payload and self.protect == "none":
            self.large = (_LARGEST - 20 - self.header) // self.room * self.room

    def _sign(self) -> Callable[[Any, Any, int], bytes]:
        """What computes the MAC over header (MAC and checksum zero) and payload of a segment of so many octets."""
        pseudo = self.source + self.destination + b"\x00\x06"
        if self.protect == "md5":

            def digest(header: Any, rest: Any, size: int) -> bytes:
                running = md5(b"".join((pseudo, size.to_bytes(2, "big"), header[:20])))
                running.update(rest)
                running.update(_SECRET)
                return running.digest()

            return digest
        key = traffic_key(self.mac, self.source, self.destination)
        base, octets = MACS[self.mac].prepare(key).context, self.mac_octets
        # What stays the same from segment to segment while the length does.
        last = -1
        prefixed = base

        def tag(header: Any, rest: Any, size: int) -> bytes:
            nonlocal last, prefixed
            if size != last:
                prefixed = base.copy()
                prefixed.update(b"".join((bytes(4), pseudo, size.to_bytes(2, "big"))))
                last = size
            running = prefixed.copy()
            running.update(header)
            if rest:
                running.update(rest)
            return running.finalize()[:octets]

        return tag

    def seal(self) -> Seal:
        """What makes the packet of (sequence number, acknowledgment, payload, flags)."""
        source_port, destination_port = self.ports
        vnet, room, size, protect = self.vnet, self.room, self.header, self.protect
        option_octets, mac_at = self.options, 20 + self.mac_offset
        encrypt = _cipher(self.source).update if "enc" in protect else None
        sign = self._sign() if protect != "none" else None
        pseudo = _sum(self.source + self.destination) + 6
        pack, join = _TCP.pack, b"".join
        before: dict[int, bytes] = {}

        def prefix(length: int) -> bytes:
            """What stands before the TCP header of so many octets in all."""
            ip = _IP.pack(0x45, 0, 20 + length, 0, 0x4000, 64, 6, 0, self.source, self.destination)
            ip = ip[:10] + _SHORT.pack(0xFFFF - _sum(ip)) + ip[12:]
            cut = length - size > room
            how = (_GSO_TCPV4, 20 + size, room) if cut else (0, 0, 0)
            before[length] = (_VNET.pack(_NEEDS_CSUM, *how, 20, 16) if vnet else b"") + ip
            return before[length]

        def seal(seq: int, ack: int, payload: Any, flags: int) -> bytes:
            if encrypt is not None and payload:
                payload = encrypt(payload)
            header = bytearray(
                pack(source_port, destination_port, seq & _MASK, ack & _MASK, size << 2, flags, 0xFFFF, 0, 0)
            )
            header += option_octets
            length = size + len(payload)
            if sign is not None:
                tag = sign(header, payload, length)
                header[mac_at : mac_at + len(tag)] = tag
            total = (pseudo + length) % 0xFFFF
            if not vnet:
                total = 0xFFFF - (total + _sum(header) + _sum(payload)) % 0xFFFF
            _SHORT.pack_into(header, 16, total)
            return join((before.get(length) or prefix(length), header, payload))

        return seal

    def open(self) -> Open:
        """What gives (sequence number, acknowledgment, octets) of a packet; None: not of this way, or a bad MAC."""
        offset = 10 + 20 if self.vnet else 20
        source_port, destination_port = self.ports
        size, protect, vnet = self.header, self.protect, self.vnet
        mac_at, mac_octets = 20 + self.mac_offset, self.mac_octets
        decrypt = _cipher(self.source).update if "enc" in protect else None
        sign = self._sign() if protect != "none" else None
        pseudo = _sum(self.source + self.destination) + 6
        fixed = struct.Struct("!HHII").unpack_from
        # Of a header, all but the checksum and, from where it stands, the MAC.
        split = struct.Struct(f"16s2x{max(mac_at - 18, 0)}s{mac_octets}s").unpack_from
        zero, digest = bytes(mac_octets), protect == "md5"

        def open_(packet: memoryview) -> tuple[int, int, bytes | memoryview] | None:
            if len(packet) < offset + size:
                return None
            source, destination, seq, ack = fixed(packet, offset)
            if source != source_port or destination != destination_port:
                return None
            tcp = packet[offset:]
            octets: bytes | memoryview = tcp[size:]
            if not vnet and (pseudo + len(tcp) + _sum(tcp)) % 0xFFFF:
                return None
            if sign is not None:
                begins, between, mac = split(tcp)
                if digest:
                    header, rest = b"".join((begins, b"\x00\x00", between[:2])), octets
                else:
                    header, rest = b"".join((begins, b"\x00\x00", between, zero, tcp[mac_at + mac_octets :])), b""
                if not compare_digest(sign(header, rest, len(tcp)), mac):
                    return None
            if decrypt is not None and octets:
                octets = decrypt(octets)
            return seq, ack, octets

        return open_


def room() -> memoryview:
    """The memory into which a batch is read: packets one behind the other, and used again."""
    return memoryview(bytearray(_ROOM + _LARGEST + 10))


def _flags(packet: memoryview, vnet: bool) -> int:
    return packet[43 if vnet else 33]


def send(job: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Send for the job's seconds."""
    descriptor, vnet = device(job["host"], job["mtu"])
    own, peer = job["own"].partition("/")[0], job["address"]
    way = Way(own, peer, job, vnet=vnet, forward=True, payload=1)
    seal, open_ = way.seal(), Way(peer, own, job, vnet=vnet, forward=False).open()
    count = way.large or way.room
    window = count * (_LARGE_WINDOW if way.large else WINDOW)
    payload = memoryview(bytes(range(256)) * (count // 256 + 1))[:count]
    waits = select.poll()
    waits.register(descriptor, select.POLLIN)
    read, write, batch, memory = os.readv, os.write, range(BATCH), room()
    position = acked = 0
    stalls = 0
    began = time.monotonic()
    end, most, cpu = began + job["seconds"], job["octets"], time.process_time()
    while position < most if most else time.monotonic() < end:
        for _number in batch:
            if position - acked >= window:
                break
            write(descriptor, seal(position, 0, payload, _ACK))
            position += count
        if position - acked >= window and not waits.poll(1000 * _STALL):
            # What was lost stays so.
            stalls += 1
            acked = position
        try:
            while True:
                found = open_(memory[: read(descriptor, (memory,))])
                if found is not None:
                    acked = max(acked, position - ((position - found[1]) & _MASK))
        except BlockingIOError:
            pass
    write(descriptor, seal(position, 0, b"", _FIN_ACK))
    seconds = time.monotonic() - began
    os.close(descriptor)
    return {"octets": position, "seconds": seconds, "cpu": time.process_time() - cpu, "dropped": stalls}


def receive(job: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Receive until the sender says that it has ended, or is silent."""
    descriptor, vnet = device(job["host"], job["mtu"])
    own, peer = job["own"].partition("/")[0], job["peer"]
    open_ = Way(peer, own, job, vnet=vnet, forward=True, payload=1).open()
    seal = Way(own, peer, job, vnet=vnet, forward=False).seal()
    ready()
    waits = select.poll()
    waits.register(descriptor, select.POLLIN)
    read, write, batch, memory = os.readv, os.write, range(BATCH), room()
    octets = number = missing = 0
    began = last = cpu = 0.0
    over = False
    while not over:
        if not waits.poll(1000 * _SILENCE) and began:
            break
        end, at = -1, 0
        try:
            for _number in batch:
                stop = at + read(descriptor, (memory[at:],))
                packet = memory[at:stop]
                at = stop + 63 & ~63 if stop < _ROOM else 0
                found = open_(packet)
                if found is None:
                    continue
                seq, _, data = found
                if seq != number & _MASK:
                    missing += 1
                    number = seq
                number += len(data)
                octets += len(data)
                end = number
                if not data and _flags(packet, vnet) & 1:
                    over = True
        except BlockingIOError:
            pass
        if end >= 0:
            write(descriptor, seal(0, end, b"", _ACK))
            if not over:
                last = time.monotonic()
            if not began:
                # As at every receiver, what the first read brought does not count.
                began, cpu, octets = last, time.process_time(), 0
    os.close(descriptor)
    return {
        "octets": octets,
        "seconds": last - began,
        "cpu": time.process_time() - cpu,
        "dropped": missing,
    }
