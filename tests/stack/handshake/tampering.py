"""Boxes that change one thing of the segments of a handshake, and what became of the connection behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edo.walk import walk_steps
from stack.config import TcpConfig
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.test_agreed import flags_of, has_option, out_of_band, resummed
from tests.stack.wire import End, Wire

UP, DOWN = b"what the client says to nobody else " * 40, b"what the server says to nobody else " * 60
# Longer than all tries of the SYN, the hello and the first protected segment together, seconds.
PATIENCE = 600.0

Wanted = Callable[[bytes, bool], bool]
Change = Callable[[bytes], bytes]


def is_syn(packet: bytes, from_client: bool) -> bool:
    return from_client and flags_of(packet) & (SYN | ACK) == SYN


def is_oob(packet: bytes, from_client: bool) -> bool:
    return from_client and out_of_band(packet)


def is_syn_ack(packet: bytes, from_client: bool) -> bool:
    return not from_client and flags_of(packet) & (SYN | ACK) == SYN | ACK


def is_clear_message(packet: bytes) -> bool:
    return flags_of(packet) == ACK and not has_option(packet, 29) and b"\xa0\xe1" in packet


def is_hello(packet: bytes, from_client: bool) -> bool:
    return from_client and is_clear_message(packet)


def is_answer(packet: bytes, from_client: bool) -> bool:
    return not from_client and is_clear_message(packet)


def is_first_protected(packet: bytes, from_client: bool) -> bool:
    """The client's protected ACKs of the handshake: TCP-AO and ENO."""
    return is_protected_ack(packet, from_client) and has_option(packet, 69)


def is_protected_ack(packet: bytes, from_client: bool) -> bool:
    return from_client and has_option(packet, 29) and flags_of(packet) == ACK


@dataclass(frozen=True)
class Outcome:
    """``mode`` is None where the client's attempt failed, then with ``error``; else everything arrived."""

    mode: str | None
    error: str | None
    path: object = None


def behind(wanted: Wanted, change: Change, client: Security, server: Security, *, once: bool = False) -> Outcome:
    """Connect through a box that changes the segments that are ``wanted``, all or the first.

    AssertionError where anything crosses in clear, octets arrive that were not sent, a side believes itself
    protected otherwise than the other, or nothing is decided in time.
    """
    changed = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal changed
        if wanted(packet, from_client) and not (once and changed):
            other = change(packet)
            changed += other != packet
            return [(0.0, other)]
        return [(0.0, packet)]

    wire = Wire(tap=tap, config=TcpConfig(user_timeout=120.0))
    attempt, listener = wire.open(client, server)
    here = End(attempt, UP)
    there: list[End] = []

    def step() -> bool:
        here.pump()
        while (accepted := listener.accept()) is not None:
            there.append(End(accepted, DOWN))
        for end in there:
            end.pump()
        wire.flush()
        return here.closed is not None and all(end.closed is not None for end in there)

    wire.run(PATIENCE, step)
    assert changed, "no segment was changed"
    assert here.closed is not None, "the client's attempt neither ended nor failed"
    assert all(end.closed is not None for end in there), "the server's connection neither ended nor failed"
    crossed = b"".join(packet for _, _, packet in wire.sent)
    assert UP[:24] not in crossed, "octets of the client crossed in clear"
    assert DOWN[:24] not in crossed, "octets of the server crossed in clear"
    assert UP.startswith(here_sent := bytes(there[0].received) if there else b""), "the server got other octets"
    assert DOWN.startswith(bytes(here.received)), "the client got other octets"
    report = attempt.report()
    if here.closed.error is not None:
        return Outcome(None, str(report["error"]))
    assert (here_sent, bytes(here.received)) == (UP, DOWN)
    assert [end.attempt.report()["session_id"] for end in there] == [report["session_id"]]
    assert report["mode"] == there[0].attempt.report()["mode"]
    return Outcome(str(report["mode"]), None, report["path"])


def at(position: int, value: int | None = None, *, flip: int = 0) -> Change:
    """Change the octet at ``position`` of the TCP part, to ``value`` or by the bits ``flip``."""

    def change(packet: bytes) -> bytes:
        if 20 + position >= len(packet):
            return packet
        return resummed(packet, position, packet[20 + position] ^ flip if value is None else value)

    return change


def sample(wanted: Wanted, client: Security, server: Security) -> bytes:
    """The first segment of an undisturbed handshake that is ``wanted``."""
    wire = Wire()
    wire.open(client, server)
    wire.run(2.0)
    return next(packet for _, from_client, packet in wire.sent if wanted(packet, from_client))


def options_of(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(offset in the TCP part, length, octets) of every option, those behind Data Offset and of an OOB included."""
    tcp = memoryview(packet)[20:]
    end = (tcp[12] >> 4) << 2
    spans = walk_steps(tcp, 20, end) or []
    for _, _, offset, length in spans:
        yield offset, length, bytes(tcp[offset : offset + length])
    spans = walk_steps(tcp, end, len(tcp)) or []
    for _, _, offset, length in spans:
        yield offset, length, bytes(tcp[offset : offset + length])


def without(head: bytes) -> Change:
    """Turn the options that begin with ``head`` into NOPs."""

    def change(packet: bytes) -> bytes:
        for offset, length, octets in list(options_of(packet)):
            if octets.startswith(head):
                for index in range(length):
                    packet = resummed(packet, offset + index, 1)
        return packet

    return change


def inside(head: bytes, index: int, *, flip: int = 1) -> Change:
    """Change the octet ``index`` of the options that begin with ``head``."""

    def change(packet: bytes) -> bytes:
        for offset, length, octets in list(options_of(packet)):
            if octets.startswith(head) and index < length:
                packet = resummed(packet, offset + index, packet[20 + offset + index] ^ flip)
        return packet

    return change


def of(security: Security, **changes: object) -> Security:
    return replace(security, **changes)  # type: ignore[arg-type]
