"""NAT, symmetric NAT, and the boxes that add numbers: sequence numbers, timestamps, text of another length."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6

from stack.box import Direction
from tests.tools.boxes.support import CLIENT_PORT, ENDS, SERVER_PORT, dissected, named, segment, through


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ["nat", "symmetric-nat"])
def test_a_nat_translates_there_and_back(name: str, version: int) -> None:
    nat = named(f"{name}:address=192.0.2.1,address6=2001:db8::1")
    (out,) = through(nat, segment(b"up", version=version, seq=5))
    assert out.src == {4: "192.0.2.1", 6: "2001:db8::1"}[version]
    assert out.dst == ENDS[version][1]
    assert out["TCP"].sport != CLIENT_PORT
    assert (out["TCP"].dport, out["TCP"].seq, bytes(out["TCP"].payload)) == (SERVER_PORT, 5, b"up")
    (again,) = through(nat, segment(version=version))
    assert again["TCP"].sport == out["TCP"].sport
    answer = out.copy()
    answer.src, answer.dst = out.dst, out.src
    answer["TCP"].sport, answer["TCP"].dport = out["TCP"].dport, out["TCP"].sport
    (back,) = through(nat, _renewed(answer), backward=True)
    assert (back.dst, back["TCP"].dport) == (ENDS[version][0], CLIENT_PORT)


def test_without_an_address_a_nat_rewrites_the_port_alone() -> None:
    (out,) = through(named("nat"), segment())
    assert out.src == ENDS[4][0]
    assert out["TCP"].sport != CLIENT_PORT


def test_who_is_let_in() -> None:
    """Any server by a mapping that one of them made; by a symmetric NAT that one alone."""
    for name, let_in in (("nat", 1), ("symmetric-nat", 0)):
        nat = named(f"{name}:address=192.0.2.1")
        (out,) = through(nat, segment())
        stranger = IP(src="10.0.0.3", dst="192.0.2.1") / TCP(sport=80, dport=out["TCP"].sport, flags="A")
        assert len(through(nat, bytes(stranger), backward=True)) == let_in
        unmapped = IP(src="10.0.0.2", dst="192.0.2.1") / TCP(sport=80, dport=19_999, flags="A")
        assert through(nat, bytes(unmapped), backward=True) == []
        assert nat.counters()["refused"] == 2 - let_in


def test_a_symmetric_nat_has_a_port_for_each_server() -> None:
    other = IP(src=ENDS[4][0], dst="10.0.0.3") / TCP(sport=CLIENT_PORT, dport=80, flags="S")
    for name, ports in (("nat", 1), ("symmetric-nat", 2)):
        nat = named(name)
        (one,) = through(nat, segment(flags="S"))
        (two,) = through(nat, bytes(other))
        assert len({one["TCP"].sport, two["TCP"].sport}) == ports


def test_a_mapping_expires_in_silence() -> None:
    """Afterwards a segment gets another port, or nothing, or RST; a SYN always gets a port."""
    nat = named("nat:expire=30")
    ports = [through(nat, segment(), now=now)[0]["TCP"].sport for now in (0.0, 29.0, 58.0, 90.0)]
    assert ports[0] == ports[1] == ports[2] != ports[3]
    nat = named("nat:expire=30,unknown=drop")
    assert len(through(nat, segment(flags="S"))) == 1
    assert through(nat, segment(), now=31.0) == []
    assert nat.counters()["unknown"] == 1
    nat = named("nat:unknown=reset")
    ((_, towards, packet),) = nat.process([segment(b"abc", seq=7, ack=9)], Direction.FORWARD, 0.0)
    reset = dissected(packet)
    assert towards is Direction.BACKWARD
    assert (reset["TCP"].flags, reset["TCP"].seq, reset.dst) == ("R", 9, ENDS[4][0])


@pytest.mark.parametrize("version", [4, 6])
def test_an_icmp_error_is_translated_with_its_quote(version: int) -> None:
    nat = named("nat:address=192.0.2.1,address6=2001:db8::1")
    (out,) = through(nat, segment(b"x" * 30, version=version))
    if version == 4:
        error = IP(src="10.9.9.9", dst="192.0.2.1") / ICMP(type=3, code=4, nexthopmtu=1300) / bytes(out)
    else:
        error = IPv6(src="fd99::9", dst="2001:db8::1") / ICMPv6PacketTooBig(mtu=1300) / bytes(out)
    ((_, _, packet),) = nat.process([bytes(error)], Direction.BACKWARD, 0.0)
    found = (IP if version == 4 else IPv6)(bytes(packet))
    again = found.copy()
    if version == 4:
        del again.chksum, again[1].chksum
    else:
        del again[1].cksum
    assert bytes(again) == bytes(packet)
    assert found.dst == ENDS[version][0]
    quoted = bytes(packet)[(28 if version == 4 else 48) :]
    inner = (IP if version == 4 else IPv6)(quoted)
    assert (inner.src, inner.dst) == ENDS[version]
    assert (inner["TCP"].sport, inner["TCP"].dport) == (CLIENT_PORT, SERVER_PORT)


def _renewed(packet: Any) -> bytes:
    del packet["TCP"].chksum
    if packet.version == 4:
        del packet.chksum
    return bytes(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_sequence_numbers_are_shifted_and_back(version: int) -> None:
    box = named("sequence")
    (syn,) = through(box, segment(flags="S", seq=100, version=version))
    up = syn["TCP"].seq - 100 & 0xFFFFFFFF
    assert up
    assert syn["TCP"].ack == 0
    accepts = segment(flags="SA", seq=7, ack=101 + up & 0xFFFFFFFF, backward=True, version=version)
    (answer,) = through(box, accepts, backward=True)
    assert answer["TCP"].ack == 101
    down = answer["TCP"].seq - 7 & 0xFFFFFFFF
    assert down not in (0, up)
    blocks = (8 + down & 0xFFFFFFFF, 18 + down & 0xFFFFFFFF)
    acknowledges = segment(seq=101, ack=8 + down & 0xFFFFFFFF, options=[("SAck", blocks)], version=version)
    (third,) = through(box, acknowledges)
    assert (third["TCP"].seq, third["TCP"].ack) == (101 + up & 0xFFFFFFFF, 8)
    assert ("SAck", (8, 18)) in third["TCP"].options
    (left,) = through(named("sequence:sack=no"), acknowledges)
    assert ("SAck", blocks) in left["TCP"].options


def test_timestamps_are_shifted_and_back() -> None:
    box = named("timestamps")
    (syn,) = through(box, segment(flags="S", options=[("Timestamp", (1000, 0))]))
    value, echo = syn["TCP"].options[0][1]
    assert value != 1000
    assert echo == 0
    (answer,) = through(box, segment(flags="SA", options=[("Timestamp", (5, value))], backward=True), backward=True)
    assert answer["TCP"].options[0][1][1] == 1000
    half = named("timestamps:echoes=no")
    (syn,) = through(half, segment(flags="S", options=[("Timestamp", (1000, 0))]))
    value = syn["TCP"].options[0][1][0]
    (answer,) = through(half, segment(options=[("Timestamp", (5, value))], backward=True), backward=True)
    assert answer["TCP"].options[0][1][1] == value


def test_the_application_gateway_shifts_what_follows_a_longer_text() -> None:
    box = named("alg:find=short,replace=longer text")
    (syn,) = through(box, segment(flags="S", seq=99))
    assert syn["TCP"].seq == 99
    (first,) = through(box, segment(b"a short one", seq=100))
    assert (first["TCP"].seq, bytes(first["TCP"].payload)) == (100, b"a longer text one")
    (second,) = through(box, segment(b"more", seq=111))
    assert (second["TCP"].seq, bytes(second["TCP"].payload)) == (117, b"more")
    again = through(box, segment(b"a short one", seq=100))
    assert bytes(again[0]["TCP"].payload) == b"a longer text one"
    for acknowledged, told in ((100, 100), (102, 102), (105, 102), (113, 107), (117, 111), (121, 115)):
        (ack,) = through(box, segment(ack=acknowledged, backward=True), backward=True)
        assert ack["TCP"].ack == told, acknowledged
    sacks = segment(ack=100, backward=True, options=[("SAck", (117, 121))])
    assert ("SAck", (111, 115)) in through(box, sacks, backward=True)[0]["TCP"].options


def test_gateways_in_a_row_undo_each_other() -> None:
    """Each stream comes out as it went in, whatever the seed, and both ends count the same."""
    for seed in range(8):
        chance = random.Random(seed)
        there = named("alg:find=ab,replace=xyz")
        back = named("alg:find=xyz,replace=ab")
        start = chance.getrandbits(32)
        for box in (there, back):
            through(box, segment(flags="S", seq=start))
        stream = bytes(chance.choice(b"abc") for _ in range(400))
        at = 0
        while at < len(stream):
            size = chance.randrange(1, 40)
            piece = segment(stream[at : at + size], seq=start + 1 + at & 0xFFFFFFFF)
            (middle,) = through(there, piece)
            (out,) = through(back, bytes(middle))
            # xyz of the stream itself cannot be, so the second undoes just what the first did.
            assert bytes(out) == piece, f"seed {seed}"
            at += size
