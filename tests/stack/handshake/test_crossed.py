"""SYNs that cross: who is A is decided by the ISNs, whatever is lost (profile.md §3)."""

from __future__ import annotations

import errno
import random
from dataclasses import replace

import pytest

from stack.attempt import Attempt
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.faults import ENO, resummed
from tests.stack.handshake.test_agreed import DOWN, UP, flags_of, has_option, out_of_band, without_option
from tests.stack.wire import End, Tap, Wire

REQUIRE = Security("ao-enc-dh")
PREFER = Security("ao-enc-dh", policy="prefer")
OFF = Security("ao-enc-dh", simopen="off")
OFF_PREFER = Security("ao-enc-dh", simopen="off", policy="prefer")


def opened(wire: Wire, client: Security, server: Security) -> tuple[Attempt, Attempt]:
    """Both stacks connect to each other at the same time."""
    one = wire.client.connect(("10.0.0.2", 80), security=client, now=wire.now, local_port=81)
    other = wire.server.connect(("10.0.0.1", 81), security=server, now=wire.now, local_port=80)
    return one, other


def carried(wire: Wire, client: Security, server: Security, seconds: float = 300.0) -> tuple[End, End]:
    one, other = opened(wire, client, server)
    ends = End(one, UP), End(other, DOWN)

    def step() -> bool:
        for end in ends:
            end.pump()
        wire.flush()
        return all(end.closed for end in ends)

    wire.run(seconds, step)
    return ends


def agreed(ends: tuple[End, End]) -> None:
    assert bytes(ends[0].received) == DOWN
    assert bytes(ends[1].received) == UP
    reports = [end.attempt.report() for end in ends]
    for report in reports:
        assert (report["mode"], report["placement"], report["fallback"]) == ("ao-enc-dh", "late", None)
    assert reports[0]["session_id"] == reports[1]["session_id"]


def refusing(wanted: object, count: int = 1) -> Tap:
    """Lose the first ``count`` packets for which ``wanted`` holds."""
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if lost < count and wanted(packet, from_client):  # type: ignore[operator]
            lost += 1
            return []
        return [(0.0, packet)]

    return tap


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("client", "server"), [(REQUIRE, REQUIRE), (PREFER, PREFER), (REQUIRE, PREFER)])
def test_crossed_syns_agree(client: Security, server: Security, seed: int) -> None:
    wire = Wire(seed)
    ends = carried(wire, client, server)
    agreed(ends)
    syn_acks = [packet for _, _, packet in wire.sent if flags_of(packet) == SYN | ACK]
    # ENO stays as it was sent, and SYN-EOS is off.
    assert all(packet.count(b"\x45\x05\xa0\xed\x01") == 1 for packet in syn_acks)
    assert not any(b"\xfe\x04\x5e\x05" in packet[40:80] for packet in syn_acks)
    # A has the smaller ISN: it alone sends a hello in a clear ACK.
    isns = {whose: int.from_bytes(packet[24:28]) for _, whose, packet in wire.sent if flags_of(packet) == SYN}
    hellos = {whose for _, whose, packet in wire.sent if flags_of(packet) == ACK and b"\xa0\xe1\x01" in packet}
    assert hellos == {isns[True] < isns[False]}


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("seed", [1, 2])
def test_any_one_segment_may_be_lost(seed: int, number: int) -> None:
    seen = -1

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen == number else [(0.0, packet)]

    wire = Wire(seed, tap=tap)
    agreed(carried(wire, REQUIRE, REQUIRE))


@pytest.mark.parametrize("seed", range(16))
def test_loss_duplication_and_reordering(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.12:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        return [(delay * copy, packet) for copy in range(1, 3 if source.random() < 0.1 else 2)]

    wire = Wire(seed, tap=tap)
    agreed(carried(wire, REQUIRE, REQUIRE))


@pytest.mark.parametrize("lost_of_client", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_side_that_got_no_syn_takes_the_syn_ack_under_require(seed: int, lost_of_client: bool) -> None:
    lose = refusing(lambda packet, whose: flags_of(packet) == SYN and whose is lost_of_client)
    agreed(carried(Wire(seed, tap=lose), REQUIRE, REQUIRE))


@pytest.mark.parametrize("lost_of_client", [True, False])
def test_a_side_that_got_no_syn_follows_the_rfc_under_prefer(lost_of_client: bool) -> None:
    """It sees equal b bits: both go on plain (RFC 8547 §4.3)."""
    lose = refusing(lambda packet, whose: flags_of(packet) == SYN and whose is lost_of_client)
    ends = carried(Wire(tap=lose), PREFER, PREFER)
    assert bytes(ends[0].received) == DOWN
    assert bytes(ends[1].received) == UP
    for end in ends:
        report = end.attempt.report()
        assert report["mode"] == "none"
        assert report["fallback"] is not None


@pytest.mark.parametrize(("client", "server"), [(OFF, OFF), (OFF, REQUIRE)])
def test_off_follows_the_rfc(client: Security, server: Security) -> None:
    ends = carried(Wire(), client, server, 120.0)
    for end in ends:
        assert end.attempt.report()["mode"] == "none"
        assert end.attempt.error is not None
    assert "simultaneous open" in str(ends[0].attempt.error)


def test_off_under_prefer_is_plain() -> None:
    ends = carried(Wire(), OFF_PREFER, OFF_PREFER)
    assert bytes(ends[0].received) == DOWN
    for end in ends:
        report = end.attempt.report()
        assert (report["mode"], report["fallback"]) == ("none", "simultaneous open")


def test_off_meets_tiebreak_under_prefer() -> None:
    """The one goes on plain and says so by an ACK without ENO; the other falls back."""
    ends = carried(Wire(), OFF_PREFER, PREFER)
    assert bytes(ends[0].received) == DOWN
    assert bytes(ends[1].received) == UP
    assert ends[1].attempt.report()["mode"] == "none"


def test_equal_isns_end_both() -> None:
    wire = Wire()
    isn: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        # A box that has both SYNs bear the receiver's own number.
        if flags_of(packet) == SYN:
            own = wire.server if from_client else wire.client
            (flow,) = own.flows.values()
            for at, octet in enumerate((flow.connection.iss & 0xFFFFFFFF).to_bytes(4)):
                packet = resummed(packet, 4 + at, octet)
        isn.append(packet)
        return [(0.0, packet)]

    wire.tap = tap
    one, other = opened(wire, REQUIRE, REQUIRE)
    wire.run(5.0)
    for attempt in (one, other):
        assert attempt.error is not None
        assert attempt.error.errno == errno.ECONNABORTED
        assert "equal initial sequence numbers" in str(attempt.error)


@pytest.mark.parametrize("what", [ENO, b"\xfe\x04\x0e\xd0"], ids=["ENO", "EDO"])
def test_what_a_crossed_syn_lacks_is_named(what: bytes) -> None:
    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, without_option(packet, what) if flags_of(packet) & SYN else packet)]

    ends = carried(Wire(tap=tap), REQUIRE, REQUIRE, 120.0)
    for end in ends:
        assert end.attempt.error is not None
        assert "simultaneous open without" in str(end.attempt.error)
    ends = carried(Wire(tap=tap), PREFER, PREFER)
    assert bytes(ends[0].received) == DOWN
    assert ends[0].attempt.report()["mode"] == "none"


def test_out_of_band_segments_of_crossed_syns_are_not_answered() -> None:
    wire = Wire()
    ends = carried(wire, REQUIRE, REQUIRE)
    agreed(ends)
    assert any(out_of_band(packet) for _, _, packet in wire.sent)


def test_a_plain_peer_that_crosses() -> None:
    ends = carried(Wire(), PREFER, Security())
    assert bytes(ends[0].received) == DOWN
    assert ends[0].attempt.report()["fallback"] == "simultaneous open without a valid TEP"


@pytest.mark.parametrize("groups", [("X25519MLKEM768",), ("ffdhe2048",)])
def test_other_groups_cross_too(groups: tuple[str, ...]) -> None:
    ask = replace(REQUIRE, groups=groups)
    ends = carried(Wire(), ask, ask)
    agreed(ends)
    assert ends[0].attempt.report()["group"] == groups[0]


def test_a_retry_between_crossed_ends() -> None:
    """Whichever is A, the other wants another group than A's first."""
    one = replace(REQUIRE, groups=("x25519", "x448"))
    other = replace(REQUIRE, groups=("x448",))
    for seed in range(4):
        agreed(carried(Wire(seed), one, other))


def test_a_hello_that_is_lost_for_good_ends_both() -> None:
    """B waits for 30 s, and its reset is A's error."""
    lose = refusing(lambda packet, _whose: flags_of(packet) == ACK and not has_option(packet, 29), 10**6)
    wire = Wire(tap=lose)
    attempts = opened(wire, REQUIRE, REQUIRE)
    wire.run(300.0)
    errors = {attempt.error.strerror for attempt in attempts if attempt.error is not None}
    assert "no hello came that can be answered" in errors
    assert len(errors) == 2
    assert wire.client.flows == wire.server.flows == {}
