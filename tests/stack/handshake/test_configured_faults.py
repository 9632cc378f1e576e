"""TCP-AO with configured keys against segments that were changed on the way: dropped, counted, repaired."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stack.events import Closed, TcpError
from stack.run import ACK, SYN
from stack.security import Security
from tests.stack.handshake.test_agreed import PREFER, flags_of, has_option, resummed, strip_from_syns
from tests.stack.handshake.test_configured import DOWN, UP, pair
from tests.stack.wire import Wire, transfer

AO = 29


def option_at(packet: bytes, kind: int) -> int:
    """Where an option stands in a packet's TCP header."""
    at, end = 40, 20 + ((packet[32] >> 4) << 2)
    while at < end and packet[at] != kind:
        at += 1 if packet[at] == 1 else packet[at + 1]
    assert at < end
    return at - 20


def other_key(packet: bytes) -> bytes:
    return resummed(packet, option_at(packet, AO) + 2, 99)


def shorter(packet: bytes) -> bytes:
    """The MAC's last octet is a NOP of its own."""
    at = option_at(packet, AO)
    length = packet[20 + at + 1]
    return resummed(resummed(packet, at + 1, length - 1), at + length - 1, 1)


def without(packet: bytes) -> bytes:
    at = option_at(packet, AO)
    for index in range(packet[20 + at + 1]):
        packet = resummed(packet, at + index, 1)
    return packet


@pytest.mark.parametrize(
    ("change", "reason"),
    [(other_key, "ao_key_not_found"), (shorter, "ao_bad_length"), (without, "ao_required")],
    ids=["key", "length", "none"],
)
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK], ids=["SYN", "SYN-ACK", "later"])
def test_one_changed_segment_is_dropped_and_sent_again(
    change: Callable[[bytes], bytes], reason: str, flags: int
) -> None:
    changes = 0

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal changes
        if not changes and flags_of(packet) == flags and (flags & SYN or len(packet) > 1000):
            changes += 1
            return [(0.0, change(packet))]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(*pair())
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    # On the stack where no connection was there to have it.
    assert wire.client.drops + wire.server.drops == {reason: 1}


def test_before_the_peers_syn_no_key_opens_anything_else() -> None:
    """In SYN-SENT the peer's ISN is not known, and only a SYN-ACK tells it."""
    forged = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal forged
        if not from_client and flags_of(packet) == SYN | ACK and not forged:
            forged += 1
            return [(0.0, resummed(packet, 13, ACK)), (0.001, packet)]
        return [(0.0, packet)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(*pair())
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert bytes(ends[0].received) == b"down"
    assert attempt.report()["drops"] == {"ao_key_not_found": 1}


def test_a_connection_that_has_become_plain_takes_no_authenticated_segment() -> None:
    """profile.md §2: who fell back holds no key, so an AO option can only be a forgery."""
    forged = 0
    strip = strip_from_syns(b"\x45", b"\xfe")

    def tap(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        nonlocal forged
        ((delay, passed),) = strip(packet, from_client, now)
        if not from_client and len(packet) > 1000 and not forged:
            forged += 1
            at = option_at(passed, 8)
            changed = resummed(resummed(passed, at, AO), at + 2, 1)
            assert has_option(changed, AO)
            return [(delay, changed)]
        return [(delay, passed)]

    wire = Wire(tap=tap)
    attempt, listener = wire.open(PREFER, PREFER)
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[0].received) == DOWN
    assert ends[0].attempt.report()["drops"] == {"ao_unexpected": 1}
    assert ends[0].closed == Closed(None, 0)


# --- what an application writes before there is a connection ----------------------------------------------


def test_what_is_written_before_the_keys_is_sent_under_them() -> None:
    wire = Wire()
    attempt, listener = wire.open(*pair())
    attempt.write(b"early ")
    attempt.write(b"words")
    assert attempt.unsent == 11
    attempt.close()
    with pytest.raises(TcpError, match="this direction is closed"):
        attempt.write(b"too late")
    assert wire.run(5.0, lambda: listener.waiting == 1)
    accepted = listener.accept()
    assert accepted is not None
    wire.run(1.0)
    assert accepted.read() == b"early words"
    assert accepted.eof
    assert not any(b"early" in packet and not has_option(packet, AO) for _, _, packet in wire.sent)


def test_an_attempt_that_is_closed_before_anything_was_written_is_given_up() -> None:
    wire = Wire()
    attempt, listener = wire.open(Security(), Security())
    attempt.close()
    wire.run(5.0)
    assert listener.accept() is None
    assert wire.client.flows == {}
