"""Replays where sequence numbers wrap: a run of 2^32 octets is a soak test, one whose numbers begin anew is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stack.box import Direction, Emission
from stack.simulator import Tap
from tools.attacks.registry import ATTACKS
from tools.attacks.replaying import NextRound
from tools.attacks.segments import Parts
from tools.lab.cell import Cell
from tools.lab.conversation import Talk, Text, converse
from tools.lab.headers import MATRIX
from tools.lab.judging import DROPPED, REPAIRED, WRONG
from tools.lab.protections import PROTECTIONS


@pytest.mark.parametrize("mode", ["none", "ao", "ao-enc-dh"])
def test_the_client_s_numbers_wrap_where_they_are_to(mode: str) -> None:
    isn = (1 << 32) - 6000
    seen: list[Parts] = []

    def see(packet: object, direction: Direction, _now: float) -> None:
        parts = Parts.read(packet)  # type: ignore[arg-type]
        assert parts is not None
        if direction is Direction.FORWARD:
            seen.append(parts)

    spoken = converse(Talk(3, 12_000, isn=isn), *PROTECTIONS.find(mode).make(), [Tap(see)])
    assert spoken.whole
    assert seen[0].seq == isn
    assert any(one.seq < 1 << 31 for one in seen)


def test_a_text_is_its_block_again_and_again() -> None:
    text = Text(b"abcde", 3)
    assert text.octets == 15
    whole = b"abcde" * 3
    for position in range(18):
        for most in (0, 1, 4, 5):
            assert text.at(position, most) == whole[position : position + most]


def _round(first: int, packets: int, size: int) -> tuple[NextRound, Callable[[int], list[Emission]]]:
    """An attacker who saw ``packets`` of ``size`` octets from ``first`` on, and how to show him one of a number."""
    box = NextRound()
    now = 0.0

    def show(seq: int) -> list[Emission]:
        parts = Parts(bytes((10, 0, 0, 1)), 50_000, bytes((10, 0, 0, 2)), 80, seq % (1 << 32), 0x10)
        parts.payload = bytes(size)
        return box.process([parts.packet()], Direction.FORWARD, now)

    for index in range(packets):
        assert len(show(first + index * size)) == 1
    return box, show


def test_what_was_kept_is_played_when_its_numbers_are_close() -> None:
    first, size = 4_000_000_000, 3000
    box, show = _round(first, 10_100, size)
    # Half of the space further, and then all of it but a little.
    assert len(show(first + (1 << 31))) == 1
    assert len(show(first + (1 << 32) - (1 << 20))) == 1
    assert box.acts == 0
    played = show(first + (1 << 32) - 100_000)
    assert len(played) == 9
    assert box.acts == 8
    assert len(show(first + (1 << 32) - 90_000)) == 1


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["none", "md5", "ao", "ao-enc-dh"])
def test_after_all_numbers_an_old_segment_passes_for_a_new_one_without_protection(mode: str) -> None:
    """Its timestamp is made a new one. TCP-MD5's digest covers no option, but the number and the octets alone."""
    assert ATTACKS.find("replay-round").stage == "round"
    parameters = {"field": "seq", "attack": "replay-round", "phase": "established", "mode": mode}
    found = MATRIX.run(Cell("headers", parameters, 7))
    assert found.evidence["acts"]
    if mode in ("none", "md5"):
        assert found.outcome == WRONG
    else:
        assert found.outcome in (DROPPED, REPAIRED)
        assert found.evidence["counters"]["ao_bad_mac"] == found.evidence["acts"]  # type: ignore[index]
