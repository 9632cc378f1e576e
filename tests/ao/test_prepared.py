"""Prepared objects are given back by those that were not used lately, and their MACs stay what they were."""

from __future__ import annotations

import pytest

from ao.auth import SegmentMac
from ao.cipher import CIPHERS_BY_NAME
from ao.macs import MACS
from ao.macs.base import Keyed, MacContext
from ao.prepared import Shelf
from ao.wiped import KeysWiped

A, B = bytes(range(4)), bytes(range(4, 8))
KEY = bytes(range(32))
HEADER = bytes(range(40))


class Holder:
    def __init__(self) -> None:
        self.released = 0

    def release(self) -> None:
        self.released += 1


def test_the_one_that_was_put_first_gives_way() -> None:
    shelf = Shelf(3)
    holders = [Holder() for _ in range(5)]
    for holder in holders:
        shelf.put(holder)
    assert [holder.released for holder in holders] == [1, 1, 0, 0, 0]
    shelf.put(holders[0])
    assert [holder.released for holder in holders] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("name", MACS)
def test_a_mac_is_the_same_after_it_was_released(name: str) -> None:
    algorithm = MACS[name]
    key = KEY[: algorithm.key_octets]
    prepared = SegmentMac(algorithm.prepare(key), algorithm.mac_octets, A, B)
    keyed = SegmentMac(Keyed(algorithm, key, algorithm.mac_octets), algorithm.mac_octets, A, B)
    expected = [prepared.tag(0, HEADER, bytes(count)) for count in (0, 5, 5, 7)]
    for release in (False, True):
        found = []
        for count in (0, 5, 5, 7):
            if release:
                keyed.release()
            found.append(keyed.tag(0, HEADER, bytes(count)))
        assert found == expected
    keyed.wipe()
    keyed.release()
    with pytest.raises(KeysWiped):
        keyed.tag(0, HEADER, b"")


@pytest.mark.parametrize("name", CIPHERS_BY_NAME)
def test_a_cipher_is_the_same_after_it_was_released(name: str) -> None:
    algorithm = CIPHERS_BY_NAME[name]
    key, salt = KEY[: algorithm.key_octets], KEY[: algorithm.salt_octets]
    calls = [(0, 5), (5, 40), (45, 3), (1000, 7), (7, 20), (27, 2)]
    running, released = algorithm.prepare(key, salt), algorithm.prepare(key, salt)
    for position, count in calls:
        released.release()
        data = bytes(range(count))
        expected = running.apply(position, data)
        assert released.apply(position, data) == expected
        released.release()
        assert released.apply_many(position, [data[:1], data[1:]]) == expected
    released.wipe()
    released.release()
    with pytest.raises(KeysWiped):
        released.apply(29, b"x")


def test_of_many_connections_only_the_last_have_their_macs_prepared() -> None:
    algorithm = MACS["aes-128-cmac-96"]
    macs = [SegmentMac(Keyed(algorithm, KEY[:16], 12), 12, A, B) for _ in range(1500)]
    # None is prepared before its first segment.
    assert prepared(macs) == []
    tags = {mac.tag(0, HEADER, b"") for mac in macs}
    assert len(tags) == 1
    assert prepared(macs) == macs[-1024:]
    assert {mac.tag(0, HEADER, b"") for mac in macs} == tags


def prepared(macs: list[SegmentMac]) -> list[SegmentMac]:
    return [mac for mac in macs if mac._base is not None]


def test_a_mac_that_is_released_while_it_is_used_goes_on() -> None:
    """Another thread's connection may make this one give way at any moment."""
    algorithm = MACS["aes-128-cmac-96"]

    class Interrupted(Keyed):
        """Releases the MAC between any two steps of its preparation."""

        @property
        def context(self) -> MacContext:
            mac.release()
            return super().context

    mac = SegmentMac(Interrupted(algorithm, KEY[:16], 12), 12, A, B)
    expected = SegmentMac(algorithm.prepare(KEY[:16]), 12, A, B).tag(0, HEADER, b"")
    for _ in range(3):
        assert mac.tag(0, HEADER, b"") == expected
        # What a release leaves behind when it comes after the length was noted.
        mac._prefixed = None
        assert mac.tag(0, HEADER, b"") == expected
