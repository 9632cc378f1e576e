"""SEG-U between two stacks, with old peers, losses and boxes."""

from __future__ import annotations

import pytest

from edo.options import Options
from stack.checksum import fold, ones_complement_sum, pseudo_header_sum
from stack.config import TcpConfig
from stack.run import ACK, SYN
from stack.upgraded import lay
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
)
from tests.stack.wire import Wire

CLIENT, SERVER = asking("seg-u", LONG), asking("seg-u", ANSWER)


@pytest.mark.parametrize("version", [4, 6])
def test_every_segment_has_the_form_and_nothing_takes_longer(version: int) -> None:
    outcome = run(CLIENT, SERVER, version=version)
    assert outcome.whole
    assert outcome.methods == ("seg-u", "seg-u")
    assert outcome.heard == ([ANSWER], [LONG])
    assert outcome.seconds == 0.03
    assert {segment_of(packet).tcp[12] >> 4 for _, _, packet in outcome.wire.sent} == {0}
    assert [flags & 0x17 for _, flags, _ in opening(outcome.wire, 3)] == [SYN, SYN | ACK, ACK]


def test_no_segment_is_larger_than_the_mtu() -> None:
    outcome = run(CLIENT, SERVER, config=TcpConfig(mtu=600))
    assert outcome.whole
    assert max(len(packet) for _, _, packet in outcome.wire.sent) == 600


def test_options_that_fit_leave_every_segment_as_it_was() -> None:
    outcome = run(asking("seg-u"), SERVER)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert all(segment_of(packet).tcp[12] >> 4 for _, _, packet in outcome.wire.sent)


def test_an_old_server_drops_the_first_syn_and_takes_the_second() -> None:
    outcome = run(CLIENT, PLAIN)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.client["fallback"] == "no answer to a SYN with Data Offset 0"
    assert outcome.seconds == 1.03
    assert outcome.wire.server.drops == {"malformed_option": 1}


def test_an_old_client_is_served_as_ever() -> None:
    assert run(PLAIN, SERVER).whole


@pytest.mark.parametrize(("nth", "from_client"), [(0, True), (0, False), (1, True), (1, False), (2, True)])
def test_any_one_segment_of_the_handshake_may_be_lost(nth: int, from_client: bool) -> None:
    """With the first SYN, or its answer, the longer form is lost as well."""
    outcome = run(CLIENT, SERVER, lose(nth, from_client))
    assert outcome.whole
    expected = None if nth == 0 else "seg-u"
    assert outcome.methods == (expected, expected)
    assert outcome.seconds < 1.3


def test_a_late_answer_in_the_longer_form_upgrades_though_an_ordinary_syn_has_gone() -> None:
    """A round trip of more than a second: the server has seen both SYNs, and the client's ACK decides."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        slow = not from_client and segment_of(packet).flags & SYN and not segment_of(packet).tcp[12] >> 4
        return [(1.2 if slow else 0.0, packet)]

    outcome = run(CLIENT, SERVER, tap)
    assert outcome.whole
    # The ordinary SYN-ACK overtook it.
    assert outcome.methods == (None, None)

    def all_slow(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0 if from_client else 1.2, packet)]

    outcome = run(CLIENT, SERVER, all_slow)
    assert outcome.whole
    assert outcome.methods == ("seg-u", "seg-u")


def test_a_box_that_checks_data_offset_costs_a_second() -> None:
    def drop(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if segment_of(packet).tcp[12] >> 4 < 5 else [(0.0, packet)]

    outcome = run(CLIENT, SERVER, drop)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 1.03


def test_a_box_that_checks_data_offset_in_one_direction_only() -> None:
    """The server's answer is dropped; its peer's ordinary SYN is answered in kind."""

    def drop(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if segment_of(packet).tcp[12] >> 4 < 5 and not from_client else [(0.0, packet)]

    outcome = run(CLIENT, SERVER, drop)
    assert outcome.whole
    assert outcome.methods == (None, None)
    assert outcome.seconds == 1.03


def test_a_nat_does_no_harm() -> None:
    outcome = run(CLIENT, SERVER, Nat())
    assert outcome.whole
    assert outcome.methods == ("seg-u", "seg-u")


def test_connections_that_did_not_ask_drop_the_form_silently() -> None:
    """On a port with and without a listener, and on a connection: dropped, counted and not answered."""
    wire = Wire()
    attempt, _ = wire.open(PLAIN, PLAIN)
    wire.run(1.0)
    before = len(wire.sent)
    whole = next(packet for _, from_client, packet in wire.sent if from_client)

    def upgrade(tcp: bytearray) -> bytearray:
        return bytearray(tcp[:12] + b"\x00" + tcp[13:20] + b"\x01\x00\x00\x00")

    wire.put(changed(whole, upgrade), True)
    for port in (80, 81):

        def other(tcp: bytearray, port: int = port) -> bytearray:
            tcp[0:2] = (999).to_bytes(2)
            tcp[2:4] = port.to_bytes(2)
            return upgrade(tcp)

        wire.put(changed(whole, other), True)
    wire.run(1.0)
    assert len(wire.sent) == before
    assert wire.server.drops["malformed_option"] == 3
    assert attempt.flow.connection.state.name == "ESTABLISHED"


def test_more_sack_blocks_than_an_ordinary_header_has() -> None:
    blocks = tuple((n, n + 1) for n in range(0, 32, 2))
    plan = lay(Options(ts_val=1, ts_ecr=2, sack=blocks))
    assert plan.data_offset == 0
    assert plan.header_octets == 20 + 4 + 12 + 2 + 2 + 8 * 16
    assert plan.octets[0] == len(plan.octets) // 4


def test_octets_that_make_no_header_are_dropped() -> None:
    """Whatever stands behind Data Offset 0: the connection goes on."""
    wire = Wire()
    attempt, listener = wire.open(CLIENT, SERVER)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    good = next(packet for _, from_client, packet in wire.sent if from_client and segment_of(packet).flags == ACK)
    for bad in (b"", b"\0", b"\0\0\0\0", b"\xff\0\0\0", b"\x02\0\0\0\xc8\x09\0\0", b"\x02\0\0\0\xc8\x00\0\0"):
        wire.put(changed(good, lambda tcp, bad=bad: tcp[:20] + bad), True)  # type: ignore[misc]
    wire.run(1.0)
    assert accepted.report()["drops"] == {"malformed_option": 6}
    attempt.write(b"still here")
    wire.run(1.0)
    assert accepted.read() == b"still here"


def test_the_checksum_covers_the_longer_header() -> None:
    packet = run(CLIENT, SERVER).wire.sent[0][2]
    segment = segment_of(packet)
    total = ones_complement_sum(segment.tcp) + pseudo_header_sum(
        segment.source, segment.destination, len(segment.tcp)
    )
    assert fold(total) == 0xFFFF
