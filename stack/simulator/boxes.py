"""The plain boxes: what an honest network does to packets.

Each acts on both directions unless ``only`` names one. Probabilities are 0-1, times in seconds, and every draw
comes from the ``random`` that is passed in.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import icmp
from ..batch import Octets
from ..box import Direction, Emission
from ..checksum import checksum, pseudo_header_sum
from ..ip import TCP, Ip, parse

if TYPE_CHECKING:
    from random import Random

_SHORT = struct.Struct("!H")
_CHECKSUM_AT = 16  # octets into the TCP header
_DONT_FRAGMENT = 0x40


class EachPacket:
    """A box that decides packet by packet and holds nothing back itself."""

    __slots__ = ("only",)
    next_deadline: float | None = None  # nothing waits in such a box

    def __init__(self, only: Direction | None = None) -> None:
        self.only = only

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let each packet meet ``one``, where the direction is this box's."""
        if self.only is not None and direction is not self.only:
            return [(now, direction, packet) for packet in packets]
        out: list[Emission] = []
        for packet in packets:
            self.one(packet, direction, now, out)
        return out

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append what becomes of one packet."""
        raise NotImplementedError


def _probability(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not {value}")
    return value


class Delay(EachPacket):
    """Each packet takes ``seconds`` and up to ``jitter`` more; packets of one direction keep their order."""

    __slots__ = ("_jitter", "_last", "_random", "_seconds")

    def __init__(
        self, seconds: float, jitter: float = 0.0, random: Random | None = None, *, only: Direction | None = None
    ) -> None:
        super().__init__(only)
        if seconds < 0 or jitter < 0:
            raise ValueError("a delay cannot be negative")
        if jitter and random is None:
            raise ValueError("jitter needs a random source")
        self._seconds = seconds
        self._jitter = jitter
        self._random = random
        self._last = [0.0, 0.0]

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet with the time of its arrival."""
        when = now + self._seconds
        if self._random is not None:
            when = max(when + self._jitter * self._random.random(), self._last[direction])
            self._last[direction] = when
        out.append((when, direction, packet))


class Gather(EachPacket):
    """What arrives within ``seconds`` goes on together at their end, as devices at high rates hand packets over."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: float, *, only: Direction | None = None) -> None:
        super().__init__(only)
        if seconds <= 0:
            raise ValueError("the time in which packets are gathered is above 0")
        self._seconds = seconds

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet with the end of the interval that it falls into."""
        out.append((math.ceil(now / self._seconds) * self._seconds, direction, packet))


class Loss(EachPacket):
    """Each packet is lost with ``probability``; ``lost`` counts them."""

    __slots__ = ("_probability", "_random", "lost")

    def __init__(self, probability: float, random: Random, *, only: Direction | None = None) -> None:
        super().__init__(only)
        self._probability = _probability(probability)
        self._random = random
        self.lost = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or count it as lost."""
        if self._random.random() < self._probability:
            self.lost += 1
        else:
            out.append((now, direction, packet))


class Filter(EachPacket):
    """Packets for which ``keep(packet, direction, now)`` is false are lost; ``lost`` counts them."""

    __slots__ = ("_keep", "lost")

    def __init__(self, keep: Callable[[Octets, Direction, float], bool], *, only: Direction | None = None) -> None:
        super().__init__(only)
        self._keep = keep
        self.lost = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or count it as lost."""
        if self._keep(packet, direction, now):
            out.append((now, direction, packet))
        else:
            self.lost += 1


class Tap(EachPacket):
    """Shows every packet to ``see(packet, direction, now)`` and changes nothing."""

    __slots__ = ("_see",)

    def __init__(self, see: Callable[[Octets, Direction, float], None], *, only: Direction | None = None) -> None:
        super().__init__(only)
        self._see = see

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet."""
        self._see(packet, direction, now)
        out.append((now, direction, packet))


class Reorder(EachPacket):
    """Each packet is held back for up to ``seconds`` with ``probability``, so later ones may overtake it."""

    __slots__ = ("_probability", "_random", "_seconds", "held")

    def __init__(
        self, probability: float, seconds: float, random: Random, *, only: Direction | None = None
    ) -> None:
        super().__init__(only)
        self._probability = _probability(probability)
        self._seconds = seconds
        self._random = random
        self.held = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, for later where it is held back."""
        if self._random.random() < self._probability:
            self.held += 1
            now += self._seconds * self._random.random()
        out.append((now, direction, packet))


class Duplicate(EachPacket):
    """Each packet arrives twice with ``probability``, the second time ``seconds`` later; ``copies`` counts."""

    __slots__ = ("_probability", "_random", "_seconds", "copies")

    def __init__(
        self, probability: float, random: Random, seconds: float = 0.0, *, only: Direction | None = None
    ) -> None:
        super().__init__(only)
        self._probability = _probability(probability)
        self._random = random
        self._seconds = seconds
        self.copies = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet once or twice."""
        out.append((now, direction, packet))
        if self._random.random() < self._probability:
            self.copies += 1
            out.append((now + self._seconds, direction, packet))


class Corrupt(EachPacket):
    """One bit of a TCP segment is flipped with ``probability``; ``corrupted`` counts.

    With ``repair`` the TCP checksum is made to fit again, so only a MAC can tell. ``payload_only`` spares the
    header; a segment without payload is then spared as well. What is not TCP passes unchanged.
    """

    __slots__ = ("_payload_only", "_probability", "_random", "_repair", "corrupted")

    def __init__(
        self,
        probability: float,
        random: Random,
        *,
        repair: bool = False,
        payload_only: bool = False,
        only: Direction | None = None,
    ) -> None:
        super().__init__(only)
        self._probability = _probability(probability)
        self._random = random
        self._repair = repair
        self._payload_only = payload_only
        self.corrupted = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or a damaged copy."""
        if self._random.random() < self._probability:
            packet = self._damaged(packet)
        out.append((now, direction, packet))

    def _damaged(self, packet: Octets) -> Octets:
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.protocol != TCP or ip.total_octets - ip.header_octets < 20:
            return packet
        start = ip.header_octets
        if self._payload_only:
            start += (packet[start + 12] >> 4) << 2
        if start >= ip.total_octets:
            return packet
        copy = bytearray(packet)
        field = ip.header_octets + _CHECKSUM_AT
        at = start + self._random.randrange(ip.total_octets - start)
        if self._repair and at in (field, field + 1):
            at = ip.header_octets  # a repaired checksum would undo this flip
        copy[at] ^= 1 << self._random.randrange(8)
        if self._repair:
            repair_checksum(ip, copy)
        self.corrupted += 1
        return bytes(copy)


def repair_checksum(ip: Ip, packet: bytearray) -> None:
    """Write the right TCP checksum into ``packet``, whose header ``ip`` is and which has a whole TCP header."""
    segment = ip.payload(packet)
    field = ip.header_octets + _CHECKSUM_AT
    packet[field : field + 2] = bytes(2)
    initial = pseudo_header_sum(ip.source, ip.destination, len(segment), TCP)
    _SHORT.pack_into(packet, field, checksum(segment, initial=initial))


class RateLimit(EachPacket):
    """A link of ``rate`` octets a second in each direction, with a queue of ``queue`` octets before it.

    What does not fit the queue is lost (drop tail); ``lost`` counts. The packet being sent is not in the queue.
    An ECN-capable packet that finds more than ``mark`` octets waiting is marked (RFC 3168 §5); ``marked`` counts.
    """

    __slots__ = ("_ends", "_mark", "_queue", "_rate", "_sizes", "_waiting", "lost", "marked")

    def __init__(self, rate: float, queue: int, *, mark: int | None = None, only: Direction | None = None) -> None:
        super().__init__(only)
        if rate <= 0 or queue < 0:
            raise ValueError("a rate is above 0 octets a second, a queue holds 0 octets or more")
        self._rate = rate
        self._queue = queue
        # For each direction: start of sending and size of the packets that wait, and the sum of the sizes.
        self._waiting: tuple[deque[tuple[float, int]], ...] = (deque(), deque())
        self._sizes = [0, 0]
        self._ends = [0.0, 0.0]
        self._mark = queue if mark is None else mark
        self.lost = 0
        self.marked = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet with the time when its last octet is through, or count it as lost."""
        waiting = self._waiting[direction]
        while waiting and waiting[0][0] <= now:
            self._sizes[direction] -= waiting.popleft()[1]
        octets = len(packet)
        start = self._ends[direction]
        if start <= now:
            start = now
        elif self._sizes[direction] + octets > self._queue:
            self.lost += 1
            return
        else:
            if self._sizes[direction] > self._mark and (ip := parse(packet)).__class__ is Ip and ip.ecn:
                packet = congestion_experienced(packet)
                self.marked += 1
            waiting.append((start, octets))
            self._sizes[direction] += octets
        self._ends[direction] = end = start + octets / self._rate
        out.append((end, direction, packet))


def congestion_experienced(packet: Octets) -> bytes:
    """Return a copy of an IP packet with CE in its header (RFC 3168 §5)."""
    copy = bytearray(packet)
    if copy[0] >> 4 == 6:
        copy[1] |= 0x30
        return bytes(copy)
    copy[1] |= 3
    copy[10:12] = bytes(2)
    _SHORT.pack_into(copy, 10, checksum(copy[: (copy[0] & 0x0F) << 2]))
    return bytes(copy)


class MtuLimit(EachPacket):
    """Packets of more than ``mtu`` octets are lost; ``lost`` counts.

    Where ``reporters`` has an address (4 or 16 octets) of the packet's family, an ICMP error from there goes
    back to the sender (RFC 1191, RFC 8201); without one this is a black hole.
    """

    __slots__ = ("_reporters", "lost", "mtu")

    def __init__(self, mtu: int, *reporters: bytes, only: Direction | None = None) -> None:
        super().__init__(only)
        self.mtu = mtu
        self._reporters = {len(address): address for address in reporters}
        self.lost = 0

    def one(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the packet, or the error that it causes."""
        if len(packet) <= self.mtu:
            out.append((now, direction, packet))
            return
        self.lost += 1
        ip = parse(packet)
        if not isinstance(ip, Ip):
            return
        reporter = self._reporters.get(len(ip.source))
        if reporter is None or (ip.version == 4 and not packet[6] & _DONT_FRAGMENT):
            return
        out.append((now, direction.reverse, icmp.too_big(ip, packet, self.mtu, reporter)))
