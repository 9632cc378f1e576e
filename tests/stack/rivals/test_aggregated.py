"""The aggregated option between two stacks, old peers, losses and boxes (draft-nishida-tcpm-agg-syn-ext-00)."""

from __future__ import annotations

import random

import pytest

from edo.rivals.aggregated import MORE, option
from stack.run import ACK, SYN
from tests.stack.rivals.support import (
    PLAIN,
    Nat,
    Outcome,
    asking,
    changed,
    lose,
    opening,
    run,
    segment_of,
    strip,
)
from tests.stack.wire import Wire

ONE = bytes((200, 22)) + bytes(range(20))
TWO = bytes((201, 24)) + bytes(range(22))
THREE = bytes((202, 25)) + bytes(range(23))
THEIRS = bytes((203, 22)) + bytes(range(20))
CLIENT, SERVER = asking("aggregated", ONE), asking("aggregated", THEIRS)
EXPERIMENTAL = frozenset({253, 254})


def carrying(outcome: Outcome, contents: bytes) -> int:
    """How many segments had the option with these blocks."""
    wanted = option(contents)
    return sum(wanted in packet for _, _, packet in outcome.wire.sent)


def test_both_ends_learn_all_options_in_three_segments_and_no_time() -> None:
    outcome = run(CLIENT, SERVER)
    assert outcome.whole
    assert outcome.methods == ("aggregated", "aggregated")
    assert outcome.heard == ([THEIRS], [ONE])
    assert [flags & 0x17 for _, flags, _ in opening(outcome.wire, 3)] == [SYN, SYN | ACK, ACK]
    assert outcome.seconds == 0.03
    assert carrying(outcome, MORE) == 0


def test_tcps_own_options_are_had_by_a_bit() -> None:
    """An option of 24 octets is named first, and timestamps and SACK-permitted yield to it."""
    client = asking("aggregated", TWO, b"\xc8\x04ab", first=True)
    outcome = run(client, SERVER)
    assert outcome.whole
    assert outcome.methods == ("aggregated", "aggregated")
    syn = segment_of(outcome.wire.sent[0][2])
    assert b"\x08\x0a" not in bytes(syn.tcp)
    later = [segment_of(packet) for _, _, packet in outcome.wire.sent[2:]]
    assert all(b"\x08\x0a" in bytes(one.tcp[20 : one.data_offset]) for one in later)


def test_window_scale_by_a_bit_lets_more_than_64_kilobytes_fly() -> None:
    wide = asking("aggregated", TWO, b"\xc8\x05abc", first=True)
    wire = Wire(latency=0.2)
    attempt, listener = wire.open(wide, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    assert b"\x03\x03" not in bytes(segment_of(wire.sent[0][2]).tcp[20:])
    for end in (attempt, accepted):
        connection = end.flow.connection
        assert connection.scaling
        assert connection.snd_wscale == connection.rcv_wscale == 8
        assert connection.snd_wnd > 0xFFFF


def test_parameters_that_need_several_segments_are_acknowledged_one_by_one() -> None:
    outcome = run(asking("aggregated", TWO, THREE), SERVER)
    assert outcome.whole
    assert outcome.methods == ("aggregated", "aggregated")
    assert outcome.heard == ([THEIRS], [TWO, THREE])
    # One of the client's with more to come, one that acknowledges it: a round trip.
    assert carrying(outcome, MORE) == 2
    assert outcome.seconds == 0.05


@pytest.mark.parametrize("client", [CLIENT, asking("aggregated", TWO, THREE)], ids=["one part", "two parts"])
@pytest.mark.parametrize("from_client", [True, False], ids=["client's", "server's"])
@pytest.mark.parametrize("nth", range(5))
def test_any_one_segment_may_be_lost(nth: int, from_client: bool, client: object) -> None:
    outcome = run(client, SERVER, lose(nth, from_client))  # type: ignore[arg-type]
    assert outcome.whole
    assert outcome.methods == ("aggregated", "aggregated")
    assert outcome.heard[0] == [THEIRS]
    assert len(outcome.heard[1]) == (1 if client is CLIENT else 2)
    assert outcome.seconds < 1.3


def test_many_losses_delay_and_change_nothing() -> None:
    for seed in range(12):
        chance = random.Random(seed)

        def tap(_packet: bytes, _from: bool, _now: float, own: random.Random = chance) -> list[tuple[float, bytes]]:
            return [] if own.random() < 0.2 else [(own.random() * 0.02, _packet)]

        outcome = run(asking("aggregated", TWO, THREE), SERVER, tap, seed=seed)
        assert outcome.whole, seed
        if outcome.client["method"]:
            assert outcome.heard == ([THEIRS], [TWO, THREE]), seed


def test_an_old_server_is_an_ordinary_connection_at_no_cost() -> None:
    outcome = run(CLIENT, PLAIN)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.client["fallback"] == "no aggregated option in the SYN-ACK"
    assert outcome.seconds == 0.03
    assert run(PLAIN, SERVER).whole


def test_options_that_yielded_are_not_used_with_an_old_server() -> None:
    outcome = run(asking("aggregated", TWO, b"\xc8\x04ab", first=True), PLAIN)
    assert outcome.whole
    assert not any(b"\x08\x0a" in packet[40:] for _, _, packet in outcome.wire.sent[1:2])


@pytest.mark.parametrize("from_client", [None, True, False])
def test_a_box_that_removes_options_makes_it_an_ordinary_connection(from_client: bool | None) -> None:
    outcome = run(CLIENT, SERVER, strip(EXPERIMENTAL, from_client))
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 0.03


def test_a_box_that_echoes_the_syns_options_is_noticed() -> None:
    """The server is old; a box puts the SYN's option into its SYN-ACK."""
    seen: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        segment = segment_of(packet)
        if segment.flags & SYN and from_client:
            at = bytes(segment.tcp).index(option(b"")[:1] + b"\x05\xa6\x6e")
            seen.append(bytes(segment.tcp[at : at + 5]))
        if segment.flags & SYN and not from_client:

            def change(tcp: bytearray) -> bytearray:
                tcp[12] += 0x20
                return tcp[: segment.data_offset] + seen[0] + b"\x01" * 3 + tcp[segment.data_offset :]

            return [(0.0, changed(packet, change))]
        return [(0.0, packet)]

    outcome = run(CLIENT, PLAIN, tap)
    assert outcome.whole
    assert outcome.methods == (None, None)


def test_a_nat_does_no_harm() -> None:
    outcome = run(CLIENT, SERVER, Nat())
    assert outcome.whole
    assert outcome.methods == ("aggregated", "aggregated")


def test_a_connection_whose_parameters_are_never_answered_ends_with_an_error() -> None:
    """What was agreed on cannot be taken back, so there is no ordinary connection to fall back to."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if not from_client and not segment_of(packet).flags & SYN else [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, _ = wire.open(CLIENT, SERVER)
    wire.run(60)
    assert attempt.report()["error"] == "the parameters of agreed options were not answered"
    assert not wire.client.flows


def test_a_server_that_has_nothing_to_say_answers_repeated_parameters_again() -> None:
    wire = Wire(tap=lose(1, False))
    attempt, _ = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    assert attempt.report()["method"] == "aggregated"
    assert not wire.client.flows[attempt.flow.key].connection.hold_data
