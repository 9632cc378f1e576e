"""Segments made wrong, and a server that has answered a SYN: for the tests of key agreement."""

from __future__ import annotations

from collections.abc import Callable

from stack.config import TcpConfig
from stack.flow import Flow
from stack.handshake.agreed import Agreed
from stack.handshake.stages import Stage
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.test_agreed import (
    flags_of,
    has_option,
    out_of_band,
    resummed,
)
from tests.stack.wire import Wire

ENO, EDO, SYN_EOS = b"\x45", b"\xfe\x04\x0e\xd0", b"\xfe\x04\x5e\x05"
SEQ, ACKNOWLEDGED, FLAGS = 4, 8, 13
LATE_PREFER = Security("ao-enc-dh", placements=("late",), policy="prefer")


def changed(packet: bytes, at: int, number: int) -> bytes:
    """The packet with the 32 bits at ``at`` of its TCP header changed by ``number``."""
    value = (int.from_bytes(packet[20 + at : 24 + at]) + number) & 0xFFFFFFFF
    for index, octet in enumerate(value.to_bytes(4)):
        packet = resummed(packet, at + index, octet)
    return packet


def bare(packet: bytes, flags: int, seq: int = 0) -> bytes:
    """The header of ``packet`` alone, without options, with other flags, its number changed by ``seq``."""
    octets = bytearray(packet[:40])
    octets[2:4] = (40).to_bytes(2)
    octets[32] = 5 << 4
    octets[10:12] = bytes(2)
    total = sum(int.from_bytes(octets[at : at + 2]) for at in range(0, 20, 2))
    octets[10:12] = (0xFFFF - (total % 0xFFFF)).to_bytes(2)
    return changed(resummed(bytes(octets), FLAGS, flags), SEQ, seq)


def turned(packet: bytes) -> bytes:
    """The packet as if its receiver had sent it: addresses and ports exchanged, which leaves the checksum right."""
    return packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:]


def hello_of(packet: bytes) -> bool:
    """Whether a clear segment carries ENO and is no SYN: the hello of placement ``late``, or its answer."""
    return flags_of(packet) == ACK and has_option(packet, 69) and not has_option(packet, 29)


def only(stack_flows: dict[object, Flow]) -> tuple[Flow, Agreed]:
    (flow,) = stack_flows.values()
    assert isinstance(flow.handshake, Agreed)
    return flow, flow.handshake


class Server:
    """A listener that has answered a SYN; what comes next from the client is the test's to say."""

    def __init__(self, client: Security, server: Security, stage: Stage) -> None:
        # Without timestamps a bare header is a sound segment.
        self.wire = Wire(tap=self.tap, config=TcpConfig(timestamps=False))
        self.attempt, self.listener = self.wire.open(client, server)
        # The client's SYN, and its OOB, pass; nothing else of it does.
        self.wire.run(2.0, self.answered)
        self.wire.run(0.05)
        self.flow, self.handshake = only(self.wire.server.flows)  # type: ignore[arg-type]
        assert self.handshake.stage is stage
        self.syn = self.of(True, lambda packet: flags_of(packet) == SYN)
        # The client's segment behind its SYN, which was lost.
        self.acknowledgment = self.of(True, lambda packet: flags_of(packet) & ACK)

    def tap(self, packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, packet)] if not from_client or flags_of(packet) & SYN or out_of_band(packet) else []

    def answered(self) -> bool:
        return any(not from_client and flags_of(packet) & SYN for _, from_client, packet in self.wire.sent)

    def of(self, from_client: bool, wanted: Callable[[bytes], object]) -> bytes:
        """The first packet of a side that is ``wanted``."""
        return next(packet for _, whose, packet in self.wire.sent if whose is from_client and wanted(packet))

    def meets(self, packet: bytes) -> list[bytes]:
        """The server gets ``packet`` at once; what it sends then."""
        self.wire.sent.clear()
        self.wire.put(packet, True, -self.wire.latency)
        self.wire.run(0.001)
        return [sent for _, from_client, sent in self.wire.sent if not from_client]

    def dropped(self, reason: str) -> int:
        return self.flow.drops[reason]
