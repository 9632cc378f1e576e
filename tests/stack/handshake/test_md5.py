"""TCP-MD5 on connections (RFC 2385): every segment signed, both ways, and nothing else accepted."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from edo.fast import find_ao, find_md5
from edo.walk import walk
from stack import rollover
from stack.attempt import Attempt
from stack.batch import Batch
from stack.events import Closed
from stack.ip import Ip, parse
from stack.security import Security
from stack.states import State
from tests.stack.wire import CLIENT, SERVER, Wire, transfer

SECRET = b"legacy"


def security(secret: bytes = SECRET, policy: str = "require", peer: str | None = None) -> Security:
    key = Md5Key("k", secret, peer=None if peer is None else ip_network(peer))
    return Security("md5", policy=policy, md5_keys=Md5Table([key]))


def pieces(packet: bytes) -> tuple[Ip, bytes, int, int]:
    """The IP header, the TCP segment, its Data Offset and the place of its one MD5 option (-1: none)."""
    ip = parse(packet)
    assert isinstance(ip, Ip)
    tcp = bytes(ip.payload(packet))
    data_offset = (tcp[12] >> 4) * 4
    spans = walk(memoryview(tcp), 20, data_offset)
    assert spans is not None
    assert find_ao(spans)[0] == -1
    return ip, tcp, data_offset, find_md5(spans)[0]


def signed(packet: bytes, secret: bytes = SECRET) -> bool:
    """Whether a packet has a good digest, by RFC 2385 §2.0 and the octets alone."""
    ip, tcp, data_offset, place = pieces(packet)
    if place < 0 or tcp[place + 1] != 18:
        return False
    pseudo = ip.source + ip.destination
    size = len(tcp)
    pseudo += (
        b"\0\x06" + size.to_bytes(2, "big") if len(ip.source) == 4 else size.to_bytes(4, "big") + b"\0\0\0\x06"
    )
    covered = pseudo + tcp[:16] + b"\0\0" + tcp[18:20] + tcp[data_offset:] + secret
    return hashlib.md5(covered).digest() == tcp[place + 2 : place + 18]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_every_segment_of_a_transfer_is_signed(version: int, loss: float) -> None:
    chance = random.Random(3)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if chance.random() < loss else [(chance.choice((0.0, 0.003)) if loss else 0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(security(), version=version)
    up, down = chance.randbytes(300_000), chance.randbytes(200_000)
    client, server = transfer(wire, attempt, listener, up, down)
    assert (client.closed, server.closed) == (Closed(None, 0), Closed(None, 0))
    assert (bytes(server.received), bytes(client.received)) == (up, down)
    assert all(signed(packet) for _, _, packet in wire.sent)
    # The option takes of a segment's room: none is larger than the path's 1500 octets, and the largest fill them.
    assert max(len(packet) for _, _, packet in wire.sent) == 1500
    for end in (client, server):
        line = end.attempt.report()
        assert (line["requested"], line["mode"], line["mac"], line["authenticated"]) == ("md5", "md5", "md5", True)
        assert not {reason for reason in end.attempt.flow.drops if reason.startswith("md5")}


def test_a_syn_keeps_all_options_of_tcp() -> None:
    """18 octets beside MSS, window scale, SACK-permitted and timestamps, 37 in all (RFC 2385 §4.3)."""
    wire = Wire()
    wire.open(security())
    wire.flush()
    _, tcp, data_offset, place = pieces(wire.sent[0][2])
    kinds = {kind for kind, _, _, _ in walk(memoryview(tcp), 20, data_offset) or ()}
    assert kinds >= {2, 3, 4, 8, 19}
    assert (data_offset, place) == (60, 20)


@pytest.mark.parametrize(
    ("server", "reason"),
    [(security(b"another"), "md5_bad"), (Security(), None)],
)
def test_a_client_with_another_key_or_alone_with_one_gets_no_connection(
    server: Security, reason: str | None
) -> None:
    wire = Wire()
    attempt, listener = wire.open(security(), server)
    wire.run(30.0)
    assert listener.accept() is None
    assert not attempt.readable
    if reason is None:
        # The SYN-ACK of a peer without a key is not signed (RFC 2385 §2.0).
        assert wire.client.drops["md5_required"] > 1
    else:
        assert wire.server.drops[reason] > 1
        assert all(from_client for _, from_client, _ in wire.sent), "a failing comparison was answered"


def test_a_syn_without_the_option_is_dropped_silently() -> None:
    wire = Wire()
    _, listener = wire.open(Security(), security())
    wire.run(10.0)
    assert listener.accept() is None
    assert wire.server.drops["md5_required"] > 1
    assert all(from_client for _, from_client, _ in wire.sent)


def test_a_listener_with_keys_of_others_takes_no_signature() -> None:
    """Under ``prefer`` a peer without a key is served plain; a digest of its that nobody can verify is not."""
    elsewhere = security(policy="prefer", peer="192.0.2.0/24")
    wire = Wire()
    attempt, listener = wire.open(Security(), elsewhere)
    _, server = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(server.received) == b"up"
    assert server.attempt.report()["mode"] == "none"
    wire = Wire()
    _, listener = wire.open(security(), elsewhere)
    wire.run(10.0)
    assert wire.server.drops["md5_unexpected"] > 1
    assert listener.accept() is None


def test_a_peer_that_matches_no_key_under_require() -> None:
    wire = Wire()
    with pytest.raises(OSError, match="no configured key matches"):
        wire.open(security(peer="192.0.2.1"))
    _, listener = Wire().open(Security(), security(peer="192.0.2.1"))
    assert listener.accept() is None


def changed(at: Callable[[bytes, int], int], to: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """A segment with one octet changed, of which the digest's place tells where."""

    def change(packet: bytes) -> bytes:
        _, tcp, _, place = pieces(packet)
        octets = bytearray(packet)
        index = len(packet) - len(tcp) + at(tcp, place)
        octets[index] = to(octets[index])
        return bytes(octets)

    return change


FAULTS = {
    "a bit of the digest": (changed(lambda _, place: place + 9, lambda octet: octet ^ 1), "md5_bad"),
    "the flags: RST": (changed(lambda _, __: 13, lambda octet: octet | 4), "md5_bad"),
    "the sequence number": (changed(lambda _, __: 7, lambda octet: octet ^ 1), "md5_bad"),
    "no option": (changed(lambda _, place: place, lambda _: 0), "md5_required"),
    "another kind": (changed(lambda _, place: place, lambda _: 77), "md5_required"),
    "another length": (changed(lambda _, place: place + 1, lambda _: 17), "malformed_option"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_forgeries_change_nothing(fault: str) -> None:
    """A changed copy before each segment: dropped without an answer, counted, and the stream is what was sent."""
    change, reason = FAULTS[fault]
    forged = 0

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal forged
        forged += 1
        copy = bytearray(change(packet))
        _fix_checksum(copy)
        return [(0.0, bytes(copy)), (0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(security())
    up = random.Random(4).randbytes(30_000)
    client, server = transfer(wire, attempt, listener, up, b"down")
    assert bytes(server.received) == up
    assert (client.closed, server.closed) == (Closed(None, 0), Closed(None, 0))
    drops = wire.client.drops + wire.server.drops
    # The last may come to no connection, where a RST is not even looked at.
    assert drops[reason] in ((forged, forged - 1) if "RST" in fault else (forged,)), drops
    assert drops["bad_checksum"] == 0


def _fix_checksum(packet: bytearray) -> None:
    tcp = packet[20:]
    tcp[16:18] = b"\0\0"
    total = 6 + len(tcp)
    octets = bytes(packet[12:20]) + bytes(tcp) + bytes(len(tcp) % 2)
    for index in range(0, len(octets), 2):
        total += octets[index] << 8 | octets[index + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet[36:38] = (~total & 0xFFFF).to_bytes(2, "big")


def test_resets_are_signed_those_of_no_connection_too() -> None:
    """A peer that lost its state can say so, if it knows the key; RFC 2385 §4.1 has the trouble without."""
    wire = Wire()
    attempt, listener = wire.open(security())
    assert wire.run(5.0, lambda: listener.accept() is not None)
    for flow in tuple(wire.server.flows.values()):
        flow.leave()
    attempt.write(b"is anyone there?")
    wire.run(5.0)
    assert signed(wire.sent[-1][2])
    events = iter(attempt.next_event, None)
    assert [event.error.errno for event in events if isinstance(event, Closed) and event.error is not None] == [104]


def test_a_cookie_is_for_who_has_the_key() -> None:
    """A full backlog (RFC 4987 §3.6): the SYN-ACK is signed, and its answer without the digest opens nothing."""
    wire = Wire()
    listener = wire.server.listen(80, security=security(), backlog=1)
    for _ in range(2):
        attempt = wire.client.connect((SERVER[0], 80), security=security(), now=wire.now)
    first, syn = (bytes(packet) for packet in wire.client.take_output(wire.now).packets)
    wire.server.receive(Batch([first]), wire.now)
    wire.server.take_output(wire.now)
    assert listener.full
    wire.server.receive(Batch([syn]), wire.now)
    (answer,) = wire.server.take_output(wire.now).packets
    assert wire.server.counters["cookies_sent"] == 1
    assert signed(bytes(answer))
    wire.client.receive(Batch([answer]), wire.now)
    (ack,) = wire.client.take_output(wire.now).packets
    forged = bytearray(ack)
    forged[40] = 77
    _fix_checksum(forged)
    wire.server.receive(Batch([bytes(forged)]), wire.now)
    assert wire.server.drops["md5_required"] == 1
    assert len(wire.server.flows) == 1
    wire.server.receive(Batch([ack]), wire.now)
    assert len(wire.server.flows) == 2
    attempt.write(b"served")
    accepted: list[Attempt] = []

    def arrived() -> bool:
        accepted.extend(iter(listener.accept, None))
        return any(end.readable for end in accepted)

    assert wire.run(5.0, arrived)
    assert [end.report()["mode"] for end in accepted] == ["md5"]
    assert all(signed(packet) for _, _, packet in wire.sent)


@pytest.mark.parametrize("forged", [True, False])
def test_only_a_signed_syn_ends_time_wait(forged: bool) -> None:
    wire = Wire()
    attempt, listener = wire.open(security())
    assert wire.run(5.0, lambda: listener.accept() is not None)
    (flow,) = wire.server.flows.values()
    flow.connection.close()
    wire.server.touch(flow)
    assert wire.run(5.0, lambda: flow.connection.state is State.FIN_WAIT_2)
    attempt.close()
    wire.run(5.0)
    assert flow.connection.state is State.TIME_WAIT
    again = Wire(seed=2)
    again.now = wire.now + 5.0
    again.client.connect((SERVER[0], 80), local_port=attempt.local[1], security=security(), now=again.now)
    again.flush()
    syn = bytearray(again.sent[0][2])
    if forged:
        syn[20 + 30] ^= 1
        _fix_checksum(syn)
    wire.put(bytes(syn), True)
    wire.run(1.0)
    assert (wire.server.flows[flow.key] is flow) == forged


def test_what_is_not_signed_draws_no_reset_from_a_keyed_listener() -> None:
    wire = Wire()
    attempt, listener = wire.open(security())
    assert wire.run(5.0, lambda: listener.accept() is not None)
    syn = wire.sent[0][2]
    octets = bytearray(syn)
    octets[20 + 13] = 0x10
    octets[20 + 20] = 77
    _fix_checksum(octets)
    for flow in tuple(wire.server.flows.values()):
        flow.leave()
    before = len(wire.sent)
    wire.put(bytes(octets), True)
    wire.run(1.0)
    assert wire.server.drops["md5_required"] == 1
    assert len(wire.sent) == before
    attempt.abort()


def test_tcp_ao_comes_first_and_alone() -> None:
    """Both keys match; TCP-AO is used, and never both on one connection (RFC 5925 §8)."""
    both = [
        Security("md5", keys=MktTable([Mkt("ao", send, recv, b"modern")]), md5_keys=Md5Table([Md5Key("k", SECRET)]))
        for send, recv in ((1, 2), (2, 1))
    ]
    wire = Wire()
    attempt, listener = wire.open(*both)
    client, server = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(client.received) == b"down"
    for end in (client, server):
        assert (end.attempt.report()["requested"], end.attempt.report()["mode"]) == ("md5", "ao")
    for _, _, packet in wire.sent:
        spans = walk(memoryview(packet[20:]), 20, (packet[32] >> 4) * 4)
        assert spans is not None
        assert find_ao(spans)[0] > 0
        assert find_md5(spans)[0] == -1
    # A legacy peer for which TCP-AO is configured is not taken for one without.
    wire = Wire()
    _, listener = wire.open(security(), both[1])
    wire.run(10.0)
    assert wire.server.drops["ao_required"] > 1
    assert listener.accept() is None


def test_one_listener_serves_peers_of_both_kinds() -> None:
    keys = MktTable([Mkt("ao", 2, 1, b"modern", peer=ip_network(f"{CLIENT[1]}/128"))])
    mixed = Security("md5", keys=keys, md5_keys=Md5Table([Md5Key("k", SECRET, peer=ip_network("10.0.0.0/24"))]))
    modes = []
    for version, client in ((4, security()), (6, Security("ao", keys=MktTable([Mkt("ao", 1, 2, b"modern")])))):
        wire = Wire()
        attempt, listener = wire.open(client, mixed, version=version)
        _, server = transfer(wire, attempt, listener, b"up", b"down")
        modes.append(server.attempt.report()["mode"])
    assert modes == ["md5", "ao"]


def test_a_peer_moves_on_to_tcp_ao_while_connections_stand() -> None:
    """A key of TCP-AO that comes later serves the next connection; the one that stands goes on (RFC 5925 §8)."""
    tables = [MktTable([]), MktTable([])]
    ours, theirs = (Security("md5", keys=table, md5_keys=Md5Table([Md5Key("k", SECRET)])) for table in tables)
    wire = Wire()
    attempt, listener = wire.open(ours, theirs)
    wire.run(1.0)
    accepted = list(iter(listener.accept, None))
    for table, stack, ids in zip(tables, (wire.client, wire.server), ((1, 2), (2, 1)), strict=True):
        rollover.add(stack, table, Mkt("ao", *ids, b"modern"))
    later = wire.client.connect((SERVER[0], 80), security=ours, now=wire.now)
    attempt.write(b"still here")
    wire.run(5.0)
    accepted.extend(iter(listener.accept, None))
    assert [end.report()["mode"] for end in accepted] == ["md5", "ao"]
    assert later.report()["mode"] == "ao"
    assert accepted[0].read() == b"still here"
