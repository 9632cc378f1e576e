"""MAC input where RFC 9235 has no vectors: both address families, NAT, the Extension among excluded options."""

from __future__ import annotations

import hmac
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from ao.auth import SegmentMac
from ao.macs import MACS, by_number, register
from ao.wiped import KeysWiped

KEY = bytes(range(20))
V4 = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
V6 = (bytes(range(16)), bytes(range(16, 32)))
HEADER = struct.pack("!HHIIBBHHH", 1000, 2000, 7, 8, 0xB0, 0x10, 500, 0, 0)
AO = bytes((29, 16, 1, 2)) + bytes(12)
EXTENSION = bytes.fromhex("fe060ed0000d")
OPTIONS = AO + EXTENSION + b"\x01\x01"
REST = b"\x01\x01\x08\x0a" + bytes(8) + b"payload"
KEEP = ((20, 16), (36, 6))


def reference(message: bytes) -> bytes:
    return hmac.digest(KEY, message, "sha1")[:12]


def pseudo(source: bytes, destination: bytes, length: int) -> bytes:
    """RFC 5925 §5.1 item 2: the pseudo-header of the TCP checksum."""
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, 6, length)
    return source + destination + struct.pack("!IBBBB", length, 0, 0, 0, 6)


def make(addresses: tuple[bytes, bytes], **options: Any) -> SegmentMac:
    return SegmentMac(MACS["hmac-sha-1-96"].prepare(KEY), 12, *addresses, **options)


@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize("cover", [True, False])
@pytest.mark.parametrize("zero_source", [True, False])
@pytest.mark.parametrize("zero_destination", [True, False])
def test_input(addresses: tuple[bytes, bytes], cover: bool, zero_source: bool, zero_destination: bool) -> None:
    """RFC 5925 §5.1; RFC 6978 §3: zero address and port; lengths stay those of the wire."""
    segment_mac = make(addresses, cover_options=cover, zero_source=zero_source, zero_destination=zero_destination)
    source, destination = addresses
    ports = (0 if zero_source else 1000, 0 if zero_destination else 2000)
    header = struct.pack("!HH", *ports) + HEADER[4:] + (OPTIONS if cover else AO + EXTENSION)
    whole = HEADER + OPTIONS + REST
    expected = reference(
        struct.pack("!I", 0xABCDEF01)
        + pseudo(
            bytes(len(source)) if zero_source else source,
            bytes(len(destination)) if zero_destination else destination,
            len(whole),
        )
        + header
        + REST
    )
    keep = () if cover else KEEP
    octets = HEADER + OPTIONS
    for form in (bytes, bytearray, memoryview):
        assert segment_mac.tag(0xABCDEF01, form(octets), form(REST), keep) == expected
    received = bytearray(whole)
    received[16:18] = b"\x12\x34"
    received[24:36] = expected
    before = bytes(received)
    assert segment_mac.verify(0xABCDEF01, memoryview(received), 44, 20, keep)
    assert received == before
    received[-1] ^= 1
    assert not segment_mac.verify(0xABCDEF01, memoryview(received), 44, 20, keep)


def test_excluded_octets_are_free_and_kept_ones_are_not() -> None:
    """profile.md §1: the Extension stays in the input, padding inside Data Offset does not, what is behind does."""
    segment_mac = make(V4, cover_options=False)
    segment = bytearray(HEADER + OPTIONS + REST)
    segment[24:36] = segment_mac.tag(0, HEADER + OPTIONS, REST, KEEP)
    for offset in range(len(segment)):
        flipped = bytearray(segment)
        flipped[offset] ^= 0x80
        good = segment_mac.verify(0, memoryview(flipped), 44, 20, KEEP)
        assert good == (offset in (16, 17, 42, 43)), offset


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.booleans()), max_size=20))
def test_kept_state_never_shows(calls: list[tuple[int, int, bool]]) -> None:
    """Whatever was signed or verified before, a segment has one MAC."""
    used = make(V4)
    for sne, length, verify in calls:
        rest = bytes(length)
        tag = make(V4).tag(sne, HEADER + OPTIONS, rest)
        if verify:
            segment = bytearray(HEADER + OPTIONS + rest)
            segment[24:36] = tag
            assert used.verify(sne, memoryview(segment), 44, 20)
        else:
            assert used.tag(sne, HEADER + OPTIONS, rest) == tag


def test_wiped() -> None:
    segment_mac = make(V4)
    segment_mac.tag(0, HEADER + OPTIONS, REST)
    segment_mac.wipe()
    with pytest.raises(KeysWiped):
        segment_mac.tag(0, HEADER + OPTIONS, REST)
    with pytest.raises(KeysWiped):
        segment_mac.verify(0, memoryview(HEADER + OPTIONS + REST), 44, 20)


def test_algorithms() -> None:
    """Suite octets, MAC and key lengths of profile.md §7 and RFC 5926 §3."""
    assert [(m.number, m.name, m.mac_octets, m.key_octets) for m in MACS.values()] == [
        (1, "aes-128-cmac-96", 12, 16),
        (2, "hmac-sha-1-96", 12, 20),
        (3, "hmac-sha256-128", 16, 32),
        (4, "kmac256-128", 16, 32),
        (None, "linux-hmac-sha256", 12, 32),
    ]
    assert by_number(1) is MACS["aes-128-cmac-96"]
    assert by_number(0) is None


def test_a_user_adds_an_algorithm_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(type(MACS["linux-hmac-sha256"])):  # type: ignore[misc]
        name = "mine"
        number = 200

    monkeypatch.setattr("ao.macs.MACS", dict(MACS))
    monkeypatch.setattr("ao.macs._BY_NUMBER", {})
    register(Mine())
    assert by_number(200) is not None
    with pytest.raises(ValueError, match="'mine'"):
        register(Mine())


def test_a_copy_of_a_computation_goes_on_by_itself() -> None:
    """Of each algorithm, the one whose library cannot copy among them."""
    for algorithm in MACS.values():
        mac = algorithm.prepare(bytes(range(algorithm.key_octets)))
        begun = mac.context.copy()
        begun.update(b"one")
        other = begun.copy()
        begun.update(b"two")
        assert mac.tag(b"onetwo") == begun.finalize()[: mac.octets]
        assert mac.tag(b"one") == other.finalize()[: mac.octets] != mac.tag(b"onetwo")


def test_cmac_rfc_4493() -> None:
    """RFC 4493 §4, examples 1 to 4."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    mac = MACS["aes-128-cmac-96"].prepare(key)
    for length, tag in (
        (0, "bb1d6929e95937287fa37d12"),
        (16, "070a16b46b4d4144f79bdd9d"),
        (40, "dfa66747de9ae63030ca3261"),
        (64, "51f0bebf7e3b9d92fc497417"),
    ):
        assert mac.tag(message[:length]).hex() == tag
        assert mac.tag(message[: length // 3], memoryview(message)[length // 3 : length]).hex() == tag


def test_master_key_of_any_length_rfc_4615() -> None:
    """RFC 4615 §4: a key that is not 16 octets is condensed by AES-CMAC under the zero key."""
    algorithm = MACS["aes-128-cmac-96"]

    def prf(key: bytes, message: bytes) -> bytes:
        running = CMAC(AES(key))
        running.update(message)
        return running.finalize()

    message = bytes(range(20))
    for key, output in (
        (bytes(range(16)) + b"\xed\xcb", "84a348a4a45d235babfffc0d2b4da09a"),
        (bytes(range(16)), "980ae87b5f4c9c5214f5b6a8455e4c2d"),
        (bytes(range(10)), "290d9e112edb09ee141fcf64c0b72f3d"),
    ):
        short = key if len(key) == 16 else prf(bytes(16), key)
        assert prf(short, message).hex() == output
        assert algorithm.traffic_key(key, b"context") == algorithm.traffic_key(short, b"context")
