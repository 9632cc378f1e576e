"""SYN and SYN-ACK are authenticated afterwards: what a path did to them is told (profile.md §8)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from ao.messages import Flag
from stack.config import TcpConfig
from stack.handshake.agreed import Agreed
from stack.run import ACK, CWR, ECE, SYN
from stack.security import Security
from tests.stack.handshake.agreed_pair import PROTECTED, Pair
from tests.stack.handshake.test_agreed import flags_of, resummed, without_option
from tests.stack.wire import End, Tap, Wire

STRICT = Security("ao-enc-dh", strict_syn=True)
MSS, WSCALE, SACK_OK, TS = b"\x02\x04", b"\x03\x03", b"\x04\x02", b"\x08\x0a"
Change = Callable[[bytes], bytes]


def altering(change: Change, flags: int) -> Tap:
    """Segments with exactly these of SYN and ACK are changed on the path."""

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, change(packet) if flags_of(packet) & (SYN | ACK) == flags else packet)]

    return tap


def option(packet: bytes, head: bytes) -> int:
    """Where an option stands in the TCP part of an IPv4 packet."""
    return packet.index(head, 40) - 20


def clamp(packet: bytes) -> bytes:
    at = option(packet, MSS)
    return resummed(resummed(packet, at + 2, 1200 >> 8), at + 3, 1200 & 0xFF)


def other_scale(packet: bytes) -> bytes:
    at = option(packet, WSCALE) + 2
    return resummed(packet, at, packet[20 + at] - 1)


def no_sack(packet: bytes) -> bytes:
    return without_option(packet, SACK_OK)


def no_timestamps(packet: bytes) -> bytes:
    return without_option(packet, TS)


def reports(packet: bytes) -> bool:
    return b"\xa0\xe1\x07" in packet


def unreporting(wire: Wire) -> None:
    """The server, which has answered, agreed to report and will not."""
    (flow,) = wire.server.flows.values()
    assert isinstance(flow.handshake, Agreed)
    flow.handshake.agreement.flags &= ~Flag.REPORTS


def bleach(packet: bytes) -> bytes:
    return resummed(packet, 13, packet[33] & ~(ECE | CWR))


def narrow(packet: bytes) -> bytes:
    return resummed(packet, 14, packet[34] >> 1)


def translate(packet: bytes) -> bytes:
    return resummed(packet, 1, packet[21] ^ 1)


CHANGES = [
    pytest.param(clamp, ("MSS", "clamped", "1460", "1200"), id="mss"),
    pytest.param(other_scale, ("window scale", "changed", "8", "7"), id="scale"),
    pytest.param(
        lambda packet: without_option(packet, SACK_OK), ("SACK-permitted", "removed", "there", ""), id="sack"
    ),
    pytest.param(narrow, ("window", "changed", "65535", "32767"), id="window"),
]


def both(client: Security, server: Security, tap: Tap, config: TcpConfig | None = None) -> Pair:
    return Pair(client, server, tap=tap, from_start=True, config=config)


def paths(pair: Pair) -> list[object]:
    return [side.attempt.report()["path"] for side in pair.sides]


def test_a_path_that_changes_nothing_is_said_to_in_three_segments() -> None:
    pair = Pair(from_start=True)
    assert paths(pair) == [[], []]
    reports = pair.messages(7)
    assert [from_client for _, from_client, _ in reports] == [True, False, True]
    # Have nothing; have yours; have yours, which says that you have mine.
    assert [message[1] for _, _, message in reports] == [0, 1, 3]
    # The last one had nothing to go along with for 200 ms.
    assert reports[2][0] - reports[1][0] == pytest.approx(0.2 + pair.wire.latency)
    pair.wire.sent.clear()
    pair.talk()
    assert pair.messages(7) == []


@pytest.mark.parametrize("version", [4, 6])
def test_a_report_says_all_that_was_seen(version: int) -> None:
    wire = Wire()
    attempt, _ = wire.open(PROTECTED, PROTECTED, version=version)
    wire.run(1.0)
    syn = next(packet for _, _, packet in wire.sent if flags_of(packet) & SYN)
    start = 20 if version == 4 else 40
    source = syn[12:16] if version == 4 else syn[8:24]
    by_server = next(
        packet for _, from_client, packet in wire.sent if not from_client and b"\xa0\xe1\x07" in packet
    )
    message = by_server[by_server.index(b"\xa0\xe1\x07") + 7 :]
    options = syn[start + 20 : start + (syn[start + 12] >> 4) * 4]
    expected = bytes((1, 1, version)) + source + syn[start : start + 2] + bytes((SYN, 0, 64))
    expected += syn[start + 14 : start + 16] + bytes((len(options),)) + options
    assert message.startswith(expected)
    assert attempt.report()["path"] == []


@pytest.mark.parametrize(("change", "row"), CHANGES)
@pytest.mark.parametrize("flags", [SYN, SYN | ACK], ids=["syn", "syn-ack"])
def test_what_a_path_changes_is_told_to_who_sent_it(
    change: Change, row: tuple[str, str, str, str], flags: int
) -> None:
    pair = both(PROTECTED, PROTECTED, altering(change, flags))
    told = dict(zip(("of", "what", "sent", "seen"), row, strict=True))
    if flags == SYN | ACK and row[0] == "SACK-permitted":
        # A then sends none, and the rest is as it was.
        assert paths(pair) == [[], [told]]
    else:
        assert paths(pair)[flags != SYN] == [told]
        assert paths(pair)[flags == SYN] == []
    if change is not other_scale:
        # With another scale than was meant the windows are not what they seem.
        pair.talk()


def test_ecn_that_is_bleached() -> None:
    pair = both(PROTECTED, PROTECTED, altering(bleach, SYN), TcpConfig(ecn="offer"))
    assert paths(pair)[0] == [{"of": "ECN", "what": "bleached", "sent": "ECE CWR IP 00", "seen": "IP 00"}]


def test_a_translated_port() -> None:
    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        # The client's port is another beyond the box, both ways.
        at = 1 if from_client else 3
        return [(0.0, resummed(packet, at, packet[20 + at] ^ 1))]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(Security("ao-enc-dh", placements=("late",)), PROTECTED)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    port = attempt.local[1]
    assert attempt.report()["path"] == [
        {"of": "port", "what": "translated", "sent": str(port), "seen": str(port ^ 1)}
    ]
    assert accepted.report()["path"] == []


def test_of_several_variants_the_closest_is_compared() -> None:
    """The first SYN-ACK is lost and a SYN without SYN-EOS is answered at last: what came was sent as such."""
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if not from_client and flags_of(packet) & SYN and lost < 4:
            lost += 1
            return []
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    wire.run(60.0, lambda: listener.waiting > 0)
    accepted = listener.accept()
    assert accepted is not None
    wire.run(1.0)
    handshake = attempt.flow.handshake
    assert isinstance(handshake, Agreed)
    assert len(handshake.sent) > 2
    assert attempt.report()["path"] == accepted.report()["path"] == []


@pytest.mark.parametrize("number", range(6))
def test_lost_reports_are_told_again(number: int) -> None:
    seen = -1

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += reports(packet)
        return [] if reports(packet) and seen == number else [(0.0, packet)]

    pair = Pair(from_start=True, tap=tap)
    pair.wire.run(5.0)
    assert paths(pair) == [[], []]
    assert pair.drops() == {}


def test_a_peer_that_does_not_confirm_hears_it_ten_times() -> None:
    wire = Wire()
    attempt, _ = wire.open(PROTECTED, PROTECTED)
    wire.run(0.015)
    unreporting(wire)
    wire.run(600.0)
    attempt.write(b"x" * 100_000)
    wire.run(60.0)
    times = [at for at, from_client, packet in wire.sent if from_client and reports(packet)]
    assert len(times) == 10
    # Nothing to go along with: again after a second, two, and so on.
    assert [round(later - earlier, 3) for earlier, later in pairwise(times)][:3] == [1.0, 2.0, 4.0]
    assert attempt.report()["path"] is None


def test_a_report_without_the_second_flag_draws_ours_always() -> None:
    pair = Pair()
    for _ in range(15):
        flow = pair.a.flow
        message = bytes.fromhex("010104c0000201c30602004000ff00")
        rider = bytes((254, 9 + len(message))) + bytes.fromhex("a0e107000f0000") + message
        flow.send(pair.a.connection.segment(ACK), flow.stack.out, (rider,))
        pair.wire.run(1.0)
    assert [from_client for _, from_client, _ in pair.messages(7)].count(False) == 15


def test_reports_that_one_side_does_not_permit_are_not_sent() -> None:
    for client, server in (
        (Security("ao-enc-dh", reports=False), PROTECTED),
        (PROTECTED, Security("ao-enc-dh", reports=False)),
    ):
        pair = Pair(client, server, from_start=True)
        pair.talk()
        assert (paths(pair), pair.messages(7)) == ([None, None], [])


# --- strict_syn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "server"), [(STRICT, PROTECTED), (PROTECTED, STRICT), (STRICT, STRICT)])
def test_strict_ends_work_over_a_sound_path(client: Security, server: Security) -> None:
    pair = Pair(client, server, from_start=True)
    pair.talk()
    assert paths(pair) == [[], []]


def test_a_strict_end_completes_nothing_before_the_report_and_waits_half_a_minute() -> None:
    wire = Wire()
    attempt, listener = wire.open(STRICT, PROTECTED)
    wire.run(0.015)
    unreporting(wire)
    begun = wire.now
    client = End(attempt, b"not before")
    assert wire.run(60.0, lambda: attempt.finished is not None)
    client.pump()
    assert [type(event).__name__ for event in client.events] == ["Closed"]
    assert 29.9 < wire.now - begun < 30.1
    assert attempt.report()["error"] == "no report of the handshake came in 30 s"
    wire.run(1.0)
    assert not wire.server.flows
    accepted = listener.accept()
    assert accepted is not None
    assert not accepted.readable


@pytest.mark.parametrize("strict_is_a", [True, False])
def test_a_strict_end_refuses_a_peer_that_permits_no_reports(strict_is_a: bool) -> None:
    silent = Security("ao-enc-dh", reports=False)
    wire = Wire()
    attempt, listener = wire.open(*((STRICT, silent) if strict_is_a else (silent, STRICT)))
    assert wire.run(10.0, lambda: attempt.finished is not None)
    said = "we refused the peer's message: policy" if strict_is_a else "the peer refused: policy"
    assert attempt.report()["error"] == said
    assert listener.accept() is None


STRICTLY = [
    pytest.param(other_scale, "window scale", id="scale"),
    pytest.param(no_sack, "SACK-permitted", id="sack"),
    pytest.param(no_timestamps, "timestamps", id="timestamps"),
]


@pytest.mark.parametrize(("change", "what"), STRICTLY)
def test_a_strict_client_refuses_a_path_that_alters_what_counts(change: Change, what: str) -> None:
    wire = Wire(tap=altering(change, SYN))
    attempt, listener = wire.open(STRICT, PROTECTED)
    assert wire.run(30.0, lambda: attempt.finished is not None)
    assert str(attempt.report()["error"]).startswith(f"the handshake was tampered with: {what}")
    wire.run(5.0)
    assert not wire.client.flows
    del listener


@pytest.mark.parametrize(("change", "what"), STRICTLY)
def test_a_strict_listener_gives_nothing_of_such_a_path_away(change: Change, what: str) -> None:
    wire = Wire(tap=altering(change, SYN | ACK))
    attempt, listener = wire.open(PROTECTED, STRICT)
    attempt.write(b"never delivered")
    wire.run(40.0)
    assert listener.accept() is None
    assert not wire.server.flows
    del what


@pytest.mark.parametrize("change", [clamp, narrow, bleach])
def test_what_boxes_do_in_good_faith_is_told_and_passes(change: Change) -> None:
    pair = both(STRICT, STRICT, altering(change, SYN), TcpConfig(ecn="offer"))
    assert paths(pair)[0]
    pair.talk()
