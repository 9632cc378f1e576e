"""The layouts of all segments of an exchange under a method, and what can be said of them in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edo.rivals.base import HEADER, Laid, Method, Part, Piece, Space, Want, Wanted

from ..decode.texts import flags_text

SYN: Final = 0x02
_FIXED: Final = (
    ("source port", 2),
    ("destination port", 2),
    ("sequence number", 4),
    ("acknowledgment number", 4),
    ("Data Offset", 1),
    ("flags", 1),
    ("window", 2),
    ("checksum", 2),
    ("urgent pointer", 2),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Neighbouring octets of one meaning at ``offset`` (octets from the start of the header).

    ``zone`` is "fixed", or that of the method's piece; ``octets`` are None where only a sender knows them.
    """

    offset: int
    length: int
    zone: str
    label: str
    octets: bytes | None
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: what it is called, its cells in order, and the room that it leaves."""

    title: str
    laid: Laid
    cells: tuple[Cell, ...]

    @property
    def header(self) -> int:
        """Octets of all that is no payload."""
        return HEADER + sum(len(piece.octets) for piece in self.laid.pieces)


@dataclass(frozen=True, slots=True)
class Layout:
    """A method with the segments of its exchange; ``misfits`` are the options that go nowhere, with their part."""

    method: Method
    space: Space
    segments: tuple[Segment, ...]
    misfits: tuple[tuple[Part, Want], ...]

    @property
    def packets(self) -> int:
        """Packets before the first that may be data alone."""
        return sum(segment.laid.part is not Part.DATA for segment in self.segments)

    @property
    def handshake_octets(self) -> int:
        """Octets of these packets, IP headers included."""
        return sum(
            segment.header + self.space.ip_header for segment in self.segments if segment.laid.part is not Part.DATA
        )

    @property
    def payload(self) -> int:
        """Octets of payload in a full data segment."""
        return max((one.laid.room for one in self.segments if one.laid.part is Part.DATA), default=0)


def lay_out(method: Method, wanted: Wanted, space: Space) -> Layout:
    """The layout of every segment of an exchange."""
    segments = tuple(Segment(_title(method, laid), laid, _cells(laid)) for laid in method.exchange(wanted, space))
    return Layout(method, space, segments, method.misfits(wanted, space))


def _title(method: Method, laid: Laid) -> str:
    if laid.part is Part.BESIDE:
        return "second SYN" if laid.flags & SYN else "OOB"
    if laid.part is Part.THIRD and laid.flags & SYN:
        return "client's SYN-ACK"
    return {
        Part.SYN: "SYN",
        Part.SYN_ACK: "SYN-ACK",
        Part.THIRD: "ACK",
        Part.ANSWER: "answer",
        Part.DATA: "data",
    }[laid.part]


def _cells(laid: Laid) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    at = 0
    for label, length in _FIXED:
        octets = None
        if label == "Data Offset":
            octets = bytes((laid.offset,))
        elif label == "flags":
            octets = bytes((laid.flags & 0xFF,))
            label = f"flags: {flags_text(laid.flags)}"
        cells.append(Cell(at, length, "fixed", label, octets))
        at += length
    for piece in laid.pieces:
        cells.append(_cell(piece, at))
        at += len(piece.octets)
    return tuple(cells)


def _cell(piece: Piece, at: int) -> Cell:
    return Cell(at, len(piece.octets), piece.zone.value, piece.label, piece.octets, piece.promised)


def to_json(layouts: list[Layout], wanted: Wanted, space: Space) -> dict[str, Any]:
    """What ``--json`` prints; lengths and offsets in octets."""
    return {
        "mtu": space.mtu,
        "ip_header": space.ip_header,
        "wanted": {
            "syn": [_want(want) for want in wanted.syn],
            "syn-ack": [_want(want) for want in wanted.syn_ack],
            "data": [_want(want) for want in wanted.data],
        },
        "methods": [_method(layout) for layout in layouts],
    }


def _want(want: Want) -> dict[str, Any]:
    return {"name": want.name, "octets": len(want.octets), "hex": want.octets.hex()}


def _method(layout: Layout) -> dict[str, Any]:
    method = layout.method
    return {
        "name": method.name,
        "document": method.document,
        "assumed": method.assumed,
        "fallback": method.fallback,
        "boxes": method.boxes,
        "packets": layout.packets,
        "handshake_octets": layout.handshake_octets,
        "payload": layout.payload,
        "misfits": [{"part": part.value} | _want(want) for part, want in layout.misfits],
        "segments": [_segment(segment) for segment in layout.segments],
    }


def _segment(segment: Segment) -> dict[str, Any]:
    laid = segment.laid
    return {
        "part": laid.part.value,
        "title": segment.title,
        "sender": laid.sender,
        "flags": laid.flags,
        "second": laid.second,
        "data_offset": laid.data_offset,
        "header": segment.header,
        "room": laid.room,
        "note": laid.note,
        "carried": [want.name for want in laid.carried],
        "cells": [
            {
                "offset": cell.offset,
                "length": cell.length,
                "zone": cell.zone,
                "label": cell.label,
                "hex": None if cell.octets is None else cell.octets.hex(),
                "promised": cell.promised,
            }
            for cell in segment.cells
        ],
    }
