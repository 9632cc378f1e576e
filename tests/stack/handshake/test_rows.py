"""Rows of profile.md §5's table that nothing else tests by name, and messages that cannot be parsed (§4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ao.messages import MessageKind
from stack.handshake.agreed import Agreed
from stack.handshake.crossed import CrossedB
from stack.handshake.stages import Stage
from stack.run import ACK, RST, SYN
from stack.security import Security
from stack.states import State
from tests.stack.handshake.faults import LATE_PREFER, SEQ, Server, bare, changed, hello_of, turned
from tests.stack.handshake.test_agreed import LATE, PREFER, PROTECTED, flags_of, removing, resummed, without_option
from tests.stack.handshake.test_crossed import opened
from tests.stack.wire import Wire, transfer


class Crossed:
    """Two ends whose SYNs have crossed; what they send from then on does not arrive."""

    def __init__(self, security: Security, seed: int = 1) -> None:
        self.wire = wire = Wire(seed, tap=removing(lambda packet: flags_of(packet) != SYN))
        self.attempts = opened(wire, security, security)
        wire.run(0.05)
        flows = [next(iter(stack.flows.values())) for stack in (wire.client, wire.server)]
        self.client_is_a = flows[0].handshake.stage is Stage.CROSSED  # type: ignore[attr-defined]
        self.a, self.b = flows if self.client_is_a else flows[::-1]
        assert isinstance(self.b.handshake, CrossedB)

    def sent_by(self, is_a: bool, flags: int) -> bytes:
        whose = self.client_is_a is is_a
        return next(packet for _, who, packet in self.wire.sent if who is whose and flags_of(packet) == flags)

    def meets(self, is_a: bool, packet: bytes) -> list[bytes]:
        """A, or B, gets ``packet``; what it sends then."""
        whose = self.client_is_a is is_a
        self.wire.sent.clear()
        self.wire.put(packet, not whose, -self.wire.latency)
        self.wire.run(0.001)
        return [sent for _, who, sent in self.wire.sent if who is whose]


def test_crossed_a_peer_s_syn_again_gets_the_syn_ack_again() -> None:
    crossed = Crossed(PROTECTED)
    for is_a in (True, False):
        (answer,) = crossed.meets(is_a, crossed_syn := crossed.sent_by(not is_a, SYN))
        assert flags_of(answer) == SYN | ACK
        # Another SYN is answered as in RFC 5961, and has no SYN-ACK (profile.md §8).
        assert not any(flags_of(packet) & SYN for packet in crossed.meets(is_a, changed(crossed_syn, SEQ, 1)))
        crossed = Crossed(PROTECTED)


def test_crossed_its_syn_ack_gets_a_hello_of_a_and_a_syn_ack_of_b() -> None:
    crossed = Crossed(PROTECTED)
    of_b = crossed.sent_by(False, SYN | ACK)
    of_a = crossed.sent_by(True, SYN | ACK)
    (hello,) = crossed.meets(True, of_b)
    assert hello_of(hello)
    assert crossed.a.handshake.stage is Stage.HELLO_SENT  # type: ignore[attr-defined]
    for _ in range(2):
        (answer,) = crossed.meets(False, of_a)
        assert flags_of(answer) == SYN | ACK


@pytest.mark.parametrize("is_a", [True, False])
def test_crossed_a_reset_has_the_exact_number(is_a: bool) -> None:
    crossed = Crossed(PROTECTED)
    syn_ack = crossed.sent_by(not is_a, SYN | ACK)
    flow = crossed.a if is_a else crossed.b
    assert crossed.meets(is_a, bare(syn_ack, RST, seq=2)) == []
    assert not flow.over
    crossed.meets(is_a, bare(syn_ack, RST, seq=1))
    assert flow.over


@pytest.mark.parametrize("is_a", [True, False])
@pytest.mark.parametrize("security", [PROTECTED, PREFER], ids=["require", "prefer"])
def test_crossed_an_ack_without_eno_is_a_fallback_or_the_end(security: Security, is_a: bool) -> None:
    crossed = Crossed(security)
    # Timestamps were agreed on, so the peer's own ACK is made of its SYN-ACK.
    ack = changed(crossed.sent_by(not is_a, SYN | ACK), SEQ, 1)
    ack = without_option(resummed(ack, 13, ACK), b"\x45", b"\xfe\x04\x0e\xd0")
    sent = crossed.meets(is_a, ack)
    flow = crossed.a if is_a else crossed.b
    handshake = flow.handshake
    assert isinstance(handshake, Agreed)
    if security is PREFER:
        assert handshake.stage is Stage.PLAIN
        assert flow.connection.state is State.ESTABLISHED
    else:
        assert [flags_of(packet) & RST for packet in sent] == [RST, RST]
        assert flow.over


def test_b_answered_a_refusal_ends_it() -> None:
    server = Server(PROTECTED, PROTECTED, Stage.ANSWERED)
    client = next(iter(server.wire.client.flows.values()))
    handshake = client.handshake
    assert isinstance(handshake, Agreed)
    server.wire.run(0.05)
    server.wire.tap = lambda packet, whose, now: [(0.0, packet)]
    handshake.eno_due = True
    # As if the answer had not been acceptable.
    handshake.send_message(MessageKind.REFUSE, b"\x01\x05")
    server.wire.flush()
    server.wire.run(0.05)
    assert server.flow.over


def test_b_with_a_retry_sent_takes_a_plain_ack_for_a_fallback() -> None:
    """Only an answer in the SYN-ACK makes a clear ACK suspicious."""
    wanting = replace(PREFER, groups=("x448",))
    server = Server(replace(PREFER, groups=("x25519", "x448")), wanting, Stage.SYN_TAKEN)
    syn_ack = server.of(False, lambda packet: flags_of(packet) & SYN)
    assert b"\xa0\xe1\x03" in syn_ack
    ack = bytearray(turned(bare(syn_ack, ACK)))
    number, own = int.from_bytes(syn_ack[24:28]) + 1, syn_ack[28:32]
    ack[24:28], ack[28:32] = own, (number & 0xFFFFFFFF).to_bytes(4)
    server.meets(changed(bytes(ack), SEQ, 0))
    assert server.handshake.stage is Stage.PLAIN
    assert server.flow.handshake.facts.fallback == "no ENO in the ACK"


def test_a_message_that_cannot_be_parsed_is_as_if_it_had_not_come() -> None:
    """Somebody on the path sends a whole hello that is none, with the right numbers; the right one follows."""
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    hello = server.acknowledgment
    at = hello.index(b"\xa0\xe1\x01") - 20 + 7
    # The length of the ENO copy runs past the message.
    broken = resummed(hello, at + 38, 0xFF)
    assert server.meets(broken) == []
    assert server.dropped("ke_malformed") == 1
    assert server.handshake.stage is Stage.SYN_TAKEN
    # It is discarded whole: not even the acknowledgment of the SYN-ACK counts.
    assert server.flow.connection.state is State.SYN_RECEIVED
    (answer,) = server.meets(hello)
    assert b"\xa0\xe1\x02" in answer
    assert server.handshake.stage is Stage.ANSWERED


def test_an_answer_that_cannot_be_parsed_does_not_confirm_edo() -> None:
    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        if b"\xa0\xe1\x02" in packet and not seen:
            seen += 1
            at = packet.index(b"\xa0\xe1\x02") - 20 + 7
            return [(0.0, resummed(packet, at + 38, 0xFF)), (0.01, packet)]
        return [(0.0, packet)]

    seen = 0
    wire = Wire(tap=tap)
    attempt, listener = wire.open(LATE_PREFER, PROTECTED)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(ends[0].received) == b"down"
    assert attempt.report()["mode"] == "ao-enc-dh"
    assert ends[0].attempt.flow.drops["ke_malformed"] == 1
