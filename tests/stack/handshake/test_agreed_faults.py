"""What a key agreement does with segments that are wrong, late, repeated or forged, by stage (profile.md §5)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from ao.groups import BadShare
from ao.groups.x25519 import X25519Share
from ao.messages import MessageKind, Refuse, RefuseReason
from stack.config import TcpConfig
from stack.flow import Flow
from stack.handshake.agreed import Agreed, Stage
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.handshake.test_agreed import (
    LATE,
    PREFER,
    PROTECTED,
    check,
    ended,
    flags_of,
    has_option,
    out_of_band,
    removing,
    resummed,
    strip_from_syns,
    without_option,
)
from tests.stack.wire import Tap, Wire, transfer

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


# --- the passive side -------------------------------------------------------------------------------------


def test_a_syn_with_another_number_is_dropped() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    assert server.meets(changed(server.syn, SEQ, 1)) == []
    assert server.dropped("clear_segment") == 1
    assert server.handshake.stage is Stage.SYN_TAKEN


def test_a_repeated_syn_has_the_same_answer() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    first = server.of(False, lambda packet: flags_of(packet) & SYN)
    (again,) = server.meets(server.syn)
    assert again[20:] == first[20:]


def test_a_repeated_syn_that_offers_no_placement_is_dropped() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    assert server.meets(without_option(server.syn, EDO)) == []
    assert server.dropped("clear_segment") == 1


def test_a_syn_repeated_without_eno_ends_require() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    resets = server.meets(without_option(server.syn, ENO))
    assert [flags_of(packet) for packet in resets] == [RST | ACK] * 2
    assert server.wire.server.flows == {}


def test_a_syn_repeated_without_eno_makes_prefer_plain() -> None:
    server = Server(LATE_PREFER, PREFER, Stage.SYN_TAKEN)
    (answer,) = server.meets(without_option(server.syn, ENO))
    assert flags_of(answer) == SYN | ACK
    assert not has_option(answer, 69)
    assert not has_option(answer, 254)
    assert server.handshake.stage is Stage.PLAIN
    assert server.wire.server.downgrades["the SYN was repeated without ENO"] == 1


def test_an_out_of_band_segment_again_has_the_answer_again() -> None:
    server = Server(PROTECTED, PROTECTED, Stage.ANSWERED)
    oob = server.of(True, out_of_band)
    first = server.of(False, lambda packet: flags_of(packet) & SYN)
    (again,) = server.meets(oob)
    assert again[20:] == first[20:]
    assert server.meets(changed(oob, SEQ, 1)) == []
    assert server.dropped("clear_segment") == 1


def test_a_first_ack_without_eno_ends_require() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    resets = server.meets(bare(server.acknowledgment, ACK, seq=server_gap(server)))
    assert [flags_of(packet) for packet in resets] == [RST | ACK] * 2
    assert server.wire.server.flows == {}


def test_a_first_ack_without_eno_makes_prefer_plain() -> None:
    server = Server(LATE_PREFER, PREFER, Stage.SYN_TAKEN)
    server.meets(bare(server.acknowledgment, ACK, seq=server_gap(server)))
    assert server.handshake.stage is Stage.PLAIN
    accepted = server.listener.accept()
    assert accepted is not None
    assert accepted.report()["fallback"] == "no ENO in the ACK"
    # And it is a connection like any other.
    server.meets(bare(server.acknowledgment, RST, seq=server_gap(server)))
    assert accepted.error is not None
    assert accepted.error.errno == errno.ECONNRESET


def test_a_first_ack_that_is_unacceptable_is_dropped() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    gap = server_gap(server)
    assert server.meets(changed(bare(server.acknowledgment, ACK, seq=gap), ACKNOWLEDGED, 9)) == []
    assert server.dropped("clear_segment") == 1
    assert server.handshake.stage is Stage.SYN_TAKEN


def server_gap(server: Server) -> int:
    """From the number of the client's hello to that of the stream's first octet (profile.md §5)."""
    connection = server.flow.connection
    return (connection.rcv_nxt - int.from_bytes(server.acknowledgment[24:28])) & 0xFFFFFFFF


def test_after_an_answer_in_the_syn_ack_a_clear_ack_ends_any_policy() -> None:
    for security in (PROTECTED, PREFER):
        server = Server(security, security, Stage.ANSWERED)
        # What the client acknowledged by is protected; its numbers are the stream's.
        assert server.meets(bare(server.acknowledgment, ACK, seq=100_000_000)) == []
        assert server.dropped("clear_segment") == 1
        resets = server.meets(bare(server.acknowledgment, ACK))
        assert [flags_of(packet) for packet in resets] == [RST | ACK] * 2
        assert server.wire.server.flows == {}


@pytest.mark.parametrize(("security", "stage"), [(LATE, Stage.SYN_TAKEN), (PROTECTED, Stage.ANSWERED)])
def test_only_a_reset_with_the_exact_number_counts(security: Security, stage: Stage) -> None:
    server = Server(security, PROTECTED, stage)
    gap = server_gap(server)
    assert server.meets(bare(server.acknowledgment, RST, seq=gap + 1)) == []
    assert server.dropped("clear_segment") == 1
    assert server.handshake.stage is stage
    server.meets(bare(server.acknowledgment, RST, seq=gap))
    assert server.wire.server.flows == {}


def client_says(server: Server, kind: MessageKind, octets: bytes) -> None:
    """The client's own stack sends a message; nothing else of it passes."""
    _, ours = only(server.wire.client.flows)  # type: ignore[arg-type]
    ours.send_message(kind, octets)
    server.wire.sent.clear()
    server.wire.tap = lambda packet, from_client, now: [(0.0, packet)]
    server.wire.flush()
    server.wire.tap = server.tap
    server.wire.run(0.05)


def test_a_client_that_refuses_ends_it() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    client_says(server, MessageKind.REFUSE, Refuse(RefuseReason.POLICY).encode())
    assert server.wire.server.flows == {}
    assert any(flags_of(packet) & RST for _, from_client, packet in server.wire.sent if not from_client)


@pytest.mark.parametrize(
    ("kind", "octets"), [(MessageKind.HELLO, b"\x01\x00 no hello"), (MessageKind.ANSWER, b"\x01 of the other role")]
)
def test_a_message_that_is_none_is_dropped_and_waited_on(kind: MessageKind, octets: bytes) -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    client_says(server, kind, octets)
    assert server.dropped("ke_malformed") == 1
    assert server.handshake.stage is Stage.SYN_TAKEN


def test_another_hello_after_the_answer_changes_nothing() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    _, ours = only(server.wire.client.flows)  # type: ignore[arg-type]
    hello: bytes = ours.agreement.hello  # type: ignore[union-attr]
    client_says(server, MessageKind.HELLO, hello)
    assert server.handshake.stage is Stage.ANSWERED
    session = server.handshake.agreement
    client_says(server, MessageKind.HELLO, hello[:2] + bytes(32) + hello[34:])
    assert server.dropped("ke_repeated_differently") == 1
    assert server.handshake.agreement is session
    assert server.handshake.stage is Stage.ANSWERED


def test_a_hello_with_other_numbers_than_the_profiles_is_malformed() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    for field in (SEQ, ACKNOWLEDGED):
        assert server.meets(changed(server.acknowledgment, field, 1)) == []
    assert server.dropped("ke_malformed") == 2


def test_a_share_of_low_order_is_refused() -> None:
    """The point 1: the secret would be all zeros (RFC 7748 §6.1)."""
    share: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and share and share[0] in packet:
            at = packet.index(share[0])
            for index in range(len(share[0])):
                packet = resummed(packet, at - 20 + index, int(index == 0))
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    _, ours = only(wire.client.flows)  # type: ignore[arg-type]
    # The hello ends with the share, of 32 octets, and the number of tickets, 0.
    hello: bytes = ours.agreement.hello  # type: ignore[union-attr]
    share.append(hello[-33:-1])
    wire.run(10.0)
    assert attempt.report()["error"] == "the peer refused: share"
    assert listener.accept() is None


def test_a_share_that_makes_no_secret_is_a_bad_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cheap look at a share does not find, the computation for the first MAC does."""

    def none(self: X25519Share, peer_share: bytes) -> bytes:
        raise BadShare("no secret")

    wire = Wire()
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    _, ours = only(wire.client.flows)  # type: ignore[arg-type]
    assert wire.run(1.0, lambda: ours.stage is Stage.KEYED)
    monkeypatch.setattr(X25519Share, "secret", none)
    wire.run(5.0)
    flow, handshake = only(wire.server.flows)  # type: ignore[arg-type]
    assert flow.drops["ao_bad_mac"] > 1
    assert handshake.stage is Stage.ANSWERED
    assert listener.accept() is None
    assert attempt.error is None


# --- the active side --------------------------------------------------------------------------------------


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


# --- what is made in place of a connection that failed ----------------------------------------------------


def syns_without(kind: int, wire: Wire) -> list[bytes]:
    return [
        packet
        for _, whose, packet in wire.sent
        if whose and flags_of(packet) == SYN and not has_option(packet, kind)
    ]


def test_silence_is_remembered_and_the_next_connection_begins_plain() -> None:
    swallow = removing(lambda packet: bool(flags_of(packet) & SYN) and has_option(packet, 69))
    wire = Wire(tap=swallow)
    check(wire, PREFER, PREFER)
    wire.sent.clear()
    listener = wire.server.listen(81, security=PREFER)
    attempt = wire.client.connect(("10.0.0.2", 81), security=PREFER, now=wire.now)
    transfer(wire, attempt, listener, b"up", b"down")
    report = attempt.report()
    assert (report["mode"], report["fallback"]) == ("none", "remembered: SYNs with TCP-ENO met silence")
    assert len(syns_without(69, wire)) == 1


def test_a_plain_syn_that_is_refused_is_tried_once_more_with_eno() -> None:
    """The fourth SYN under ``prefer`` is plain; a listener that requires protection resets it."""
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if from_client and flags_of(packet) == SYN and has_option(packet, 69) and lost < 3:
            lost += 1
            return []
        return [] if out_of_band(packet) else [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(PREFER, PROTECTED)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert len(syns_without(69, wire)) == 1
    assert (bytes(ends[0].received), attempt.report()["mode"]) == (b"down", "ao-enc-dh")


def test_a_preferring_server_is_plain_to_who_repeats_a_plain_syn() -> None:
    client, server = check(Wire(tap=strip_from_syns(ENO, EDO, SYN_EOS)), PREFER, PREFER)
    assert client["mode"] == server["mode"] == "none"


def test_states_are_left_without_a_trace() -> None:
    """Nothing of an agreement that failed stays in the stacks."""
    wire = Wire(tap=removing(hello_of))
    attempt, listener = wire.open(LATE, PROTECTED)
    wire.run(300.0)
    assert attempt.error is not None
    assert attempt.error.strerror == "no answer to the hello after 7 tries"
    assert wire.client.flows == wire.server.flows == {}
    assert listener.accept() is None
