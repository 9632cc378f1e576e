"""Two stacks in virtual time whose devices finish and cut, or do not: what crosses the wire is the same."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from stack.attempt import Attempt
from stack.batch import Batch, Checksum, Octets
from stack.config import TcpConfig
from stack.host import Stack
from stack.listener import Listener
from stack.offload import FIRST_OF_IP, HEADER, cut, finished
from stack.security import Security

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
LATENCY = 0.01


def on_wire(packet: Octets) -> list[Octets]:
    """Return the finished packets that a packet of a stack stands for, as the device would send them."""
    if packet[0] >= FIRST_OF_IP:
        return [packet]
    _, kind, _, size, start, offset = HEADER.unpack_from(packet)
    octets = memoryview(packet)[HEADER.size :]
    return list(cut(octets, start, size)) if kind else [finished(octets, start, offset)]


def start_of_tcp(packet: Octets) -> int:
    """Where TCP's header begins."""
    return 40 if packet[0] >> 4 == 6 else (packet[0] & 15) << 2


def normal(packet: Octets) -> bytes:
    """A packet without what cutting may change: IPv4's identification and checksum, and which zero a sum has."""
    octets = bytearray(packet)
    at = start_of_tcp(packet) + 16
    if octets[0] >> 4 == 4:
        octets[4:6] = octets[10:12] = bytes(2)
    if octets[at : at + 2] == b"\xff\xff":
        octets[at : at + 2] = bytes(2)
    return bytes(octets)


class _Parts:
    """A packet's headers, without what may differ between neighbours that are put together, and its payload."""

    def __init__(self, packet: bytes) -> None:
        at = start_of_tcp(packet)
        behind = at + (packet[at + 12] >> 4 << 2)
        self.at, self.packet = at, packet
        self.flags = packet[at + 13]
        self.seq = int.from_bytes(packet[at + 4 : at + 8], "big")
        self.header, self.payload = packet[:behind], packet[behind:]
        ip = packet[:2] + packet[8:10] + packet[12:20] if at == 20 else packet[:4] + packet[6:40]
        tcp = packet[at : at + 4] + packet[at + 8 : at + 13] + packet[at + 14 : at + 16] + packet[at + 18 : behind]
        self.like = ip + tcp


def join(packets: list[bytes], chance: random.Random) -> Batch:
    """Put neighbours together as a kernel does (GRO), some of them."""
    groups: list[list[_Parts]] = []
    for packet in packets:
        parts = _Parts(packet)
        last = groups[-1] if groups else []
        octets = sum(len(one.payload) for one in last)
        if (
            last
            and chance.random() < 0.97
            and parts.like == last[0].like
            and 0 < len(parts.payload) <= len(last[0].payload) == len(last[-1].payload)
            and not last[-1].flags & 0xEF
            and not parts.flags & 0xE6
            and parts.seq == last[0].seq + octets & 0xFFFFFFFF
            and octets + len(packet) < 65536
        ):
            last.append(parts)
        else:
            groups.append([parts])
    found: list[Octets] = []
    sizes: list[int] = []
    for group in groups:
        head = bytearray(group[0].header)
        at = group[0].at
        octets = sum(len(one.payload) for one in group)
        length = len(head) - at + octets
        head[at + 13] = group[-1].flags
        if len(group) > 1:
            head[at + 16 : at + 18] = _partial(group[0], length)
            if at == 20:
                head[2:4] = (at + length).to_bytes(2, "big")
                head[10:12] = bytes(2)
                total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
                head[10:12] = (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
            else:
                head[4:6] = length.to_bytes(2, "big")
        found.append(b"".join([bytes(head), *(one.payload for one in group)]))
        sizes.append(len(group[0].payload) if len(group) > 1 else 0)
    return Batch(found, [Checksum.UNFINISHED if size else Checksum.FINISHED for size in sizes], sizes)


def _partial(parts: _Parts, length: int) -> bytes:
    """The pseudo-header's sum."""
    addresses = parts.packet[12:20] if parts.at == 20 else parts.packet[8:40]
    total = sum(int.from_bytes(addresses[i : i + 2], "big") for i in range(0, len(addresses), 2)) + 6 + length
    return (total % 0xFFFF or 0xFFFF).to_bytes(2, "big")


class Pair:
    """A client and a server; with ``offload`` their devices cut what they send and join what they get.

    Their devices then use the memory of a batch again, as soon as it is done.

    ``fate`` decides for each packet on the wire, by its number: None loses it, else it is late by so much.
    """

    def __init__(
        self,
        seed: int,
        *,
        offload: bool,
        version: int,
        config: TcpConfig,
        fate: Callable[[int], float | None],
        security: tuple[Security, Security] = (Security(), Security()),
    ) -> None:
        source = random.Random(seed)
        self.stacks = [Stack(ENDS[version][:1], random=source.randbytes, config=config)]
        self.stacks.append(Stack(ENDS[version][1:], random=source.randbytes, config=config))
        for stack in self.stacks:
            stack.offload = offload
        self.offload = offload
        self.joining = random.Random(seed)
        self.fate = fate
        self.now = 100.0
        self.wire: list[tuple[int, int, bytes]] = []
        self.largest = 0
        self.together = 0
        self._flying: list[tuple[float, int, int, bytes]] = []
        self.listener: Listener = self.stacks[1].listen(80, security=security[1])
        self.client: Attempt = self.stacks[0].connect(
            (ENDS[version][1], 80), security=security[0], now=self.now, local_port=4000
        )
        self.server: Attempt | None = None
        self.told: list[list[str]] = [[], []]
        self.got = [bytearray(), bytearray()]

    def step(self) -> None:
        """Send what is to be sent, then let 5 ms pass with all that happens in them."""
        self.flush()
        until = self.now + 0.005
        while True:
            times = [one.next_deadline for one in self.stacks] + [self._flying[0][0] if self._flying else None]
            due = min((when for when in times if when is not None), default=until)
            if due >= until:
                break
            self.now = max(self.now, due)
            for side in (0, 1):
                self._deliver(side)
                self.stacks[side].advance(self.now)
            self.flush()
        self.now = until

    def _deliver(self, side: int) -> None:
        packets = []
        while self._flying and self._flying[0][0] <= self.now and self._flying[0][2] == side:
            packets.append(heapq.heappop(self._flying)[3])
        if packets:
            if not self.offload:
                self.stacks[side].receive(Batch(packets), self.now)
                return
            batch = join(packets, self.joining)
            self.together += len(packets) - len(batch)
            memory = [bytearray(packet) for packet in batch.packets]
            batch.packets = list(map(memoryview, memory))
            self.stacks[side].receive(batch, self.now)
            for one in memory:
                one[:] = b"\xee" * len(one)

    def flush(self) -> None:
        """Put on the wire what there is, and tell what happened."""
        self.server = self.server or self.listener.accept()
        for side, stack in enumerate(self.stacks):
            for packet in stack.take_output(self.now).packets:
                self.largest = max(self.largest, len(packet))
                for octets in on_wire(packet):
                    fate = self.fate(len(self.wire))
                    self.wire.append((round(self.now * 1e6), side, normal(octets)))
                    if fate is not None:
                        arrives = self.now + LATENCY + fate
                        heapq.heappush(self._flying, (arrives, len(self.wire), 1 - side, bytes(octets)))
        for side, end in enumerate((self.client, self.server)):
            while end is not None and (event := end.next_event()) is not None:
                name = type(event).__name__
                if self.told[side][-1:] != [name]:
                    self.told[side].append(name)

    def read(self, side: int, limit: int) -> None:
        """The application of one side reads."""
        end = self.server if side else self.client
        if end is not None:
            self.got[side] += end.read(limit)
