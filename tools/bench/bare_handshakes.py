"""The bare loop of handshakes: their packets, MACs, key derivations and x25519, with no TCP around them.

There are as many segments as the stack sends, of about the same length: SYN, SYN-ACK and ACK, each with a MAC under
configured keys; under agreed ones a segment with a share beside the SYN, a share in the SYN-ACK, and an
acknowledgment each way that has a MAC and a report's octets. Whoever accepts sends the reset that ends it. Of a
connection nothing is kept but its keys.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from socket import inet_aton
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from ao.kdf import hkdf_expand, hkdf_extract
from ao.macs import MACS
from ao.traffic_keys import context

from .bare import BATCH, device, room

_UNDER_WAY: Final = 64
_PORT: Final = 5001
_FIRST, _LAST = 10_000, 60_000
_SECRET: Final = b"a secret that both ends have"
# An acceptor is done when for so long nothing has come; an opener begins anew when nothing comes back, seconds.
_SILENCE: Final = 0.5
_STALL: Final = 0.1
# How long after its time is over either waits for the first, seconds.
_PATIENCE: Final = 5.0
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_ISN, _PEER_ISN = 0x01020304, 0x05060708
_VNET: Final = struct.pack("=BBHHHH", 1, 0, 0, 0, 20, 16)
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_SHORT: Final = struct.Struct("!H")
# MSS, SACK permitted, timestamps, NOP, window scale; and what a segment that is none of a handshake's has.
_SYN_OPTIONS: Final = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"
_OPTIONS: Final = b"\x01\x01\x08\x0a" + bytes(8)
# Octets of a message beside its share, and of a report.
_MESSAGE: Final = bytes(40)
_REPORT: Final = bytes(60)


class Keys:
    """The MACs of both directions of one connection: ``out`` is ours, ``into`` the peer's."""

    __slots__ = ("into", "out")

    def __init__(self, mac: str, master: bytes, ends: tuple[bytes, int, bytes, int], isns: tuple[int, int]) -> None:
        algorithm = MACS[mac]
        source, source_port, destination, destination_port = ends
        ours = context(source, source_port, destination, destination_port, *isns)
        theirs = context(destination, destination_port, source, source_port, *isns[::-1])
        self.out = algorithm.prepare(algorithm.traffic_key(master, ours)).context
        self.into = algorithm.prepare(algorithm.traffic_key(master, theirs)).context


class Side:
    """One end: what it sends, and what it makes of what it gets."""

    def __init__(self, own: str, peer: str, protect: str, mac: str, *, vnet: bool) -> None:
        self.own, self.peer = inet_aton(own), inet_aton(peer)
        self.protect, self.mac = protect, mac
        self.vnet = vnet
        self.offset = 30 if vnet else 20
        self.octets = MACS[mac].mac_octets if mac else 0
        self.pseudo = (int.from_bytes(self.own + self.peer) + 6) % 0xFFFF

    def keys(self, port: int, *, opens: bool, secret: bytes | None = None) -> Keys:
        """The keys of the connection of an opener's ``port``; ``secret`` is what was agreed on."""
        isns = (_ISN, _PEER_ISN) if opens else (_PEER_ISN, _ISN)
        ports = (port, _PORT) if opens else (_PORT, port)
        ends = (self.own, ports[0], self.peer, ports[1])
        if secret is None:
            # The SYN has a key of its own, for which there is no other ISN yet.
            Keys(self.mac, _SECRET, ends, (isns[0], 0))
            return Keys(self.mac, _SECRET, ends, isns)
        prk = hkdf_extract(sha256(_MESSAGE).digest(), secret)
        master, encryption, _chain, _session = (hkdf_expand(prk, bytes((kind,)), 32) for kind in range(4))
        for direction in (b"a", b"b"):
            octets = hkdf_expand(encryption, direction, 24)
            Cipher(AES(octets[:16]), CTR(octets[16:] + bytes(8))).encryptor()
        return Keys(self.mac, master, ends, isns)

    def packet(self, ports: tuple[int, int], flags: int, payload: bytes, keys: Keys | None) -> bytes:
        """A packet to the peer; with ``keys`` it has a MAC."""
        options = _SYN_OPTIONS if flags & _SYN else _OPTIONS
        if keys is not None:
            options = bytes((29, 4 + self.octets, 1, 1)) + bytes(self.octets) + options
        size = 20 + len(options)
        length = size + len(payload)
        header = bytearray(_TCP.pack(*ports, _ISN, _PEER_ISN, size << 2, flags, 0xFFFF, 0, 0)) + options
        if keys is not None:
            running = keys.out.copy()
            running.update(self._pseudo(length, out=True))
            running.update(header)
            running.update(payload)
            header[24 : 24 + self.octets] = running.finalize()[: self.octets]
        total = (self.pseudo + length) % 0xFFFF
        if not self.vnet:
            total = 0xFFFF - (total + int.from_bytes(header) + _summed(payload)) % 0xFFFF
        _SHORT.pack_into(header, 16, total)
        ip = _IP.pack(0x45, 0, 20 + length, 0, 0x4000, 64, 6, 0, self.own, self.peer)
        ip = ip[:10] + _SHORT.pack(0xFFFF - int.from_bytes(ip) % 0xFFFF) + ip[12:]
        return b"".join((_VNET if self.vnet else b"", ip, header, payload))

    def good(self, tcp: memoryview, keys: Keys) -> bool:
        """Whether the MAC of what has come is right."""
        stop = 24 + self.octets
        running = keys.into.copy()
        running.update(self._pseudo(len(tcp), out=False))
        running.update(b"".join((tcp[:16], b"\x00\x00", tcp[18:24], bytes(self.octets), tcp[stop:])))
        return compare_digest(running.finalize()[: self.octets], tcp[24:stop])

    def _pseudo(self, length: int, *, out: bool) -> bytes:
        ends = self.own + self.peer if out else self.peer + self.own
        return b"".join((bytes(4), ends, b"\x00\x06", length.to_bytes(2, "big")))


def _summed(octets: bytes) -> int:
    return int.from_bytes(octets + b"\x00" if len(octets) % 2 else octets)


def _share(payload: memoryview) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(bytes(payload[:32]))


class Opener(Side):
    """The end that opens: ``begin`` and ``take`` return the packets to be sent."""

    def __init__(self, own: str, peer: str, protect: str, mac: str, *, vnet: bool) -> None:
        super().__init__(own, peer, protect, mac, vnet=vnet)
        self._keys: dict[int, Keys | None] = {}
        self._private: dict[int, X25519PrivateKey] = {}
        self._next = _FIRST
        self.done = 0

    def begin(self) -> list[bytes]:
        """Begin a connection."""
        port = self._next
        self._next = port + 1 if port < _LAST else _FIRST
        ports = (port, _PORT)
        keys = self._keys[port] = self.keys(port, opens=True) if self.protect == "ao" else None
        packets = [self.packet(ports, _SYN, b"", keys)]
        if self.protect == "ao-enc-dh":
            private = self._private[port] = X25519PrivateKey.generate()
            packets.append(self.packet(ports, _SYN, private.public_key().public_bytes_raw() + _MESSAGE, None))
        return packets

    def take(self, packet: memoryview) -> list[bytes]:
        """Take what has come."""
        tcp = packet[self.offset :]
        port, flags = int.from_bytes(tcp[2:4]), tcp[13]
        if port not in self._keys:
            return []
        keys = self._keys[port]
        private = self._private.get(port)
        if flags & _SYN:
            if private is not None:
                secret = private.exchange(_share(tcp[tcp[12] >> 4 << 2 :]))
                keys = self._keys[port] = self.keys(port, opens=True, secret=secret)
            elif keys is not None and not self.good(tcp, keys):
                return []
            packets = [self.packet((port, _PORT), _ACK, b"", keys)]
            if private is not None:
                packets.append(self.packet((port, _PORT), _ACK, _REPORT, keys))
            return packets
        if keys is not None and not self.good(tcp, keys):
            return []
        if flags & _RST:
            del self._keys[port]
            self._private.pop(port, None)
            self.done += 1
            return self.begin()
        return []


class Acceptor(Side):
    """The end that accepts: ``take`` returns the packets to be sent."""

    def __init__(self, own: str, peer: str, protect: str, mac: str, *, vnet: bool) -> None:
        super().__init__(own, peer, protect, mac, vnet=vnet)
        self._keys: dict[int, Keys | None] = {}
        self.done = 0

    def take(self, packet: memoryview) -> list[bytes]:
        """Take what has come."""
        tcp = packet[self.offset :]
        if int.from_bytes(tcp[2:4]) != _PORT:
            return []
        port, flags = int.from_bytes(tcp[:2]), tcp[13]
        ports = (_PORT, port)
        if flags & _SYN:
            return self._syn(tcp, ports)
        if port not in self._keys:
            return []
        keys = self._keys[port]
        if keys is not None and not self.good(tcp, keys):
            return []
        if self.protect == "ao-enc-dh" and len(tcp) == tcp[12] >> 4 << 2:
            # The peer's report is still to come.
            return [self.packet(ports, _ACK, _REPORT, keys)]
        del self._keys[port]
        self.done += 1
        return [self.packet(ports, _RST | _ACK, b"", keys)]

    def _syn(self, tcp: memoryview, ports: tuple[int, int]) -> list[bytes]:
        port = ports[1]
        if self.protect == "ao-enc-dh":
            payload = tcp[tcp[12] >> 4 << 2 :]
            if not payload:
                # Its share comes beside it.
                return []
            private = X25519PrivateKey.generate()
            secret = private.exchange(_share(payload))
            self._keys[port] = self.keys(port, opens=False, secret=secret)
            answer = private.public_key().public_bytes_raw() + _MESSAGE
            return [self.packet(ports, _SYN | _ACK, answer, None)]
        keys = self.keys(port, opens=False) if self.protect == "ao" else None
        if keys is not None and not self.good(tcp, keys):
            return []
        self._keys[port] = keys
        return [self.packet(ports, _SYN | _ACK, b"", keys)]


def _exchange(descriptor: int, side: Opener | Acceptor, memory: memoryview) -> bool:
    """Take a batch and send what it draws; whether there was any."""
    some = False
    try:
        for _ in range(BATCH):
            octets = os.readv(descriptor, (memory,))
            some = True
            if octets >= side.offset + 20:
                for answer in side.take(memory[:octets]):
                    os.write(descriptor, answer)
    except BlockingIOError:
        pass
    return some


def open_(job: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Open connections for the job's seconds."""
    descriptor, vnet = device(job["host"], job["mtu"])
    own = job["own"].partition("/")[0]
    side = Opener(own, job["address"], job["protect"], job["mac"], vnet=vnet)
    waits, memory = select.poll(), room()
    waits.register(descriptor, select.POLLIN)
    end, cpu = time.monotonic() + job["seconds"], time.process_time()
    lost = 0

    def begin() -> None:
        for _number in range(_UNDER_WAY):
            for packet in side.begin():
                os.write(descriptor, packet)

    begin()
    while (now := time.monotonic()) < end or (not side.done and now < end + _PATIENCE):
        if not waits.poll(1000 * _STALL):
            lost += 1
            begin()
        _exchange(descriptor, side, memory)
    os.close(descriptor)
    return {"handshakes": side.done, "cpu": time.process_time() - cpu, "failed": 0, "dropped": lost}


def accept(job: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Accept connections until nobody comes any more."""
    descriptor, vnet = device(job["host"], job["mtu"])
    own = job["own"].partition("/")[0]
    side = Acceptor(own, job["peer"], job["protect"], job["mac"], vnet=vnet)
    waits, memory = select.poll(), room()
    waits.register(descriptor, select.POLLIN)
    began = last = time.process_time()
    ready()
    latest = time.monotonic() + job["seconds"] + _PATIENCE
    while waits.poll(1000 * _SILENCE) or (not side.done and time.monotonic() < latest):
        if _exchange(descriptor, side, memory):
            last = time.process_time()
    os.close(descriptor)
    return {"handshakes": side.done, "cpu": last - began, "failed": 0, "dropped": 0}
