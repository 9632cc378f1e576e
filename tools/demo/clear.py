"""Looking for pieces of a file in what crossed a network: exact, and quick enough for tens of megabytes.

Every piece of 64 octets, at whatever offset of the file it begins, contains a whole gram of 8 octets whose offset
in the file is a multiple of 57, since 57 + 8 - 1 = 64. So it is enough to know the grams at these offsets and to
look for them at every octet offset of what is searched: a piece that is there cannot be missed. Each gram that is
found is then extended octet by octet to both sides, so nothing is reported that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

PIECE: Final = 64
_GRAM: Final = 8
STRIDE: Final = PIECE - _GRAM + 1
# A table of 2^24 answers "not one of ours" for nearly all grams; the multiplier is odd, from the golden ratio.
_BITS: Final = 24
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(64 - _BITS)
_CHUNK: Final = 1 << 19
_COMPARE: Final = 4096

Grams = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was found: ``searched`` octets, ``runs`` of at least 64 octets of the file, ``octets`` in them.

    ``first`` is (offset in what was searched, offset in the file, length) of the first run, None without one.
    """

    searched: int
    runs: int
    octets: int
    first: tuple[int, int, int] | None


class ClearSearch:
    """A file that is looked for. Files of less than 64 octets have no piece and are refused by ValueError."""

    def __init__(self, file: bytes) -> None:
        if len(file) < PIECE:
            raise ValueError(f"a file of {len(file)} octets has no piece of {PIECE}")
        self._file = file
        count = (len(file) - _GRAM) // STRIDE + 1
        octets = np.frombuffer(file, np.uint8)
        windows = np.lib.stride_tricks.as_strided(octets, (count, _GRAM), (STRIDE, 1), writeable=False)
        grams: Grams = np.ascontiguousarray(windows).view("<u8").ravel().astype(np.uint64)
        order = np.argsort(grams, kind="stable")
        self._grams = grams[order]
        self._offsets = order * STRIDE
        self._known = np.zeros(1 << _BITS, np.bool_)
        self._known[_place(grams)] = True

    def search(self, data: bytes | bytearray) -> Exposure:
        """Find every run of at least 64 octets of the file in ``data``."""
        ends: dict[int, int] = {}
        runs = octets = 0
        first: tuple[int, int, int] | None = None
        for at in self._candidates(data):
            gram = int.from_bytes(data[at : at + _GRAM], "little")
            begin = int(np.searchsorted(self._grams, np.uint64(gram), "left"))
            end = int(np.searchsorted(self._grams, np.uint64(gram), "right"))
            for offset in map(int, self._offsets[begin:end]):
                # Grams of one run have the same distance between data and file: each run is measured once.
                if ends.get(at - offset, -1) > at:
                    continue
                left, length = self._run(data, at, offset)
                ends[at - offset] = at - left + length
                if length >= PIECE:
                    runs += 1
                    octets += length
                    if first is None:
                        first = (at - left, offset - left, length)
        return Exposure(len(data), runs, octets, first)

    def _candidates(self, data: bytes | bytearray) -> list[int]:
        """Octet offsets in ``data``, ascending, at which a known gram stands."""
        found: list[npt.NDArray[np.intp]] = []
        for shift in range(_GRAM):
            count = (len(data) - shift) // _GRAM
            for start in range(0, max(count, 0), _CHUNK):
                some = min(_CHUNK, count - start)
                begin = shift + start * _GRAM
                grams = np.frombuffer(data, "<u8", some, begin).astype(np.uint64)
                maybe = np.flatnonzero(self._known[_place(grams)])
                if len(maybe):
                    places = np.searchsorted(self._grams, grams[maybe])
                    places[places == len(self._grams)] = 0
                    sure = maybe[self._grams[places] == grams[maybe]]
                    found.append(begin + sure * _GRAM)
        return sorted(map(int, np.concatenate(found))) if found else []

    def _run(self, data: bytes | bytearray, at: int, offset: int) -> tuple[int, int]:
        """How far the common octets reach to the left of ``at``, and the whole run's length."""
        file = self._file
        left = 0
        while left < min(at, offset) and data[at - left - 1] == file[offset - left - 1]:
            left += 1
        right = _GRAM
        room = min(len(data) - at, len(file) - offset)
        while right < room:
            step = min(_COMPARE, room - right)
            if data[at + right : at + right + step] == file[offset + right : offset + right + step]:
                right += step
                continue
            while data[at + right] == file[offset + right]:
                right += 1
            break
        return left, left + right


def _place(grams: Grams) -> Grams:
    return (grams * _MULTIPLIER) >> _SHIFT
