"""Chains of boxes, and each of the plain boxes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.packet import Raw

from stack.batch import Octets
from stack.box import BoxChain, Direction, Emission
from stack.icmp import IcmpError, IcmpKind, take
from stack.ip import Ip, address_octets, parse
from stack.simulator import Corrupt, Delay, Duplicate, Filter, Loss, MtuLimit, RateLimit, Reorder, Tap

F, B = Direction.FORWARD, Direction.BACKWARD
PACKETS: list[Octets] = [bytes([n]) for n in range(100)]


class Mirror:
    """Sends what comes from one side straight back."""

    next_deadline = None

    def __init__(self, only: Direction) -> None:
        self.only = only

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        if direction is self.only:
            direction = direction.reverse
        return [(now, direction, packet) for packet in packets]


class Holding:
    """Keeps packets until ``release``, then lets all go, each its own way."""

    def __init__(self, release: float) -> None:
        self.release = release
        self.held: list[Emission] = []
        self.calls: list[float] = []

    @property
    def next_deadline(self) -> float | None:
        return self.release if self.held else None

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        self.calls.append(now)
        self.held += [(now, direction, packet) for packet in packets]
        if now < self.release:
            return []
        out, self.held = self.held, []
        return out


def test_empty_chain_passes_all() -> None:
    chain = BoxChain()
    assert chain.process([b"a", b"b"], B, 3.0) == [(3.0, B, b"a"), (3.0, B, b"b")]
    assert chain.next_deadline is None


def test_directions_meet_boxes_in_opposite_order() -> None:
    seen: list[tuple[int, Direction]] = []

    def note(number: int) -> Callable[[Octets, Direction, float], None]:
        return lambda packet, direction, now: seen.append((number, direction))

    chain = BoxChain([Tap(note(1)), Tap(note(2)), Tap(note(3))])
    assert chain.process([b"x"], F, 0.0) == [(0.0, F, b"x")]
    assert chain.process([b"y"], B, 0.0) == [(0.0, B, b"y")]
    assert seen == [(1, F), (2, F), (3, F), (3, B), (2, B), (1, B)]


def test_later_boxes_see_packets_at_their_time() -> None:
    times: list[float] = []
    chain = BoxChain([Delay(1.0), Tap(lambda packet, direction, now: times.append(now)), Delay(0.5)])
    assert chain.process([b"x"], F, 10.0) == []
    assert chain.next_deadline == 11.0
    assert chain.process([b"y"], F, 10.5) == []
    # Asked late: each is still seen at its own time, and leaves half a second after that.
    assert chain.process([], F, 20.0) == [(11.5, F, b"x"), (12.0, F, b"y")]
    assert times == [11.0, 11.5]
    assert chain.next_deadline is None


def test_waiting_packets_are_copied() -> None:
    memory = bytearray(b"before")
    chain = BoxChain([Delay(1.0), Delay(0.0)])
    chain.process([memoryview(memory)], F, 0.0)
    memory[:] = b"behind"
    assert chain.process([], F, 1.0) == [(1.0, F, b"before")]


def test_a_box_may_answer_and_hold() -> None:
    box = Holding(5.0)
    seen: list[Direction] = []
    chain = BoxChain([Tap(lambda packet, direction, now: seen.append(direction)), box])
    assert chain.process([b"out"], F, 1.0) == []
    assert chain.process([b"in"], B, 2.0) == []
    assert chain.next_deadline == 5.0
    assert chain.process([], F, 5.0) == [(5.0, F, b"out"), (5.0, B, b"in")]
    assert seen == [F, B]
    assert BoxChain([Tap(lambda *_: None), Mirror(F)]).process([b"x"], F, 0.0) == [(0.0, B, b"x")]


def test_packets_between_two_mirrors_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="back and forth"):
        BoxChain([Mirror(B), Mirror(F)]).process([b"x"], F, 0.0)


def test_delay_and_jitter_keep_order() -> None:
    assert Delay(0.25).process([b"x"], B, 1.0) == [(1.25, B, b"x")]
    box = Delay(0.1, 0.5, random.Random(1))
    times = [box.process([b"x"], F, n / 100)[0][0] for n in range(200)]
    assert times == sorted(times)
    assert all(n / 100 + 0.1 <= time for n, time in enumerate(times))
    assert max(time - n / 100 for n, time in enumerate(times)) > 0.4


def test_loss_is_counted_and_obeys_direction() -> None:
    box = Loss(0.3, random.Random(2), only=F)
    left = sum(len(box.process(PACKETS, F, 0.0)) for _ in range(100))
    assert left + box.lost == 10_000
    assert 2800 < box.lost < 3200
    assert len(box.process(PACKETS, B, 0.0)) == 100
    assert Loss(1.0, random.Random(3)).process(PACKETS, F, 0.0) == []
    assert len(Loss(0.0, random.Random(3)).process(PACKETS, F, 0.0)) == 100


def test_filter_drops_what_is_named() -> None:
    box = Filter(lambda packet, direction, now: packet[0] != 7)
    assert [packet for _, _, packet in box.process(PACKETS[5:9], F, 0.0)] == [b"\5", b"\6", b"\x08"]
    assert box.lost == 1


def test_reorder_holds_some_back() -> None:
    box = Reorder(0.2, 1.0, random.Random(4))
    out = box.process(PACKETS, F, 5.0)
    late = [when for when, _, _ in out if when > 5.0]
    assert len(out) == 100
    assert len(late) == box.held
    assert 5 < box.held < 40
    assert max(late) < 6.0


def test_duplicate_sends_twice() -> None:
    box = Duplicate(0.5, random.Random(5), 0.25)
    out = box.process(PACKETS, B, 1.0)
    assert len(out) == 100 + box.copies
    assert 30 < box.copies < 70
    assert sum(when == 1.25 for when, _, _ in out) == box.copies


def test_rate_limit_spaces_and_drops() -> None:
    box = RateLimit(1000.0, 250)
    out = box.process([bytes(100)] * 5, F, 0.0)
    # One is being sent, two wait in 250 octets, two are lost.
    assert [when for when, _, _ in out] == pytest.approx([0.1, 0.2, 0.3])
    assert box.lost == 2
    # At 0.1 the second is being sent, so there is room for one more; the other direction is free.
    assert [when for when, _, _ in box.process([bytes(100)] * 2, F, 0.1)] == pytest.approx([0.4])
    assert [when for when, _, _ in box.process([bytes(100)], B, 0.1)] == pytest.approx([0.2])
    assert [when for when, _, _ in box.process([bytes(100)], F, 9.0)] == pytest.approx([9.1])
    assert box.lost == 3


V4 = bytes(IP(src="192.0.2.1", dst="198.51.100.7", flags="DF") / TCP(sport=5, dport=6, seq=77) / Raw(bytes(900)))
V4_MAY = bytes(IP(src="192.0.2.1", dst="198.51.100.7") / TCP(sport=5, dport=6, seq=77) / Raw(bytes(900)))
V6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=5, dport=6, seq=77) / Raw(bytes(1400)))


@pytest.mark.parametrize(("packet", "mtu"), [(V4, 600), (V6, 1300)])
def test_mtu_limit_answers_as_a_router_does(packet: bytes, mtu: int) -> None:
    router = {4: address_octets("203.0.113.1"), 6: address_octets("2001:db8::99")}
    box = MtuLimit(mtu, *router.values())
    assert box.process([packet[:mtu]], F, 1.0) == [(1.0, F, packet[:mtu])]
    ((when, direction, answer),) = box.process([packet], F, 1.0)
    assert (when, direction, box.lost) == (1.0, B, 1)
    ip = parse(answer)
    assert isinstance(ip, Ip)
    assert ip.destination == (packet[12:16] if ip.version == 4 else packet[8:24])
    error = take(ip, answer)
    assert isinstance(error, IcmpError)
    assert (error.kind, error.mtu, error.reporter) == (IcmpKind.TOO_BIG, mtu, router[ip.version])
    assert (error.source_port, error.destination_port, error.seq) == (5, 6, 77)
    assert len(answer) <= (576 if ip.version == 4 else 1280)


def test_mtu_limit_as_a_black_hole() -> None:
    box = MtuLimit(600, address_octets("2001:db8::99"))
    assert box.process([V4], F, 0.0) == []
    assert MtuLimit(600, address_octets("203.0.113.1")).process([V4_MAY], F, 0.0) == []
    assert box.lost == 1


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("payload_only", [False, True])
@given(st.integers(0, 2**32), st.sampled_from([V4, V6]))
def test_corrupt_flips_one_bit(repair: bool, payload_only: bool, seed: int, packet: bytes) -> None:
    box = Corrupt(1.0, random.Random(seed), repair=repair, payload_only=payload_only)
    ((_, _, damaged),) = box.process([packet], F, 0.0)
    assert box.corrupted == 1
    ip = parse(damaged)
    assert isinstance(ip, Ip)
    start = ip.header_octets
    field = start + 16
    changed = [
        n for n in range(len(packet)) if packet[n] != damaged[n] and not (repair and n in (field, field + 1))
    ]
    assert len(changed) == 1
    assert (packet[changed[0]] ^ damaged[changed[0]]).bit_count() == 1
    assert changed[0] >= start + (20 if payload_only else 0)
    # Of the octets as they are: built anew, options that the bit made of payload would be put in order.
    segment = bytes(damaged[start:field]) + bytes(2) + bytes(damaged[field + 2 :])
    if ip.version == 4:
        right = in4_chksum(6, IP(bytes(damaged)), segment)
    else:
        right = in6_chksum(6, IPv6(bytes(damaged)), segment)
    good = right % 0xFFFF == int.from_bytes(damaged[field : field + 2], "big") % 0xFFFF
    assert good is repair


@pytest.mark.parametrize(
    "packet", [b"", b"noise", bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP() / Raw(bytes(40))), V4[:40]]
)
def test_corrupt_spares_what_is_not_tcp_with_payload(packet: bytes) -> None:
    box = Corrupt(1.0, random.Random(1), payload_only=True)
    assert box.process([packet], F, 0.0) == [(0.0, F, packet)]
    assert box.corrupted == 0


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Loss(1.5, random.Random(1))
    with pytest.raises(ValueError, match="negative"):
        Delay(-1.0)
    with pytest.raises(ValueError, match="random source"):
        Delay(1.0, 0.5)
    with pytest.raises(ValueError, match="rate"):
        RateLimit(0, 10)
