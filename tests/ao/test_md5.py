"""TCP-MD5's keys and digests (RFC 2385)."""

from __future__ import annotations

import hashlib
import socket
from ipaddress import ip_network

import pytest

from ao.identifier import KeyFault
from ao.md5 import Md5Conflict, Md5Key, Md5Signature, Md5Table
from ao.traffic_keys import SocketPair
from ao.wiped import KeysWiped

SECRET = b"a printable key of up to 80 octets"
HEADER = bytes.fromhex("00b3c00100000001000000029018ffffabcd0000")
OPTIONS = bytes.fromhex("1312" + "00" * 16 + "0000")


def digest(source: str, destination: str, segment: bytes, data_offset: int) -> bytes:
    """RFC 2385 §2.0, the four items one after the other."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    if family == socket.AF_INET:
        pseudo += b"\0" + b"\x06" + len(segment).to_bytes(2, "big")
    else:
        pseudo += len(segment).to_bytes(4, "big") + b"\0\0\0" + b"\x06"
    header = segment[:16] + b"\0\0" + segment[18:20]
    return hashlib.md5(pseudo + header + segment[data_offset:] + SECRET).digest()


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@pytest.mark.parametrize(("source", "destination"), [("192.0.2.1", "198.51.100.9"), ("2001:db8::1", "2001:db8::2")])
@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 200])
def test_the_digest_is_that_of_the_four_items(source: str, destination: str, data: bytes) -> None:
    signature = Md5Signature(SECRET, packed(source), packed(destination))
    tag = signature.tag(7, HEADER + OPTIONS, data)
    assert tag == digest(source, destination, HEADER + OPTIONS + data, 40)
    segment = memoryview(HEADER + b"\x13\x12" + tag + b"\0\0" + data)
    assert signature.verify(segment, 40, 20)


def test_every_covered_octet_counts_and_no_other() -> None:
    """Options but the digest itself, and the checksum, are not covered."""
    signature = Md5Signature(SECRET, packed("10.0.0.1"), packed("10.0.0.2"))
    tag = signature.tag(0, HEADER + OPTIONS, b"data")
    good = HEADER + b"\x13\x12" + tag + b"\0\0" + b"data"
    uncovered = {16, 17, 20, 21, 38, 39}
    for place in range(len(good)):
        octets = bytearray(good)
        octets[place] ^= 1
        assert signature.verify(memoryview(octets), 40, 20) == (place in uncovered), place


def test_wiped() -> None:
    signature = Md5Signature(SECRET, packed("10.0.0.1"), packed("10.0.0.2"))
    signature.wipe()
    with pytest.raises(KeysWiped):
        signature.tag(0, HEADER, b"")


def test_the_narrowest_key_is_the_one() -> None:
    keys = {
        name: Md5Key(name, SECRET, **where)  # type: ignore[arg-type]
        for name, where in {
            "any": {},
            "net": {"peer": ip_network("10.0.0.0/8")},
            "host": {"peer": ip_network("10.1.0.1")},
            "port": {"peer": ip_network("10.0.0.0/8"), "local_port": 179},
            "six": {"peer": ip_network("fd00::/16")},
        }.items()
    }
    table = Md5Table(keys.values())
    for remote, local_port, name in (
        ("10.2.0.1", 1, "net"),
        ("10.2.0.1", 179, "port"),
        ("10.1.0.1", 179, "host"),
        ("192.0.2.1", 1, "any"),
        ("fd00::9", 1, "six"),
        ("fe00::9", 1, "any"),
    ):
        local = "fd00::1" if ":" in remote else "10.0.0.1"
        found = table.find(SocketPair(packed(local), local_port, packed(remote), 4000))
        assert found is keys[name], (remote, local_port)
    alone = Md5Table([keys["host"]])
    assert alone.find(SocketPair(packed("10.0.0.1"), 1, packed("10.1.0.2"), 2)) is None


def test_two_keys_for_the_same_connections() -> None:
    one, other = (Md5Key(name, SECRET, peer=ip_network("10.0.0.0/8")) for name in ("one", "other"))
    with pytest.raises(Md5Conflict, match="'one' and 'other'"):
        Md5Table([one, other])


def test_keys_that_cannot_be() -> None:
    with pytest.raises(KeyFault, match="secret: the key is empty"):
        Md5Key("k", b"")
    with pytest.raises(KeyFault, match="peer_port: 0"):
        Md5Key("k", SECRET, peer_port=0)
    assert "printable" not in repr(Md5Key("k", SECRET))
