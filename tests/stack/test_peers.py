"""What a stack remembers of others: by prefix, for a time, within bounds (profile.md §2, §5)."""

from __future__ import annotations

import pytest

from ao.sessions import Session
from stack.ip import address_octets
from stack.peers import EDO_DAMAGE, ENO_SILENCE, ENO_SILENCE_MAX, OOB_MEMORY, FastOpenCookie, Peers
from stack.remembered import LIMIT


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


def test_what_is_longest_ago_is_forgotten_first() -> None:
    known = Peers()
    for kind in known.kinds:
        assert kind.limit == LIMIT == 1024
        kind.limit = 3
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


def remembers_all() -> Peers:
    """One entry of each kind, of 10.0.0.1, and one of another host."""
    known, local, remote = Peers(), address_octets("10.9.0.1"), address_octets("10.0.0.1")
    known.oob_missed(remote, 0.0)
    known.eno_met_silence(remote, 0.0)
    known.edo_damaged(remote, "the Extension was removed", 0.0)
    known.fast_open_failed(local, remote, 80, 0.0, 3600.0)
    known.fast_open_learned(local, remote, 443, FastOpenCookie(b"12345678", 1460), 0.0)
    known.narrow_path(remote, 1280, 0.0)
    known.syn_eos_confirmed(remote, 0.0)
    known.syn_eos_met_silence(remote, 0.0)
    known.placement_failed(remote, "compact", "no answer", 0.0)
    known.agreement_failed(remote, "no answer", 0.0)
    known.edo_damaged(address_octets("fd00::2"), "SYNs with it met silence", 0.0)
    for number, is_a in enumerate((True, False)):
        known.tickets.keep(Session(bytes((number,)) * 16, bytes(32), 29), remote, is_a=is_a, now=0.0)
    return known


def test_what_is_remembered_is_seen_kind_by_kind() -> None:
    known = remembers_all()
    assert len(known) == 13
    assert list(known.rows(10.0)) == [
        {"kind": "edo-damaged", "peer": "10.0.0.1", "how": "the Extension was removed", "seconds": 590.0},
        {"kind": "edo-damaged", "peer": "fd00::2", "how": "SYNs with it met silence", "seconds": 590.0},
        {"kind": "eno-silence", "peer": "10.0.0.1", "seconds": 50.0},
        {"kind": "oob-missed", "peer": "10.0.0.0/24", "seconds": 590.0},
        {"kind": "syn-eos", "peer": "10.0.0.1", "seconds": 3590.0},
        {"kind": "syn-eos-silence", "peer": "10.0.0.1", "seconds": 50.0},
        {
            "kind": "placement-failed",
            "peer": "10.0.0.1",
            "placement": "compact",
            "reason": "no answer",
            "seconds": 50.0,
        },
        {"kind": "agreement-failed", "peer": "10.0.0.1", "reason": "no answer", "seconds": 50.0},
        {"kind": "fast-open-cookie", "peer": "10.0.0.1", "local": "10.9.0.1", "mss": 1460, "seconds": 86390.0},
        {"kind": "fast-open-failed", "peer": "10.0.0.1", "local": "10.9.0.1", "port": 80, "seconds": 3590.0},
        {"kind": "narrow-path", "peer": "10.0.0.1", "mtu": 1280, "seconds": 590.0},
        {"kind": "ticket-to-offer", "peer": "10.0.0.1", "group": "x25519", "seconds": 3590.0},
        {"kind": "ticket-to-take", "peer": "10.0.0.1", "group": "x25519", "seconds": 3590.0},
    ]
    # What is over is not shown, although some of it still counts for how long the next entry is believed.
    assert [row["kind"] for row in known.rows(1000.0)] == [
        "syn-eos",
        "fast-open-cookie",
        "fast-open-failed",
        "ticket-to-offer",
        "ticket-to-take",
    ]


def test_one_peer_or_one_kind_can_be_erased() -> None:
    assert remembers_all().forget(address_octets("10.0.0.1")) == 12
    assert remembers_all().forget(address_octets("10.0.0.2")) == 1  # its /24
    known = remembers_all()
    assert known.forget(kind="edo-damaged") == 2
    assert not known.edo_is_damaged(address_octets("fd00::2"), 1.0)
    known = remembers_all()
    assert known.forget(address_octets("fd00::2"), "edo-damaged") == 1
    assert known.edo_is_damaged(address_octets("10.0.0.1"), 1.0)
    with pytest.raises(ValueError, match="'edo' is not one of edo-damaged, eno-silence"):
        known.forget(kind="edo")


def test_damage_to_edo_is_believed_for_longer_each_time() -> None:
    known, address, now = Peers(), address_octets("10.0.0.1"), 0.0
    for doublings in range(3):
        known.edo_damaged(address, "how", now)
        span = EDO_DAMAGE * 2**doublings
        assert known.edo_is_damaged(address, now + span - 1.0)
        assert not known.edo_is_damaged(address, now + span)
        now += span
    # After a day without damage it is new again.
    known.edo_damaged(address, "how", now + 2 * 86400.0)
    assert not known.edo_is_damaged(address, now + 2 * 86400.0 + EDO_DAMAGE)
