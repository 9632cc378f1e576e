"""The four-way handshake between two stacks, with old peers, losses and boxes (draft-borman-tcp4way-00)."""

from __future__ import annotations

import pytest

from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.rivals.support import (
    ANSWER,
    LONG,
    PLAIN,
    Nat,
    asking,
    changed,
    lose,
    opening,
    run,
    segment_of,
    strip,
)
from tests.stack.wire import Wire

CLIENT, SERVER = asking("four-way", LONG), asking("four-way", ANSWER)
EXPERIMENTAL = frozenset({253, 254})


@pytest.mark.parametrize("version", [4, 6])
def test_both_ends_learn_all_options_and_text_comes_half_a_round_trip_later(version: int) -> None:
    plain = run(PLAIN, PLAIN, version=version)
    outcome = run(CLIENT, SERVER, version=version)
    assert outcome.whole
    assert outcome.methods == ("four-way", "four-way")
    assert outcome.heard == ([ANSWER], [LONG])
    assert outcome.client["edo"] == outcome.server["edo"] == "confirmed"
    flags = [(sender, flags) for sender, flags, _ in opening(outcome.wire, 4)]
    assert flags == [(True, SYN), (False, SYN | ACK), (True, SYN | ACK), (False, ACK)]
    assert [octet & 0x0F for _, _, octet in opening(outcome.wire, 4)] == [8, 8, 8, 0]
    # 3 and 5 times 10 ms: the client's text waits for the server's acknowledgment, one round trip.
    assert (plain.seconds, outcome.seconds) == (0.03, 0.05)


def test_the_clients_syn_ack_has_the_numbers_of_its_syn() -> None:
    packets = [segment_of(packet) for _, _, packet in run(CLIENT, SERVER).wire.sent]
    syn, syn_ack, third = packets[:3]
    assert third.seq == syn.seq
    assert third.ack == (syn_ack.seq + 1) & 0xFFFFFFFF
    assert third.window == syn.window


def test_without_more_options_the_handshake_is_an_ordinary_one() -> None:
    outcome = run(asking("four-way", b"\xc8\x04ab"), SERVER)
    assert outcome.whole
    assert [flags for _, flags, _ in opening(outcome.wire, 3)] == [SYN, SYN | ACK, ACK]
    assert outcome.seconds == 0.03
    assert outcome.heard[1] == [b"\xc8\x04ab"]


@pytest.mark.parametrize("server", [PLAIN, Security(edo="strict")], ids=["without EDO", "with EDO"])
def test_an_old_server_is_an_ordinary_connection_at_no_cost(server: Security) -> None:
    outcome = run(CLIENT, server)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.client["fallback"] == "no 4WAY in the SYN-ACK"
    assert outcome.seconds == 0.03
    assert outcome.heard == ([], [])


def test_an_old_client_is_served_as_ever() -> None:
    outcome = run(PLAIN, SERVER)
    assert outcome.whole
    assert outcome.methods == (None, None)


@pytest.mark.parametrize(("nth", "from_client"), [(0, True), (0, False), (1, True), (1, False)])
def test_any_one_segment_of_the_handshake_may_be_lost(nth: int, from_client: bool) -> None:
    outcome = run(CLIENT, SERVER, lose(nth, from_client))
    assert outcome.whole
    assert outcome.methods == ("four-way", "four-way")
    assert outcome.heard == ([ANSWER], [LONG])
    assert outcome.seconds < 1.2


def test_a_box_that_clears_reserved_bits_makes_it_an_ordinary_connection() -> None:
    def clear(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        def change(tcp: bytearray) -> None:
            tcp[12] &= 0xF1

        return [(0.0, changed(packet, change))]

    outcome = run(CLIENT, SERVER, clear)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 0.03
    assert outcome.client["edo"] == "confirmed"


def test_a_box_that_clears_the_bit_of_the_answer_alone_leaves_no_option_in_the_text() -> None:
    """The SYN-ACK is extended, and its client no longer sees why: nothing behind it may be read as text."""

    def clear(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        def change(tcp: bytearray) -> None:
            tcp[12] &= 0xF1

        return [(0.0, packet if from_client else changed(packet, change))]

    outcome = run(CLIENT, SERVER, clear)
    assert outcome.whole
    assert outcome.client["method"] is None


def test_a_box_that_drops_segments_with_reserved_bits_costs_three_seconds() -> None:
    def drop(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if segment_of(packet).tcp[12] & 0x0E else [(0.0, packet)]

    outcome = run(CLIENT, SERVER, drop)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 3.03


def test_a_box_that_lets_no_syn_ack_of_the_client_pass_ends_in_an_ordinary_ack() -> None:
    """As connection tracking may see it. The server has not heard of the options, and the streams are whole."""

    def drop(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        flags = segment_of(packet).flags
        return [] if from_client and flags & (SYN | ACK) == SYN | ACK else [(0.0, packet)]

    outcome = run(CLIENT, SERVER, drop)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.client["fallback"] == "the client's SYN-ACK met silence"
    assert outcome.seconds < 5.0


@pytest.mark.parametrize("from_client", [None, True, False])
def test_a_box_that_removes_options_makes_it_an_ordinary_connection(from_client: bool | None) -> None:
    outcome = run(CLIENT, SERVER, strip(EXPERIMENTAL, from_client))
    assert outcome.whole
    assert outcome.client["method"] is None


def test_a_nat_does_no_harm() -> None:
    outcome = run(CLIENT, SERVER, Nat())
    assert outcome.whole
    assert outcome.methods == ("four-way", "four-way")


def test_a_connection_is_given_up_and_an_end_is_told_while_the_syn_ack_is_under_way() -> None:
    def drop(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        flags = segment_of(packet).flags
        return [] if from_client and flags & (SYN | ACK) == SYN | ACK else [(0.0, packet)]

    wire = Wire(tap=drop)
    attempt, _ = wire.open(CLIENT, SERVER)
    wire.run(0.1)
    assert attempt.flow.connection.state.name == "ESTABLISHED"
    assert not attempt.flow.announced
    attempt.abort()
    wire.run(5)
    assert not wire.client.flows
    assert not wire.server.flows
