"""Flags of hello and answer: what both sides permit holds, and a box that lets one say otherwise is noticed."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from stack.run import SYN
from stack.security import Security
from tests.stack.handshake.faults import resummed
from tests.stack.handshake.test_agreed import check, ended, flags_of, has_option
from tests.stack.wire import Tap, Wire

REQUIRE = Security("ao-enc-dh")
LATE = Security("ao-enc-dh", placements=("late",))
COMPACT = Security("ao-enc-dh", placements=("compact",))
OUTSIDE = ("10.9.9.9", 40_000)


def summed(packet: bytes) -> bytes:
    """The packet with the right sums, of header and segment."""
    octets = bytearray(packet)
    octets[10:12] = bytes(2)
    total = sum(int.from_bytes(octets[at : at + 2]) for at in range(0, 20, 2))
    octets[10:12] = (0xFFFF - (total % 0xFFFF)).to_bytes(2)
    return resummed(bytes(octets), 13, octets[33])


def translating(wire: Wire) -> Tap:
    """A NAT between the two: the server sees another address and port than the client has."""
    inside: dict[str, bytes] = {}
    address = ipaddress.ip_address(OUTSIDE[0]).packed
    port = OUTSIDE[1].to_bytes(2)

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client:
            inside["address"], inside["port"] = packet[12:16], packet[20:22]
            return [(0.0, summed(packet[:12] + address + packet[16:20] + port + packet[22:]))]
        return [(0.0, summed(packet[:16] + inside["address"] + packet[20:22] + inside["port"] + packet[24:]))]

    return tap


@pytest.mark.parametrize(
    "ask", [REQUIRE, replace(REQUIRE, placements=("late",)), COMPACT], ids=["syn", "late", "compact"]
)
def test_a_nat_is_passed_where_both_permit_it(ask: Security) -> None:
    wire = Wire()
    wire.tap = translating(wire)
    client, server = check(wire, ask, ask)
    assert client["mode"] == "ao-enc-dh"
    assert str(server["peer"]).startswith(OUTSIDE[0])
    assert client["session_id"] == server["session_id"]


@pytest.mark.parametrize(("client", "server"), [(False, False), (True, False), (False, True)])
def test_a_nat_is_noticed_where_one_side_does_not_permit_it(client: bool, server: bool) -> None:
    wire = Wire()
    wire.tap = translating(wire)
    closed = ended(wire, replace(REQUIRE, nat=client), replace(REQUIRE, nat=server))
    assert closed.error is not None
    assert closed.error.strerror == "keys agreed but nothing verifies"


@pytest.mark.parametrize("ask", [REQUIRE, COMPACT], ids=["messages", "compact"])
def test_without_a_nat_addresses_may_count(ask: Security) -> None:
    bound = replace(ask, nat=False)
    client, server = check(Wire(), bound, bound)
    assert client["session_id"] == server["session_id"]


def replacing_nops(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
    """A box that writes an option of its own, of two octets, over two NOPs inside Data Offset."""
    if has_option(packet, 29) and not flags_of(packet) & SYN:
        end = 20 + ((packet[32] >> 4) << 2)
        at = packet.find(b"\x01\x01", 40, end)
        if at > 0:
            packet = resummed(resummed(packet, at - 20, 77), at - 19, 2)
    return [(0.0, packet)]


@pytest.mark.parametrize(("client", "server", "goes_on"), [(False, False, True), (True, False, False)])
def test_options_may_be_changed_where_both_leave_them_outside(client: bool, server: bool, goes_on: bool) -> None:
    ask, give = replace(REQUIRE, cover_options=client), replace(REQUIRE, cover_options=server)
    if goes_on:
        report, _ = check(Wire(tap=replacing_nops), ask, give)
        assert report["mode"] == "ao-enc-dh"
        assert report["drops"] == {}
    else:
        closed = ended(Wire(tap=replacing_nops), ask, give)
        assert closed.error is not None


def flipping(of_client: bool, bit: int) -> Tap:
    """A box that changes a flag of the hello, or of the answer."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        at = packet.find(b"\xa0\xe1\x01" if of_client else b"\xa0\xe1\x02")
        if from_client is of_client and at > 0:
            packet = resummed(packet, at - 20 + 8, packet[at + 8] ^ bit)
        return [(0.0, packet)]

    return tap


@pytest.mark.parametrize("bit", [0x01, 0x02, 0x04, 0x08])
def test_a_flag_that_is_changed_on_the_path_has_both_sides_with_other_keys(bit: int) -> None:
    """It is an octet of the transcript: second of the hello, second of the answer."""
    for whose in (True, False):
        closed = ended(Wire(tap=flipping(whose, bit)), REQUIRE, REQUIRE)
        assert closed.error is not None
        assert closed.error.strerror == "keys agreed but nothing verifies"
