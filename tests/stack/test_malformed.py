"""Whatever arrives, nothing raises and no connection changes (RFC 9293 §3.10, draft-ietf-tcpm-tcp-edo §5)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.mkt import Mkt, MktTable
from stack.batch import Batch
from stack.checksum import checksum, pseudo_header_sum
from stack.ip import IpTemplate, address_octets
from stack.run import ACK
from stack.security import Security
from tests.stack.wire import Wire

CLIENT, SERVER = address_octets("10.0.0.1"), address_octets("10.0.0.2")
TABLES = [MktTable([Mkt("k", 1, 1, b"a secret")]) for _ in range(2)]
SECURITIES = {
    "none": (Security(), Security()),
    "edo": (Security(edo="strict"), Security(edo="strict")),
    "ao": (Security("ao", keys=TABLES[0]), Security("ao", keys=TABLES[1])),
    "ao-enc-dh": (Security("ao-enc-dh"), Security("ao-enc-dh")),
}


def established(mode: str) -> Wire:
    """Two stacks with one connection on which a few octets went each way."""
    wire = Wire()
    attempt, listener = wire.open(*SECURITIES[mode])
    attempt.write(b"ping")
    accepted = None

    def step() -> bool:
        nonlocal accepted
        accepted = accepted or listener.accept()
        return accepted is not None and accepted.readable == 4

    assert wire.run(10.0, step)
    assert accepted is not None
    accepted.write(b"pong")
    wire.run(1.0)
    return wire


def state_of(wire: Wire) -> list[object]:
    """Everything that an accepted segment would move."""
    found: list[object] = []
    for stack in (wire.client, wire.server):
        for flow in stack.flows.values():
            c = flow.connection
            found.append(
                (c.state, c.snd_una, c.snd_nxt, c.rcv_nxt, c.snd_wnd, c.ts_recent, c.readable, flow.edo.state)
            )
    return found


def segment(wire: Wire, options: bytes, *, data_offset: int | None = None, payload: bytes = b"evil") -> bytes:
    """A segment in the client's place, in window and with a right checksum, with these option octets."""
    flow = next(iter(wire.client.flows.values()))
    c = flow.connection
    options += bytes(-len(options) % 4)
    offset = (5 + len(options) // 4) if data_offset is None else data_offset
    header = bytearray()
    header += flow.key[1].to_bytes(2) + flow.key[3].to_bytes(2)
    header += (c.snd_nxt & 0xFFFFFFFF).to_bytes(4) + (c.rcv_nxt & 0xFFFFFFFF).to_bytes(4)
    header += bytes((offset << 4, ACK)) + (1000).to_bytes(2) + bytes(4) + options
    size = len(header) + len(payload)
    header[16:18] = checksum(header, payload, initial=pseudo_header_sum(CLIENT, SERVER, size)).to_bytes(2)
    return IpTemplate(CLIENT, SERVER).header(size) + bytes(header) + payload


AO = bytes((29, 16, 1, 1)) + bytes(12)
MALFORMED = {
    "length 0": bytes((8, 0, 1, 1)),
    "length 1": bytes((8, 1, 1, 1)),
    "unknown kind, length 0": bytes((77, 0, 1, 1)),
    "past the end": bytes((1, 1, 8, 10)),
    "kind alone at the end": bytes((1, 1, 1, 8)),
    "two AO options": AO + AO,
    "AO too short for a header": bytes((29, 3, 1, 1)),
    "AO beside MD5": bytes((19, 18)) + bytes(16) + AO,
}
EDO_MALFORMED = {
    "Header_Length below Data Offset": bytes.fromhex("fe060ed000050101"),
    "Header_Length 0": bytes.fromhex("fe060ed000000101"),
    "Header_Length past the segment": bytes.fromhex("fe060ed000ff0101"),
    "Segment_Length of another segment": bytes.fromhex("fe080ed000070063"),
    "two Extensions": bytes.fromhex("fe060ed00008fe060ed00008"),
    "Extension too short": bytes.fromhex("fe050ed000010101"),
    "an option behind Data Offset overruns": bytes.fromhex("fe060ed000080101"),
}


# A plain connection ignores TCP-AO options, however many (RFC 5925 §7.3): those cases belong to the keyed modes.
@pytest.mark.parametrize(
    ("mode", "name"),
    [(mode, name) for mode in SECURITIES for name in MALFORMED if "ao" in mode or "AO" not in name],
)
def test_malformed_options_change_nothing(mode: str, name: str) -> None:
    wire = established(mode)
    before = state_of(wire)
    drops = sum(wire.server.drops.values())
    wire.server.receive(Batch([segment(wire, MALFORMED[name])]), wire.now)
    assert not wire.server.take_output(wire.now).packets
    assert state_of(wire) == before
    assert sum(wire.server.drops.values()) == drops + 1


@pytest.mark.parametrize("name", EDO_MALFORMED)
def test_malformed_extensions_change_nothing(name: str) -> None:
    wire = established("edo")
    before = state_of(wire)
    payload = bytes((8, 40, 1, 1)) + b"evil"
    wire.server.receive(Batch([segment(wire, EDO_MALFORMED[name], payload=payload)]), wire.now)
    assert not wire.server.take_output(wire.now).packets
    assert state_of(wire) == before
    assert sum(wire.server.drops.values()) == 1


@pytest.mark.parametrize("data_offset", [0, 1, 4, 15])
def test_data_offset_outside_the_segment_changes_nothing(data_offset: int) -> None:
    wire = established("none")
    before = state_of(wire)
    wire.server.receive(Batch([segment(wire, b"", data_offset=data_offset)]), wire.now)
    assert state_of(wire) == before
    assert wire.server.drops == {"malformed_option": 1}


@pytest.mark.parametrize("mode", SECURITIES)
def test_mutated_segments_of_a_connection_never_raise(mode: str) -> None:
    """Real segments with octets changed, cut and prolonged; a protected connection goes on unmoved."""
    source = random.Random(7)
    wire = established(mode)
    recorded = [packet for _, _, packet in wire.sent]
    before = state_of(wire)
    for _ in range(3000):
        packet = bytearray(source.choice(recorded))
        for _ in range(source.randint(1, 4)):
            packet[source.randrange(len(packet))] = source.randrange(256)
        if source.random() < 0.3:
            del packet[source.randrange(len(packet)) :]
        for stack in (wire.client, wire.server):
            stack.receive(Batch([bytes(packet)]), wire.now)
            stack.take_output(wire.now)
    if mode in ("ao", "ao-enc-dh"):
        assert state_of(wire)[:1] == before[:1]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5), st.sampled_from([4, 6]))
def test_random_octets_never_raise(packets: list[bytes], version: int) -> None:
    wire = Wire()
    wire.server.listen(80, security=Security("ao-enc-dh", policy="prefer"))
    framed = [bytes((version << 4 | 5,)) + packet for packet in packets]
    wire.server.receive(Batch(packets + framed), 1.0)
    wire.server.take_output(1.0)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=120), st.integers(0, 255), st.sampled_from(sorted(SECURITIES)))
def test_random_options_to_a_listener_never_raise(options: bytes, payload: bytes, flags: int, mode: str) -> None:
    wire = Wire()
    wire.server.listen(80, security=SECURITIES[mode][1])
    options += bytes(-len(options) % 4)
    header = bytearray((1000).to_bytes(2) + (80).to_bytes(2) + bytes(8))
    header += bytes(((5 + len(options) // 4) << 4, flags)) + bytes(6) + options
    size = len(header) + len(payload)
    header[16:18] = checksum(header, payload, initial=pseudo_header_sum(CLIENT, SERVER, size)).to_bytes(2)
    packet = IpTemplate(CLIENT, SERVER).header(size) + bytes(header) + payload
    wire.server.receive(Batch([packet, packet]), 1.0)
    wire.server.take_output(1.0)
    wire.server.advance(2.0)
    wire.server.take_output(2.0)
