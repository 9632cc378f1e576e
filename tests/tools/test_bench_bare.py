"""The bare loop's segments are the stack's: its layouts, good MACs, the payload encrypted, checksums right."""

from __future__ import annotations

import os
import struct
from random import Random
from typing import Any

import pytest

from ao.auth import SegmentMac
from ao.macs import MACS
from ao.md5 import Md5Key, Md5Signature, Md5Table
from ao.mkt import Mkt, MktTable
from ao.traffic_keys import context
from stack.batch import Octets
from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import Ip, parse
from stack.security import Security
from stack.simulator import Delay, Direction, Tap, World
from tools.bench import bare, bare_handshakes
from tools.bench.bare_handshakes import Acceptor, Opener
from tools.bench.works import AO_MACS

SOURCE, DESTINATION = "10.91.0.2", "10.92.0.2"
MODES = [
    ("none", ""),
    ("md5", ""),
    *((mode, mac) for mode in ("ao", "ao-enc", "ao-enc-dh") for mac in AO_MACS),
]
PAYLOAD = bytes(range(256)) * 5


def ways(protect: str, mac: str, *, vnet: bool, payload: int = 0) -> tuple[bare.Way, bare.Way]:
    """The sending end of one direction, and the receiving end of the same."""
    job = {"protect": protect, "mac": mac, "mtu": 1500}
    one, other = (bare.Way(SOURCE, DESTINATION, job, vnet=vnet, forward=True, payload=payload) for _ in range(2))
    return one, other


@pytest.mark.parametrize(("protect", "mac"), MODES)
@pytest.mark.parametrize("vnet", [False, True])
def test_a_segment_is_good_and_comes_back_as_it_was(protect: str, mac: str, vnet: bool) -> None:
    sends, receives = ways(protect, mac, vnet=vnet)
    seal, open_ = sends.seal(), receives.open()
    for number in range(3):
        packet = seal(number * len(PAYLOAD), 7, PAYLOAD, 0x10)
        ip = packet[10:] if vnet else packet
        tcp = memoryview(ip)[20:]
        if vnet:
            # linux/virtio_net.h: VIRTIO_NET_HDR_F_NEEDS_CSUM, no segmentation, where the sum begins and goes.
            assert struct.unpack_from("=BBHHHH", packet) == (1, 0, 0, 0, 20, 16)
            # Whoever finishes it sums all of that, with the pseudo-header's sum that stands in the field.
            finished = 0xFFFF - bare._sum(tcp)
            ip = ip[:36] + finished.to_bytes(2, "big") + ip[38:]
            tcp = memoryview(ip)[20:]
        pseudo = bytes((10, 91, 0, 2, 10, 92, 0, 2, 0, 6)) + len(tcp).to_bytes(2, "big")
        # RFC 1071 §1: everything summed, the checksum with it, is all ones or nothing.
        assert bare._sum(pseudo + bytes(tcp)) == 0
        header = parse(ip)
        assert isinstance(header, Ip)
        assert header.total_octets == len(ip)
        judge(sends, protect, mac, tcp)
        assert (bytes(tcp[sends.header :]) != PAYLOAD) == ("enc" in protect)
        found = open_(memoryview(packet))
        assert found is not None
        assert (found[0], found[1], bytes(found[2])) == (number * len(PAYLOAD), 7, PAYLOAD)


def judge(way: bare.Way, protect: str, mac: str, tcp: memoryview) -> None:
    """By the stack's own verification."""
    offset = tcp[12] >> 4 << 2
    assert offset == way.header
    if protect == "md5":
        assert Md5Signature(bare._SECRET, way.source, way.destination).verify(tcp, offset, 20)
    elif protect != "none":
        key = bare.traffic_key(mac, way.source, way.destination)
        algorithm = MACS[mac]
        verifier = SegmentMac(algorithm.prepare(key), algorithm.mac_octets, way.source, way.destination)
        assert verifier.verify(0, tcp, offset, 20)


@pytest.mark.parametrize(("protect", "mac"), MODES[1:])
def test_a_segment_that_was_changed_is_refused(protect: str, mac: str) -> None:
    sends, receives = ways(protect, mac, vnet=True)
    packet = bytearray(sends.seal()(0, 0, PAYLOAD, 0x10))
    packet[-1] ^= 1
    assert receives.open()(memoryview(packet)) is None


def test_what_is_not_of_this_connection_is_none() -> None:
    sends, receives = ways("none", "", vnet=False)
    open_ = receives.open()
    assert open_(memoryview(b"\x60" + bytes(40))) is None
    packet = bytearray(sends.seal()(0, 0, PAYLOAD, 0x10))
    packet[20] ^= 1
    assert open_(memoryview(packet)) is None
    damaged = bytearray(sends.seal()(0, 0, PAYLOAD, 0x10))
    damaged[-1] ^= 1
    assert open_(memoryview(damaged)) is None


def test_the_kernel_cuts_large_segments() -> None:
    """linux/virtio_net.h: gso_type TCPV4, the header's octets, and the payload of each segment that is cut."""
    way, _ = ways("none", "", vnet=True, payload=1)
    assert way.room == 1500 - 20 - 32
    assert way.large % way.room == 0
    assert 65_535 - way.room < way.large + 52 <= 65_535
    packet = way.seal()(0, 0, bytes(way.large), 0x10)
    assert struct.unpack_from("=BBHHHH", packet) == (1, 1, 52, way.room, 20, 16)
    # A segment that needs its own MAC is cut by nobody.
    assert ways("ao", AO_MACS[0], vnet=True, payload=1)[0].large == 0


@pytest.mark.parametrize(("protect", "mac"), MODES)
def test_options_are_laid_out_as_the_stack_does(protect: str, mac: str) -> None:
    seen: list[bytes] = []
    world = World(Random(1))
    config = TcpConfig(nagle=False, mtu_probing="black-hole")
    client, server = (
        world.add(Stack([address], random=os.urandom, config=config)) for address in ("10.0.0.1", "10.0.0.2")
    )

    def see(packet: Octets, direction: Direction, _: float) -> None:
        seen.append(bytes(packet))

    world.link(client, server, Tap(see), Delay(0.001))
    asked: dict[str, Any] = {}
    if protect == "md5":
        asked = {"md5_keys": Md5Table([Md5Key("one", b"secret")])}
    elif protect.endswith("-dh"):
        asked = {"suites": (f"{mac}+aes-128-ctr",)}
    elif protect != "none":
        encrypt = "aes-128-ctr" if protect == "ao-enc" else None
        asked = {"keys": MktTable([Mkt("one", 1, 1, b"secret", mac=mac, encrypt=encrypt)])}
    security = Security(protect, **asked)
    server.stack.listen(7, security=security)
    attempt = client.stack.connect(("10.0.0.2", 7), security=security, now=world.now)
    client.wake()
    world.run(world.now + 1)
    seen.clear()
    attempt.write(bytes(20_000))
    client.wake()
    world.run(world.now + 1)
    mac_octets = MACS[mac].mac_octets if mac else 16
    octets, at = bare.options(protect, mac_octets)
    way = ways(protect, mac, vnet=False)[0]
    full = [packet for packet in seen if len(packet) == 1500]
    assert full, "no full segment: the room is another one"
    for packet in seen:
        options = bytearray(packet[40 : 20 + (packet[32] >> 4 << 2)])
        assert len(options) == len(octets) == way.header - 20
        # What differs from segment to segment: key ids, MAC, timestamps.
        stamps = octets.index(b"\x08\x0a") + 2
        same = bytearray(octets)
        for one in (options, same):
            one[stamps : stamps + 8] = bytes(8)
            if at >= 0:
                one[2 : at + mac_octets] = bytes(at + mac_octets - 2)
        assert options == same


# --- handshakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vnet", [False, True])
@pytest.mark.parametrize(
    ("protect", "mac", "packets"), [("none", "", 4), ("ao", AO_MACS[0], 4), ("ao-enc-dh", AO_MACS[1], 7)]
)
def test_handshakes_come_to_their_end_and_the_next_begins(protect: str, mac: str, packets: int, vnet: bool) -> None:
    opener = Opener(SOURCE, DESTINATION, protect, mac, vnet=vnet)
    acceptor = Acceptor(DESTINATION, SOURCE, protect, mac, vnet=vnet)
    sent = opener.begin()
    seen: list[bytes] = []
    for _ in range(4):
        if opener.done:
            break
        seen += sent
        answers = [answer for packet in sent for answer in acceptor.take(memoryview(packet))]
        seen += answers
        sent = [packet for answer in answers for packet in opener.take(memoryview(answer))]
    assert (opener.done, acceptor.done) == (1, 1)
    assert len(seen) == packets
    # The next one's SYN, with another port.
    assert sent
    for packet in seen:
        ip = bytes(packet[10:]) if vnet else packet
        header = parse(ip)
        assert isinstance(header, Ip)
        assert header.total_octets == len(ip)
        pseudo = header.source + header.destination + b"\x00\x06" + (len(ip) - 20).to_bytes(2, "big")
        # Unfinished, the field holds the sum of the pseudo-header alone (linux/virtio_net.h).
        assert bare._sum(ip[36:38] if vnet else pseudo + ip[20:]) == (bare._sum(pseudo) if vnet else 0)


def test_macs_of_a_handshake_are_those_of_the_stack() -> None:
    mac = AO_MACS[0]
    opener, acceptor = (
        Opener(SOURCE, DESTINATION, "ao", mac, vnet=False),
        Acceptor(DESTINATION, SOURCE, "ao", mac, vnet=False),
    )
    (answer,) = acceptor.take(memoryview(opener.begin()[0]))
    tcp = memoryview(answer)[20:]
    port = int.from_bytes(tcp[2:4])
    isns = bare_handshakes._PEER_ISN, bare_handshakes._ISN
    octets = context(acceptor.own, 5001, acceptor.peer, port, *isns)
    prepared = MACS[mac].prepare(MACS[mac].traffic_key(bare_handshakes._SECRET, octets))
    assert SegmentMac(prepared, 12, acceptor.own, acceptor.peer).verify(0, tcp, tcp[12] >> 4 << 2, 20)
    changed = bytearray(answer)
    changed[-1] ^= 1
    assert opener.take(memoryview(changed)) == []
    assert len(opener.take(memoryview(answer))) == 1
