"""Option layouts that nearly all segments have, each matched by one ``struct`` call over its fixed octets.

A shape holds no rule: it is what the step-by-step walk yields for the same octets, found with one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from edo.codepoints import SACK, TIMESTAMPS
from edo.options import Span

Shape = tuple[Callable[[memoryview, int], tuple[int, ...]], tuple[int, ...], list[Span]]

# A piece is its leading fixed octets (kind, Length, ExID) and its whole length; two NOPs are one piece.
_Piece = tuple[bytes, int]
_NOPS: _Piece = (b"\x01\x01", 2)
_TIMESTAMPS: _Piece = (bytes((TIMESTAMPS, 10)), 10)
_SHORT: _Piece = (bytes((254, 6, 0x0E, 0xD0)), 6)
_LONG: _Piece = (bytes((254, 8, 0x0E, 0xD0)), 8)


def _ao(octets: int) -> _Piece:
    return bytes((29, octets)), octets


def _sack(blocks: int) -> _Piece:
    octets = 2 + 8 * blocks
    return bytes((SACK, octets)), octets


_LAYOUTS: tuple[tuple[_Piece, ...], ...] = (
    (_NOPS, _TIMESTAMPS),
    *((_NOPS, _TIMESTAMPS, _NOPS, _sack(blocks)) for blocks in (1, 2, 3)),
    (_TIMESTAMPS, _NOPS, _LONG),
    *((_ao(octets), _NOPS, _TIMESTAMPS) for octets in (16, 20)),
    *((_ao(octets), _TIMESTAMPS, _NOPS, _SHORT, _NOPS) for octets in (16, 20)),
    *((_ao(octets), _SHORT, _NOPS) for octets in (16, 20)),
)


def _shape(pieces: tuple[_Piece, ...]) -> tuple[int, Shape]:
    codes = {2: "H", 4: "I"}
    layout, end = ">", 20
    expected: list[int] = []
    spans: list[Span] = []
    for fixed, length in pieces:
        layout += f"{codes[len(fixed)]}{length - len(fixed)}x"
        expected.append(int.from_bytes(fixed))
        if fixed[0] != 1:
            exid = int.from_bytes(fixed[2:]) if len(fixed) == 4 else -1
            spans.append((fixed[0], exid, end, length))
        end += length
    return end, (Struct(layout).unpack_from, tuple(expected), spans)


def _table() -> dict[int, tuple[Shape, ...]]:
    table: dict[int, tuple[Shape, ...]] = {}
    for layout in _LAYOUTS:
        end, shape = _shape(layout)
        table[end] = (*table.get(end, ()), shape)
    return table


SHAPES = _table()
"""Shapes by Data Offset in octets; spans count from the start of the TCP header."""
