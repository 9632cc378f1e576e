"""Options of a SYN or SYN-ACK for which TCP-AO leaves no room: what was not sent is not in use at either end."""

from __future__ import annotations

import pytest

from ao.mkt import Mkt, MktTable
from stack.security import Security
from stack.states import State
from tests.stack.ao.standing import header_at, header_octets
from tests.stack.wire import Wire, transfer

UP, DOWN = bytes(range(256)) * 300, bytes(range(255)) * 300


def kinds(packet: bytes) -> set[int]:
    """Kinds of the options in a packet's TCP header."""
    at = header_at(packet) + 20
    end = header_at(packet) + header_octets(packet)
    found = set()
    while at < end and packet[at]:
        found.add(packet[at])
        at += 1 if packet[at] == 1 else packet[at + 1]
    return found


def short_and_long() -> tuple[Security, Security]:
    """The client's SYN has an option of 16 octets; the server, not knowing the id it asks for, answers with 20."""
    short = {"mac": "hmac-sha-1-96"}
    long = {"mac": "hmac-sha256-128"}
    client = MktTable([Mkt("short", 1, 11, b"secret", **short), Mkt("long", 51, 50, b"secret", **long)])
    server = MktTable([Mkt("long", 50, 51, b"secret", **long), Mkt("short", 99, 1, b"secret", **short)])
    return Security("ao", keys=client, edo="strict"), Security("ao", keys=server, edo="strict")


def test_a_syn_ack_that_has_no_room_for_timestamps_ends_their_use() -> None:
    """Both SYNs agree on timestamps, or none has them (RFC 7323 §3.2): else the server would drop all without."""
    wire = Wire()
    attempt, listener = wire.open(*short_and_long())
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    syn, syn_ack = (packet for _, _, packet in wire.sent if packet[header_at(packet) + 13] & 2)
    assert 8 in kinds(syn)
    assert 8 not in kinds(syn_ack)
    assert all(8 not in kinds(packet) for _, _, packet in wire.sent if packet is not syn)


@pytest.mark.parametrize("edo", ["off", "strict"])
def test_both_ends_know_what_was_agreed_on(edo: str) -> None:
    """20 octets of TCP-AO, MSS, window scale, SACK and timestamps just fit; with EDO beside them they do not."""
    mkts = [MktTable([Mkt("key", *ids, b"secret", mac="hmac-sha256-128")]) for ids in ((1, 2), (2, 1))]
    wire = Wire()
    attempt, listener = wire.open(*(Security("ao", keys=keys, edo=edo) for keys in mkts))
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for end in (attempt, accepted):
        connection = end.flow.connection
        assert connection.state is State.ESTABLISHED
        assert connection.timestamps is (edo == "off")
        assert connection.config.timestamps is (edo == "off" or connection.passive)
        assert connection.sack_ok
        assert connection.scaling
    syns = [packet for _, _, packet in wire.sent if packet[header_at(packet) + 13] & 2]
    assert [8 in kinds(packet) for packet in syns] == [edo == "off"] * 2
    assert all(8 in kinds(packet) for _, _, packet in wire.sent) is (edo == "off")
