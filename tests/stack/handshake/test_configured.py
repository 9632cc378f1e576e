"""TCP-AO with configured keys between two stacks, from the SYN on (RFC 5925 §7)."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from ao.macs import MACS
from ao.mkt import Mkt, MktTable
from stack import ao_counters
from stack.batch import Batch
from stack.events import Closed
from stack.security import Security
from tests.stack.handshake.test_agreed import resummed
from tests.stack.wire import Wire, transfer

UP = random.Random(3).randbytes(50_000)
DOWN = random.Random(4).randbytes(70_000)


def keys(peer: str, send: int, recv: int, secret: bytes = b"testvector", **fields: object) -> MktTable:
    return MktTable([Mkt("key", send, recv, secret, peer=ip_network(peer), **fields)])  # type: ignore[arg-type]


def pair(**fields: object) -> tuple[Security, Security]:
    return (
        Security("ao", keys=keys("10.0.0.2/32", 61, 84, **fields)),
        Security("ao", keys=keys("10.0.0.0/24", 84, 61, **fields)),
    )


@pytest.mark.parametrize("edo", [None, "strict"])
@pytest.mark.parametrize("cover_options", [True, False])
@pytest.mark.parametrize("mac", MACS)
def test_octets_cross_under_configured_keys(mac: str, cover_options: bool, edo: str | None) -> None:
    client, server = (Security("ao", keys=one.keys, edo=edo) for one in pair(mac=mac, cover_options=cover_options))
    wire = Wire()
    attempt, listener = wire.open(client, server)
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == DOWN
    for end in ends:
        report = end.attempt.report()
        assert (report["mode"], report["mac"], report["authenticated"]) == ("ao", mac, True)
        assert report["drops"] == {}
        assert report["edo"] == ("confirmed" if edo else "off")


@pytest.mark.parametrize(
    ("client", "server", "reason"),
    [
        (keys("10.0.0.2/32", 61, 84, b"wrong"), keys("10.0.0.1/32", 84, 61), "ao_bad_mac"),
        (keys("10.0.0.2/32", 62, 84), keys("10.0.0.1/32", 84, 61), "ao_key_not_found"),
        (keys("10.0.0.2/32", 61, 84, mac="hmac-sha-1-96"), keys("10.0.0.1/32", 84, 61), "ao_bad_mac"),
        (None, keys("10.0.0.1/32", 84, 61), "ao_required"),
    ],
    ids=["secret", "id", "mac", "no key"],
)
def test_what_does_not_verify_is_dropped_without_a_word(
    client: MktTable | None, server: MktTable, reason: str
) -> None:
    wire = Wire()
    attempt, listener = wire.open(
        Security() if client is None else Security("ao", keys=client), Security("ao", keys=server)
    )
    assert wire.run(300.0, lambda: attempt.finished is not None)
    assert listener.accept() is None
    assert attempt.error is not None
    assert set(wire.server.drops) == {reason}
    assert not [packet for _, from_client, packet in wire.sent if not from_client]


def test_a_peer_without_a_key_is_refused_or_taken_plain_by_policy() -> None:
    table = keys("10.9.9.9/32", 84, 61)
    wire = Wire()
    attempt, listener = wire.open(Security(), Security("ao", policy="prefer", keys=table))
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert ends[1].attempt.report()["mode"] == "none"
    with pytest.raises(OSError, match="no configured key"):
        wire.client.connect(("10.0.0.2", 80), security=Security("ao", keys=table), now=wire.now)


@pytest.mark.parametrize("seed", range(10))
def test_loss_and_reordering_are_repaired_under_keys(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        return [(source.random() * 0.03 if source.random() < 0.1 else 0.0, packet)]

    client, server = pair()
    wire = Wire(seed, tap=tap)
    attempt, listener = wire.open(client, server)
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == DOWN
    assert ends[0].closed == Closed(None, 0)


def test_a_listener_sends_under_the_key_that_the_syn_asks_for() -> None:
    """RNextKeyID of the SYN chooses among several keys of one peer (RFC 5925 §7.5)."""
    peer = ip_network("10.0.0.1/32")
    server = MktTable(
        [Mkt("a", 1, 11, b"first", peer=peer), Mkt("b", 2, 12, b"second", peer=peer, mac="hmac-sha-1-96")]
    )
    client = MktTable([Mkt("b", 12, 2, b"second", peer=ip_network("10.0.0.2/32"), mac="hmac-sha-1-96")])
    wire = Wire()
    attempt, listener = wire.open(Security("ao", keys=client), Security("ao", keys=server))
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert ends[1].attempt.report()["mac"] == "hmac-sha-1-96"


def test_counters_are_those_of_linux() -> None:
    """Good: every segment of the peer; bad, unknown key, no MAC: one each, injected (names as in TCP_AO_INFO)."""
    client, server = pair()
    wire = Wire()
    attempt, listener = wire.open(client, server)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    flow = accepted.flow
    attempt.write(b"something")
    wire.run(1.0)
    sent = [packet for _, from_client, packet in wire.sent if from_client]
    assert ao_counters.of_connection(flow) == {
        "good": len(sent),
        "bad": 0,
        "key_not_found": 0,
        "required": 0,
        "dropped_icmp": 0,
    }
    assert ao_counters.of_keys(flow) == {61: {"good": len(sent), "bad": 0}}
    last = sent[-1]
    ao = 20
    assert last[20 + ao] == 29
    for at, value in ((14, 0x55), (ao + 2, 99), (ao, 1)):
        packet = resummed(last, at, value)
        if at == ao:
            # NOPs in place of the whole option.
            for octet in range(1, 16):
                packet = resummed(packet, ao + octet, 1)
        wire.server.receive(Batch([packet]), wire.now)
    counters = ao_counters.of_connection(flow)
    assert (counters["bad"], counters["key_not_found"], counters["required"]) == (1, 1, 1)
    assert counters["good"] == len(sent)
    assert ao_counters.of_keys(flow)[61]["bad"] == 1
    assert accepted.report()["ao"] == counters
