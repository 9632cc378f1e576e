"""A peer that is played by hand, packet by packet, to see what it can make a stack hold."""

from __future__ import annotations

import struct

from stack.attempt import Attempt
from stack.batch import Batch
from stack.checksum import checksum, pseudo_header_sum
from stack.host import Stack
from stack.ip import Ip, IpTemplate, address_octets, parse
from stack.listener import Listener
from stack.run import ACK, SYN

_HEADER = struct.Struct("!HHIIBBHHH")
_SYN_OPTIONS = bytes((2, 4, 1460 >> 8, 1460 & 0xFF, 4, 2, 3, 3, 8, 1, 1, 1))
SERVER = "10.0.0.2"


class Flooder:
    """One connection of an attacker to port 80 of ``stack``; numbers are relative, 1 is the first octet.

    ``silent``: a SYN is all that comes.
    """

    def __init__(self, stack: Stack, number: int, now: float, *, window: int = 65535, silent: bool = False) -> None:
        self.stack = stack
        self.now = now
        self.address = address_octets(f"10.1.{number >> 8}.{number & 0xFF}")
        self.port = 1024 + number
        self.window = window
        self.iss = 1_000_000 * (number + 1) & 0xFFFFFFFF
        self.irs = 0
        self.acked = 1
        self.stands = False
        self.answers: list[bytes] = []
        self.send([self.segment(0, 0, flags=SYN, options=_SYN_OPTIONS)])
        for answer in self.answers:
            if answer[13] & (SYN | ACK) == SYN | ACK:
                self.irs = int.from_bytes(answer[4:8])
                self.stands = True
        if self.stands and not silent:
            self.send([self.segment(1, 1)])

    def segment(self, seq: int, ack: int, data: bytes = b"", *, flags: int = ACK, options: bytes = b"") -> bytes:
        """One packet of the attacker."""
        options += bytes((1,)) * (-len(options) % 4)
        header = bytearray(
            _HEADER.pack(
                self.port,
                80,
                (self.iss + seq) & 0xFFFFFFFF,
                (self.irs + ack) & 0xFFFFFFFF if flags & ACK else 0,
                (5 + len(options) // 4) << 4,
                flags,
                self.window,
                0,
                0,
            )
        )
        header += options
        target = address_octets(SERVER)
        size = len(header) + len(data)
        header[16:18] = checksum(header, data, initial=pseudo_header_sum(self.address, target, size)).to_bytes(2)
        return IpTemplate(self.address, target).header(size) + bytes(header) + data

    def send(self, packets: list[bytes]) -> None:
        """Have them arrive together; what is sent to the attacker is noted."""
        self.stack.receive(Batch(packets), self.now)
        for packet in self.stack.take_output(self.now).packets:
            ip = parse(packet)
            if isinstance(ip, Ip) and ip.destination == self.address:
                self.answers.append(bytes(ip.payload(packet)))

    @property
    def offered(self) -> int:
        """The right edge of the window that the stack has told, as a relative number."""
        edges = [
            (int.from_bytes(answer[8:12]) - self.iss & 0xFFFFFFFF) + (int.from_bytes(answer[14:16]) << 8)
            for answer in self.answers[-64:]
            if not answer[13] & SYN
        ]
        return max(edges, default=65536)


def accepted(listener: Listener) -> list[Attempt]:
    """The connections that wait, accepted by an application that does nothing else with them."""
    attempts = []
    while (attempt := listener.accept()) is not None:
        attempts.append(attempt)
    return attempts
