"""What the active side of a key agreement does with segments that are wrong or late (profile.md §5)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from ao.messages import MessageKind, Refuse, RefuseReason
from stack.handshake.stages import Stage
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.handshake.faults import ACKNOWLEDGED, EDO, SEQ, bare, changed, hello_of, only
from tests.stack.handshake.test_agreed import (
    LATE,
    PROTECTED,
    check,
    ended,
    flags_of,
    out_of_band,
    removing,
    resummed,
    without_option,
)
from tests.stack.wire import Tap, Wire, transfer


def altering(alter: Callable[[bytes], bytes | None]) -> Tap:
    """What the server sends is changed by ``alter``, or lost where that is None."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client:
            return [(0.0, packet)]
        other = alter(packet)
        return [] if other is None else [(0.0, other)]

    return tap


def on_syn_ack(alter: Callable[[bytes], bytes]) -> Tap:
    return altering(lambda packet: alter(packet) if flags_of(packet) & SYN else packet)


def without_answer(packet: bytes) -> bytes:
    """A SYN-ACK whose octets behind Data Offset are NOPs from the first KE option on."""
    end = 20 + ((packet[32] >> 4) << 2)
    for at in range(packet.index(b"\xa0\xe1", end) - 2, len(packet)):
        packet = resummed(packet, at - 20, 1)
    return packet


@pytest.mark.parametrize(
    ("security", "tap", "missing"),
    [
        (PROTECTED, on_syn_ack(without_answer), "SYN-EOS confirmed without an answer"),
        (LATE, on_syn_ack(lambda packet: without_option(packet, EDO)), "no EDO in the SYN-ACK"),
        (
            Security("ao-enc-dh", placements=("syn",)),
            removing(out_of_band),
            "SYN-EOS not confirmed, and no other placement is allowed",
        ),
    ],
    ids=["answer", "EDO", "placement"],
)
def test_what_a_syn_ack_lacks_is_named(security: Security, tap: Tap, missing: str) -> None:
    wire = Wire(tap=tap)
    closed = ended(wire, security, PROTECTED)
    assert closed.error is not None
    assert (closed.error.errno, closed.error.strerror) == (errno.EPROTO, missing)
    # The listener is told, in clear, twice.
    assert sum(1 for _, from_client, packet in wire.sent if from_client and flags_of(packet) & RST) == 2


def test_a_syn_ack_of_another_syn_is_answered_with_a_reset_and_waited_on() -> None:
    stale = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal stale
        if not from_client and flags_of(packet) & SYN and not stale:
            stale += 1
            return [(0.0, changed(packet, ACKNOWLEDGED, 77)), (0.001, packet)]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    client, _ = check(wire, PROTECTED, PROTECTED)
    assert client["mode"] == "ao-enc-dh"
    assert client["drops"] == {"bad_ack": 1}
    assert sum(1 for _, from_client, packet in wire.sent if from_client and flags_of(packet) == RST) == 1


class Client:
    """A client that has sent its hello and heard nothing: the server's answers are lost."""

    def __init__(self) -> None:
        self.wire = Wire(tap=altering(lambda packet: packet if flags_of(packet) & SYN else None))
        self.attempt, _ = self.wire.open(LATE, PROTECTED)
        self.wire.run(0.2)
        self.flow, self.handshake = only(self.wire.client.flows)  # type: ignore[arg-type]
        assert self.handshake.stage is Stage.HELLO_SENT
        self.syn_ack = next(packet for _, whose, packet in self.wire.sent if not whose and flags_of(packet) & SYN)

    def meets(self, packet: bytes) -> list[bytes]:
        """The client gets ``packet`` at once; what it sends then."""
        self.wire.sent.clear()
        self.wire.put(packet, False, -self.wire.latency)
        self.wire.run(0.001)
        return [sent for _, from_client, sent in self.wire.sent if from_client]

    def server_says(self, kind: MessageKind, octets: bytes) -> None:
        _, theirs = only(self.wire.server.flows)  # type: ignore[arg-type]
        tap, self.wire.tap = self.wire.tap, lambda packet, from_client, now: [(0.0, packet)]
        theirs.send_message(kind, octets)
        self.wire.flush()
        self.wire.tap = tap
        self.wire.run(0.05)


def test_a_syn_ack_again_has_the_hello_again() -> None:
    client = Client()
    (hello,) = client.meets(client.syn_ack)
    assert hello_of(hello)
    assert client.meets(changed(client.syn_ack, SEQ, 1)) == []
    assert client.flow.drops["clear_segment"] == 1


def test_a_reset_of_a_hello_has_the_exact_number() -> None:
    client = Client()
    assert client.meets(bare(client.syn_ack, RST, seq=2)) == []
    assert client.flow.drops["clear_segment"] == 1
    assert client.attempt.error is None
    client.meets(bare(client.syn_ack, RST, seq=1))
    assert client.attempt.error is not None
    assert client.attempt.error.errno == errno.ECONNRESET


def test_an_answer_that_is_none_is_dropped_and_waited_on() -> None:
    client = Client()
    client.server_says(MessageKind.ANSWER, b"\x01\x00 no answer")
    assert client.flow.drops["ke_malformed"] == 1
    assert client.handshake.stage is Stage.HELLO_SENT


def test_a_server_that_refuses_is_named() -> None:
    client = Client()
    client.server_says(MessageKind.REFUSE, Refuse(RefuseReason.POLICY).encode())
    assert client.attempt.error is not None
    assert client.attempt.error.errno == errno.ECONNABORTED
    assert client.attempt.error.strerror == "the peer refused: policy"


def test_who_gives_up_with_a_hello_under_way_says_so() -> None:
    client = Client()
    client.wire.sent.clear()
    client.attempt.abort()
    client.wire.flush()
    assert [flags_of(packet) for _, whose, packet in client.wire.sent if whose] == [RST | ACK] * 2
    assert client.wire.client.flows == {}


def test_who_gives_up_with_a_syn_under_way_is_silent() -> None:
    wire = Wire(tap=lambda packet, from_client, now: [])
    attempt, _ = wire.open(PROTECTED, PROTECTED)
    wire.flush()
    wire.sent.clear()
    attempt.abort()
    wire.flush()
    assert wire.sent == []
    assert wire.client.flows == {}


def test_an_answer_in_a_syn_ack_is_taken_when_the_hello_is_under_way_already() -> None:
    """Extended SYN-ACKs come late: the plain one has made the client send its hello, which is lost."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client:
            return [] if hello_of(packet) else [(0.0, packet)]
        return [(30.0 if flags_of(packet) & SYN and len(packet) > 100 else 0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert (bytes(ends[0].received), bytes(ends[1].received)) == (b"down", b"up")
    assert attempt.report()["placement"] == "syn"
    assert attempt.report()["session_id"] == ends[1].attempt.report()["session_id"]
