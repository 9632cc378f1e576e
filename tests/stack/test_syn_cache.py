"""The SYN cache: what a half-open connection costs, and that it behaves like one (RFC 4987 §3)."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from struct import Struct

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Packet

from edo.fast import read_options
from edo.negotiation import EdoPolicy
from edo.walk import walk
from stack.batch import Batch
from stack.checksum import checksum, pseudo_header_sum
from stack.config import FastOpen, TcpConfig
from stack.host import Stack
from stack.ip import IpTemplate
from stack.memory import CONNECTION, HALF_OPEN, RESERVE
from stack.run import ACK, AE, CWR, ECE, SYN
from stack.security import Security
from stack.states import State
from tests.conformance.peer import ISN, Peer, icmp
from tests.forms import slots_of
from tests.stack.wire import Wire, transfer

SERVER = bytes((10, 0, 0, 2))
OPTIONS = bytes.fromhex("020405b4 0402 080a0000000100000000 01 030307")
HEADER = Struct("!HHIIBBHHH")


def syn(source: bytes, port: int, seq: int) -> bytes:
    """A SYN as Linux sends it."""
    octets = bytearray(HEADER.pack(port, 80, seq, 0, (20 + len(OPTIONS)) << 2, SYN, 64240, 0, 0) + OPTIONS)
    octets[16:18] = checksum(octets, initial=pseudo_header_sum(source, SERVER, len(octets))).to_bytes(2)
    return IpTemplate(source, SERVER).header(len(octets)) + bytes(octets)


def flood(seed: int = 0) -> Iterator[bytes]:
    """SYNs from addresses all over the world."""
    chance = random.Random(seed)
    while True:
        source = bytes((192, chance.randrange(256), chance.randrange(256), chance.randrange(1, 255)))
        yield syn(source, chance.randrange(1024, 65536), chance.randrange(1 << 32))


def stack_of(limit: int = 0, config: TcpConfig | None = None) -> Stack:
    stack = Stack(["10.0.0.2/24"], random=random.Random(1).randbytes, config=config)
    if limit:
        stack.half_open.limit = limit
    return stack


def under_flood(count: int, wire: Wire, batch: int = 500) -> int:
    """Let ``count`` SYNs come within a second of each 20,000; returns the answers."""
    source = flood()
    answers = 0
    for _ in range(count // batch):
        wire.server.receive(Batch(list(islice(source, batch))), wire.now)
        answers += len(wire.server.take_output(wire.now))
        wire.now += batch / 20_000
        wire.server.advance(wire.now)
        answers += len(wire.server.take_output(wire.now))
    return answers


@pytest.mark.parametrize("count", [4_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_memory_is_bounded_in_a_flood_and_who_is_honest_gets_through(count: int) -> None:
    wire = Wire(config=TcpConfig(send_buffer=1 << 16, receive_buffer=1 << 16))
    listener = wire.server.listen(80, backlog=1024)
    under_flood(1_500, wire)
    tracemalloc.start()
    try:
        under_flood(count, wire)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(wire.server.half_open) == 1024
    assert not wire.server.flows
    # The records were there before; a flow of each SYN would be 10 KB.
    assert held < 500_000
    attempt = wire.client.connect(("10.0.0.2", 80), now=wire.now)
    client, server = transfer(wire, attempt, listener, b"u" * 10_000, b"d" * 10_000, 60.0)
    assert (bytes(server.received), bytes(client.received)) == (b"u" * 10_000, b"d" * 10_000)
    assert wire.server.counters["cookies_good"] == 1


def test_a_record_is_a_fraction_of_a_connection() -> None:
    stack = stack_of()
    stack.half_open.most_whole = 0
    stack.listen(80, backlog=2000)
    packets = list(islice(flood(), 1000))
    tracemalloc.start()
    try:
        stack.receive(Batch(packets), 1.0)
        stack.take_output(1.0)
        gc.collect()
        record = tracemalloc.get_traced_memory()[0] / 1000
        for key in list(stack.half_open.keys()):
            stack.half_open.revive(key)
        connection = tracemalloc.get_traced_memory()[0] / 1000 - record
    finally:
        tracemalloc.stop()
    assert record < 1000
    assert connection > 3 * record


def test_a_full_cache_drops_whoever_left_an_answer_without_acknowledgment() -> None:
    """RFC 4987 §3.4: the oldest is recycled once its SYN-ACK was repeated; a younger cache sends cookies."""
    stack = stack_of(limit=8)
    stack.listen(80)
    source = flood()
    stack.receive(Batch(list(islice(source, 10))), 1.0)
    assert len(stack.half_open) == 8
    assert stack.counters["cookies_sent"] == 2
    assert len(stack.take_output(1.0)) == 10
    stack.advance(2.5)
    assert len(stack.take_output(2.5)) == 8
    stack.receive(Batch(list(islice(source, 3))), 2.5)
    assert len(stack.half_open) == 8
    assert stack.counters["half_open_recycled"] == 3
    assert stack.counters["cookies_sent"] == 2


def half_open(config: TcpConfig | None = None, **options: object) -> tuple[Peer, Packet]:
    """A peer whose SYN was answered, and the answer."""
    peer = Peer(config)
    peer.stack.listen(80)
    (answer,) = peer.send(peer.segment("S", **options))  # type: ignore[arg-type]
    assert len(peer.stack.half_open) == 1
    peer.seq, peer.ack = ISN + 1, answer[TCP].seq + 1
    return peer, answer


def test_the_answer_is_repeated_at_growing_intervals_and_given_up() -> None:
    # RFC 9293 §3.8.3; RFC 6298 §5.5.
    peer, answer = half_open(TcpConfig(syn_retries=3))
    times = []
    while (at := peer.stack.next_deadline) is not None:
        peer.now = at
        peer.stack.advance(at)
        for again in peer.take():
            times.append(at)
            assert (again[TCP].seq, again[TCP].ack) == (answer[TCP].seq, answer[TCP].ack)
            assert again[TCP].options[0] == answer[TCP].options[0]
    assert times == pytest.approx([101.0, 103.0, 107.0])
    assert not len(peer.stack.half_open)
    (reset,) = peer.send(peer.segment())
    assert reset[TCP].flags == "R"


def test_the_same_syn_again_is_answered_again() -> None:
    peer, answer = half_open()
    peer.seq, peer.ack = ISN, 0
    (again,) = peer.send(peer.segment("S"))
    assert (again[TCP].seq, again[TCP].ack, again[TCP].flags) == (answer[TCP].seq, ISN + 1, "SA")
    assert len(peer.stack.half_open) == 1


def test_a_reset_at_the_right_number_ends_it_and_no_other() -> None:
    # RFC 9293 §3.10.7.4, second; RFC 5961 §3.2.
    peer, _ = half_open()
    peer.seq = ISN + 5
    (challenge,) = peer.send(peer.segment("R"))
    assert challenge[TCP].flags == "A"
    peer.seq = ISN + 1
    assert not peer.send(peer.segment("R"))
    assert not peer.stack.flows
    assert not len(peer.stack.half_open)


def test_an_acknowledgment_of_something_else_is_reset() -> None:
    # RFC 9293 §3.10.7.4, fifth, SYN-RECEIVED.
    peer, answer = half_open()
    peer.ack = answer[TCP].seq + 5
    (reset,) = peer.send(peer.segment())
    assert (reset[TCP].flags, reset[TCP].seq) == ("R", peer.ack)


@pytest.mark.parametrize("retries", [0, 2])
def test_what_the_syns_agreed_on_holds(retries: int) -> None:
    """Window scale, SACK, timestamps, MSS, ECN and the round trip come out of the record."""
    options = [("MSS", 1234), ("SAckOK", b""), ("Timestamp", (77, 0)), ("WScale", 5)]
    peer = Peer()
    listener = peer.stack.listen(80)
    (answer,) = peer.send(peer.segment("SEC", options=options))
    assert answer[TCP].flags == "SAE"
    while retries:
        retries -= len(peer.wait(0.5))
    peer.now += 0.25
    stamp = next(value for name, value in answer[TCP].options if name == "Timestamp")
    peer.seq, peer.ack = ISN + 1, answer[TCP].seq + 1
    peer.send(peer.segment(options=[("Timestamp", (80, stamp[0]))]))
    attempt = listener.accept()
    assert attempt is not None
    connection = attempt.flow.connection
    assert connection.state is State.ESTABLISHED
    assert (connection.snd_wscale, connection.sack_ok, connection.timestamps) == (5, True, True)
    assert (connection.peer_mss, connection.ecn, connection.ts_recent) == (1234, True, 80)
    if not connection.transmission:
        assert connection.rtt.srtt == pytest.approx(0.25)
    assert attempt.report()["seconds"] == pytest.approx(peer.now - 100.0)


def test_icmp_finds_it() -> None:
    # RFC 9293 §3.9.2.2: a hard error ends what does not stand yet.
    peer, answer = half_open()
    peer.send(icmp(3, 2, answer))
    assert not peer.stack.flows
    assert not len(peer.stack.half_open)


def test_a_closed_listener_resets_it() -> None:
    # RFC 9293 §3.10.4, LISTEN; §3.10.5, SYN-RECEIVED.
    peer = Peer()
    listener = peer.stack.listen(80)
    (answer,) = peer.send(peer.segment("S"))
    listener.close()
    (reset,) = peer.take()
    assert "R" in reset[TCP].flags
    assert reset[TCP].seq == answer[TCP].seq + 1
    assert not len(peer.stack.half_open)
    assert not peer.stack.flows


def test_the_backlog_counts_it() -> None:
    stack = stack_of()
    listener = stack.listen(80, backlog=3)
    stack.receive(Batch(list(islice(flood(), 5))), 1.0)
    assert listener.full
    assert len(stack.half_open) == listener.kept == 3
    assert stack.counters["cookies_sent"] == 2


def test_protected_listeners_keep_connections_whole() -> None:
    """Their handshakes hold keys and messages, which no record does."""
    stack = stack_of()
    stack.listen(80, security=Security("ao-enc-dh", policy="prefer"))
    stack.receive(Batch(list(islice(flood(), 3))), 1.0)
    assert not len(stack.half_open)
    assert len(stack.flows) == 3


def test_cookies_carry_ecn_in_the_timestamp_and_without_one_offer_nothing() -> None:
    """What the cookie's timestamp has no room for, or what has no timestamp, must not be agreed on."""
    for stamped in (True, False):
        peer = Peer()
        listener = peer.stack.listen(80, backlog=1)
        peer.send(peer.segment("S"))
        peer.theirs = 1001
        options = [("MSS", 1460), ("SAckOK", b""), ("WScale", 5)]
        stamps = [("Timestamp", (77, 0))] if stamped else []
        (answer,) = peer.send(peer.segment("SEC", options=options + stamps))
        names = {name for name, _ in answer[TCP].options}
        assert ("WScale" in names, "SAckOK" in names, "E" in answer[TCP].flags) == (stamped,) * 3
        peer.seq, peer.ack = ISN + 1, answer[TCP].seq + 1
        echo = [("Timestamp", (80, value[0])) for name, value in answer[TCP].options if name == "Timestamp"]
        peer.send(peer.segment(options=echo))
        attempt = listener.accept()
        assert attempt is not None
        connection = attempt.flow.connection
        assert (connection.scaling, connection.sack_ok, connection.ecn) == (stamped,) * 3


def facts_of(thing: object) -> dict[str, object]:
    """The plain values among an object's attributes."""
    found = {name: getattr(thing, name) for name in slots_of(type(thing))}
    return {name: value for name, value in found.items() if isinstance(value, int | float | str | bytes | None)}


def packet(seq: int, ack: int, flags: int, options: bytes, octets: bytes = b"") -> bytes:
    """A segment of 10.0.0.1 to port 80."""
    source = bytes((10, 0, 0, 1))
    offset = (20 + len(options)) << 2 | flags >> 8
    whole = bytearray(HEADER.pack(999, 80, seq, ack, offset, flags & 0xFF, 5000, 0, 0) + options + octets)
    whole[16:18] = checksum(whole, initial=pseudo_header_sum(source, SERVER, len(whole))).to_bytes(2)
    return IpTemplate(source, SERVER).header(len(whole)) + bytes(whole)


SYN_OPTIONS = [
    "",
    "020405b4",
    "0204021801010402",
    OPTIONS.hex(),
    "020405b40402080a0000000100000000" + "fe040ed0",
    "020405b4" + "2202" + "0101" + "01030307",
    "0204ffff" + "1c04803c" + "030300" + "01",
]


@pytest.mark.parametrize("options", SYN_OPTIONS)
@pytest.mark.parametrize("flags", [SYN, SYN | ECE | CWR, SYN | ECE | CWR | AE])
@pytest.mark.parametrize("ecn", ["accept", "accurate"])
def test_a_connection_that_was_kept_is_the_one_that_its_record_makes(options: str, flags: int, ecn: str) -> None:
    config = TcpConfig(ecn=ecn, fast_open=FastOpen(pending=5))  # type: ignore[arg-type]
    seen = []
    for most in (0, 64):
        stack = stack_of(config=config)
        stack.half_open.most_whole = most
        stack.edo.policy = EdoPolicy.STRICT
        stack.listen(80)
        stack.receive(Batch([packet(1000, 0, flags, bytes.fromhex(options))]), 1.0)
        (answer,) = stack.take_output(1.0).packets
        assert not stack.flows
        agreed = read_options(memoryview(answer)[20:], walk(memoryview(answer)[20:], 20, len(answer) - 20) or [])
        clock = b"" if agreed.ts_val is None else b"\x01\x01\x08\x0a\x00\x00\x00\x05" + agreed.ts_val.to_bytes(4)
        ack = packet(1001, int.from_bytes(answer[24:28]) + 1, ACK, clock, b"octets")
        stack.receive(Batch([ack]), 1.1)
        out = [bytes(answer), *(bytes(sent) for sent in stack.take_output(1.1).packets)]
        (flow,) = stack.flows.values()
        assert flow.connection.readable == 6
        seen.append((out, facts_of(flow), facts_of(flow.connection), flow.edo.state, facts_of(flow.handshake)))
    assert seen[0] == seen[1]


def test_only_a_few_are_kept_whole_and_are_paid_for() -> None:
    stack = stack_of()
    stack.half_open.most_whole = 3
    stack.listen(80)

    def come(first: int, last: int) -> None:
        for number in range(first, last + 1):
            stack.receive(Batch([syn(bytes((10, 0, 0, number)), 999, 7)]), 1.0)
            stack.take_output(1.0)

    def whole() -> int:
        records = [stack.half_open.find(key) for key in tuple(stack.half_open.keys())]
        count = sum(record is not None and record.whole is not None for record in records)
        assert stack.memory.held == len(records) * HALF_OPEN + count * (CONNECTION - RESERVE)
        return count

    come(1, 3)
    assert whole() == 3
    # As many as in a flood: no more than the records.
    come(4, 5)
    assert whole() == 0
    for key in list(stack.half_open.keys())[:3]:
        assert stack.half_open.revive(key) is not None
    assert stack.memory.held == 3 * CONNECTION + 2 * HALF_OPEN
    come(6, 6)
    assert [record.whole is not None for record in map(stack.half_open.find, stack.half_open.keys()) if record] == [
        False,
        False,
        True,
    ]
    # What happens to one leaves the record alone.
    stack.advance(2.0)
    stack.take_output(2.0)
    assert len(stack.half_open) == 3
    assert stack.memory.held == 3 * CONNECTION + 3 * HALF_OPEN
