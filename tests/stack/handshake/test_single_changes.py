"""No change to a segment of any handshake brings ``require`` down (profile.md §2-§5).

A box on the path changes one octet of all segments of one kind, also of their repetitions. What comes of it is a
protected connection that carries what was written, or an error with a name.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edo.walk import walk
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.faults import resummed
from tests.stack.handshake.test_agreed import check, flags_of, has_option, out_of_band
from tests.stack.wire import End, Wire

UP, DOWN = b"what the client says to the server" * 4, b"what the server says to the client" * 4
# Of random octets, shares and MACs the first and the last are changed.
LONG = 24


def kind_of(packet: bytes, from_client: bool) -> str:
    flags = flags_of(packet)
    if flags & SYN:
        return "SYN-ACK" if flags & ACK else "SYN"
    if out_of_band(packet):
        return "OOB"
    if has_option(packet, 29):
        return "third" if from_client else "protected"
    return "hello" if from_client else "answer"


def places(packet: bytes) -> Iterator[tuple[int, int]]:
    """(offset in the TCP segment, bits to be changed) of each field."""
    tcp = packet[20:]
    # Ports, numbers, the window and the urgent pointer by their last octets; each flag.
    for at in (1, 3, 7, 11, 15, 19):
        yield at, 1
    for bit in range(8):
        yield 13, 1 << bit
    yield 12, 0x10
    offset = (tcp[12] >> 4) << 2
    inside = walk(memoryview(tcp), 20, offset) or []
    behind = walk(memoryview(tcp), offset, len(tcp)) or []
    for _, _, start, length in inside + behind:
        if length < LONG:
            yield from ((at, 1) for at in range(start, start + length))
        else:
            # The option's head, and a message's fields up to its random octets; behind these its ends.
            yield from ((at, 1) for at in range(start, start + 13))
            yield from ((at, 1) for at in range(start + 42, min(start + 68, start + length)))
            yield from ((at, 1) for at in range(max(start + length - 3, start + 68), start + length))


def opened(placements: tuple[str, ...], at: int | None, bits: int, wanted: str) -> Wire:
    wire = Wire()

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if at is None or kind_of(packet, from_client) != wanted or 20 + at >= len(packet):
            return [(0.0, packet)]
        return [(0.0, resummed(packet, at, packet[20 + at] ^ bits))]

    wire.tap = tap
    ask = Security("ao-enc-dh", placements=placements)
    listener = wire.server.listen(80, security=ask)
    client = End(wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now), UP)
    servers: list[End] = []

    def step() -> bool:
        accepted = listener.accept()
        if accepted is not None:
            servers.append(End(accepted, DOWN))
        client.pump()
        for end in servers:
            end.pump()
        wire.flush()
        return client.closed is not None

    # An altered window scale or timestamp option can stall a connection until its peer is given up (RFC 9293, R2).
    wire.run(4000.0, step)
    what = f"{wanted}: octet {at} ^ {bits:#x}"
    report = client.attempt.report()
    assert client.closed is not None, what
    if report["error"] is None:
        assert report["mode"] == "ao-enc-dh", what
        assert bytes(client.received) == DOWN, what
    for end in servers:
        assert end.attempt.report()["mode"] == "ao-enc-dh", what
        assert UP.startswith(bytes(end.received)), what
    crossed = b"".join(packet for _, _, packet in wire.sent)
    assert UP[:12] not in crossed, what
    assert DOWN[:12] not in crossed, what
    return wire


@pytest.mark.parametrize(
    ("placements", "kinds"),
    [
        (("syn", "late"), ("SYN", "OOB", "SYN-ACK", "third")),
        (("late",), ("SYN", "SYN-ACK", "hello", "answer")),
        (("compact",), ("SYN", "SYN-ACK", "third")),
    ],
    ids=["syn", "late", "compact"],
)
def test_no_single_change_brings_require_down(placements: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    wire = opened(placements, None, 0, "")
    for wanted in kinds:
        example = next(packet for _, whose, packet in wire.sent if kind_of(packet, whose) == wanted)
        for at, bits in places(example):
            opened(placements, at, bits, wanted)


@pytest.mark.parametrize("placements", [("syn", "late"), ("late",)], ids=["syn", "late"])
@pytest.mark.parametrize("wanted", ["SYN", "SYN-ACK"])
def test_a_timestamp_that_is_changed_in_a_clear_syn_stops_nothing(wanted: str, placements: tuple[str, ...]) -> None:
    """PAWS holds segments with a good MAC against another such, not against a SYN (RFC 7323 §5.3)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if kind_of(packet, from_client) == wanted:
            at = packet.index(b"\x08\x0a", 40) - 20 + 2
            packet = resummed(packet, at, (packet[20 + at] + 1) & 0xFF)
        return [(0.0, packet)]

    ask = Security("ao-enc-dh", placements=placements)
    client, server = check(Wire(tap=tap), ask, ask)
    assert client["mode"] == server["mode"] == "ao-enc-dh"
