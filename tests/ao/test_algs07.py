"""The 32 packets of draft-ietf-tcpm-tcp-ao-algs-07: HKDF-SHA-256 and KMAC256, options of 20 octets.

The draft is provisional; the vectors agree with an independent generator (see their ``source``).
"""

from __future__ import annotations

from typing import Any

import pytest

from ao.auth import SegmentMac
from ao.macs import MACS
from ao.traffic_keys import context
from tests.ao.support import load
from tests.ao.test_rfc9235 import find_kind

VECTORS: list[dict[str, Any]] = load("ao_algs07_vectors.json")["vectors"]
NAMES = {"HMAC-SHA256-128": "hmac-sha256-128", "KMAC256-128": "kmac256-128"}


def test_all_are_here() -> None:
    assert len(VECTORS) == 32
    assert {vector["algorithm"] for vector in VECTORS} == set(NAMES)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['template']}-{vector['algorithm']}")
def test_traffic_key_and_mac(vector: dict[str, Any]) -> None:
    packet = bytes.fromhex(vector["packet"])
    if vector["ip_version"] == 4:
        source, destination, tcp = packet[12:16], packet[16:20], packet[20:]
    else:
        source, destination, tcp = packet[8:24], packet[24:40], packet[40:]
    client, server = int(vector["client_isn"], 16), int(vector["server_isn"], 16)
    ours, theirs = (client, server) if vector["direction"] == "client_to_server" else (server, client)
    ports = int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big")
    algorithm = MACS[NAMES[vector["algorithm"]]]
    octets = context(source, ports[0], destination, ports[1], ours, 0 if vector["segment"] == "SYN" else theirs)
    key = algorithm.traffic_key(bytes.fromhex(vector["master_key"].removeprefix("hex:")), octets)
    assert key.hex() == vector["traffic_key"]

    data_offset = (tcp[12] >> 4) * 4
    at = find_kind(tcp, data_offset, 29)
    assert tcp[at + 1] == 20
    assert tcp[at + 4 : at + 20].hex() == vector["mac"]
    keep = () if vector["include_options"] else ((at, 20),)
    covered = vector["include_options"]
    checker = SegmentMac(algorithm.prepare(key), 16, source, destination, cover_options=covered)
    assert checker.verify(vector["sne"], memoryview(tcp), data_offset, at, keep)
    assert not checker.verify(vector["sne"] + 1, memoryview(tcp), data_offset, at, keep)
    header = bytearray(tcp[:data_offset])
    header[16:18] = bytes(2)
    header[at + 4 : at + 20] = bytes(16)
    assert checker.tag(vector["sne"], header, tcp[data_offset:], keep).hex() == vector["mac"]
