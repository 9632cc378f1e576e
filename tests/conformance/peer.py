"""One stack whose peer is played by hand, with packets that scapy makes and reads."""

from __future__ import annotations

import random

from scapy.layers.inet import ICMP, IP, TCP, in4_chksum
from scapy.packet import Packet, Raw

from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack

US, THEM, ROUTER = "10.0.0.2", "10.0.0.9", "10.0.0.254"
ISN = 7000


class Peer:
    """``stack`` has two IPv4 addresses and one of IPv6; segments are of 10.0.0.9 port 999 to 10.0.0.2 port 80."""

    def __init__(self, config: TcpConfig | None = None, seed: int = 1) -> None:
        source = random.Random(seed)
        self.stack = Stack([f"{US}/24", "10.0.1.2/24", "fd00::2/64"], random=source.randbytes, config=config)
        self.now = 100.0
        self.ours, self.theirs = 80, 999
        self.seq, self.ack = ISN, 0

    def send(self, *packets: Packet) -> list[Packet]:
        """Packets arrive together; what the stack sends in answer."""
        self.stack.receive(Batch([bytes(packet) for packet in packets]), self.now)
        return self.take()

    def take(self) -> list[Packet]:
        """What the stack has to send."""
        return [IP(bytes(packet)) for packet in self.stack.take_output(self.now).packets]

    def wait(self, seconds: float) -> list[Packet]:
        """Let time pass; what is sent meanwhile."""
        end = self.now + seconds
        sent = self.take()
        while (at := self.stack.next_deadline) is not None and at <= end:
            self.now = max(self.now, at)
            self.stack.advance(self.now)
            sent += self.take()
        self.now = end
        return sent

    def segment(
        self,
        flags: str = "A",
        data: bytes = b"",
        *,
        options: object = (),
        urgent: int = 0,
        source: str = THEM,
        destination: str = US,
        window: int = 65535,
    ) -> Packet:
        """The peer's next segment; options as scapy has them, or as octets."""
        tcp = TCP(
            sport=self.theirs,
            dport=self.ours,
            seq=self.seq & 0xFFFFFFFF,
            ack=self.ack,
            flags=flags,
            window=window,
            urgptr=urgent,
        )
        if isinstance(options, bytes):
            octets = bytearray(bytes(tcp) + options + data)
            octets[12] = (5 + len(options) // 4) << 4
            ip = IP(src=source, dst=destination, proto=6)
            octets[16:18] = bytes(2)
            octets[16:18] = in4_chksum(6, ip, bytes(octets)).to_bytes(2)
            return ip / Raw(bytes(octets))
        tcp.options = list(options)  # type: ignore[call-overload]  # whatever scapy takes
        return IP(src=source, dst=destination) / tcp / Raw(data)

    def opened(self, options: object = (("MSS", 1460),)) -> Attempt:
        """A connection that the peer opened and the application accepted."""
        listener = self.stack.listen(80)
        (answer,) = self.send(self.segment("S", options=options))
        self.seq, self.ack = ISN + 1, answer[TCP].seq + 1
        stamps = [option for option in answer[TCP].options if option[0] == "Timestamp"]
        self.send(self.segment(options=[("Timestamp", (1500, stamps[0][1][0]))] if stamps else ()))
        attempt = listener.accept()
        assert attempt is not None
        return attempt

    def dialled(self, **more: object) -> tuple[Attempt, Packet]:
        """A connection that the application has begun, and its SYN."""
        attempt = self.stack.connect((THEM, 999), now=self.now, **more)  # type: ignore[arg-type]
        (syn,) = self.take()
        self.ours, self.ack = syn[TCP].sport, syn[TCP].seq + 1
        return attempt, syn


def icmp(kind: int, code: int, about: Packet) -> Packet:
    """An ICMP error of a router about a packet."""
    return IP(src=ROUTER, dst=US) / ICMP(type=kind, code=code) / Raw(bytes(about)[:28])
