"""What is made in place of an agreement that cannot be had (profile.md §2)."""

from __future__ import annotations

from stack.config import TcpConfig
from stack.run import SYN
from tests.stack.handshake.faults import EDO, ENO, SYN_EOS, hello_of
from tests.stack.handshake.test_agreed import (
    LATE,
    PREFER,
    PROTECTED,
    check,
    flags_of,
    has_option,
    out_of_band,
    removing,
    resummed,
    strip_from_syns,
)
from tests.stack.wire import Wire, transfer


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


def test_an_answer_that_the_peer_could_not_take_whole_is_kept_for_later() -> None:
    """Behind Data Offset a SYN-ACK holds no more than the client's MSS."""
    wire = Wire(config=TcpConfig(mss=120))
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(ends[0].received) == b"down"
    assert attempt.report()["placement"] == "late"
    syn_acks = [packet for _, whose, packet in wire.sent if not whose and flags_of(packet) & SYN]
    assert all(len(packet) <= 20 + ((packet[32] >> 4) << 2) for packet in syn_acks)


def test_an_unknown_encryption_protocol_is_none() -> None:
    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and flags_of(packet) & SYN and has_option(packet, 69):
            at = packet.index(ENO, 40)
            return [(0.0, resummed(packet, at - 20 + 2, 0xAA))]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    client, server = check(wire, PREFER, PREFER)
    assert (client["mode"], server["mode"]) == ("none", "none")
    assert server["fallback"] == "no valid TEP in the SYN"
