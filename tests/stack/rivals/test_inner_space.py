"""Inner space between two stacks: options in the stream, whoever cuts it (draft-briscoe-tcpm-inner-space-01)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from edo.rivals.inner_space import MAGIC_A, on_others
from stack.config import TcpConfig
from stack.run import RST, SYN
from stack.states import State
from tests.stack.rivals.support import (
    ANSWER,
    DOWN,
    LONG,
    PLAIN,
    UP,
    Nat,
    asking,
    changed,
    lose,
    opening,
    run,
    segment_of,
)
from tests.stack.wire import Wire, transfer

CLIENT, SERVER = asking("inner-space", LONG), asking("inner-space", ANSWER)
BOTH = ("inner-space", "inner-space")


@pytest.mark.parametrize("version", [4, 6])
def test_both_ends_learn_all_options_in_no_more_time(version: int) -> None:
    outcome = run(CLIENT, SERVER, version=version)
    assert outcome.whole
    assert outcome.methods == BOTH
    assert outcome.heard == ([ANSWER], [LONG])
    assert outcome.seconds == 0.03
    assert outcome.client["octets_in"] == outcome.server["octets_out"] == len(DOWN)
    assert outcome.server["octets_in"] == outcome.client["octets_out"] == len(UP)
    assert [flags & 0x17 for _, flags, _ in opening(outcome.wire, 4)] == [SYN, SYN, 0x12, 0x12]


def test_every_segment_with_text_begins_with_an_inspace() -> None:
    """And its SPS is what the segment has."""
    outcome = run(CLIENT, SERVER)
    winner = int(str(outcome.client["local"]).rpartition(":")[2])
    lengths = []
    for _, _, packet in outcome.wire.sent:
        segment = segment_of(packet)
        text = bytes(segment.tcp[segment.data_offset :])
        if winner in (segment.source_port, segment.destination_port) and text and not segment.flags & SYN:
            lengths.append(len(text))
            assert text[:4] == on_others(len(text) - 4, 0)
    assert max(lengths) == 1448


def test_options_of_the_syns_take_sequence_numbers() -> None:
    outcome = run(CLIENT, SERVER)
    syn_ack = segment_of(outcome.wire.sent[3][2])
    assert MAGIC_A.to_bytes(4) in bytes(syn_ack.tcp)
    syn = segment_of(outcome.wire.sent[1][2])
    assert syn_ack.ack == (syn.seq + 1 + len(syn.tcp) - syn.data_offset) & 0xFFFFFFFF


def test_an_old_server_is_an_ordinary_connection_and_sees_no_option_in_its_text() -> None:
    outcome = run(CLIENT, PLAIN)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 0.03
    assert not outcome.wire.server.flows


def test_old_clients_and_those_with_nothing_more_are_served_as_ever() -> None:
    for client in (PLAIN, asking("inner-space", b"\xc8\x04ab")):
        outcome = run(client, SERVER)
        assert outcome.whole
        assert outcome.methods == (None, None)


@pytest.mark.parametrize(
    ("nth", "from_client", "method"),
    [
        (0, True, "inner-space"),
        (1, True, None),
        (0, False, "inner-space"),
        (1, False, None),
        (2, True, "inner-space"),
        (3, True, "inner-space"),
    ],
)
def test_any_one_segment_of_the_handshake_may_be_lost(nth: int, from_client: bool, method: str | None) -> None:
    outcome = run(CLIENT, SERVER, lose(nth, from_client))
    assert outcome.whole
    assert outcome.methods == (method, method)
    assert outcome.seconds < 0.4


def cutting(seed: int) -> Callable[[bytes, bool, float], list[tuple[float, bytes]]]:
    """A box that splits segments anywhere, and delays and loses some."""
    chance = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        size = len(segment.tcp) - segment.data_offset
        if chance.random() < 0.03:
            return []
        if segment.flags & SYN or size < 2:
            return [(0.0, packet)]
        at = chance.randrange(1, size)
        head, offset = segment.tcp[: segment.data_offset], segment.data_offset

        def first(tcp: bytearray) -> bytearray:
            tcp[13] &= ~0x09
            return tcp[: offset + at]

        def second(tcp: bytearray) -> bytearray:
            tcp[4:8] = ((segment.seq + at) & 0xFFFFFFFF).to_bytes(4)
            return tcp[: len(head)] + tcp[offset + at :]

        return [(0.0, changed(packet, first)), (chance.random() * 0.03, changed(packet, second))]

    return tap


@pytest.mark.parametrize("seed", range(8))
def test_whoever_cuts_the_stream_anew_does_no_harm(seed: int) -> None:
    outcome = run(CLIENT, SERVER, cutting(seed), seed=seed)
    assert outcome.whole, seed
    assert outcome.methods[0] == outcome.methods[1]


def test_a_narrow_window_and_small_writes() -> None:
    wire = Wire(config=TcpConfig(receive_buffer=5000, send_buffer=5000))
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    sent = b""
    chance = random.Random(5)
    got = b""
    for _ in range(300):
        octets = chance.randbytes(chance.randrange(200))
        attempt.write(octets)
        sent += octets
        wire.run(0.01)
        if chance.random() < 0.3:
            assert accepted.peek(10) == accepted.peek(20)[:10]
            got += accepted.read(chance.randrange(1, 900))
    wire.run(60.0, lambda: accepted.unsent == attempt.unsent == 0 and not accepted.read(0))
    attempt.close()
    for _ in range(30):
        wire.run(1.0)
        got += accepted.read()
    assert accepted.eof
    assert got == sent
    accepted.close()
    wire.run(5.0)
    assert accepted.error is None
    assert attempt.flow.connection.state is State.TIME_WAIT


@pytest.mark.parametrize("first", ["client", "server"])
def test_closing_without_reading_what_is_no_text_is_no_reset(first: str) -> None:
    """The InSpace and options of the SYNs are octets of the stream that no application reads."""
    wire = Wire()
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for end in (attempt, accepted) if first == "client" else (accepted, attempt):
        end.close()
        wire.run(1.0)
    winner = attempt.local[1]
    flags = [one.flags for _, _, packet in wire.sent if winner in ((one := segment_of(packet)).source_port, 0)]
    assert not any(flag & RST for flag in flags)
    assert attempt.error is accepted.error is None


def test_small_writes_share_no_segment() -> None:
    """So that each segment has its InSpace, though nothing waits for an acknowledgment here."""
    wire = Wire(config=TcpConfig(nagle=False))
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    before = len(wire.sent)
    for size in (10, 500, 1444, 1, 3000):
        attempt.write(b"x" * size)
    wire.run(1.0)
    assert accepted.read() == b"x" * 4955
    sizes = []
    for _, from_client, packet in wire.sent[before:]:
        segment = segment_of(packet)
        text = bytes(segment.tcp[segment.data_offset :])
        if from_client and text:
            assert text[:4] == on_others(len(text) - 4, 0)
            sizes.append(len(text) - 4)
    assert sizes == [10, 500, 1444, 1, 1444, 1444, 112]


def test_counts_that_contradict_themselves_end_the_connection() -> None:
    """The stream cannot be read any more, and nothing of it is handed on."""
    wire = Wire()
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    attempt.flow.connection.write(b"\x00\x05\x00\x02 no InSpace")
    wire.run(1.0)
    assert accepted.read() == b""
    wire.run(1.0)
    assert accepted.report()["drops"] == {"malformed_space": 1}
    assert attempt.error is not None


def test_options_within_the_stream_reach_the_application_and_are_bounded() -> None:
    wire = Wire()
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    option = b"\xd0\x04hi"
    attempt.flow.connection.write(on_others(4, 4) + option + b"text" + on_others(0, 4 * 500) + option * 500)
    wire.run(1.0)
    assert accepted.read() == b"text"
    found = accepted.report()["peer_options"]
    assert isinstance(found, list)
    assert found == [LONG.hex()] + [option.hex()] * 256


def test_a_nat_does_no_harm() -> None:
    outcome = run(CLIENT, SERVER, Nat())
    assert outcome.whole
    assert outcome.methods == BOTH


def test_a_box_that_cuts_the_text_of_syns_off_makes_it_an_ordinary_connection() -> None:
    def cut(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        if not segment.flags & SYN:
            return [(0.0, packet)]
        return [(0.0, changed(packet, lambda tcp: tcp[: segment.data_offset]))]

    outcome = run(CLIENT, SERVER, cut)
    assert outcome.whole
    assert outcome.methods == (None, None)


def test_a_box_that_cuts_the_text_of_the_answer_off_alone() -> None:
    """The server believes in the upgrade, its client does not: that connection is reset and the other goes on."""

    def cut(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        if from_client or not segment.flags & SYN:
            return [(0.0, packet)]
        return [(0.0, changed(packet, lambda tcp: tcp[: segment.data_offset]))]

    outcome = run(CLIENT, SERVER, cut)
    assert outcome.whole
    assert outcome.methods == (None, None)


def test_a_server_that_takes_no_text_of_a_syn_is_sent_it_again() -> None:
    """Some systems leave a SYN's text to be sent once more; the InSpace is text to TCP."""
    wire = Wire()
    wire.server.configure(TcpConfig(hold_syn_text=True))
    attempt, listener = wire.open(CLIENT, SERVER)
    client, server = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(server.received) == UP
    assert bytes(client.received) == DOWN
    assert attempt.report()["method"] == server.attempt.report()["method"] == "inner-space"
