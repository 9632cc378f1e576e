"""The fast path and the plain path come to the same, octet by octet and variable by variable."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ao.keys import KeyRing
from ao.tally import Tally
from stack.isn import InitialNumbers
from tests.stack.fastpath.twins import Pair, Twins, right_checksums

Harm = Callable[[list[bytes], random.Random], list[bytes]]


def nothing(packets: list[bytes], _chance: random.Random) -> list[bytes]:
    return packets


def loss(packets: list[bytes], chance: random.Random) -> list[bytes]:
    return [packet for packet in packets if chance.random() > 0.03]


def disorder(packets: list[bytes], chance: random.Random) -> list[bytes]:
    """Some come late, some twice."""
    arrived = list(packets)
    for packet in packets:
        if chance.random() < 0.05:
            arrived.remove(packet)
            arrived.insert(chance.randrange(len(arrived) + 1), packet)
        if chance.random() < 0.05:
            arrived.insert(chance.randrange(len(arrived) + 1), packet)
    return arrived


def changed(packets: list[bytes], chance: random.Random) -> list[bytes]:
    """An octet anywhere is another, and half of the time no checksum tells; the right one may follow."""
    arrived = []
    for packet in packets:
        if chance.random() < 0.1:
            octets = bytearray(packet)
            # Most in the headers, where there is something to be read.
            most = len(octets) if chance.random() < 0.3 else min(len(octets), 100)
            octets[chance.randrange(most)] ^= 1 << chance.randrange(8)
            arrived.append(right_checksums(octets) if chance.random() < 0.6 else bytes(octets))
            if chance.random() < 0.5:
                continue
        arrived.append(packet)
    return arrived


def resized(packets: list[bytes], chance: random.Random) -> list[bytes]:
    """Cut short, or with octets behind that belong to nothing."""
    arrived = []
    for packet in packets:
        case = chance.random()
        if case < 0.03:
            packet = packet[: chance.randrange(len(packet))]
        elif case < 0.06:
            packet += bytes(chance.randint(1, 30))
        arrived.append(packet)
    return arrived


def marked(packets: list[bytes], chance: random.Random) -> list[bytes]:
    """Marks of congestion, other identifications, TTLs, and first fragments (IPv4)."""
    arrived = []
    for packet in packets:
        octets = bytearray(packet)
        if octets[0] == 0x45:
            if chance.random() < 0.2:
                octets[1] |= 3
            if chance.random() < 0.3:
                octets[4:6] = chance.randbytes(2)
            if chance.random() < 0.1:
                octets[8] = chance.randint(1, 255)
            if chance.random() < 0.03:
                octets[6] |= 0x20
        arrived.append(right_checksums(octets))
    return arrived


def stamped(packets: list[bytes], chance: random.Random) -> list[bytes]:
    """Timestamps that go on or back, or echo something else; where there is a MAC it is wrong then."""
    arrived = []
    for packet in packets:
        octets = bytearray(packet)
        at = bytes(octets[:100]).find(b"\x08\x0a", 40)
        if at > 0 and chance.random() < 0.1:
            place = at + 2 if chance.random() < 0.8 else at + 6
            value = int.from_bytes(octets[place : place + 4], "big") + chance.choice((-3, -1, 1, 2))
            octets[place : place + 4] = (value & 0xFFFFFFFF).to_bytes(4, "big")
        arrived.append(right_checksums(octets))
    return arrived


def live(twins: Twins, steps: int, harm: Harm) -> None:
    """Open, then write, read, hurry and end at random, as both ends' applications."""
    chance = twins.chance
    for _ in range(8):
        twins.step()
    twins.harm = harm
    for _ in range(steps):
        end = chance.randrange(2)
        if chance.random() < 0.4:
            data = chance.randbytes(chance.choice((1, 100, 1448, 5000, 60_000, 300_000)))
            urgent = chance.random() < 0.05
            twins.both(lambda pair, end=end, data=data, urgent=urgent: write(pair, end, data, urgent))
        if chance.random() < 0.5:
            limit = chance.choice((1, 1000, 50_000, -1))
            twins.both(lambda pair, end=end, limit=limit: read(pair, end, limit))
        twins.step(chance.choice((0.0, 0.0004, 0.001, 0.001, 0.01, 0.3)))
    for end in (0, 1):
        twins.both(lambda pair, end=end: write_eof(pair, end))
    for index in range(steps // 2):
        twins.both(lambda pair, end=index & 1: read(pair, end, -1))
        twins.step(chance.choice((0.001, 0.01, 0.5)))


def write(pair: Pair, end: int, data: bytes, urgent: bool) -> object:
    attempt = pair.ends[end]
    if attempt is not None and attempt.unsent < 1_000_000 and not attempt.flow.over:
        attempt.write(data, urgent=urgent)
        attempt.stack.touch(attempt.flow)
    return attempt is None


def read(pair: Pair, end: int, limit: int) -> object:
    attempt = pair.ends[end]
    return None if attempt is None else attempt.read(limit)


def write_eof(pair: Pair, end: int) -> object:
    attempt = pair.ends[end]
    if attempt is not None and not attempt.flow.over:
        attempt.write_eof()
    return attempt is None


PROTECTIONS = (
    ("none", None),
    ("none", "strict"),
    ("ao", None),
    ("ao", "strict"),
    ("ao-enc", None),
    ("ao-enc-dh", None),
)
HARMS = (nothing, loss, disorder, changed, resized, marked, stamped)


def same(mode: str, edo: str | None, harm: Harm, seed: int, steps: int) -> None:
    print(f"seed {seed}")
    twins = Twins(seed, mode, edo=edo, version=4 + 2 * (seed & 1))
    live(twins, steps, harm)
    # An Extension in its long form, which has its segment's length, is never on the fast path.
    assert twins.taken > 10 or (mode, edo) == ("none", "strict")


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize(("mode", "edo"), PROTECTIONS)
def test_random_lives_are_the_same(mode: str, edo: str | None, harm: Harm) -> None:
    same(mode, edo, harm, HARMS.index(harm) + len(HARMS) * PROTECTIONS.index((mode, edo)), 60)


@pytest.mark.soak
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize(("mode", "edo"), PROTECTIONS)
def test_many_random_lives_are_the_same(mode: str, edo: str | None, harm: Harm) -> None:
    for seed in range(100, 130):
        same(mode, edo, harm, seed, 200)


@pytest.mark.parametrize("mode", ["none", "ao-enc"])
def test_numbers_that_wrap_are_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a transfer the SNE becomes 1 in both directions."""
    monkeypatch.setattr(InitialNumbers, "number", lambda self, key, now: 0xFFFFFFFF - 200_000)
    twins = Twins(7, mode)
    data = random.Random(7).randbytes(400_000)
    for _ in range(8):
        twins.step()
    for end in (0, 1):
        twins.both(lambda pair, end=end: write(pair, end, data, False))
    received = [b"", b""]
    for _ in range(200):
        for end in (0, 1):
            received[end] += twins.both(lambda pair, end=end: read(pair, end, -1))
        twins.step()
    assert received == [data, data]
    assert twins.taken > 300


@pytest.mark.parametrize("edo", [None, "strict"])
def test_keys_that_change_are_the_same(edo: str | None) -> None:
    """Another configured key is asked for now and then, in the middle of a transfer."""
    twins = Twins(8, "ao", edo=edo)
    for _ in range(8):
        twins.step()
    for turn in range(12):
        end, key_id = turn & 1, 1 + turn % 3
        twins.both(lambda pair, end=end: write(pair, end, bytes(200_000), False))
        for _ in range(6):
            twins.both(lambda pair, end=end: read(pair, 1 - end, -1))
            twins.step()
        twins.both(lambda pair, end=end, key_id=key_id: ask_for(pair, end, key_id))
    assert all(tally.good > 20 for tally in tallies(twins).values())
    assert twins.taken > 300


def test_what_comes_under_an_older_key_is_the_same() -> None:
    """Segments of the key before come again while the next one serves, and when it was removed."""
    twins = Twins(9, "ao")
    for _ in range(8):
        twins.step()
    kept: list[bytes] = []
    twins.harm = lambda packets, _: (kept.extend(packets[:3]), packets)[1]
    for turn in range(6):
        twins.both(lambda pair: write(pair, 0, bytes(50_000), False))
        for _ in range(6):
            twins.both(lambda pair: read(pair, 1, -1))
            twins.step()
        if turn == 1:
            twins.both(lambda pair: (ask_for(pair, 0, 2), ask_for(pair, 1, 2)))
        if turn == 4:
            twins.both(lambda pair: keys_of(pair, 1).remove(1))
        old, before = kept[:20], twins.fast.server.drops["ao_key_not_found"]
        for index in (0, 1):
            twins.under_way[index][:0] = [packet for packet in old if packet[19] == 1 + index]
        twins.step()
        assert (twins.fast.server.drops["ao_key_not_found"] > before) == (turn >= 4)
    assert twins.taken > 100


@pytest.mark.parametrize("harm", [nothing, disorder], ids=lambda harm: harm.__name__)
def test_new_keys_are_the_same(harm: Harm) -> None:
    """Agreed on in the middle of a transfer, several times."""
    twins = Twins(10, "ao-enc-dh")
    for _ in range(8):
        twins.step()
    twins.harm = harm
    for turn in range(5):
        twins.both(lambda pair, end=turn & 1: rekey(pair, end))
        for index in range(20):
            if index < 8:
                twins.both(lambda pair, end=index & 1: write(pair, end, bytes(20_000), False))
            twins.both(lambda pair, end=index & 1: read(pair, end, -1))
            # Long enough for what was lost to be repeated.
            twins.step(0.001 if index < 12 else 0.3)
    assert max(tallies(twins)) >= 3
    assert twins.taken > 300


def rekey(pair: Pair, end: int) -> None:
    attempt = pair.ends[end]
    assert attempt is not None
    attempt.rekey()


def keys_of(pair: Pair, end: int) -> KeyRing:
    attempt = pair.ends[end]
    assert attempt is not None
    keys = attempt.flow.protection.keys
    assert keys is not None
    return keys


def ask_for(pair: Pair, end: int, key_id: int) -> None:
    keys_of(pair, end).ask_for(key_id)


def tallies(twins: Twins) -> dict[int, Tally]:
    accepted = twins.fast.accepted
    assert accepted is not None
    return dict(accepted.flow.protection.tallies)
