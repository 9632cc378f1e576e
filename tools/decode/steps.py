"""The walk from option to option for people: what ``edo.walk`` finds, and the octet at which it gives up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edo.options import Span


class Area(StrEnum):
    """Where an octet of a segment stands."""

    HEADER = "header"
    INSIDE = "inside"
    BEHIND = "behind"
    OUT_OF_BAND = "out-of-band"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at octet ``offset`` of the segment; ``drop`` is the stack's reason where it drops for it."""

    offset: int
    text: str
    drop: str | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """One area of options: those found, runs of NOPs and padding as (offset, length), and what ended the walk."""

    spans: list[Span]
    nops: list[tuple[int, int]]
    padding: tuple[int, int] | None
    fault: Fault | None


def steps(tcp: memoryview, start: int, end: int) -> Steps:
    """Walk ``tcp[start:end]`` (octets from the start of the header) as ``edo.walk`` does; ``end`` may overrun."""
    spans: list[Span] = []
    nops: list[tuple[int, int]] = []
    padding = None
    fault = None
    bound = min(end, len(tcp))
    at = start
    while at < bound and fault is None and padding is None:
        kind = tcp[at]
        if kind == 1:
            first = at
            while at < bound and tcp[at] == 1:
                at += 1
            nops.append((first, at - first))
            continue
        if kind == 0:
            padding = (at, bound - at)
            break
        if at + 1 >= bound:
            fault = _malformed(at, f"the option of kind {kind} at octet {at} has no Length: the options end there")
        elif tcp[at + 1] < 2:
            fault = _malformed(at + 1, f"the option of kind {kind} at octet {at} has Length {tcp[at + 1]}")
        elif at + tcp[at + 1] > bound:
            over = at + tcp[at + 1] - bound
            fault = _malformed(
                at + 1,
                f"the option of kind {kind} at octet {at} has Length {tcp[at + 1]} and overruns its area by {over},"
                f" which ends at octet {bound}",
            )
        else:
            length = tcp[at + 1]
            exid = tcp[at + 2] << 8 | tcp[at + 3] if kind in (253, 254) and length >= 4 else -1
            spans.append((kind, exid, at, length))
            at += length
    return Steps(spans, nops, padding, fault)


def _malformed(offset: int, text: str) -> Fault:
    return Fault(offset, text, "malformed_option")
