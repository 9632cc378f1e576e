"""No octet of the keystream ever meets two different octets: whatever is lost, cut anew or sent again.

The keystream belongs to the position in the stream (profile.md §7), so it is reused exactly if an observer sees two
ciphertexts for one position of one direction.
"""

from __future__ import annotations

import random

import pytest

from stack.config import TcpConfig
from stack.security import Security
from tests.stack.keystream import Keystreams
from tests.stack.wire import Wire, transfer

PROTECTED = Security("ao-enc-dh")


@pytest.mark.parametrize("seed", range(12))
def test_positions_meet_one_octet_only(seed: int) -> None:
    source = random.Random(seed)
    # All zero: if a keystream octet were used for two positions' data nothing would hide it.
    up, down = bytes(60_000), source.randbytes(60_000)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        return [(source.random() * 0.05 if source.random() < 0.1 else 0.0, packet)]

    wire = Wire(seed, tap=tap, config=TcpConfig(mtu=source.choice([600, 1280, 1500])))
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    narrowed = False

    def narrow() -> None:
        # The path becomes narrower in mid-stream, so that what is sent again is cut in other places.
        nonlocal narrowed
        connection = attempt.flow.connection
        if not narrowed and connection.snd_nxt - connection.iss > 20_000:
            narrowed = True
            connection.lower_path_mtu(580, wire.now)

    flush = wire.flush

    def flush_and_narrow() -> None:
        narrow()
        flush()

    wire.flush = flush_and_narrow  # type: ignore[method-assign]
    ends = transfer(wire, attempt, listener, up, down)
    assert bytes(ends[1].received) == up
    assert bytes(ends[0].received) == down
    watcher = Keystreams()
    for _, from_client, packet in wire.sent:
        watcher.take(packet, from_client)
    assert narrowed
    assert watcher.resent > 0
    assert len(watcher.cuts) > 60


def test_equal_octets_at_different_positions_differ() -> None:
    wire = Wire()
    attempt, listener = wire.open(PROTECTED, PROTECTED)
    transfer(wire, attempt, listener, bytes(30_000), bytes(30_000))
    blocks = [
        packet[at : at + 16]
        for _, _, packet in wire.sent
        if len(packet) > 1000
        for at in range(100, len(packet) - 16, 16)
    ]
    assert len(blocks) > 3000
    assert len(set(blocks)) == len(blocks)
