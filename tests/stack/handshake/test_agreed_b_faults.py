"""What the passive side of a key agreement does with segments that are wrong or repeated (profile.md §5)."""

from __future__ import annotations

import errno

import pytest

from ao.groups import BadShare
from ao.groups.x25519 import X25519Share
from ao.messages import MessageKind, Refuse, RefuseReason
from ao.outcome import NotAgreed
from stack.handshake.role_b import AwaitingKeys
from stack.handshake.stages import Stage
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.handshake.faults import ACKNOWLEDGED, EDO, ENO, LATE_PREFER, SEQ, Server, bare, changed, only
from tests.stack.handshake.test_agreed import (
    LATE,
    PREFER,
    PROTECTED,
    flags_of,
    has_option,
    out_of_band,
    resummed,
    without_option,
)
from tests.stack.wire import Wire


def test_a_syn_with_another_number_is_challenged_and_changes_nothing() -> None:
    server = Server(LATE, PROTECTED, Stage.SYN_TAKEN)
    assert [flags_of(packet) for packet in server.meets(changed(server.syn, SEQ, 1))] == [ACK]
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


def test_who_goes_plain_after_an_answer_forgets_share_and_keys() -> None:
    server = Server(PREFER, PREFER, Stage.ANSWERED)
    protection = server.handshake.flow.protection
    assert isinstance(protection, AwaitingKeys)
    protection.keyed = server.handshake._make_keys()
    server.meets(without_option(server.syn, ENO))
    assert server.handshake.stage is Stage.PLAIN
    assert list(protection.keyed.ring) == []
    with pytest.raises(NotAgreed):
        server.handshake.agreement.schedule()


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
    assert attempt.report()["error"] == "the peer refused: a share or ticket is not as it should be"
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
