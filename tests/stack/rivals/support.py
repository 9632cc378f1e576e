"""Two stacks that find room for SYN options by a method, on a wire whose every packet is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stack.checksum import checksum, fold, ones_complement_sum, pseudo_header_sum
from stack.config import TcpConfig
from stack.ip import Ip, parse
from stack.security import Security
from stack.segment import Segment
from stack.syn_space import SynSpace
from tests.stack.wire import Tap, Wire, transfer

LONG = bytes((200, 60)) + bytes(range(58))
"""A client's option that fits no SYN beside TCP's own."""

ANSWER = bytes((201, 50)) + bytes(range(48))
"""A server's."""

PLAIN = Security()


def asking(method: str, *options: bytes, first: bool = False) -> Security:
    """What asks for ``method`` with these options."""
    return Security(syn_space=SynSpace(method, options, first))


def segment_of(packet: bytes) -> Segment:
    """The TCP segment of a packet."""
    ip = parse(packet)
    assert isinstance(ip, Ip)
    return Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))


def changed(packet: bytes, change: Callable[[bytearray], bytes | bytearray | None]) -> bytes:
    """The packet with its TCP segment changed and both checksums right again."""
    ip = parse(packet)
    assert isinstance(ip, Ip)
    tcp = bytearray(ip.payload(packet))
    new = change(tcp)
    tcp = tcp if new is None else bytearray(new)
    header = bytearray(packet[: ip.header_octets])
    if ip.version == 4:
        header[2:4] = (len(header) + len(tcp)).to_bytes(2)
        header[10:12] = b"\0\0"
        header[10:12] = checksum(header).to_bytes(2)
    else:
        header[4:6] = len(tcp).to_bytes(2)
    tcp[16:18] = b"\0\0"
    total = pseudo_header_sum(ip.source, ip.destination, len(tcp))
    tcp[16:18] = (0xFFFF - fold(ones_complement_sum(tcp) + total)).to_bytes(2)
    return bytes(header + tcp)


@dataclass
class Outcome:
    """What became of a connection: whether both streams arrived, what each end knows, when the first text came."""

    whole: bool
    client: dict[str, object]
    server: dict[str, object]
    seconds: float
    """From the first SYN to the server's first octet of text."""

    wire: Wire

    @property
    def methods(self) -> tuple[object, object]:
        return self.client["method"], self.server["method"]

    @property
    def heard(self) -> tuple[list[bytes], list[bytes]]:
        """The options of the peer that the client and the server were told of."""
        return _octets(self.client), _octets(self.server)


def _octets(report: dict[str, object]) -> list[bytes]:
    found = report["peer_options"]
    assert isinstance(found, list)
    return [bytes.fromhex(text) for text in found]


UP = b"a client's text: " + bytes(range(256)) * 40
DOWN = bytes(reversed(range(256))) * 40


def run(
    client: Security,
    server: Security,
    tap: Tap | None = None,
    *,
    version: int = 4,
    config: TcpConfig | None = None,
    seed: int = 1,
) -> Outcome:
    """Open a connection, send octets both ways, close it."""
    first_text: list[float] = []

    def watch(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        passed = [(0.0, packet)] if tap is None else tap(packet, from_client, now)
        segment = segment_of(packet)
        if from_client and passed and not segment.flags & 0x02 and UP[:17] in bytes(segment.tcp) and not first_text:
            first_text.append(now)
        return passed

    wire = Wire(seed=seed, tap=watch, config=config)
    start = wire.now
    attempt, listener = wire.open(client, server, version=version)
    ends = transfer(wire, attempt, listener, UP, DOWN)
    whole = bytes(ends[1].received) == UP and bytes(ends[0].received) == DOWN
    arrived = first_text[0] + wire.latency - start if first_text else -1.0
    return Outcome(whole, ends[0].attempt.report(), ends[1].attempt.report(), round(arrived, 6), wire)


def opening(wire: Wire, count: int) -> list[tuple[bool, int, int]]:
    """The first packets: whether the client's, the flags and the octet of Data Offset and reserved bits."""
    found = []
    for _, from_client, packet in wire.sent[:count]:
        segment = segment_of(packet)
        found.append((from_client, segment.flags & 0x3F, segment.tcp[12]))
    return found


def lose(nth: int, from_client: bool) -> Tap:
    """A wire that loses the n-th packet of one direction, from 0."""
    seen = [0]

    def tap(packet: bytes, is_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if is_client is not from_client:
            return [(0.0, packet)]
        seen[0] += 1
        return [] if seen[0] == nth + 1 else [(0.0, packet)]

    return tap


def strip(kinds: frozenset[int], from_client: bool | None = None) -> Tap:
    """A box that overwrites options inside Data Offset with NOPs, of one direction or both."""

    def change(tcp: bytearray) -> None:
        at, end = 20, (tcp[12] >> 4) * 4
        while at < end and tcp[at] != 0:
            if tcp[at] == 1:
                at += 1
                continue
            length = tcp[at + 1]
            if tcp[at] in kinds:
                tcp[at : at + length] = b"\x01" * length
            at += length

    def tap(packet: bytes, is_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client is not None and is_client is not from_client:
            return [(0.0, packet)]
        return [(0.0, changed(packet, change))]

    return tap


class Nat:
    """Translates the client's address and ports."""

    def __init__(self) -> None:
        self._there: dict[int, int] = {}
        self._back: dict[int, int] = {}

    def __call__(self, packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        outside = bytes((10, 0, 0, 1))

        def change(tcp: bytearray) -> None:
            if from_client:
                port = int.from_bytes(tcp[0:2])
                mapped = self._there.setdefault(port, 2000 + len(self._there))
                self._back[mapped] = port
                tcp[0:2] = mapped.to_bytes(2)
            else:
                tcp[2:4] = self._back[int.from_bytes(tcp[2:4])].to_bytes(2)

        assert outside in packet
        return [(0.0, changed(packet, change))]
