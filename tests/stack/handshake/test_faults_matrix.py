"""Every placement and class of group under every fault of a path: a working connection or a clear error.

Placements as profile.md §5 has them, with crossed SYNs and SYN cookies; groups small, in two segments, and costly.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.faults import hello_of
from tests.stack.handshake.test_agreed import flags_of, has_option
from tests.stack.wire import CLIENT, SERVER, End, Tap, Wire

UP, DOWN = random.Random(7).randbytes(9_000), random.Random(8).randbytes(9_000)
SMALL, TWO_SEGMENTS, COSTLY = "x25519", "X25519MLKEM768", "ffdhe3072"
CASES = [
    (placement, group)
    for placement in ("syn", "late", "crossed", "cookies")
    for group in (SMALL, TWO_SEGMENTS, COSTLY)
] + [("compact", SMALL)]
each_case = pytest.mark.parametrize(("placement", "group"), CASES, ids=[f"{p}-{g}" for p, g in CASES])


def disorder(source: random.Random) -> Tap:
    """Loss, delay and duplication."""

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.15:
            return []
        delay = source.random() * 0.3 if source.random() < 0.3 else 0.0
        return [(delay * copy, packet) for copy in range(1, 3 if source.random() < 0.15 else 2)]

    return tap


class World:
    """Two ends that open by one placement, and what becomes of them."""

    def __init__(self, placement: str, group: str, seed: int = 1, policy: str = "require") -> None:
        self.placement = placement
        self.wire = wire = Wire(seed, config=TcpConfig(mtu=1280 if group == TWO_SEGMENTS else 1500))
        names = {"syn": ("syn", "late"), "cookies": ("syn", "late"), "crossed": ("syn", "late")}
        self.ask = Security(
            "ao-enc-dh", placements=names.get(placement, (placement,)), groups=(group,), policy=policy
        )
        self.crossed = placement == "crossed"
        self.listener = None
        if not self.crossed:
            self.listener = wire.server.listen(80, security=self.ask, backlog=2)
        if placement == "cookies":
            strangers = Wire(seed=99).client
            for _ in range(2):
                strangers.connect(("10.0.0.2", 80), security=replace(self.ask, placements=("late",)), now=wire.now)
            wire.server.receive(Batch([bytes(one) for one in strangers.take_output(wire.now).packets]), wire.now)
            wire.server.take_output(wire.now)

    def carry(self, seconds: float = 400.0) -> tuple[End, End | None]:
        """Open, send both ways and close; the server's end is None where nothing was accepted."""
        wire = self.wire
        client = End(wire.client.connect(("10.0.0.2", 80), security=self.ask, now=wire.now, local_port=81), UP)
        servers: list[End] = []
        if self.crossed:
            other = wire.server.connect(("10.0.0.1", 81), security=self.ask, now=wire.now, local_port=80)
            servers.append(End(other, DOWN))

        def step() -> bool:
            accepted = None if self.listener is None else self.listener.accept()
            if accepted is not None and accepted.peer == client.attempt.local:
                servers.append(End(accepted, DOWN))
            client.pump()
            for end in servers:
                end.pump()
            wire.flush()
            return client.closed is not None and bool(servers) and all(end.closed for end in servers)

        wire.run(seconds, step)
        return client, servers[0] if servers else None

    def works(self) -> None:
        client, server = self.carry()
        assert server is not None, client.events
        assert (bytes(client.received), bytes(server.received)) == (DOWN, UP)
        reports = client.attempt.report(), server.attempt.report()
        assert reports[0]["mode"] == reports[1]["mode"] == "ao-enc-dh"
        assert reports[0]["session_id"] == reports[1]["session_id"]

    def ends_well(self) -> None:
        """It works, or the client is told why it does not; nothing crosses in clear, nothing wrong arrives."""
        client, server = self.carry(1500.0)
        assert client.closed is not None
        if client.attempt.error is None:
            assert bytes(client.received) == DOWN
        else:
            assert client.attempt.error.strerror
        if server is not None:
            assert UP.startswith(bytes(server.received))
        assert not any(UP[:16] in packet or DOWN[:16] in packet for _, _, packet in self.wire.sent)


@each_case
def test_each_segment_comes_twice(placement: str, group: str) -> None:
    world = World(placement, group)
    world.wire.tap = lambda packet, whose, now: [(0.0, packet), (0.003, packet)]
    world.works()


@each_case
def test_each_clear_segment_comes_again_after_data(placement: str, group: str) -> None:
    """Repetitions of SYN, OOB, hello and answer that were delayed on the path."""
    world = World(placement, group)

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        clear = flags_of(packet) & SYN or not has_option(packet, 29)
        return [(0.0, packet), (0.3, packet), (2.0, packet)] if clear else [(0.0, packet)]

    world.wire.tap = tap
    world.works()


@pytest.mark.parametrize("group", [SMALL, COSTLY])
def test_the_oob_comes_before_its_syn(group: str) -> None:
    world = World("syn", group)
    world.wire.tap = lambda packet, whose, now: [(0.005 if flags_of(packet) == SYN else 0.0, packet)]
    world.works()


@each_case
def test_the_third_segment_is_lost(placement: str, group: str) -> None:
    world = World(placement, group)
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        third = from_client and flags_of(packet) & (SYN | ACK) == ACK
        lost += third
        return [] if third and lost <= 2 else [(0.0, packet)]

    world.wire.tap = tap
    world.works()


@each_case
def test_the_first_protected_segments_are_lost(placement: str, group: str) -> None:
    world = World(placement, group)
    lost = {True: 0, False: 0}

    def tap(packet: bytes, whose: bool, _now: float) -> list[tuple[float, bytes]]:
        signed = has_option(packet, 29) and not flags_of(packet) & SYN
        lost[whose] += signed
        return [] if signed and lost[whose] <= 2 else [(0.0, packet)]

    world.wire.tap = tap
    world.works()


@each_case
@pytest.mark.parametrize("policy", ["require", "prefer"])
def test_out_of_order_and_lossy(placement: str, group: str, policy: str) -> None:
    for seed in range(4):
        world = World(placement, group, seed, policy)
        source = random.Random(seed)

        def tap(
            packet: bytes, _whose: bool, _now: float, source: random.Random = source
        ) -> list[tuple[float, bytes]]:
            if source.random() < 0.15:
                return []
            delay = source.random() * 0.3 if source.random() < 0.3 else 0.0
            return [(delay * copy, packet) for copy in range(1, 3 if source.random() < 0.15 else 2)]

        world.wire.tap = tap
        client, server = world.carry()
        assert server is not None, seed
        assert (bytes(client.received), bytes(server.received)) == (DOWN, UP), seed
        # Crossed SYNs of which one is lost have equal b bits, which ``prefer`` takes as RFC 8547 does.
        if (placement, policy) != ("crossed", "prefer"):
            reports = client.attempt.report(), server.attempt.report()
            assert reports[0]["mode"] == reports[1]["mode"] == "ao-enc-dh", seed
            assert reports[0]["session_id"] == reports[1]["session_id"], seed


@each_case
@pytest.mark.parametrize("after", [1, 2, 3, 4, 6, 9])
def test_the_server_s_host_begins_anew(placement: str, group: str, after: int) -> None:
    """After so many packets of the client it knows of nothing any more, in mid handshake or behind it."""
    world = World(placement, group)
    seen = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += from_client
        if from_client and seen == after:
            fresh = random.Random(after).randbytes
            world.wire.server = Stack(SERVER, random=fresh, config=world.wire.server.config)
            world.listener = world.wire.server.listen(80, security=world.ask)
        return [(0.0, packet)]

    world.wire.tap = tap
    world.ends_well()


@pytest.mark.parametrize(("placement", "group"), [case for case in CASES if case[0] not in ("crossed", "cookies")])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_the_client_s_host_begins_anew_in_mid_handshake(placement: str, group: str, after: int) -> None:
    """Its next connection from the same port works, at once or when the listener has given the first one up."""
    world = World(placement, group)
    wire = world.wire
    wire.client.connect(("10.0.0.2", 80), security=world.ask, now=wire.now, local_port=81)
    seen = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [(0.0, packet)] if seen <= after else []

    wire.tap = tap
    wire.run(1.0)
    wire.client = Stack(CLIENT, random=random.Random(after).randbytes, config=wire.client.config)
    wire.tap = lambda packet, from_client, now: [(0.0, packet)]
    world.ends_well()


@pytest.mark.parametrize("group", [SMALL, TWO_SEGMENTS, COSTLY])
def test_a_hello_comes_behind_data_that_was_sent_under_its_keys(group: str) -> None:
    """The answer's repetition has keys made; the client's data overtakes the hello's last copy."""
    world = World("late", group)

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        late = from_client and hello_of(packet)
        return [(0.0, packet), (0.05, packet), (0.2, packet)] if late else [(0.0, packet)]

    world.wire.tap = tap
    world.works()
