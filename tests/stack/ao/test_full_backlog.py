"""A listener under configured keys whose backlog is full: who has the key is served by a cookie, and nobody else.

RFC 4987 §3.6; the ISNs of which a cookie tells give the traffic keys (RFC 5925 §5.2).
"""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from stack.attempt import Attempt
from stack.batch import Batch
from stack.listener import Listener
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.ao.standing import CLIENT_ID, SERVER_ID, header_at, security
from tests.stack.handshake.test_agreed import resummed, without_option
from tests.stack.wire import Wire, transfer

BACKLOG = 3


def full(mac: str = "hmac-sha-1-96") -> tuple[Wire, Listener, Security]:
    """A listener whose backlog holds connections of a peer that has the key and does not go on."""
    wire = Wire()
    keys = security(SERVER_ID, CLIENT_ID, mac=mac).keys
    listener = wire.server.listen(80, security=Security("ao", keys=keys), backlog=BACKLOG)
    ask = security(CLIENT_ID, SERVER_ID, mac=mac)
    for _ in range(BACKLOG):
        wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now)
    syns = wire.client.take_output(wire.now).packets
    assert len(syns) == BACKLOG
    wire.server.receive(Batch([bytes(packet) for packet in syns]), wire.now)
    assert len(wire.server.take_output(wire.now).packets) == BACKLOG
    assert listener.full
    # They are heard of no more: the client's host begins anew.
    fresh = Wire(seed=77)
    wire.client = fresh.client
    return wire, listener, ask


def cookie_exchange(wire: Wire, ask: Security | None) -> tuple[Attempt, bytes, bytes]:
    """A client's SYN and what it says to the SYN-ACK, which has not arrived."""
    attempt = wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now)
    (syn,) = wire.client.take_output(wire.now).packets
    wire.server.receive(Batch([bytes(syn)]), wire.now)
    (answer,) = wire.server.take_output(wire.now).packets
    wire.client.receive(Batch([bytes(answer)]), wire.now)
    (ack,) = wire.client.take_output(wire.now).packets
    return attempt, bytes(answer), bytes(ack)


@pytest.mark.parametrize("mac", ["hmac-sha-1-96", "hmac-sha256-128"])
def test_who_has_the_key_is_served(mac: str) -> None:
    wire, listener, ask = full(mac)
    attempt = wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now)
    up, down = random.Random(1).randbytes(100_000), random.Random(2).randbytes(100_000)
    ends = transfer(wire, attempt, listener, up, down, 60.0)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (up, down)
    counters = wire.server.counters
    assert (counters["cookies_sent"], counters["cookies_good"]) == (1, 1)
    server = ends[1].attempt
    assert server.report()["mode"] == "ao"
    assert server.flow.connection.sack_ok
    assert server.report()["drops"] == {}


def test_nobody_else_gets_an_answer() -> None:
    wire, _, _ = full()
    for other in (Security(), security(9, 9), security(CLIENT_ID, SERVER_ID, mac="aes-128-cmac-96")):
        wire.client.connect(("10.0.0.2", 80), security=other, now=wire.now)
    syns = [bytes(packet) for packet in wire.client.take_output(wire.now).packets]
    wire.server.receive(Batch(syns), wire.now)
    assert wire.server.take_output(wire.now).packets == []
    assert wire.server.drops == {"ao_required": 1, "ao_key_not_found": 1, "ao_bad_mac": 1}
    assert not wire.server.counters["cookies_sent"]


@pytest.mark.parametrize("change", ["none", "mac", "key"])
def test_a_cookie_lets_nobody_in_without_the_key(change: str) -> None:
    """Its number is right, as of one who sees the path; but for TCP-AO it would open a connection."""
    wire, _, ask = full()
    _, answer, ack = cookie_exchange(wire, ask)
    assert answer[header_at(answer) + 13] == SYN | ACK
    forged = {
        "none": without_option(ack, b"\x1d"),
        "mac": resummed(ack, 24, ack[44] ^ 1),
        "key": resummed(ack, 22, 9),
    }[change]
    flows, drops = dict(wire.server.flows), wire.server.drops.copy()
    wire.server.receive(Batch([forged]), wire.now)
    assert wire.server.take_output(wire.now).packets == []
    assert wire.server.flows == flows
    reason = {"none": "ao_required", "mac": "ao_bad_mac", "key": "ao_key_not_found"}[change]
    assert wire.server.drops - drops == {reason: 1}
    wire.server.receive(Batch([ack]), wire.now)
    assert len(wire.server.flows) == len(flows) + 1


def test_a_peer_without_keys_is_served_where_it_would_be_with_room() -> None:
    """``prefer``, and no key for that peer: a plain cookie."""
    wire = Wire()
    keys = security(SERVER_ID, CLIENT_ID, peer=ip_network("192.0.2.0/24")).keys
    listener = wire.server.listen(80, security=Security("ao", policy="prefer", keys=keys), backlog=1)
    wire.client.connect(("10.0.0.2", 80), now=wire.now)
    (syn,) = wire.client.take_output(wire.now).packets
    wire.server.receive(Batch([bytes(syn)]), wire.now)
    wire.server.take_output(wire.now)
    attempt, _, ack = cookie_exchange(wire, None)
    wire.server.receive(Batch([ack]), wire.now)
    assert wire.server.counters["cookies_good"] == 1
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.report()["mode"] == "none"
    assert attempt.finished is None
