"""Wanted options for the tests of methods, and what a method's segments look like to its reader."""

from __future__ import annotations

from hypothesis import strategies as st

from edo.reasons import EdoDrop
from edo.rivals.base import Fields, Laid, Method, Reading, Space, Want, Wanted

MSS = Want("mss", bytes.fromhex("020405b4"))
SACK_PERMITTED = Want("sack-permitted", bytes.fromhex("0402"), directional=True)
WSCALE = Want("wscale", bytes.fromhex("030307"), directional=True)
TIMESTAMPS = Want("timestamps", bytes.fromhex("080a0000000100000002"), directional=True)


def big(octets: int, kind: int = 200, fill: int = 0x2E) -> Want:
    """An option of ``octets`` octets that nobody knows."""
    return Want(f"big-{kind}", bytes((kind, octets)) + bytes((fill,)) * (octets - 2))


KNOWN = (MSS, SACK_PERMITTED, WSCALE, TIMESTAMPS)


@st.composite
def wants(draw: st.DrawFn, *, least: int = 0) -> tuple[Want, ...]:
    """Known options and up to five large ones of different kinds, in any order."""
    known = draw(st.lists(st.sampled_from(KNOWN), unique=True, max_size=4))
    kinds = draw(st.lists(st.integers(100, 250), unique=True, min_size=least, max_size=4))
    others = [big(draw(st.integers(2, 255)), kind, draw(st.integers(0, 255))) for kind in kinds]
    return tuple(draw(st.permutations([*known, *others])))


def wanted() -> st.SearchStrategy[Wanted]:
    """Options for each part."""
    return st.builds(Wanted, wants(), wants(), wants())


def spaces() -> st.SearchStrategy[Space]:
    """Links from the least that IPv6 has to a large one, with and without a MAC."""
    return st.builds(
        Space, mtu=st.integers(1280, 9000), ip_header=st.sampled_from((20, 40)), authenticated=st.booleans()
    )


def read(method: Method, laid: Laid, space: Space, payload: bytes = b"") -> Reading:
    """What the method's reader finds in a segment that it laid out; it must not be dropped."""
    octets = laid.segment(Fields(1234, 80, 1000, 2000, 65535), payload)
    assert len(octets) == laid.octets
    reading = method.read(laid.part, memoryview(octets), space)
    assert not isinstance(reading, EdoDrop), reading
    return reading


def options_of(laid: Laid, reading: Reading, payload: bytes = b"") -> list[bytes]:
    """The octets of the options that a reading found, in its order."""
    octets = laid.segment(Fields(1234, 80, 1000, 2000, 65535), payload)
    return [octets[offset : offset + length] for _, _, offset, length in reading.spans]
