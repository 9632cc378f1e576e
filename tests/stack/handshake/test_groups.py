"""Agreement in every group: in one segment or two, with a retry or without, and what is too dear for whom."""

from __future__ import annotations

import random

import pytest

from ao.groups import NAMES
from ao.messages import MessageKind
from stack.config import TcpConfig
from stack.run import SYN
from stack.security import Security
from tests.stack.handshake.faults import hello_of
from tests.stack.handshake.test_agreed import check, dropping, ended, flags_of, in_clear, out_of_band
from tests.stack.wire import Wire

HYBRID = "X25519MLKEM768"


def of(*groups: str, **fields: object) -> Security:
    return Security("ao-enc-dh", groups=groups, **fields)  # type: ignore[arg-type]


def carries(packet: bytes, kind: MessageKind) -> bool:
    """Whether a packet has a fragment of this message's beginning."""
    at = packet.find(b"\xa0\xe1" + bytes((kind,)))
    return at > 0 and packet[at + 5 : at + 7] == b"\0\0"


def clear_messages(wire: Wire, from_client: bool) -> list[bytes]:
    return [packet for _, whose, packet in wire.sent if whose is from_client and hello_of(packet)]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("group", NAMES)
def test_every_group_agrees(group: str, version: int) -> None:
    wire = Wire()
    client, server = check(wire, of(group), of(group), version=version)
    for report in (client, server):
        assert (report["mode"], report["group"]) == ("ao-enc-dh", group)
        assert report["drops"] == {}
    # A stranger's SYN brings about no exponentiation of finite fields (profile.md §5).
    assert client["placement"] == ("late" if group.startswith("ffdhe") else "syn")
    assert client["session_id"] == server["session_id"]
    assert not in_clear(wire)


@pytest.mark.parametrize("version", [4, 6])
def test_the_hybrid_at_1500_octets_has_the_profile_s_sizes(version: int) -> None:
    """profile.md §6: with two suites and two groups the OOB is 1,376 or 1,396 octets."""
    wire = Wire()
    check(wire, of(HYBRID, "x25519"), of(HYBRID), version=version)
    (oob,) = (packet for _, whose, packet in wire.sent if whose and out_of_band_of(packet))
    assert len(oob) == (1376 if version == 4 else 1396)
    syn = wire.sent[0][2]
    syn_ack = next(packet for _, whose, packet in wire.sent if not whose)
    assert carries(syn_ack, MessageKind.ANSWER)
    assert len(syn_ack) <= 3 * (len(syn) + len(oob))


def out_of_band_of(packet: bytes) -> bool:
    return out_of_band(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_the_hybrid_at_1280_octets_is_late_and_in_two_segments(version: int) -> None:
    wire = Wire(config=TcpConfig(mtu=1280))
    client, server = check(wire, of(HYBRID), of(HYBRID), version=version)
    assert client["placement"] == server["placement"] == "late"
    assert not any(out_of_band(packet) for _, _, packet in wire.sent)
    assert len(clear_messages(wire, True)) == 2
    assert all(len(packet) <= 1280 for _, _, packet in wire.sent)
    assert client["session_id"] == server["session_id"]


def test_a_message_fits_the_peer_s_mss() -> None:
    wire = Wire(config=TcpConfig(mss=300))
    client, server = check(wire, of(HYBRID), of(HYBRID))
    assert client["session_id"] == server["session_id"]
    messages = clear_messages(wire, True)
    assert len(messages) > 4
    assert all(len(packet) <= 340 for packet in messages + clear_messages(wire, False))


def test_a_message_that_fits_no_eight_segments_is_an_error() -> None:
    wire = Wire(config=TcpConfig(mss=160))
    closed = ended(wire, of(HYBRID), of(HYBRID))
    assert closed.error is not None
    assert "do not fit 8 segments" in str(closed.error)


@pytest.mark.parametrize("placement", [("auto",), ("late",)], ids=["auto", "late"])
@pytest.mark.parametrize("wanted", ["secp256r1", HYBRID, "ffdhe2048"])
def test_a_listener_asks_for_the_group_that_it_has(wanted: str, placement: tuple[str, ...]) -> None:
    """Unknown groups fall through to the next common one, and a round trip is all that it costs."""
    wire = Wire()
    client, server = check(wire, of("x448", "x25519", wanted, placements=placement), of(wanted))
    assert client["group"] == server["group"] == wanted
    assert client["session_id"] == server["session_id"]
    assert sum(carries(packet, MessageKind.RETRY) for _, _, packet in wire.sent) == 1
    assert sum(carries(packet, MessageKind.SECOND_HELLO) for _, _, packet in wire.sent) == 1
    syn_ack = next(packet for _, whose, packet in wire.sent if not whose and flags_of(packet) & SYN)
    assert carries(syn_ack, MessageKind.RETRY) == (placement == ("auto",))


def test_whose_order_decides() -> None:
    groups = ("x25519", "x448")
    client, _ = check(Wire(), of(*groups), of("x448", "x25519"))
    assert client["group"] == "x25519"
    client, _ = check(Wire(), of(*groups), of("x448", "x25519", order="own"))
    assert client["group"] == "x448"


@pytest.mark.parametrize("placement", [("auto",), ("late",)], ids=["auto", "late"])
def test_no_common_group_is_named(placement: tuple[str, ...]) -> None:
    closed = ended(Wire(), of("x25519", "x448", placements=placement), of("secp256r1"))
    assert closed.error is not None
    assert closed.error.strerror == "the peer refused: no common group"


def test_no_common_suite_is_named() -> None:
    server = Security("ao-enc-dh", suites=("kmac256-128+chacha20",))
    closed = ended(Wire(), Security("ao-enc-dh"), server)
    assert closed.error is not None
    assert closed.error.strerror == "the peer refused: no common suite"


@pytest.mark.parametrize("placement", [("auto",), ("late",)], ids=["auto", "late"])
@pytest.mark.parametrize("number", range(10))
def test_any_one_segment_of_a_retry_may_be_lost(placement: tuple[str, ...], number: int) -> None:
    ask = of("x25519", HYBRID, placements=placement)
    client, server = check(Wire(tap=dropping(number), config=TcpConfig(mtu=1280)), ask, of(HYBRID))
    assert client["mode"] == server["mode"] == "ao-enc-dh"
    assert client["session_id"] == server["session_id"]


@pytest.mark.parametrize("seed", range(24))
def test_loss_duplication_and_reordering_change_no_key(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        copies = 2 if source.random() < 0.1 else 1
        return [(delay * copy, packet) for copy in range(1, copies + 1)]

    placement = source.choice([("auto",), ("late",), ("syn", "late")])
    first, wanted = source.sample(("x25519", "secp256r1", "x448", "ffdhe2048", HYBRID), 2)
    wire = Wire(seed, tap=tap, config=TcpConfig(mtu=source.choice([1280, 1500])))
    client, server = check(wire, of(first, wanted, placements=placement), of(wanted))
    assert client["mode"] == server["mode"] == "ao-enc-dh", seed
    assert client["session_id"] == server["session_id"], seed
