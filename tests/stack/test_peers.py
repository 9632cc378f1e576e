"""What a stack remembers of others: by prefix, for a time, within bounds (profile.md §2, §5)."""

from __future__ import annotations

import pytest

from stack import peers
from stack.ip import address_octets
from stack.peers import ENO_SILENCE, ENO_SILENCE_MAX, OOB_MEMORY, Peers


@pytest.mark.parametrize(
    ("missed", "neighbour", "stranger"),
    [("10.1.2.3", "10.1.2.99", "10.1.3.3"), ("fd00:0:0:100::1", "fd00:0:0:1ff::9", "fd00:0:0:200::1")],
    ids=["a /24", "a /56"],
)
def test_out_of_band_segments_are_not_waited_for_from_a_prefix_that_loses_them(
    missed: str, neighbour: str, stranger: str
) -> None:
    known = Peers()
    known.oob_missed(address_octets(missed), 100.0)
    for now in (100.0, 100.0 + OOB_MEMORY - 1.0):
        assert not known.awaits_oob(address_octets(neighbour), now)
        assert known.awaits_oob(address_octets(stranger), now)
    assert len(known) == 1
    assert known.awaits_oob(address_octets(missed), 100.0 + OOB_MEMORY)
    # What has expired is gone, not only disbelieved.
    assert len(known) == 0


def test_silence_is_believed_for_longer_each_time_and_never_for_ever() -> None:
    known, address, now = Peers(), address_octets("10.0.0.1"), 0.0
    span = ENO_SILENCE
    for _ in range(6):
        known.eno_met_silence(address, now)
        assert known.eno_is_swallowed(address, now + span - 1.0)
        assert not known.eno_is_swallowed(address, now + span)
        now += span
        span = min(2 * span, ENO_SILENCE_MAX)
    assert span == ENO_SILENCE_MAX
    assert not known.eno_is_swallowed(address_octets("10.0.0.2"), 1.0)


def test_what_is_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_LIMIT", 3)
    known = Peers()
    addresses = [address_octets(f"10.0.{number}.1") for number in range(4)]
    for address in (*addresses[:3], addresses[0], addresses[3]):
        known.oob_missed(address, 0.0)
        known.eno_met_silence(address, 0.0)
    assert len(known) == 6
    assert [known.awaits_oob(address, 1.0) for address in addresses] == [False, True, False, False]
    assert [known.eno_is_swallowed(address, 1.0) for address in addresses] == [True, False, True, True]


def test_everything_can_be_erased() -> None:
    known, address = Peers(), address_octets("10.0.0.1")
    known.oob_missed(address, 0.0)
    known.eno_met_silence(address, 0.0)
    assert known.forget() == 2
    assert len(known) == 0
    assert known.awaits_oob(address, 1.0)
    assert not known.eno_is_swallowed(address, 1.0)
