"""Sister SYNs and the dual handshake between two stacks (draft-briscoe-tcpm-syn-op-sis-02)."""

from __future__ import annotations

import errno
import gc

import pytest

from stack.config import TcpConfig
from stack.events import Closed
from stack.handshake.rivals.dual import Ordinary
from stack.run import ACK, RST, SYN
from stack.states import State
from tests.stack.rivals.support import (
    LONG,
    PLAIN,
    Nat,
    Outcome,
    asking,
    changed,
    lose,
    opening,
    run,
    segment_of,
)
from tests.stack.wire import SERVER as SERVER_ADDRESSES
from tests.stack.wire import Wire

CLIENT, SERVER = asking("sister-syn", LONG), asking("sister-syn", b"\xc9\x08answer")
THEIRS = b"\xc9\x08answer"


def ports(outcome: Outcome) -> list[tuple[int, int]]:
    """Port of the client and flags of its packets, in order."""
    return [
        (one.source_port, one.flags & 0x17)
        for _, from_client, packet in outcome.wire.sent
        if from_client and (one := segment_of(packet))
    ]


@pytest.mark.parametrize("version", [4, 6])
def test_the_upgraded_connection_wins_and_the_ordinary_one_is_reset(version: int) -> None:
    outcome = run(CLIENT, SERVER, version=version)
    assert outcome.whole
    assert outcome.methods == ("sister-syn", "sister-syn")
    assert outcome.heard == ([THEIRS], [LONG])
    assert outcome.seconds == 0.03
    (first, flags), (second, other) = ports(outcome)[:2]
    assert first != second
    assert flags == other == SYN
    assert outcome.client["local"] != outcome.server["local"]
    assert str(outcome.client["local"]).endswith(f":{second}")
    # The server's ordinary SYN-ACK came first and waited; its connection ends with RST and no ACK before it.
    assert [flags for port, flags in ports(outcome) if port == first] == [SYN, RST]
    for stack in (outcome.wire.client, outcome.wire.server):
        assert all(flow.connection.state is State.TIME_WAIT for flow in stack.flows.values())


def test_without_more_options_there_is_one_connection() -> None:
    outcome = run(asking("sister-syn", b"\xc8\x04ab"), SERVER)
    assert outcome.whole
    assert len({port for port, _ in ports(outcome)}) == 1
    assert outcome.heard[1] == [b"\xc8\x04ab"]


def test_an_old_server_is_an_ordinary_connection_and_the_other_is_reset_at_once() -> None:
    outcome = run(CLIENT, PLAIN)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.client["fallback"] == "no answer by sister-syn to the second SYN"
    assert outcome.seconds == 0.03
    first, second = ports(outcome)[0][0], ports(outcome)[1][0]
    assert [flags for port, flags in ports(outcome) if port == second] == [SYN, RST]
    assert ACK in [flags for port, flags in ports(outcome) if port == first]
    assert not outcome.wire.server.flows


def test_an_old_client_is_served_as_ever() -> None:
    assert run(PLAIN, SERVER).whole


def test_text_of_an_ordinary_syn_that_looks_like_nothing_is_not_touched() -> None:
    outcome = run(asking("sister-syn"), SERVER)
    assert outcome.whole
    assert outcome.methods == (None, None)


@pytest.mark.parametrize(
    ("nth", "from_client", "method", "most"),
    [
        (0, True, "sister-syn", 0.05),
        (1, True, None, 0.1),
        (0, False, "sister-syn", 0.05),
        (1, False, None, 0.1),
        (2, True, "sister-syn", 1.3),
    ],
    ids=["ordinary SYN", "sister", "ordinary SYN-ACK", "SYN-ACK of the sister", "reset or ACK"],
)
def test_any_one_segment_of_the_handshake_may_be_lost(
    nth: int, from_client: bool, method: str | None, most: float
) -> None:
    """Where the sister's is, the ordinary connection goes on after the time that one answer waits for the other."""
    outcome = run(CLIENT, SERVER, lose(nth, from_client))
    assert outcome.whole
    assert outcome.methods == (method, method)
    assert outcome.seconds <= most


def test_only_the_ordinary_syn_is_ever_sent_again() -> None:
    def silent(_packet: bytes, _from_client: bool, now: float) -> list[tuple[float, bytes]]:
        return [] if now < 105 else [(0.0, _packet)]

    outcome = run(CLIENT, SERVER, silent)
    assert outcome.whole
    assert outcome.methods == (None, None)
    first = ports(outcome)[0][0]
    assert [port for port, flags in ports(outcome) if flags == SYN].count(first) > 1
    assert len([port for port, flags in ports(outcome) if flags == SYN and port != first]) == 1


def test_both_refused_is_a_refusal_and_silence_ends_in_time() -> None:
    wire = Wire()
    attempt = wire.client.connect((SERVER_ADDRESSES[0], 81), security=CLIENT, now=wire.now)
    wire.run(3.0)
    closed = attempt.next_event()
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert closed.error.errno == errno.ECONNREFUSED
    assert not wire.client.flows

    wire = Wire(tap=lambda _packet, _from, _now: [])
    attempt = wire.client.connect((SERVER_ADDRESSES[0], 80), security=CLIENT, now=wire.now)
    wire.run(600.0)
    assert attempt.error is not None
    assert attempt.error.errno == errno.ETIMEDOUT
    assert not wire.client.flows


def test_a_refused_ordinary_connection_leaves_the_upgraded_one() -> None:
    """A box that resets plain SYNs to a port, say."""
    wire = Wire()

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        if from_client or segment.flags & (SYN | ACK) != SYN | ACK or b"\xfe\x06\x51\x50" in packet:
            return [(0.0, packet)]

        def refuse(tcp: bytearray) -> bytearray:
            tcp[12], tcp[13] = 0x50, RST | ACK
            return tcp[:20]

        return [(0.0, changed(packet, refuse))]

    wire.tap = tap
    attempt, _ = wire.open(CLIENT, SERVER)
    wire.run(2.0)
    assert attempt.report()["method"] == "sister-syn"
    assert attempt.flow.connection.state is State.ESTABLISHED


def test_giving_up_ends_both() -> None:
    wire = Wire(latency=1.0)
    attempt, _ = wire.open(CLIENT, SERVER)
    assert len(wire.client.flows) == 2
    attempt.abort()
    wire.run(0.1)
    assert not wire.client.flows
    wire.run(20.0)
    assert not wire.server.flows


def test_a_nat_does_no_harm() -> None:
    outcome = run(CLIENT, SERVER, Nat())
    assert outcome.whole
    assert outcome.methods == ("sister-syn", "sister-syn")


def test_a_box_that_drops_syns_with_text_costs_the_time_of_one_answer() -> None:
    def drop(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        return [] if segment.flags & SYN and len(segment.tcp) > segment.data_offset else [(0.0, packet)]

    outcome = run(CLIENT, SERVER, drop)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 0.08


def test_a_box_that_cuts_the_text_off_makes_it_an_ordinary_connection() -> None:
    def cut(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        if not segment.flags & SYN:
            return [(0.0, packet)]
        return [(0.0, changed(packet, lambda tcp: tcp[: segment.data_offset]))]

    outcome = run(CLIENT, SERVER, cut)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 0.03


def test_options_first_in_order_are_in_use_with_a_server_that_knows_sisters() -> None:
    """Timestamps yield to a large option in both SYNs' headers, and the sister brings them all the same."""
    client = asking("sister-syn", bytes((200, 32)) + bytes(30), first=True)
    outcome = run(client, SERVER)
    assert outcome.whole
    assert outcome.methods == ("sister-syn", "sister-syn")
    last = [segment_of(packet) for _, _, packet in outcome.wire.sent][-1]
    assert b"\x08\x0a" in bytes(last.tcp[20 : last.data_offset])
    old = run(client, PLAIN)
    assert old.whole
    last = [segment_of(packet) for _, _, packet in old.wire.sent][-1]
    assert last.data_offset == 20


def test_the_first_packets_are_two_syns_and_two_answers() -> None:
    assert [(sender, flags & 0x17) for sender, flags, _ in opening(run(CLIENT, SERVER).wire, 4)] == [
        (True, SYN),
        (True, SYN),
        (False, SYN | ACK),
        (False, SYN | ACK),
    ]


def test_a_syn_whose_answer_waits_for_the_other_is_not_repeated() -> None:
    """A round trip of 0.9 s: the wait ends behind the first second, when a SYN without an answer is sent again."""
    wire = Wire(latency=0.45, tap=lose(1, True))
    wire.open(CLIENT, SERVER)
    wire.run(1.5)
    syns = [packet for _, from_client, packet in wire.sent if from_client and segment_of(packet).flags & SYN]
    assert len(syns) == 2


def test_a_port_that_was_named_is_kept_and_no_second_is_tried() -> None:
    wire = Wire()
    wire.server.listen(80, security=SERVER)
    attempt = wire.client.connect((SERVER_ADDRESSES[0], 80), security=CLIENT, now=wire.now, local_port=4000)
    wire.run(1.0)
    assert attempt.local[1] == 4000
    assert attempt.flow.connection.state is State.ESTABLISHED
    assert attempt.report()["method"] is None


def test_without_a_second_port_there_is_the_ordinary_connection() -> None:
    wire = Wire(config=TcpConfig(local_ports=(5000, 5000)))
    attempt, _ = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    assert attempt.flow.connection.state is State.ESTABLISHED
    assert attempt.report()["method"] is None


def test_the_loser_is_forgotten() -> None:
    """Nothing of the winner's keeps it: a connection may last for weeks."""
    wire = Wire()
    attempt, _ = wire.open(CLIENT, SERVER)

    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, Ordinary) for one in gc.get_objects())

    others = kept() - 1
    assert isinstance(attempt.flow.handshake, Ordinary)
    wire.run(1.0)
    assert attempt.report()["method"] == "sister-syn"
    assert kept() == others
