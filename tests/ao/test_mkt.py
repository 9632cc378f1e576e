"""Master key tuples and which of them a connection gets."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ao.identifier import KeyFault
from ao.mkt import Mkt, MktConflict, MktTable, Nat
from ao.traffic_keys import SocketPair


def mkt(name: str, send_id: int, recv_id: int, peer: str | None = None, **changes: Any) -> Mkt:
    if isinstance(changes.get("local"), str):
        changes["local"] = ip_network(changes["local"])
    return Mkt(name, send_id, recv_id, b"secret", peer=ip_network(peer) if peer else None, **changes)


def pair(remote: str, remote_port: int = 179, local: str | None = None, local_port: int = 5000) -> SocketPair:
    if local is None:
        local = "10.9.9.9" if "." in remote else "fd00::9"
    return SocketPair(ip_address(local).packed, local_port, ip_address(remote).packed, remote_port)


TABLE = MktTable(
    [
        mkt("any", 1, 1),
        mkt("net", 2, 2, "10.0.0.0/8"),
        mkt("host", 3, 3, "10.1.2.3"),
        mkt("host port", 4, 4, "10.1.2.3", peer_port=179),
        mkt("host local", 5, 5, "10.1.2.3", local="10.9.9.9", local_port=80),
        mkt("six", 2, 2, "fd00::/64"),
        mkt("second for net", 6, 6, "10.0.0.0/8"),
    ]
)


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (pair("10.1.2.3"), "host port"),
        (pair("10.1.2.3", 180), "host"),
        (pair("10.1.2.3", 180, local_port=80), "host local"),
        (pair("10.1.2.3", 180, local="10.9.9.8", local_port=80), "host"),
        (pair("10.255.255.255"), "net"),
        (pair("11.0.0.0"), "any"),
        (pair("fd00::1"), "six"),
        (pair("fd00:0:0:1::1"), "any"),
        (pair("a00::"), "any"),  # begins as 10.0.0.0 does
    ],
)
def test_outgoing_is_the_narrowest(of: SocketPair, name: str) -> None:
    found = TABLE.outgoing(of)
    assert found is not None
    assert found.name == name
    assert TABLE.required(of)


def test_incoming_by_key_id() -> None:
    """RFC 5925 §3.1: by socket pair and KeyID = RecvID only."""
    for key_id, name in ((1, "any"), (2, "net"), (3, "host"), (4, "host port"), (6, "second for net")):
        found = TABLE.incoming(pair("10.1.2.3"), key_id)
        assert found is not None
        assert found.name == name
    assert TABLE.incoming(pair("10.1.2.3"), 5) is None  # that one is for local port 80
    assert TABLE.incoming(pair("11.0.0.0"), 2) is None
    assert [found.name for found in TABLE.matching(pair("10.2.0.0"))] == ["net", "second for net", "any"]


def test_no_match() -> None:
    table = MktTable([mkt("net", 1, 2, "10.0.0.0/8", peer_port=179)])
    for of in (pair("11.0.0.0"), pair("10.0.0.0", 178), pair("fd00::1")):
        assert table.outgoing(of) is None
        assert table.incoming(of, 2) is None
        assert not table.required(of)
    # SendID and RecvID are not to be taken for each other.
    assert table.incoming(pair("10.0.0.0"), 1) is None
    assert table.incoming(pair("10.0.0.0"), 2) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (mkt("a", 1, 2), mkt("b", 3, 2)),
        (mkt("a", 1, 2), mkt("b", 1, 3)),
        (mkt("a", 1, 2, "10.0.0.0/8"), mkt("b", 1, 3, "10.1.0.0/16")),
        (mkt("a", 1, 2, "10.0.0.0/8", peer_port=1), mkt("b", 1, 3, "10.1.0.0/16")),
        (mkt("a", 1, 2), mkt("b", 1, 3, "fd00::1")),
    ],
)
def test_ids_of_overlapping_tuples(one: Mkt, other: Mkt) -> None:
    for order in ([one, other], [other, one]):
        with pytest.raises(MktConflict):
            MktTable(order)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (mkt("a", 1, 2, "10.0.0.1"), mkt("b", 1, 2, "10.0.0.2")),
        (mkt("a", 1, 2, "10.0.0.0/8"), mkt("b", 2, 1, "10.0.0.1")),
        (mkt("a", 1, 2, peer_port=1), mkt("b", 1, 2, peer_port=2)),
        (mkt("a", 1, 2, local_port=1), mkt("b", 1, 2, local_port=2)),
        (mkt("a", 1, 2, "10.0.0.0/8"), mkt("b", 1, 2, "fd00::/8")),
        (mkt("a", 1, 2, local="10.0.0.1"), mkt("b", 1, 2, local="10.0.0.2")),
        (mkt("a", 1, 2, local="10.0.0.1"), mkt("b", 1, 2, "fd00::1")),
    ],
)
def test_ids_of_tuples_apart(one: Mkt, other: Mkt) -> None:
    assert len(MktTable([one, other])) == len(list(MktTable([other, one]))) == 2


addresses = st.integers(0, 15).map(lambda low: f"10.0.0.{low}")
networks = st.builds(
    lambda low, prefix: str(ip_network((0x0A000000 | low, prefix), strict=False)),
    st.integers(0, 15),
    st.integers(28, 32),
)


@given(
    st.lists(st.tuples(st.none() | networks, st.none() | st.integers(1, 2), st.integers(0, 3)), max_size=6),
    addresses,
    st.integers(1, 2),
)
def test_against_looking_at_every_tuple(
    made: list[tuple[str | None, int | None, int]], remote: str, port: int
) -> None:
    mkts = [
        mkt(str(index), key_id, key_id, peer, peer_port=peer_port)
        for index, (peer, peer_port, key_id) in enumerate(made)
    ]
    of = pair(remote, port)
    clash = any(
        one.send_id == other.send_id and one.overlaps(other)
        for index, one in enumerate(mkts)
        for other in mkts[:index]
    )
    if clash:
        with pytest.raises(MktConflict):
            MktTable(mkts)
        return
    table = MktTable(mkts)
    holding = [one for one in mkts if one.matches(of)]
    assert sorted(one.name for one in table.matching(of)) == sorted(one.name for one in holding)
    assert table.required(of) == bool(holding)
    for key_id in range(4):
        expected = [one for one in holding if one.recv_id == key_id]
        assert len(expected) <= 1
        assert table.incoming(of, key_id) == (expected[0] if expected else None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"send_id": 256}, "send_id"),
        ({"recv_id": -1}, "recv_id"),
        ({"peer_port": 0}, "peer_port"),
        ({"local_port": 65536}, "local_port"),
        ({"secret": b""}, "secret"),
        ({"mac": "md4"}, "mac"),
        ({"mac_octets": 7}, "mac_octets"),
        ({"mac_octets": 17}, "mac_octets"),
        ({"mac_octets": 12, "mac": "kmac256-128"}, "mac_octets"),
        ({"encrypt": "rot13"}, "encrypt"),
        ({"peer": ip_network("10.0.0.1"), "local": ip_network("fd00::1")}, "local"),
        ({"peer": ip_network("10.0.0.0/8"), "encrypt": "aes-128-ctr", "nat": Nat.remote}, "nat"),
        ({"encrypt": "aes-128-ctr", "nat": Nat.both}, "nat"),
    ],
)
def test_tuples_that_cannot_be(changes: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"name": "x", "send_id": 1, "recv_id": 2, "secret": b"s"}
    with pytest.raises(KeyFault, match=rf"^{field}: ") as caught:
        Mkt(**{**given, **changes})
    assert caught.value.field == field


def test_encryption_across_nat_for_one_peer() -> None:
    assert mkt("x", 1, 2, "10.0.0.1", encrypt="aes-128-ctr", nat=Nat.remote).zero_remote
    assert mkt("x", 1, 2, "10.0.0.0/8", encrypt="aes-128-ctr", nat=Nat.local).zero_local


def test_many_peers_are_made_quickly_enough_to_be_many() -> None:
    """Each with the same ids: only tuples whose peers overlap are compared, or this would be 50 million pairs."""
    table = MktTable([mkt(str(n), 1, 1, str(ip_address(0x0A000000 + n))) for n in range(10_000)])
    found = table.incoming(pair("10.0.39.15"), 1)
    assert found is not None
    assert found.name == str(39 * 256 + 15)
