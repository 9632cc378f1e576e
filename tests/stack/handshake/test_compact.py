"""Placement ``compact``, and attempts that follow one another where a placement fails (profile.md §5)."""

from __future__ import annotations

import errno
import random

import pytest

from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.handshake.faults import ENO, bare, turned
from tests.stack.handshake.test_agreed import (
    check,
    dropping,
    ended,
    flags_of,
    has_option,
    in_clear,
    out_of_band,
    removing,
    resummed,
    without_option,
)
from tests.stack.wire import Tap, Wire, transfer

AO = 29
SHARE = b"\x1d\x24\x00\x00"
COMPACT = Security("ao-enc-dh", placements=("compact",))
COMPACT_PREFER = Security("ao-enc-dh", placements=("compact",), policy="prefer")
BOTH = Security("ao-enc-dh", placements=("compact", "auto"))
BOTH_PREFER = Security("ao-enc-dh", placements=("compact", "auto"), policy="prefer")
AUTO = Security("ao-enc-dh")


def options_of(packet: bytes) -> bytes:
    start = 20 if packet[0] >> 4 == 4 else 40
    return packet[start + 20 : start + ((packet[start + 12] >> 4) << 2)]


def syns(wire: Wire, from_client: bool = True) -> list[bytes]:
    return [packet for _, whose, packet in wire.sent if whose is from_client and flags_of(packet) & SYN]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("policy", ["require", "prefer"])
def test_shares_in_both_syns_and_nothing_else(policy: str, version: int) -> None:
    wire = Wire()
    ask = Security("ao-enc-dh", placements=("compact",), policy=policy)
    client, server = check(wire, ask, ask, version=version)
    for report in (client, server):
        assert (report["mode"], report["placement"], report["group"]) == ("ao-enc-dh", "compact", "x25519")
        assert (report["mac"], report["cipher"], report["edo"]) == ("aes-128-cmac-96", "aes-128-ctr", "off")
        assert report["drops"] == {}
        assert report["fallback"] is None
    assert client["session_id"] == server["session_id"]
    # No TEP of TCP-ENO: its API has no session here (profile.md §7).
    assert str(client["session_id"]).startswith("00")
    assert not in_clear(wire)
    for packet in (wire.sent[0][2], wire.sent[1][2]):
        octets = options_of(packet)
        assert (len(octets), octets[:4], octets[36:38]) == (40, SHARE, b"\x02\x04")
    assert wire.sent[2][2][20 if version == 4 else 40 :][20:24] == b"\x1d\x10\x00\x00"


def test_without_encryption() -> None:
    wire = Wire()
    ask = Security("ao-dh", placements=("compact",), suites=("kmac256-128",))
    client, server = check(wire, ask, ask)
    assert (client["mode"], client["mac"], client["cipher"]) == ("ao-dh", "kmac256-128", None)
    assert client["session_id"] == server["session_id"]
    assert in_clear(wire)


def test_suites_that_are_not_configured_alike_verify_nothing() -> None:
    other = Security("ao-enc-dh", placements=("compact",), suites=("hmac-sha-1-96+aes-128-ctr",))
    closed = ended(Wire(), COMPACT, other)
    assert closed.error is not None
    assert closed.error.strerror == "keys agreed but nothing verifies"


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("ask", [COMPACT, COMPACT_PREFER], ids=["require", "prefer"])
def test_any_one_segment_may_be_lost(ask: Security, number: int) -> None:
    client, server = check(Wire(tap=dropping(number)), ask, ask)
    assert client["placement"] == server["placement"] == "compact"
    assert client["session_id"] == server["session_id"]


@pytest.mark.parametrize("seed", range(12))
def test_loss_duplication_and_reordering_change_no_key(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        copies = 2 if source.random() < 0.1 else 1
        return [(delay * copy, packet) for copy in range(1, copies + 1)]

    client, server = check(Wire(seed, tap=tap), COMPACT, COMPACT)
    assert client["placement"] == server["placement"] == "compact", seed
    assert client["session_id"] == server["session_id"], seed


def test_the_share_is_the_same_in_every_repetition() -> None:
    wire = Wire(tap=dropping(0, 2))
    check(wire, COMPACT, COMPACT)
    assert len({options_of(packet) for packet in syns(wire)}) == 1
    assert len({options_of(packet) for packet in syns(wire, False)}) == 1
    assert len(syns(wire)) > 1


def test_a_peer_without_it_is_named_under_require_and_plain_under_prefer() -> None:
    plain = Security()
    closed = ended(Wire(), COMPACT, plain)
    assert closed.error is not None
    assert closed.error.strerror == "no TCP-AO share in the SYN-ACK"
    client, _ = check(Wire(), COMPACT_PREFER, plain)
    assert (client["mode"], client["fallback"]) == ("none", "no TCP-AO share in the SYN-ACK")


def test_a_listener_that_requires_it_resets_who_does_not() -> None:
    closed = ended(Wire(), AUTO, COMPACT)
    assert closed.error is not None
    assert closed.error.errno == errno.ECONNREFUSED


def test_silence_is_met_by_a_plain_third_syn_under_prefer() -> None:
    wire = Wire(tap=removing(lambda packet: bool(flags_of(packet) == SYN) and has_option(packet, AO)))
    client, _ = check(wire, COMPACT_PREFER, Security())
    assert (client["mode"], client["fallback"]) == ("none", "no answer to SYNs with a share")
    assert [has_option(packet, AO) for packet in syns(wire)] == [True, True, False]


def test_who_sent_a_plain_syn_uses_no_answer_any_more() -> None:
    """The answers to the first two SYNs come when the third has gone."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        late = not from_client and flags_of(packet) & SYN and has_option(packet, AO)
        return [(4.0 if late else 0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(COMPACT_PREFER, COMPACT_PREFER)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(ends[0].received) == b"down"
    assert attempt.report()["mode"] == "none"


def on(from_client: bool, alter: Tap) -> Tap:
    def tap(packet: bytes, whose: bool, now: float) -> list[tuple[float, bytes]]:
        return alter(packet, whose, now) if whose is from_client else [(0.0, packet)]

    return tap


@pytest.mark.parametrize("from_client", [True, False])
def test_an_altered_share_is_noticed(from_client: bool) -> None:
    def alter(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        if not flags_of(packet) & SYN:
            return [(0.0, packet)]
        return [(0.0, resummed(packet, 30, packet[50] ^ 1))]

    closed = ended(Wire(tap=on(from_client, alter)), COMPACT, COMPACT)
    assert closed.error is not None
    assert closed.error.strerror == "keys agreed but nothing verifies"


def test_a_reflected_share_is_refused() -> None:
    """A box that answers with the client's own share."""
    share: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if flags_of(packet) & SYN and has_option(packet, AO):
            if from_client:
                share[:] = [options_of(packet)[4:36]]
            else:
                for at, octet in enumerate(share[0]):
                    packet = resummed(packet, 24 + at, octet)
        return [(0.0, packet)]

    closed = ended(Wire(tap=tap), COMPACT, COMPACT)
    assert closed.error is not None
    assert closed.error.strerror == "the peer's share fails its check"


def test_a_share_that_is_removed_is_no_way_down_from_require() -> None:
    strip = on(True, lambda packet, _whose, _now: [(0.0, without_option(packet, SHARE))])
    closed = ended(Wire(tap=strip), COMPACT, COMPACT)
    assert closed.error is not None
    client, server = check(Wire(tap=strip), COMPACT_PREFER, COMPACT_PREFER)
    assert client["mode"] == server["mode"] == "none"
    assert server["fallback"] == "no share in the SYN"


def test_the_fallback_drops_segments_with_ao() -> None:
    wire = Wire()
    attempt, listener = wire.open(COMPACT_PREFER, Security())
    wire.run(0.2)
    accepted = listener.accept()
    assert accepted is not None
    attempt.write(b"x")
    wire.run(0.5)
    wire.put(turned(resummed(syns(wire)[0], 13, ACK)), False)
    wire.run(0.1)
    assert attempt.flow.drops["ao_unexpected"] == 1


def test_crossed_syns_end_it() -> None:
    """profile.md §3: compact has no roles for it."""
    client = Wire()
    attempt, _ = client.open(COMPACT, COMPACT)
    client.flush()
    syn = syns(client)[0]
    # The server's SYN, from the port that the client's went to.
    client.put(turned(resummed(syn, 4, syn[24] ^ 1)), False, -client.latency)
    client.run(0.001)
    assert attempt.error is not None
    assert "simultaneous open" in str(attempt.error)


# --- one attempt after the other -------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [BOTH, BOTH_PREFER], ids=["require", "prefer"])
@pytest.mark.parametrize("server", [AUTO, Security("ao-enc-dh", policy="prefer")], ids=["require", "prefer"])
def test_a_placement_that_the_peer_lacks_is_passed_over(ask: Security, server: Security) -> None:
    wire = Wire()
    client, other = check(wire, ask, server)
    assert (client["mode"], client["placement"], client["fallback"]) == ("ao-enc-dh", "syn", None)
    assert client["session_id"] == other["session_id"]
    assert wire.client.counters["placements_passed_over"] == 1


def test_silence_passes_over_before_the_third_syn() -> None:
    wire = Wire(tap=removing(lambda packet: bool(flags_of(packet) == SYN) and has_option(packet, AO)))
    client, _ = check(wire, BOTH, BOTH)
    assert client["placement"] == "syn"
    assert sum(has_option(packet, AO) for packet in syns(wire)) == 2


def test_what_failed_is_remembered_shown_and_forgotten() -> None:
    wire = Wire()
    check(wire, BOTH, AUTO)
    rows = [row for row in wire.client.peers.rows(wire.now) if row["kind"] == "placement-failed"]
    assert [(row["peer"], row["placement"]) for row in rows] == [("10.0.0.2", "compact")]
    for forget in (False, True):
        if forget:
            assert wire.client.peers.forget(kind="placement-failed") == 1
        wire.sent.clear()
        listener = wire.server.listen(81 + forget, security=AUTO)
        attempt = wire.client.connect(("10.0.0.2", 81 + forget), security=BOTH, now=wire.now)
        transfer(wire, attempt, listener, b"up", b"down")
        assert any(has_option(packet, AO) for packet in syns(wire)) is forget
        assert attempt.report()["placement"] == "syn"


def test_enos_that_are_removed_make_room_for_compact() -> None:
    ask = Security("ao-enc-dh", placements=("auto", "compact"))
    strip = on(True, lambda packet, _whose, _now: [(0.0, without_option(packet, ENO))])
    for policy in ("require", "prefer"):
        asked = Security("ao-enc-dh", placements=("auto", "compact"), policy=policy)
        client, server = check(Wire(tap=strip), asked, ask)
        assert client["placement"] == server["placement"] == "compact"


def test_no_placement_in_common_is_an_error_and_not_silence() -> None:
    late, syn = (Security("ao-enc-dh", placements=(name,)) for name in ("late", "syn"))
    for client, server in ((late, syn), (syn, late), (late, COMPACT), (COMPACT, late)):
        wire = Wire()
        closed = ended(wire, client, server)
        assert closed.error is not None
        assert wire.now < 110.0


def test_a_listener_for_late_alone_confirms_no_syn_eos() -> None:
    wire = Wire()
    client, _ = check(wire, AUTO, Security("ao-enc-dh", placements=("late",)))
    assert client["placement"] == "late"


def test_an_unconfirmed_syn_eos_is_not_offered_at_once_again() -> None:
    wire = Wire(tap=removing(out_of_band))
    check(wire, AUTO, AUTO)
    wire.tap = lambda packet, from_client, now: [(0.0, packet)]
    wire.sent.clear()
    listener = wire.server.listen(81, security=AUTO)
    attempt = wire.client.connect(("10.0.0.2", 81), security=AUTO, now=wire.now)
    transfer(wire, attempt, listener, b"up", b"down")
    assert attempt.report()["placement"] == "late"
    assert not any(out_of_band(packet) for _, _, packet in wire.sent)


def test_a_clear_ack_after_an_answer_is_reset_under_any_policy() -> None:
    wire = Wire(tap=lambda packet, whose, now: [(0.0, packet)] if not whose or flags_of(packet) & SYN else [])
    wire.open(COMPACT_PREFER, COMPACT_PREFER)
    wire.run(0.05)
    syn_ack = syns(wire, False)[0]
    wire.sent.clear()
    header = bytearray(turned(bare(syn_ack, ACK)))
    header[24:28] = syn_ack[28:32]
    header[28:32] = ((int.from_bytes(syn_ack[24:28]) + 1) & 0xFFFFFFFF).to_bytes(4)
    wire.put(resummed(bytes(header), 13, ACK), True, -wire.latency)
    wire.run(0.001)
    assert [flags_of(packet) & RST for _, whose, packet in wire.sent if not whose] == [RST, RST]
    assert wire.server.flows == {}
