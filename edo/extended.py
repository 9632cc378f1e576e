"""The EDO Extension of a received segment and where it says that the header ends (draft-ietf-tcpm-tcp-edo §5)."""

from __future__ import annotations

from edo.codepoints import Dialect
from edo.options import Span
from edo.reasons import EdoDrop

Extension = tuple[int, int, int]
"""Offset of the option, header length, Segment_Length or -1 in the short form; all in octets."""


def _read(tcp: memoryview, span: Span, dialect: Dialect) -> Extension | None:
    _, _, offset, length = span
    if length == dialect.short_octets:
        at = offset + length - 2
        return offset, (tcp[at] << 8 | tcp[at + 1]) * dialect.unit, -1
    if length == dialect.long_octets:
        at = offset + length - 4
        segment_length = tcp[at + 2] << 8 | tcp[at + 3]
        return offset, (tcp[at] << 8 | tcp[at + 1]) * dialect.unit, segment_length
    return None


def find_extension(tcp: memoryview, spans: list[Span], data_offset: int, dialect: Dialect) -> Extension | None:
    """The first well-formed Extension inside Data Offset, its numbers as they stand; None without one."""
    for span in spans:
        if _bears_number(span, data_offset, dialect):
            found = _read(tcp, span, dialect)
            if found is not None:
                return found
    return None


def _bears_number(span: Span, data_offset: int, dialect: Dialect) -> bool:
    """Whether an option is an Extension by its number, whatever its Length, and begins inside Data Offset.

    EDO Supported, which shares the number in two of the numberings, is none: outside SYN it is ignored.
    """
    kind, exid, offset, length = span
    return (
        exid == dialect.exid
        and kind in dialect.extension_kinds
        and offset < data_offset
        and not (length == dialect.supported_octets and dialect.shares_number)
    )


def header_end(
    tcp: memoryview, spans: list[Span], data_offset: int, dialect: Dialect, *, lenient: bool = False
) -> int | EdoDrop | None:
    """Octets from the start of the TCP header to its true end, None where no Extension says so.

    ``tcp`` is exactly the segment, without what a link may have padded behind it, and ``spans`` what was found
    inside Data Offset. EdoDrop where the Extension is not alone, not one of the two forms, or says what cannot be:
    Header_Length below Data Offset, past the segment or within a word, Segment_Length not the segment's.
    ``lenient``: one that has not the Length of either form is no Extension, as a prototype has it.
    """
    found = None
    wanted = dialect.exid
    for span in spans:
        if span[1] == wanted and _bears_number(span, data_offset, dialect):
            if lenient and span[3] not in (dialect.short_octets, dialect.long_octets):
                continue
            if found is not None:
                return EdoDrop.MALFORMED_OPTION
            found = span
    if found is None:
        return None
    extension = _read(tcp, found, dialect)
    if extension is None:
        return EdoDrop.MALFORMED_OPTION
    _, end, segment_length = extension
    if end < data_offset or end > len(tcp) or end & 3:
        return EdoDrop.EDO_HEADER_LENGTH
    if segment_length not in {-1, len(tcp)}:
        return EdoDrop.EDO_SEGMENT_LENGTH
    return end
