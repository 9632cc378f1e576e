"""The 32 packets of RFC 9235: traffic keys, MACs, signing and verifying."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ao.auth import SegmentMac
from ao.keys import configured_key, syn_receive, syn_send
from ao.macs import MACS
from ao.mkt import Mkt
from ao.traffic_keys import SocketPair, context
from tests.ao.support import load

DATA = load("rfc9235_vectors.json")
VECTORS: list[dict[str, Any]] = DATA["vectors"]
MASTER = bytes.fromhex(DATA["common"]["master_key_hex"])
CLIENT_ID, SERVER_ID = DATA["common"]["client_send_id"], DATA["common"]["server_send_id"]
MAC_NAMES = {"HMAC-SHA-1-96": "hmac-sha-1-96", "AES-128-CMAC-96": "aes-128-cmac-96"}


class Packet:
    """A vector with its packet taken apart; offsets in octets from the start of the TCP header."""

    def __init__(self, vector: dict[str, Any]) -> None:
        packet = bytes.fromhex(vector["packet"])
        self.tcp = packet[vector["ip_header_len"] :]
        if vector["ip_version"] == 4:
            self.source, self.destination = packet[12:16], packet[16:20]
        else:
            self.source, self.destination = packet[8:24], packet[24:40]
        self.source_port, self.destination_port = struct.unpack_from("!HH", self.tcp)
        self.data_offset = (self.tcp[12] >> 4) * 4
        self.ao_offset = find_kind(self.tcp, self.data_offset, 29)
        self.is_syn = vector["segment"] == "SYN"
        client, server = int(vector["client_isn"], 16), int(vector["server_isn"], 16)
        from_client = vector["direction"] == "client_to_server"
        self.source_isn, self.destination_isn = (client, server) if from_client else (server, client)
        self.ids = (CLIENT_ID, SERVER_ID) if from_client else (SERVER_ID, CLIENT_ID)
        self.keep = () if vector["include_options"] else ((self.ao_offset, 16),)
        self.pair = SocketPair(self.source, self.source_port, self.destination, self.destination_port)
        self.algorithm = MACS[MAC_NAMES[vector["algorithm"]]]
        self.cover_options: bool = vector["include_options"]
        self.sne: int = vector["sne"]
        self.mac = bytes.fromhex(vector["mac"])
        self.traffic_key = bytes.fromhex(vector["traffic_key"])

    def segment_mac(self) -> SegmentMac:
        mac = self.algorithm.prepare(self.traffic_key)
        return SegmentMac(mac, 12, self.source, self.destination, cover_options=self.cover_options)

    def mkt(self, ids: tuple[int, int]) -> Mkt:
        return Mkt("v", ids[0], ids[1], MASTER, mac=self.algorithm.name, cover_options=self.cover_options)

    def sent(self) -> tuple[bytearray, bytes]:
        """Header with checksum and MAC zero, and what follows it."""
        header = bytearray(self.tcp[: self.data_offset])
        header[16:18] = bytes(2)
        header[self.ao_offset + 4 : self.ao_offset + 16] = bytes(12)
        return header, self.tcp[self.data_offset :]


def find_kind(tcp: bytes, end: int, kind: int) -> int:
    offset = 20
    while offset < end:
        if tcp[offset] == kind:
            return offset
        offset += 1 if tcp[offset] == 1 else tcp[offset + 1]
    raise AssertionError("option is not there")


@pytest.fixture(params=VECTORS, ids=lambda vector: vector["section"])
def packet(request: pytest.FixtureRequest) -> Packet:
    return Packet(request.param)


def test_all_are_here() -> None:
    assert len(VECTORS) == 32


def test_traffic_key(packet: Packet) -> None:
    octets = context(
        packet.source,
        packet.source_port,
        packet.destination,
        packet.destination_port,
        packet.source_isn,
        0 if packet.is_syn else packet.destination_isn,
    )
    assert len(octets) == (20 if len(packet.source) == 4 else 44)
    assert packet.algorithm.traffic_key(MASTER, octets) == packet.traffic_key


def test_sign(packet: Packet) -> None:
    header, rest = packet.sent()
    before = bytes(header)
    segment_mac = packet.segment_mac()
    for _ in range(2):  # the second call takes the kept pseudo-header
        assert segment_mac.tag(packet.sne, header, rest, packet.keep) == packet.mac
    assert header == before
    assert packet.tcp[packet.ao_offset + 4 : packet.ao_offset + 16] == packet.mac


def test_verify(packet: Packet) -> None:
    segment_mac = packet.segment_mac()
    received = bytearray(packet.tcp)
    view = memoryview(received)
    for _ in range(2):
        assert segment_mac.verify(packet.sne, view, packet.data_offset, packet.ao_offset, packet.keep)
    assert received == packet.tcp
    assert not segment_mac.verify(packet.sne + 1, view, packet.data_offset, packet.ao_offset, packet.keep)
    assert segment_mac.verify(packet.sne, view, packet.data_offset, packet.ao_offset, packet.keep)


def test_every_flipped_bit_fails_but_those_that_are_not_covered(packet: Packet) -> None:
    segment_mac = packet.segment_mac()
    # RFC 5925 §5.1: the checksum counts as zero; without options only the fixed header and the option are covered.
    free = {16, 17}
    if not packet.cover_options:
        free |= set(range(20, packet.data_offset)) - set(range(packet.ao_offset, packet.ao_offset + 16))
    for bit in range(8 * len(packet.tcp)):
        flipped = bytearray(packet.tcp)
        flipped[bit // 8] ^= 1 << (bit % 8)
        good = segment_mac.verify(
            packet.sne, memoryview(flipped), packet.data_offset, packet.ao_offset, packet.keep
        )
        assert good == (bit // 8 in free), f"bit {bit}"


def test_flipped_master_key_or_context_gives_another_key(packet: Packet) -> None:
    octets = bytearray(
        context(
            packet.source, packet.source_port, packet.destination, packet.destination_port, packet.source_isn, 0
        )
    )
    key = packet.algorithm.traffic_key(MASTER, bytes(octets))
    assert packet.algorithm.traffic_key(bytes((MASTER[0] ^ 1,)) + MASTER[1:], bytes(octets)) != key
    octets[-1] ^= 1
    assert packet.algorithm.traffic_key(MASTER, bytes(octets)) != key


def test_as_both_hosts_do_it(packet: Packet) -> None:
    """The sender's key signs it and the receiver's key, made from its own view, verifies it (RFC 5925 §5.2)."""
    sender, receiver = packet.mkt(packet.ids), packet.mkt(packet.ids[::-1])
    if packet.is_syn:
        sign = syn_send(sender, packet.pair, packet.source_isn)
        check = syn_receive(receiver, packet.pair.reverse, packet.source_isn)
    else:
        sign = configured_key(sender, packet.pair, packet.source_isn, packet.destination_isn).sign
        check = configured_key(receiver, packet.pair.reverse, packet.destination_isn, packet.source_isn).check
    header, rest = packet.sent()
    assert sign.tag(packet.sne, header, rest, packet.keep) == packet.mac
    assert check.verify(packet.sne, memoryview(packet.tcp), packet.data_offset, packet.ao_offset, packet.keep)
