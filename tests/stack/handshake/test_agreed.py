"""Agreement on keys between two stacks: placements, lost segments, fallback, tampering (profile.md §2-§5)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from stack.checksum import ones_complement_sum, pseudo_header_sum
from stack.events import Closed
from stack.handshake.agreed import Agreed
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.wire import Tap, Wire, transfer

PROTECTED = Security("ao-enc-dh")
PREFER = Security("ao-enc-dh", policy="prefer")
LATE = Security("ao-enc-dh", placements=("late",))
UP = random.Random(1).randbytes(60_000)
DOWN = random.Random(2).randbytes(90_000)


def flags_of(packet: bytes) -> int:
    return packet[header_of(packet) + 13]


def header_of(packet: bytes) -> int:
    return 20 if packet[0] >> 4 == 4 else 40


def out_of_band(packet: bytes) -> bool:
    return not flags_of(packet) & (SYN | ACK | RST)


def has_option(packet: bytes, kind: int) -> bool:
    start = header_of(packet)
    at, end = start + 20, start + ((packet[start + 12] >> 4) << 2)
    while at < end and packet[at]:
        if packet[at] == kind:
            return True
        at += 1 if packet[at] == 1 else packet[at + 1]
    return False


def resummed(packet: bytes, at: int, value: int) -> bytes:
    """The packet with one octet of its TCP part changed, its checksum right again."""
    octets = bytearray(packet)
    start = header_of(packet)
    octets[start + at] = value
    octets[start + 16 : start + 18] = b"\0\0"
    addresses = (12, 16, 20) if start == 20 else (8, 24, 40)
    source, destination = (bytes(packet[addresses[i] : addresses[i + 1]]) for i in (0, 1))
    size = len(packet) - start
    total = (ones_complement_sum(octets[start:]) + pseudo_header_sum(source, destination, size)) % 0xFFFF
    struct.pack_into("!H", octets, start + 16, 0xFFFF - total)
    return bytes(octets)


def without_option(packet: bytes, *patterns: bytes) -> bytes:
    """The packet with every option that begins with one of ``patterns`` turned into NOPs."""
    start = header_of(packet)
    at, end = start + 20, start + ((packet[start + 12] >> 4) << 2)
    changed = packet
    while at < end and packet[at]:
        length = 1 if packet[at] == 1 else packet[at + 1]
        if any(packet[at : at + length].startswith(pattern) for pattern in patterns):
            for octet in range(at, at + length):
                changed = resummed(changed, octet - start, 1)
        at += length
    return changed


def dropping(*numbers: int) -> Tap:
    """Drop the packets with these numbers, counted from 0 over both directions."""
    seen = -1

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen in numbers else [(0.0, packet)]

    return tap


def check(
    wire: Wire, client: Security | None, server: Security | None, **kwargs: int
) -> tuple[dict[str, object], dict[str, object]]:
    attempt, listener = wire.open(client, server, **kwargs)
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == DOWN
    assert ends[0].closed == Closed(None, 0)
    assert ends[1].closed == Closed(None, 0)
    return ends[0].attempt.report(), ends[1].attempt.report()


def in_clear(wire: Wire) -> bool:
    """Whether any 16 octets of what was sent crossed the wire as they are."""
    crossed = b"".join(packet for _, _, packet in wire.sent)
    return any(data[at : at + 16] in crossed for data in (UP, DOWN) for at in range(0, len(data) - 16, 997))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("security", "placement"), [(PROTECTED, "syn"), (LATE, "late"), (PREFER, "syn")])
def test_both_ends_agree_and_encrypt(security: Security, placement: str, version: int) -> None:
    wire = Wire()
    client, server = check(wire, security, PROTECTED, version=version)
    for report in (client, server):
        assert report["mode"] == "ao-enc-dh"
        assert report["placement"] == placement
        assert (report["group"], report["mac"], report["cipher"]) == ("x25519", "aes-128-cmac-96", "aes-128-ctr")
        assert report["drops"] == {}
        assert report["fallback"] is None
    assert client["session_id"] == server["session_id"]
    assert len(str(client["session_id"])) == 66
    assert str(client["session_id"]).startswith("a0")
    assert not in_clear(wire)


def test_plain_connections_cross_in_clear() -> None:
    wire = Wire()
    check(wire, None, None)
    assert in_clear(wire)


def test_every_segment_behind_the_handshake_carries_ao() -> None:
    wire = Wire()
    check(wire, PROTECTED, PROTECTED)
    signed = [has_option(packet, 29) for _, _, packet in wire.sent]
    # SYN, OOB and SYN-ACK are clear; from then on nothing is.
    assert signed[:3] == [False, False, False]
    assert all(signed[3:])


def test_the_first_three_segments_have_the_sizes_of_the_profile() -> None:
    wire = Wire()
    check(wire, PROTECTED, PROTECTED)
    syn, oob, syn_ack, first = (packet for _, _, packet in wire.sent[:4])
    # 32 octets of options, and the NOP that puts MSS at an even offset.
    assert (syn[20 + 12] >> 4) * 4 - 20 == 36
    assert has_option(syn, 69)
    assert out_of_band(oob)
    assert (oob[20 + 12] >> 4) * 4 == 24
    assert oob[24:28] == syn[24:28]
    assert (syn_ack[20 + 12] >> 4) * 4 - 20 == 40
    assert has_option(syn_ack, 69)
    assert has_option(first, 29)
    assert has_option(first, 69)
    assert not has_option(wire.sent[-1][2], 69)


@pytest.mark.parametrize("security", [PROTECTED, LATE, PREFER], ids=["auto", "late", "prefer"])
@pytest.mark.parametrize("number", range(9))
def test_any_one_segment_may_be_lost(security: Security, number: int) -> None:
    client, server = check(Wire(tap=dropping(number)), security, security)
    assert client["mode"] == server["mode"] == "ao-enc-dh"
    assert client["session_id"] == server["session_id"]


@pytest.mark.parametrize("security", [PROTECTED, LATE], ids=["auto", "late"])
@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("second", range(1, 7))
def test_any_two_segments_may_be_lost(security: Security, first: int, second: int) -> None:
    client, server = check(Wire(tap=dropping(first, first + second)), security, security)
    assert client["mode"] == server["mode"] == "ao-enc-dh"
    assert client["session_id"] == server["session_id"]


@pytest.mark.parametrize("seed", range(30))
def test_loss_duplication_and_reordering_change_no_key(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.1:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        copies = 2 if source.random() < 0.1 else 1
        return [(delay * copy, packet) for copy in range(1, copies + 1)]

    security = source.choice([PROTECTED, LATE, PREFER])
    client, server = check(Wire(seed, tap=tap), security, PROTECTED)
    assert client["mode"] == server["mode"] == "ao-enc-dh"
    assert client["session_id"] == server["session_id"]


def removing(predicate: Callable[[bytes], bool]) -> Tap:
    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if predicate(packet) else [(0.0, packet)]

    return tap


def test_a_path_that_drops_out_of_band_segments_costs_a_round_trip() -> None:
    client, server = check(Wire(tap=removing(out_of_band)), PROTECTED, PROTECTED)
    assert client["placement"] == server["placement"] == "late"
    assert client["session_id"] == server["session_id"]


def test_a_prefix_without_out_of_band_segments_is_not_waited_for_again() -> None:
    wire = Wire(tap=removing(out_of_band))
    check(wire, PROTECTED, PROTECTED)
    begun = wire.now
    listener = wire.server.listen(81, security=PROTECTED)
    attempt = wire.client.connect(("10.0.0.2", 81), security=PROTECTED, now=begun)
    ends = transfer(wire, attempt, listener, b"x", b"y")
    syn_ack = next(t for t, from_client, p in wire.sent if t >= begun and not from_client and flags_of(p) & SYN)
    assert syn_ack - begun < 0.05
    assert ends[0].attempt.report()["placement"] == "late"


def test_a_box_that_removes_syn_eos_costs_a_round_trip() -> None:
    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, without_option(packet, b"\xfe\x04\x5e\x05") if flags_of(packet) & SYN else packet)]

    client, server = check(Wire(tap=tap), PROTECTED, PROTECTED)
    assert client["placement"] == server["placement"] == "late"


def strip_from_syns(*patterns: bytes) -> Tap:
    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, without_option(packet, *patterns) if flags_of(packet) & SYN else packet)]

    return tap


def ended(wire: Wire, client: Security, server: Security | None) -> Closed:
    attempt, listener = wire.open(client, server or Security())
    found: list[Closed] = []

    def step() -> bool:
        while (event := attempt.next_event()) is not None:
            if isinstance(event, Closed):
                found.append(event)
        assert listener.accept() is None
        return bool(found)

    assert wire.run(600.0, step), "the attempt neither ended nor failed"
    return found[0]


def test_require_names_what_a_plain_peer_lacks() -> None:
    wire = Wire()
    attempt, _ = wire.open(PROTECTED, Security())
    attempt.write(b"secret words")
    assert wire.run(60.0, lambda: attempt.finished is not None)
    assert attempt.report()["error"] == "no ENO in the SYN-ACK"
    assert not any(b"secret words" in packet for _, _, packet in wire.sent)


def test_prefer_goes_on_plain_with_a_plain_peer_and_says_so() -> None:
    wire = Wire()
    client, server = check(wire, PREFER, Security())
    assert client["mode"] == "none"
    assert client["fallback"] == "no ENO in the SYN-ACK"
    assert server["mode"] == "none"


def test_a_requiring_listener_resets_a_plain_peer() -> None:
    assert ended(Wire(), Security(), PROTECTED).error is not None


def test_a_preferring_listener_takes_a_plain_peer() -> None:
    client, server = check(Wire(), Security(), PREFER)
    assert server["fallback"] == "no ENO in the SYN"
    assert client["mode"] == server["mode"] == "none"


@pytest.mark.parametrize("pattern", [b"\x45", b"\xfe\x04\x0e\xd0"], ids=["ENO", "EDO"])
def test_stripping_an_offer_makes_prefer_plain_and_require_fail(pattern: bytes) -> None:
    patterns = (pattern, b"\xfe\x04\x5e\x05")
    client, _ = check(Wire(tap=strip_from_syns(*patterns)), PREFER, PREFER)
    assert client["mode"] == "none"
    assert client["fallback"]
    wire = Wire(tap=strip_from_syns(*patterns))
    assert ended(wire, PROTECTED, PROTECTED).error is not None


def test_silence_to_options_ends_in_a_plain_connection_under_prefer() -> None:
    swallow = removing(lambda packet: bool(flags_of(packet) & SYN) and has_option(packet, 69))
    client, _ = check(Wire(tap=swallow), PREFER, PREFER)
    assert client["mode"] == "none"
    assert client["fallback"] == "no answer to SYNs with TCP-ENO"


def test_a_flipped_bit_is_dropped_counted_and_repaired() -> None:
    flipped = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal flipped
        if from_client and len(packet) > 1000 and not flipped:
            flipped += 1
            return [(0.0, resummed(packet, 700, packet[20 + 700] ^ 1))]
        return [(0.0, packet)]

    client, server = check(Wire(tap=tap), PROTECTED, PROTECTED)
    assert flipped == 1
    assert server["drops"] == {"ao_bad_mac": 1}
    assert isinstance(client["retransmissions"], int)
    assert client["retransmissions"] >= 1


@pytest.mark.parametrize("at", [0, 2, 4, 8, 12, 13, 14, 18, 22, 24, 30])
def test_no_changed_header_field_is_accepted(at: int) -> None:
    """Each octet of the header of one established segment is changed, its checksum put right."""
    seen = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        if from_client and len(packet) > 1000:
            seen += 1
            if seen == 3:
                return [(0.0, resummed(packet, at, packet[20 + at] ^ 1))]
        return [(0.0, packet)]

    check(Wire(tap=tap), PROTECTED, PROTECTED)
    assert seen > 3


@pytest.mark.parametrize("flags", [RST, RST | ACK, SYN, SYN | ACK, ACK])
def test_clear_segments_do_nothing_to_a_confirmed_connection(flags: int) -> None:
    wire = Wire()
    forged = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal forged
        if from_client and len(packet) > 1000 and forged < 5:
            forged += 1
            fake = bytearray(packet[:40])
            fake[2:4] = (40).to_bytes(2)
            fake[20 + 12] = 5 << 4
            fake[20 + 13] = flags
            fake[10:12] = b"\0\0"
            fake[10:12] = (0xFFFF - ones_complement_sum(fake[:20])).to_bytes(2)
            return [(0.0, resummed(bytes(fake), 15, 200)), (0.0, packet)]
        return [(0.0, packet)]

    wire.tap = tap
    _, server = check(wire, PROTECTED, PROTECTED)
    assert forged == 5
    assert server["drops"] == {"clear_segment": 5}


def test_a_stray_out_of_band_segment_is_never_answered() -> None:
    wire = Wire()
    check(wire, PROTECTED, PROTECTED)
    oob = next(packet for _, _, packet in wire.sent if out_of_band(packet))
    wire.server.listen(82)
    for port in (82, 83):
        stray = resummed(resummed(oob, 2, 0), 3, port)
        before = wire.server.drops["stray_oob"]
        wire.sent.clear()
        wire.put(stray, True)
        wire.run(5.0)
        assert wire.server.drops["stray_oob"] == before + 1
        assert not [packet for _, from_client, packet in wire.sent if not from_client]


def test_a_sequence_number_rewriter_is_named() -> None:
    """A box that adds 1,000 to the client's sequence numbers: TCP-AO cannot work behind it (refuse 7)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        start = header_of(packet)
        field = 4 if from_client else 8
        number = int.from_bytes(packet[start + field : start + field + 4])
        shifted = (number + (1000 if from_client else -1000)) & 0xFFFFFFFF
        changed = packet
        for index, octet in enumerate(shifted.to_bytes(4)):
            changed = resummed(changed, field + index, octet)
        return [(0.0, changed)]

    closed = ended(Wire(tap=tap), PROTECTED, PROTECTED)
    assert closed.error is not None
    assert "sequence numbers were rewritten" in str(closed.error)
    client, _ = check(Wire(tap=tap), PREFER, PREFER)
    assert client["mode"] == "none"
    assert "sequence numbers were rewritten" in str(client["fallback"])


def test_without_a_common_suite_the_error_says_so() -> None:
    one = Security("ao-enc-dh", suites=("aes-128-cmac-96+aes-128-ctr",))
    other = Security("ao-enc-dh", suites=("hmac-sha-1-96+aes-128-ctr",))
    closed = ended(Wire(), one, other)
    assert closed.error is not None
    assert "suite" in str(closed.error)


def test_the_second_suite_is_taken_where_the_first_is_not_common() -> None:
    other = Security("ao-enc-dh", suites=("hmac-sha-1-96+aes-128-ctr",))
    client, _ = check(Wire(), PROTECTED, other)
    assert client["mac"] == "hmac-sha-1-96"


def test_several_hundred_connections_at_once() -> None:
    wire = Wire()
    listener = wire.server.listen(80, security=PROTECTED)
    attempts = [wire.client.connect(("10.0.0.2", 80), security=PROTECTED, now=wire.now) for _ in range(300)]
    for number, attempt in enumerate(attempts):
        attempt.write(f"hello {number}".encode())
        attempt.write_eof()
    echoed: dict[int, bytearray] = {}
    accepted = []

    def step() -> bool:
        while (one := listener.accept()) is not None:
            accepted.append(one)
        for one in accepted:
            if data := one.read():
                one.write(data)
            if one.eof:
                one.write_eof()
        for number, attempt in enumerate(attempts):
            echoed.setdefault(number, bytearray()).extend(attempt.read())
        wire.flush()
        return all(attempt.eof for attempt in attempts)

    assert wire.run(120.0, step)
    assert [bytes(echoed[number]) for number in range(300)] == [f"hello {number}".encode() for number in range(300)]


def test_a_fallback_that_is_reset_at_once_is_made_again_plain() -> None:
    """A box that lets the SYNs pass and resets what follows (profile.md §2): one plain connection in its place."""
    wire = Wire(tap=strip_from_syns(b"\x45", b"\xfe"))
    attempt, listener = wire.open(PREFER, Security())
    assert wire.run(10.0, lambda: listener.accept() is not None)
    first = attempt.local
    flow = next(iter(wire.server.flows.values()))
    flow.abort()
    assert wire.run(10.0, lambda: listener.accept() is not None)
    assert attempt.local != first
    report = attempt.report()
    assert (report["mode"], report["error"]) == ("none", None)
    assert report["fallback"]


def test_a_listener_waits_half_a_minute_for_the_hello() -> None:
    """B ends an attempt to which it has no hello 30 s after A's first ACK (profile.md §5)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        # The hello loses its KE options, so that what arrives is an ACK with ENO alone.
        if from_client and flags_of(packet) == ACK and has_option(packet, 69):
            start = header_of(packet)
            end = start + ((packet[start + 12] >> 4) << 2)
            changed = packet
            for at in range(end - start, len(packet) - start):
                changed = resummed(changed, at, 1)
            return [(0.0, changed)]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    wire.open(LATE, PROTECTED)
    begun = wire.now
    assert wire.run(3.0, lambda: any(f.connection.state.name == "SYN_RECEIVED" for f in wire.server.flows.values()))
    assert wire.run(60.0, lambda: not wire.server.flows)
    assert 30.0 <= wire.now - begun < 31.5
    resets = [packet for _, from_client, packet in wire.sent if not from_client and flags_of(packet) & RST]
    assert len(resets) == 2


def test_giving_up_after_keys_sends_protected_and_clear_resets_twice() -> None:
    """Nothing of B's protected segments gets through to A: "keys agreed but nothing verifies" (profile.md §5)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if not from_client and has_option(packet, 29) else [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, _ = wire.open(PROTECTED, PROTECTED)
    assert wire.run(300.0, lambda: attempt.finished is not None)
    assert attempt.report()["error"] == "keys agreed but nothing verifies"
    resets = [packet for _, from_client, packet in wire.sent if from_client and flags_of(packet) & RST]
    assert sorted(has_option(packet, 29) for packet in resets) == [False, False, True, True]


def test_out_of_band_segments_are_not_answered_with_more_than_three_times_their_octets() -> None:
    """SYN-ACKs to an address that proved nothing stay within three times what it sent (profile.md §5)."""
    wire = Wire(tap=lambda packet, from_client, _now: [(0.0, packet)] if from_client else [])
    wire.open(PROTECTED, PROTECTED)
    wire.run(120.0)
    received = sum(len(packet) for _, from_client, packet in wire.sent if from_client)
    extended = [packet for _, from_client, packet in wire.sent if not from_client and len(packet) > 100]
    assert 1 <= len(extended) <= 3
    assert sum(map(len, extended)) <= 3 * received


@pytest.mark.parametrize(("policy", "error"), [("require", "simultaneous open"), ("prefer", None)])
def test_a_crossed_syn_ends_require_and_makes_prefer_plain(policy: str, error: str | None) -> None:
    """Both sides open actively: equal b bits turn ENO off (RFC 8547 §4.3)."""
    security = Security("ao-enc-dh", policy=policy, simopen="off")
    wire = Wire()
    one = wire.client.connect(("10.0.0.2", 4000), local_port=4000, security=security, now=wire.now)
    two = wire.server.connect(("10.0.0.1", 4000), local_port=4000, security=security, now=wire.now)
    for attempt in (one, two):
        attempt.write(b"crossed")
    wire.run(30.0, lambda: all(attempt.finished is not None or attempt.readable for attempt in (one, two)))
    for attempt in (one, two):
        if error is None:
            assert attempt.read() == b"crossed"
            assert attempt.report()["mode"] == "none"
        else:
            assert error in str(attempt.report()["error"])


def test_each_side_keeps_what_it_sent_and_saw_of_the_clear_segments() -> None:
    """A box that clamps the MSS and takes TTL: the two sides' records differ in just that (profile.md §8)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and flags_of(packet) & SYN:
            at = packet.index(b"\x02\x04\x05\xb4", 40) - 20
            return [(0.0, resummed(packet, at + 3, 0xA0))]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, _ = wire.open(PROTECTED, PROTECTED)
    wire.run(5.0)
    ours = next(iter(wire.client.flows.values())).handshake
    theirs = next(iter(wire.server.flows.values())).handshake
    assert isinstance(ours, Agreed)
    assert isinstance(theirs, Agreed)
    assert ours.seen == theirs.sent[0]
    assert theirs.seen is not None
    assert theirs.seen.options == ours.sent[0].options.replace(b"\x02\x04\x05\xb4", b"\x02\x04\x05\xa0")
    assert theirs.seen.options != ours.sent[0].options
    assert (theirs.seen.source_port, theirs.seen.ttl) == (attempt.local[1], 64)
