"""Rings of keys, configured keys with NAT and encryption, wiping."""

from __future__ import annotations

from typing import Any

import pytest

from ao.keys import Key, KeyRing, agreed_key, configured_key, syn_receive, syn_send
from ao.mkt import Mkt, Nat
from ao.schedule import Schedule
from ao.suite import Suite
from ao.traffic_keys import SocketPair
from ao.wiped import KeysWiped

PAIR = SocketPair(bytes((10, 0, 0, 1)), 1000, bytes((10, 0, 0, 2)), 2000)
HEADER = bytes(12) + b"\x90" + bytes(7) + bytes((29, 16, 0, 0)) + bytes(12)


def mkt(send_id: int = 1, recv_id: int = 2, **changes: Any) -> Mkt:
    return Mkt("m", send_id, recv_id, b"0123456789abcdef", **changes)


def key(send_id: int, recv_id: int) -> Key:
    return configured_key(mkt(send_id, recv_id), PAIR, 5, 6)


def verifies(check: Key, tag: bytes) -> bool:
    return check.check.verify(0, memoryview(HEADER[:24] + tag), 36, 20)


def test_mirror() -> None:
    here, there = key(1, 2), configured_key(mkt(2, 1), PAIR.reverse, 6, 5)
    assert (here.send_id, here.recv_id, here.mac_octets, here.cover_options) == (1, 2, 12, True)
    assert verifies(there, here.sign.tag(0, HEADER, b""))
    assert verifies(here, there.sign.tag(0, HEADER, b""))
    assert not verifies(here, here.sign.tag(0, HEADER, b""))
    assert here.encrypt is None
    assert here.decrypt is None


def test_another_connection_has_other_keys() -> None:
    tag = key(1, 2).sign.tag(0, HEADER, b"")
    for pair, local, remote in (
        (PAIR.reverse, 6, 4),
        (PAIR.reverse, 7, 5),
        (SocketPair(PAIR.remote, 2001, PAIR.local, 1000), 6, 5),
    ):
        assert not verifies(configured_key(mkt(2, 1), pair, local, remote), tag)


@pytest.mark.parametrize(
    ("here", "there"), [(Nat.local, Nat.remote), (Nat.remote, Nat.local), (Nat.both, Nat.both)]
)
def test_nat_mirrored(here: Nat, there: Nat) -> None:
    """RFC 6978 §3: a client behind a NAT sets localNAT, its server remoteNAT."""
    client, server = mkt(1, 2, nat=here), mkt(2, 1, nat=there)
    zero_client = here in (Nat.local, Nat.both)
    translated = SocketPair(bytes((192, 0, 2, 1)), 77, PAIR.remote, PAIR.remote_port)
    other_server = SocketPair(PAIR.local, PAIR.local_port, bytes((192, 0, 2, 9)), 88)
    seen = translated if zero_client else other_server
    ports = seen.local_port.to_bytes(2, "big") + seen.remote_port.to_bytes(2, "big")
    sent = PAIR.local_port.to_bytes(2, "big") + PAIR.remote_port.to_bytes(2, "big")

    tag = configured_key(client, PAIR, 5, 6).sign.tag(0, sent + HEADER[4:], b"")
    check = configured_key(server, seen.reverse, 6, 5)
    assert check.check.verify(0, memoryview(ports + HEADER[4:24] + tag), 36, 20)
    assert not configured_key(mkt(2, 1), seen.reverse, 6, 5).check.verify(
        0, memoryview(ports + HEADER[4:24] + tag), 36, 20
    )
    tag = syn_send(client, PAIR, 5).tag(0, sent + HEADER[4:], b"")
    assert syn_receive(server, seen.reverse, 5).verify(0, memoryview(ports + HEADER[4:24] + tag), 36, 20)


def test_configured_encryption() -> None:
    here = configured_key(mkt(encrypt="aes-128-ctr"), PAIR, 5, 6)
    there = configured_key(mkt(2, 1, encrypt="aes-128-ctr"), PAIR.reverse, 6, 5)
    assert here.encrypt is not None
    assert here.decrypt is not None
    assert there.decrypt is not None
    ciphertext = here.encrypt.apply(6, b"attack at dawn")
    assert ciphertext != b"attack at dawn"
    assert there.decrypt.apply(6, ciphertext) == b"attack at dawn"
    assert here.decrypt.apply(6, b"attack at dawn") != ciphertext  # the directions have keys of their own


def test_agreed_key_of_a_generation() -> None:
    made = agreed_key(Schedule(bytes(32)), Suite(2, 0), 3, PAIR, 5, 6, generation=9)
    assert (made.send_id, made.recv_id, made.cover_options, made.encrypt) == (9, 9, False, None)
    with pytest.raises(ValueError, match="suite 1 7 is not available"):
        agreed_key(Schedule(bytes(32)), Suite(1, 7), 0, PAIR, 5, 6)


def test_ring() -> None:
    """RFC 5925 §7.5: KeyID is looked up among RecvIDs, RNextKeyID among SendIDs; the peer never moves rnext."""
    first, second = key(1, 11), key(2, 12)
    ring = KeyRing(first)
    ring.add(second)
    assert (ring.current, ring.rnext) == (first, first)
    assert ring.find(11) is first
    assert ring.find(12) is second
    assert ring.find(1) is None
    assert (ring.heard, ring.heard_rnext) == (None, -1)
    ring.learn(first, 12)
    assert ring.current is first
    ring.learn(first, 2)
    assert (ring.current, ring.rnext) == (second, first)
    ring.learn(second, 1)
    assert ring.current is first
    assert (ring.heard, ring.heard_rnext) == (second, 1)
    for clash in (key(1, 13), key(3, 11)):
        with pytest.raises(ValueError, match="in use"):
            ring.add(clash)


def test_a_key_in_use_is_not_removed() -> None:
    """RFC 5925 §3.1: an MKT that a connection uses does not vanish."""
    first, second = key(1, 11), key(2, 12)
    ring = KeyRing(first, second)
    for recv_id in (11, 12):
        ring.ask_for(12)
        ring.sign_under(1)
        with pytest.raises(ValueError, match=r"signs|asked for"):
            ring.remove(recv_id)
    ring.sign_under(2)
    ring.remove(11)
    assert ring.find(11) is None
    assert list(ring) == [second]
    with pytest.raises(KeyError):
        ring.ask_for(11)
    with pytest.raises(KeyError):
        ring.sign_under(1)
    with pytest.raises(KeysWiped):
        first.sign.tag(0, HEADER, b"")
    ring.add(key(1, 11))


def test_wiped_ring() -> None:
    made = agreed_key(Schedule(bytes(32)), Suite(1, 1), 1, PAIR, 5, 6)
    ring = KeyRing(made)
    ring.wipe()
    assert ring.find(0) is None
    assert made.encrypt is not None
    with pytest.raises(KeysWiped):
        ring.current.sign.tag(0, HEADER, b"")
    with pytest.raises(KeysWiped):
        made.encrypt.apply(0, b"x")


def test_no_secret_in_a_repr() -> None:
    for text in (repr(mkt()), repr(key(1, 2)), repr(KeyRing(key(1, 2)))):
        assert "0123456789abcdef" not in text
        assert b"0123456789abcdef".hex() not in text


@pytest.mark.parametrize(
    ("local", "port", "remote", "fault"),
    [
        (b"abcd", 1, bytes(16), "no socket pair"),
        (b"abc", 1, b"abc", "no socket pair"),
        (b"abcd", 65536, b"abcd", "ports"),
    ],
)
def test_socket_pairs_that_are_none(local: bytes, port: int, remote: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        SocketPair(local, port, remote, 1)
