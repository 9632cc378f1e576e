"""Segments taken apart and put together, and every field altered: the sums are right, and nothing else changes."""

from __future__ import annotations

from functools import cache

import pytest

from stack.checksum import ones_complement_sum, pseudo_header_sum
from stack.ip import TCP, Ip, parse
from stack.security import Security
from stack.simulator import Tap
from tools.attacks.fields import FIELDS, HOWS, How
from tools.attacks.segments import NOP, Parts
from tools.lab.conversation import Talk, converse
from tools.lab.headers import _CONFIG, _LoseOne
from tools.lab.protections import PROTECTIONS

# EDO without a MAC, whose Extension has the long form.
MODES = [*PROTECTIONS, "edo"]


@cache
def packets(mode: str) -> tuple[bytes, ...]:
    """All that crosses in a conversation that loses a segment each way."""
    seen: list[bytes] = []
    asked = (Security(edo="strict"),) * 2 if mode == "edo" else PROTECTIONS.find(mode).make()
    tap = Tap(lambda packet, _direction, _now: seen.append(bytes(packet)))
    assert converse(Talk(1, 12_000, config=_CONFIG), *asked, [_LoseOne(), tap]).whole
    return tuple(seen)


def sums_are_right(packet: bytes) -> bool:
    ip = parse(packet)
    assert isinstance(ip, Ip)
    assert ip.total_octets == len(packet)
    tcp = ip.payload(packet)
    return (
        ip.protocol == TCP
        and (ones_complement_sum(tcp) + pseudo_header_sum(ip.source, ip.destination, len(tcp))) % 0xFFFF == 0
    )


@pytest.mark.parametrize("mode", MODES)
def test_taken_apart_and_put_together_a_packet_is_the_same(mode: str) -> None:
    assert len(packets(mode)) > 20
    for packet in packets(mode):
        parts = Parts.read(packet)
        assert parts is not None
        assert parts.packet() == packet
        assert parts.copy().packet() == packet


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("checksum", "source-address")])
@pytest.mark.parametrize("how", HOWS)
def test_an_altered_segment_has_right_sums_and_others_are_as_they_were(name: str, how: How) -> None:
    altered = 0
    for mode in ("none", "md5", "ao", "ao-enc-dh", "edo"):
        for packet in packets(mode):
            parts = Parts.read(packet)
            assert parts is not None
            changes = FIELDS[name].alter(parts, how)
            assert changes == (parts.packet() != packet), (mode, packet.hex())
            # A destination that is nobody's has a sum all the same.
            assert sums_are_right(parts.packet())
            altered += changes
    # What is zero anyway cannot be cleared, and an option that is nowhere only be added.
    zero = {"unknown", "reserved", "ae", "urg", "rst", "urgent-pointer"} if how == "clear" else set()
    assert (altered > 0) is (name not in zero and (name, how) != ("unknown", "change"))


def test_a_checksum_can_be_wrong() -> None:
    parts = Parts.read(packets("none")[0])
    assert parts is not None
    assert FIELDS["checksum"].alter(parts, "change")
    assert not sums_are_right(parts.packet())


def test_an_option_moves_what_is_behind_it_and_the_extension_tells_where_the_header_ends() -> None:
    """By draft-ietf-tcpm-tcp-edo §4.2: Header_Length in words, and Segment_Length in octets of the long form."""
    added = 0
    for packet in packets("edo"):
        parts = Parts.read(packet)
        assert parts is not None
        if parts.place(254, exid=bytes.fromhex("0ed0"), octets=8) is None or not parts.add(bytes((200, 4, 1, 2))):
            continue
        added += 1
        again = Parts.read(parts.packet())
        assert again is not None
        assert again.payload == parts.payload
        assert [one for one in again.behind if one != NOP] == [one for one in parts.behind if one != NOP]
        place = again.place(254, exid=bytes.fromhex("0ed0"), octets=8)
        assert place is not None
        extension = place[0][place[1]]
        size = len(parts.packet()) - 20
        assert int.from_bytes(extension[4:6]) * 4 == size - len(parts.payload)
        assert int.from_bytes(extension[6:8]) == size
    assert added > 5


@pytest.mark.parametrize("packet", [b"", b"\x45" + bytes(19), bytes.fromhex("60") + bytes(59)])
def test_what_is_no_segment_is_none(packet: bytes) -> None:
    assert Parts.read(packet) is None
