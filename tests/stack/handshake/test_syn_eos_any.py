"""SYN-EOS whatever comes: any segments of the handshake lost, and anything in an out-of-band segment."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.oob import (
    EXPERIMENT,
    ISN,
    MARK,
    TAKES,
    WANTS,
    Host,
    carried,
    inside,
    keyed,
    made,
    marked_syn,
    number,
    oob,
    reset,
)
from tests.stack.handshake.test_agreed import dropping, flags_of, out_of_band
from tests.stack.wire import Wire


def agree(client: Security, server: Security, *lost: int, version: int = 4) -> Wire:
    """Octets cross both ways, and both ends believe the same of SYN-EOS, EDO and what a SYN offers."""
    wire = Wire(tap=dropping(*lost))
    ours, theirs = carried(wire, *wire.open(client, server, version=version))
    one, other = ours.flow.connection, theirs.flow.connection
    assert ours.report()["edo"] == theirs.report()["edo"]
    assert (one.timestamps, one.sack_ok, one.scaling) == (other.timestamps, other.sack_ok, other.scaling)  # type: ignore[attr-defined]
    if ours.report()["syn_eos"] == "confirmed":
        assert theirs.report()["syn_eos"] == "confirmed"
    assert not any(reset(packet) for _, _, packet in wire.sent if version == 4)
    return wire


@pytest.mark.parametrize("version", [4, 6])
def test_nothing_is_lost(version: int) -> None:
    wire = agree(WANTS, TAKES, version=version)
    assert sum(1 for _, _, packet in wire.sent if out_of_band(packet)) == 1


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("lost", [*itertools.combinations(range(7), 1), *itertools.combinations(range(7), 2)])
def test_any_one_or_two_segments_may_be_lost(keys: bool, lost: tuple[int, ...]) -> None:
    security = keyed(20, edo=None)
    agree(security if keys else WANTS, security if keys else TAKES, *lost)


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("lost", list(itertools.combinations(range(1, 6), 2)))
def test_a_known_peer_is_asked_again_whatever_is_lost(keys: bool, lost: tuple[int, ...]) -> None:
    security = keyed(20, edo=None)
    wire = Wire()
    wire.client.peers.syn_eos_confirmed(bytes((10, 0, 0, 2)), wire.now)
    wire.tap = dropping(*lost)
    client, server = (security, security) if keys else (WANTS, TAKES)
    ours, theirs = carried(wire, *wire.open(client, server))
    assert ours.report()["edo"] == theirs.report()["edo"]
    assert ours.flow.connection.timestamps == theirs.flow.connection.timestamps  # type: ignore[attr-defined]


USUAL = [b"\x03\x03\x07", b"\x04\x02", bytes.fromhex("080a0000000500000000"), b"\x02\x04\x02\x18", b"\x01"]
OPTIONS = st.one_of(
    st.just(EXPERIMENT),
    st.sampled_from(
        [b"\x03\x03\x07", b"\x04\x02", bytes.fromhex("080a0000000500000000"), b"\x02\x04\x02\x18", b"\x01"]
    ),
    st.builds(
        lambda kind, value: bytes((kind, len(value) + 2)) + value, st.integers(2, 255), st.binary(max_size=60)
    ),
    st.binary(max_size=12),
)


@given(
    payload=st.lists(OPTIONS, max_size=20).map(b"".join),
    flags=st.sampled_from([0, 1, 8, 0x20, 0x29]),
    seq=st.sampled_from([ISN, ISN, ISN, ISN + 1, ISN - 1]),
    early=st.booleans(),
)
def test_anything_may_stand_in_an_oob(payload: bytes, flags: int, seq: int, early: bool) -> None:
    """A SYN is answered once, with or without SYN-EOS; nothing raises, and nothing of it is text."""
    host = Host()
    packet = made(seq, flags, MARK, payload[:1400])
    packets = [packet, marked_syn()] if early else [marked_syn(), packet]
    answers = host.gets(*packets) + host.wait(0.25)
    (answer,) = answers
    assert flags_of(answer) == SYN | ACK
    assert number(answer, 8) == ISN + 1
    confirmed = MARK in inside(answer)
    assert not (confirmed and (early or seq != ISN))
    extension = bytes.fromhex("fe080ed0") + bytes((0, 7, 0, 28))
    host.gets(host.acknowledges(answer, options=extension if confirmed else b""))
    attempt = host.listener.accept()
    if attempt is not None:
        assert attempt.read() == b""
    assert host.gets(oob(payload[:1400])) == []


@given(payload=st.binary(max_size=100), flags=st.integers(0, 255), ack=st.integers(0, 2**32 - 1))
def test_no_oob_draws_an_answer_or_makes_state_by_itself(payload: bytes, flags: int, ack: int) -> None:
    host = Host()
    held = host.stack.memory.held
    flags &= ~(SYN | 0x04)
    assert host.gets(made(ISN, flags, MARK, payload, ack=ack)) == []
    assert host.stack.memory.held == held
    assert not host.stack.flows
