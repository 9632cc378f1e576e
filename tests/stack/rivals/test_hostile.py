"""Whatever arrives in a handshake of any method: nothing raises, nothing is left over, and the stacks go on."""

from __future__ import annotations

import contextlib
import random

import pytest

from stack.config import TcpConfig
from stack.events import TcpError
from stack.run import SYN
from stack.states import State
from stack.syn_space import METHODS
from tests.stack.rivals.support import ANSWER, LONG, asking, changed, run, segment_of, strip
from tests.stack.wire import Tap, Wire

SHORT, THEIRS = bytes((200, 24)) + bytes(22), bytes((201, 22)) + bytes(20)


def asked(method: str) -> tuple[object, object]:
    """Both ends, with options that the method has room for."""
    own = (SHORT, THEIRS) if method == "aggregated" else (LONG, ANSWER)
    return asking(method, own[0]), asking(method, own[1])


def mutating(seed: int) -> Tap:
    """A wire on which a third of the packets is altered, and some are lost, late or there twice."""
    chance = random.Random(seed)

    def change(tcp: bytearray) -> bytearray:
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(12, min(len(tcp), 140))
            if at not in (16, 17):
                tcp[at] = chance.choice((0, 1, 2, 4, 0x10, 0x12, 0xFE, 0xFF, chance.randrange(256)))
        return tcp[: chance.randrange(20, len(tcp) + 1)] if chance.random() < 0.2 else tcp

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if chance.random() < 0.1:
            return []
        if chance.random() < 0.33:
            packet = changed(packet, change)
        out = [(chance.random() * 0.05 if chance.random() < 0.2 else 0.0, packet)]
        return out * 2 if chance.random() < 0.1 else out

    return tap


@pytest.mark.parametrize("method", METHODS)
def test_altered_segments_raise_nothing_and_leave_nothing(method: str) -> None:
    client, server = asked(method)
    for seed in range(25):
        # That EDO is left alone where it was damaged is another matter.
        wire = Wire(seed=seed, tap=mutating(seed), config=TcpConfig(remember_edo=False))
        attempt, listener = wire.open(client, server)  # type: ignore[arg-type]
        attempt.write(b"x" * 3000)
        ends = [attempt]
        for _ in range(30):
            wire.run(0.1)
            while (one := listener.accept()) is not None:
                ends.append(one)
                with contextlib.suppress(TcpError):
                    # It may have been reset since.
                    one.write(b"y" * 3000)
            for end in ends:
                while end.next_event() is not None:
                    pass
                end.read()
                assert end.eof in (True, False)
        for end in ends:
            end.abort()
        wire.tap = lambda packet, _from, _now: [(0.0, packet)]
        wire.run(300.0)
        assert not wire.client.flows, seed
        left = [flow for flow in wire.server.flows.values() if flow.connection.state is not State.TIME_WAIT]
        assert all(flow.announced for flow in left), seed
        again = wire.client.connect(("10.0.0.2", 80), security=client, now=wire.now)  # type: ignore[arg-type]
        wire.run(10.0)
        assert again.report()["method"] == method, seed


@pytest.mark.parametrize("method", METHODS)
def test_a_flood_of_second_segments_makes_no_state(method: str) -> None:
    """What only has a meaning within a handshake finds no connection: a reset at most, and no state."""
    client, server = asked(method)
    source = Wire()
    source.open(client, server)  # type: ignore[arg-type]
    source.run(1.0)
    wire = Wire(seed=9)
    wire.server.listen(80, security=server)  # type: ignore[arg-type]
    for _, from_client, packet in source.sent:
        if from_client and segment_of(packet).flags & 0x12 != SYN:
            for _ in range(20):
                wire.put(packet, True)
    wire.run(1.0)
    assert not wire.server.flows


def test_parameters_that_a_box_removes_end_the_client_and_nothing_else() -> None:
    """Of the aggregated option the SYNs pass and the rest does not: what was agreed on cannot be taken back."""
    stripping = strip(frozenset({253, 254}), True)

    def tap(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        return [(0.0, packet)] if segment_of(packet).flags & SYN else stripping(packet, from_client, now)

    client, server = asked("aggregated")
    outcome = run(client, server, tap)  # type: ignore[arg-type]
    assert outcome.client["error"] == "the parameters of agreed options were not answered"
    assert outcome.client["octets_in"] == 0
    assert outcome.heard[1] == []


@pytest.mark.parametrize("method", METHODS)
def test_streams_are_whole_whatever_is_lost_late_or_there_twice(method: str) -> None:
    """With the method or without: both ends agree on which, and not an octet of an option is in the text."""
    client, server = asked(method)
    used = 0
    for seed in range(12):
        chance = random.Random(seed)

        def tap(packet: bytes, _from: bool, _now: float, own: random.Random = chance) -> list[tuple[float, bytes]]:
            if own.random() < 0.15:
                return []
            late = own.random() * 0.03 if own.random() < 0.3 else 0.0
            return [(late, packet)] * (2 if own.random() < 0.05 else 1)

        outcome = run(client, server, tap, seed=seed)  # type: ignore[arg-type]
        assert outcome.whole, seed
        assert outcome.methods in ((method, method), (None, None)), seed
        used += outcome.methods[0] is not None
    assert used >= 6
