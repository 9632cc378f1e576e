"""The other methods of finding option space: whatever they read is a reading within the segment, or dropped."""

from __future__ import annotations

from itertools import pairwise

from edo.reasons import EdoDrop
from edo.rivals.base import Fields, Part, Reading, Space, Want, Wanted
from edo.rivals.registry import METHODS
from tests.fuzz.choices import Choices

_SPACES = (Space(), Space(mtu=1280, ip_header=40), Space(mtu=576), Space(authenticated=True))
_WANTS = (
    Want("mss", b"\x02\x04\x05\xb4", directional=True),
    Want("wscale", b"\x03\x03\x07", directional=True),
    Want("sack-permitted", b"\x04\x02", directional=True),
    Want("timestamps", b"\x08\x0a" + bytes(8), directional=True),
    Want("small", b"\xc8\x02"),
    Want("middle", bytes((201, 30)) + bytes(range(28))),
    Want("large", bytes((202, 200)) + bytes(198)),
)


def run(data: bytes) -> None:
    """A segment that a method lays out, changed a little, or any octets; as one part of an exchange or another."""
    choices = Choices(data)
    method = choices.one_of(tuple(METHODS.values()))
    space = choices.one_of(_SPACES)
    part = choices.one_of(tuple(Part))
    how = choices.octet()
    wants = [want for number, want in enumerate(_WANTS) if how >> number & 1]
    laid = method.lay_out(part, Wanted(tuple(wants), tuple(wants), tuple(wants)), space)
    if laid is not None and choices.flag():
        segment = bytearray(laid.segment(Fields(1, 2, 3, 4, 5)))
        for _ in range(choices.below(6)):
            segment[choices.octet() % len(segment)] = choices.octet()
        if choices.below(4) == 3:
            del segment[choices.octet() % (len(segment) + 1) :]
        segment += choices.octets(40)
    else:
        segment = bytearray(choices.rest())
    for read_as in {part, choices.one_of(tuple(Part))}:
        _read(method.read(read_as, memoryview(bytes(segment)), space), len(segment))


def _read(reading: Reading | EdoDrop, octets: int) -> None:
    if isinstance(reading, EdoDrop):
        return
    start, end = reading.payload
    assert 20 <= start <= end <= octets
    places = sorted((at, length) for _, _, at, length in reading.spans)
    for at, length in places:
        assert length >= 2
        assert at + length <= octets
    assert all(at + length <= after for (at, length), (after, _) in pairwise(places))


def seeds() -> list[bytes]:
    """Each method, each part, with few options and with all."""
    return [
        bytes((method, 0, part, wants, 1, 0))
        for method in range(len(METHODS))
        for part in range(len(Part))
        for wants in (0x0F, 0x7F)
    ]
