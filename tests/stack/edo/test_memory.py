"""Peers where EDO was damaged are remembered, seen, and left alone for a time (EDO, section 5: caching)."""

from __future__ import annotations

import logging

import pytest

from edo.negotiation import EdoState
from stack.batch import Batch
from stack.config import TcpConfig
from stack.edo_damage import ENOUGH
from stack.ip import address_octets
from stack.peers import EDO_DAMAGE
from stack.security import Security
from stack.simulator.resegment import Split, Strip
from tests.stack.edo.path import STRICT, SYN, Path, headers
from tests.stack.edo.test_boxes import BACKWARD, DOWN, FORWARD, UP, is_edo
from tests.stack.edo.test_rules import Forger, short
from tests.stack.wire import CLIENT, SERVER, transfer
from tun.edolog import EdoWatcher

OFFER = (254, 0x0ED0)


def remembered(path: Path, client: bool) -> list[tuple[object, object]]:
    rows = (path.client if client else path.server).peers.rows(path.now)
    return [(row["peer"], row["how"]) for row in rows if row["kind"] == "edo-damaged"]


def offers(path: Path) -> list[bool]:
    """Of each SYN of the client whether it offers EDO."""
    return [OFFER in one.kinds for one in headers(path, from_client=True) if one.flags & SYN]


def again(path: Path, security: Security = STRICT) -> list[bool]:
    """Connect once more to the same host, and see whether EDO was offered."""
    path.sent.clear()
    path.server._listeners.clear()
    path.chain = type(path.chain)()
    ends = transfer(path, *path.open(security), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    return offers(path)


def test_an_extension_that_is_removed_is_remembered_at_both_ends() -> None:
    path = Path(Strip(is_edo, syn=False))
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert remembered(path, client=True) == [(SERVER[0], "the Extension was removed")]
    assert remembered(path, client=False) == [(CLIENT[0], "the Extension was removed")]
    # It is not offered for ten minutes, then tried again, and left alone for twenty.
    assert again(path) == [False]
    path.now += EDO_DAMAGE
    assert remembered(path, client=True) == []
    path.sent.clear()
    path.server._listeners.clear()
    path.chain = type(path.chain)([Strip(is_edo, syn=False)])
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert offers(path) == [True]
    path.now += 1.5 * EDO_DAMAGE
    assert again(path) == [False]
    # What is forgotten is tried.
    for stack in (path.client, path.server):
        assert stack.peers.forget(kind="edo-damaged") == 1
    assert again(path) == [True]


def test_segments_that_are_split_are_remembered_by_who_finds_them() -> None:
    path = Path(Split(700, only=FORWARD))
    attempt, listener = path.open(STRICT)
    path.run(1.0)
    assert listener.accept() is not None
    attempt.write(UP)
    path.run(30.0)
    assert remembered(path, client=False) == [(CLIENT[0], "segments were split or merged")]
    assert path.server.counters["edo_damaged"] == 1
    # The server answers no offer of this host for a time; so the next connection works.
    assert again(path) == [True]
    ends = [flow.edo.state for flow in path.client.flows.values() if flow.key[2] == address_octets(SERVER[0])]
    assert EdoState.OFF in ends


def test_silence_that_offers_meet_is_remembered() -> None:
    """EDO N8: three SYNs with the offer vanish, the fourth is plain and is answered."""

    class Swallow:
        next_deadline = None

        def process(self, packets, direction, now):  # type: ignore[no-untyped-def]
            offered = bytes.fromhex("fe040ed0")
            return [(now, direction, packet) for packet in packets if offered not in bytes(packet)[:80]]

    path = Path(Swallow())
    ends = transfer(path, *path.open(STRICT), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    assert offers(path) == [True, True, True, False]
    assert remembered(path, client=True) == [(SERVER[0], "SYNs with it met silence")]
    assert remembered(path, client=False) == []
    assert again(path) == [False]


def test_where_keys_are_agreed_on_edo_is_tried_all_the_same() -> None:
    path = Path(Strip(is_edo, syn=False))
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert again(path, Security("ao-enc-dh")) == [True]


def test_it_can_be_switched_off() -> None:
    path = Path(Strip(is_edo, syn=False), config=TcpConfig(remember_edo=False))
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert remembered(path, client=True) == remembered(path, client=False) == []
    assert again(path) == [True]


@pytest.mark.parametrize("options", [short(60), b"", bytes.fromhex("fe080ed000070000")])
def test_who_is_not_on_the_path_cannot_give_a_peer_a_bad_name(options: bytes) -> None:
    """Numbers that are not the connection's count for nothing, and one damaged segment is not enough."""
    forger = Forger()
    connection = forger.server.flow.connection
    true = connection.rcv_nxt, connection.snd_nxt
    for seq, ack in ((1 << 20, 0), (0, 1 << 20), (0, -(1 << 20))):
        connection.rcv_nxt, connection.snd_nxt = true[0] + seq, true[1] + ack
        packets = [forger.segment(options)] * (2 * ENOUGH)
        connection.rcv_nxt, connection.snd_nxt = true
        forger.wire.server.receive(Batch(packets), forger.wire.now)
    assert sum(forger.drops.values()) == 6 * ENOUGH
    for n in range(ENOUGH):
        assert not forger.wire.server.peers.edo_is_damaged(address_octets(CLIENT[0]), forger.wire.now), n
        forger.send(options)
    assert forger.wire.server.peers.edo_is_damaged(address_octets(CLIENT[0]), forger.wire.now)


def test_the_memory_is_bounded() -> None:
    path = Path()
    for n in range(3000):
        path.client.peers.edo_damaged(n.to_bytes(4), "how", path.now)
    assert len(list(path.client.peers.rows(path.now))) == 1024


def test_tampering_is_told_a_line_a_second_and_reason() -> None:
    """EDO, section 5: malformed options and other signs of tampering are logged, not more than that."""
    forger = Forger()
    watcher = EdoWatcher(forger.wire.server)
    assert watcher.lines() == []
    for _ in range(50):
        forger.send(b"")
        forger.send(short(60))
        forger.send(bytes.fromhex("fe080ed000070000"))
        forger.send(short(8), b"\x05\x01\x01\x01")
    remote = f"10.0.0.1:{forger.server.flow.key[3]} to 10.0.0.2:80"
    damaged = "left alone for a while with 10.0.0.1: segments were split or merged"
    assert sorted(watcher.lines()) == [
        f"EDO: 1 connection damaged (edo_damaged): {damaged}",
        f"EDO: 50 dropped, Header_Length cannot be (edo_header_length): {remote}",
        f"EDO: 50 dropped, Segment_Length is not the segment's (edo_segment_length): {remote}",
        f"EDO: 50 dropped, an option is malformed (malformed_option): {remote}",
        f"EDO: 50 dropped, there is no Extension (edo_missing): {remote}",
    ]
    assert watcher.lines() == []
    # Elsewhere a malformed option is no matter of EDO's.
    plain = Forger(Security())
    watcher = EdoWatcher(plain.wire.server)
    plain.wire.server.drops["malformed_option"] += 5
    assert watcher.lines() == []
    assert logging.getLogger("edotun.edo").handlers == []


def test_a_path_that_damages_nothing_is_not_remembered() -> None:
    path = Path(Strip(is_edo, syn=True, only=BACKWARD))
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert remembered(path, client=True) == []
    path = Path()
    transfer(path, *path.open(STRICT), UP, DOWN)
    assert remembered(path, client=True) == remembered(path, client=False) == []
