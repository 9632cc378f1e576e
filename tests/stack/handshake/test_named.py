"""What ``require`` says was missing, what ``prefer`` does instead, and what is remembered (profile.md §2, §5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stack.config import TcpConfig
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.faults import EDO, ENO, hello_of, turned
from tests.stack.handshake.test_agreed import (
    ended,
    flags_of,
    has_option,
    out_of_band,
    removing,
    resummed,
    without_option,
)
from tests.stack.wire import Tap, Wire, transfer

REQUIRE = Security("ao-enc-dh")
LATE = replace(REQUIRE, placements=("late",))


def on_syn_acks(alter: Callable[[bytes], bytes]) -> Tap:
    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, packet if from_client or not flags_of(packet) & SYN else alter(packet))]

    return tap


def vacuous(packet: bytes) -> bytes:
    """ENO without a TEP: what follows the global suboption becomes NOPs behind a shorter option."""
    at = packet.index(b"\x45\x06\x01\xa0", 40) - 20
    packet = resummed(packet, at + 1, 3)
    for octet in range(3):
        packet = resummed(packet, at + 3 + octet, 1)
    return packet


def rewriting(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    """A box that adds a thousand to the client's sequence numbers."""
    field, shift = (4, 1000) if from_client else (8, -1000)
    number = (int.from_bytes(packet[20 + field : 24 + field]) + shift) & 0xFFFFFFFF
    for index, octet in enumerate(number.to_bytes(4)):
        packet = resummed(packet, field + index, octet)
    return [(0.0, packet)]


def breaking(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    """A box that changes an octet of every signed segment."""
    if has_option(packet, 29):
        packet = resummed(packet, 15, packet[35] ^ 1)
    return [(0.0, packet)]


def hellos(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    return [] if from_client and hello_of(packet) else [(0.0, packet)]


CASES: list[tuple[str, Security, Security, Tap | None]] = [
    ("no ENO in the SYN-ACK", REQUIRE, Security(), None),
    ("no ENO in the SYN-ACK", LATE, REQUIRE, on_syn_acks(lambda packet: without_option(packet, ENO))),
    ("our TEP was not chosen in the SYN-ACK", LATE, REQUIRE, on_syn_acks(vacuous)),
    ("no EDO in the SYN-ACK", LATE, REQUIRE, on_syn_acks(lambda packet: without_option(packet, EDO))),
    ("no common suite", REQUIRE, replace(REQUIRE, suites=("kmac256-128+chacha20",)), None),
    ("no common group", replace(REQUIRE, groups=("x448",)), replace(REQUIRE, groups=("x25519",)), None),
    ("no answer to the hello after", LATE, REQUIRE, hellos),
    ("keys agreed but nothing verifies", REQUIRE, REQUIRE, breaking),
    ("sequence numbers were rewritten", REQUIRE, REQUIRE, rewriting),
]


@pytest.mark.parametrize(
    ("missing", "client", "server", "tap"), CASES, ids=[f"{n} {case[0]}" for n, case in enumerate(CASES)]
)
def test_require_names_what_was_missing_and_prefer_says_it(
    missing: str, client: Security, server: Security, tap: Tap | None
) -> None:
    wire = Wire() if tap is None else Wire(tap=tap)
    # A listener that gives up sooner than the client would tell it by a reset.
    patient = replace(server, policy="prefer") if server.agrees else server
    closed = ended(wire, client, server)
    assert closed.error is not None
    if missing != "no answer to the hello after":
        assert missing in str(closed.error.strerror)
    wire = Wire() if tap is None else Wire(tap=tap)
    attempt, listener = wire.open(replace(client, policy="prefer"), patient)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(ends[0].received) == b"down"
    report = attempt.report()
    assert report["mode"] == "none"
    assert report["fallback"] is not None
    # Each downgrade is counted with its reason.
    assert wire.client.downgrades[str(report["fallback"])] == 1
    if missing != "no answer to the hello after":
        assert missing in str(report["fallback"])


def test_no_answer_to_the_hello_is_named() -> None:
    """A peer that answers SYNs, and is silent then."""
    wire = Wire(tap=lambda packet, whose, now: [(0.0, packet)] if whose or flags_of(packet) & SYN else [])
    attempt, _ = wire.open(LATE, REQUIRE)
    wire.run(300.0)
    assert attempt.error is not None
    assert attempt.error.strerror == "no answer to the hello after 7 tries"


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("no ENO", lambda packet: without_option(packet, ENO)),
        ("no TEP", lambda packet: resummed(packet, packet.index(b"\x45\x05\xa0", 40) - 20 + 2, 0xAA)),
        ("another experiment", lambda packet: resummed(packet, packet.index(b"\xed\x01", 40) - 20, 0xEE)),
        ("no EDO", lambda packet: without_option(packet, EDO, b"\xfe\x04\x5e\x05")),
    ],
    ids=["ENO", "TEP", "magic", "EDO"],
)
def test_a_listener_that_requires_it_resets_a_syn_that_it_cannot_accept(
    what: str, changed: Callable[[bytes], bytes]
) -> None:
    """profile.md §2; under ``prefer`` it answers, with a vacuous ENO where there was one."""

    def tap(packet: bytes, whose: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, changed(packet) if whose and flags_of(packet) == SYN else packet)]

    wire = Wire(tap=tap)
    attempt, _ = wire.open(LATE, REQUIRE)
    wire.run(0.1)
    assert attempt.error is not None, what
    wire = Wire(tap=tap)
    wire.open(LATE, replace(REQUIRE, policy="prefer"))
    wire.run(0.015)
    syn_ack = next(packet for _, whose, packet in wire.sent if not whose)
    assert flags_of(syn_ack) == SYN | ACK
    assert (b"\x45\x03\x01" in syn_ack) == (what != "no ENO")


# --- memory ----------------------------------------------------------------------------------------------


def again(wire: Wire, security: Security, port: int) -> tuple[float, dict[str, object]]:
    """Another connection on the same wire: how long it took, and what it was."""
    listener = wire.server.listen(port, security=security)
    began = wire.now
    attempt = wire.client.connect(("10.0.0.2", port), security=security, now=began)
    transfer(wire, attempt, listener, b"up", b"down")
    plain = (at for at, whose, packet in wire.sent if whose and at >= began and packet.endswith(b"up"))
    return next(plain, began) - began, attempt.report()


def test_less_is_waited_for_where_no_keys_came_about_before() -> None:
    prefer = replace(LATE, policy="prefer")
    wire = Wire(tap=removing(hello_of))
    took = [again(wire, prefer, port)[0] for port in (80, 81)]
    assert took[1] < took[0] / 2
    rows = [row for row in wire.client.peers.rows(wire.now) if row["kind"] == "agreement-failed"]
    assert [row["peer"] for row in rows] == ["10.0.0.2"]
    assert wire.client.peers.forget(kind="agreement-failed") == 1
    assert again(wire, prefer, 82)[0] == pytest.approx(took[0], rel=0.1)


def test_keys_that_come_about_are_remembered_too() -> None:
    prefer = replace(LATE, policy="prefer")
    wire = Wire(tap=removing(hello_of))
    again(wire, prefer, 80)
    wire.tap = lambda packet, whose, now: [(0.0, packet)]
    assert again(wire, prefer, 81)[1]["mode"] == "ao-enc-dh"
    assert not [row for row in wire.client.peers.rows(wire.now) if row["kind"] == "agreement-failed"]


def test_eno_comes_back_after_a_minute_then_two_and_at_most_ten() -> None:
    prefer = replace(REQUIRE, policy="prefer")
    wire = Wire(tap=removing(lambda packet: bool(flags_of(packet) & SYN) and has_option(packet, 69)))
    until = []
    for port in range(80, 86):
        assert again(wire, prefer, port)[1]["mode"] == "none"
        row = next(row for row in wire.client.peers.rows(wire.now) if row["kind"] == "eno-silence")
        left = row["seconds"]
        assert isinstance(left, float)
        until.append(left)
        # The SYN without ENO is the first one, as long as that is believed.
        wire.sent.clear()
        again(wire, prefer, port + 100)
        first = next(packet for _, whose, packet in wire.sent if whose)
        assert not has_option(first, 69)
        wire.now += left + 1.0
    spans = [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert until == [pytest.approx(span, abs=61.0) for span in spans]
    assert sorted(until) == until


# --- what strangers may cost ------------------------------------------------------------------------------


def extended(wire: Wire) -> int:
    """How many SYN-ACKs brought an answer."""
    return sum(
        1 for _, whose, packet in wire.sent if not whose and b"\xa0\xe1\x02" in packet and flags_of(packet) & SYN
    )


def strangers(count: int, backlog: int = 64, limit: float = 200.0) -> Wire:
    wire = Wire(config=TcpConfig(unproven_agreements=limit))
    wire.server.listen(80, security=REQUIRE, backlog=backlog)
    for _ in range(count):
        wire.client.connect(("10.0.0.2", 80), security=REQUIRE, now=wire.now)
    wire.tap = lambda packet, whose, now: [(0.0, packet)] if whose else []
    wire.run(0.3)
    return wire


def test_agreements_for_strangers_are_limited() -> None:
    assert extended(strangers(8)) == 8
    wire = strangers(8, limit=3.0)
    # The others are answered in placement late.
    assert extended(wire) == 3
    syn_acks = {packet[22:24] for _, whose, packet in wire.sent if not whose and flags_of(packet) & SYN}
    assert len(syn_acks) == 8


def test_the_default_is_two_hundred_a_second() -> None:
    assert TcpConfig().unproven_agreements == 200.0


def test_half_a_backlog_is_for_those_who_take_a_round_trip() -> None:
    assert extended(strangers(8, backlog=8)) == 4


def test_no_finite_field_for_strangers() -> None:
    wire = Wire()
    ask = replace(REQUIRE, groups=("ffdhe3072",))
    wire.server.listen(80, security=ask)
    wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now)
    wire.run(0.011)
    assert any(out_of_band(packet) for _, _, packet in wire.sent)
    assert extended(wire) == 0
    assert turned(turned(wire.sent[0][2])) == wire.sent[0][2]
