"""Key-exchange messages in KE options: cut into fragments, put together again.

254 | Length | A0 E1 | message kind (1) | total (2) | offset (2) | 1 to 246 octets of the message
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from edo.codepoints import POINTS, CodePoints
from edo.options import Fragment

HEAD = 9
MOST_IN_OPTION = 246
MOST_IN_MESSAGE = 4096
MOST_SEGMENTS = 8

REPORT = 7
REFUSE = 8
WHOLE = frozenset({REPORT, REFUSE})
"""Message kinds that stand whole in one segment; of reports the last to arrive holds."""


def cut(
    kind: int,
    message: bytes,
    *,
    first_room: int = MOST_IN_OPTION,
    room: int = MOST_IN_OPTION,
    points: CodePoints = POINTS,
) -> tuple[bytes, ...]:
    """Cut a message of 1 to 4,096 octets into whole KE options, in order.

    The first holds at most ``first_room``, the others at most ``room`` octets of it (1-246). Raises ValueError
    where one of the three is out of its bounds.
    """
    if not 1 <= len(message) <= MOST_IN_MESSAGE:
        raise ValueError(f"a key-exchange message has 1 to {MOST_IN_MESSAGE} octets, not {len(message)}")
    if not (1 <= first_room <= MOST_IN_OPTION and 1 <= room <= MOST_IN_OPTION):
        raise ValueError(f"a KE option holds 1 to {MOST_IN_OPTION} octets of a message")
    options = []
    start, length = 0, first_room
    while start < len(message):
        options.append(_option(kind, message, start, length, points))
        start, length = start + length, room
    return tuple(options)


def encode(fragment: Fragment, points: CodePoints = POINTS) -> bytes:
    """One fragment, with 1 to 246 octets of its message, as a whole KE option."""
    head = bytes((points.experimental, HEAD + len(fragment.octets))) + points.ke_exid.to_bytes(2)
    place = fragment.total.to_bytes(2) + fragment.offset.to_bytes(2)
    return head + bytes((fragment.message,)) + place + fragment.octets


def _option(kind: int, message: bytes, start: int, length: int, points: CodePoints) -> bytes:
    return encode(Fragment(kind, len(message), start, message[start : start + length]), points)


def spread(kind: int, message: bytes, area: int, *, points: CodePoints = POINTS) -> tuple[tuple[bytes, ...], ...]:
    """Cut a message for segments that have ``area`` octets each for its options: KE options per segment.

    Raises ValueError where the message does not fit 8 segments (or is out of the bounds of ``cut``).
    """
    if not 1 <= len(message) <= MOST_IN_MESSAGE:
        raise ValueError(f"a key-exchange message has 1 to {MOST_IN_MESSAGE} octets, not {len(message)}")
    segments: list[tuple[bytes, ...]] = []
    start = 0
    while start < len(message) and len(segments) <= MOST_SEGMENTS:
        options: list[bytes] = []
        left = area
        while left > HEAD and start < len(message):
            options.append(_option(kind, message, start, min(left - HEAD, MOST_IN_OPTION), points))
            start += len(options[-1]) - HEAD
            left -= len(options[-1])
        segments.append(tuple(options))
    if len(segments) > MOST_SEGMENTS:
        raise ValueError(f"{len(message)} octets do not fit {MOST_SEGMENTS} segments of {area} octets")
    return tuple(segments)


class Took(Enum):
    """What became of fragments given to an ``Assembler``."""

    COMPLETE = "complete"
    """The message is whole now; this happens once."""

    MORE = "more"
    """Octets of it are missing still."""

    REPEATED = "repeated"
    """The message was whole before, and these octets are the same."""

    DIFFERS = "differs"
    """The message was whole before, and these octets are others: ignored, to be counted."""

    MALFORMED = "malformed"
    """Cannot be parsed: nothing of the fragments was taken, to be counted."""


# Shared by all that hold nothing yet, or nothing any more; never changed.
_NOTHING: Final = bytearray()


class Assembler:
    """Puts one message together from fragments cut in any way, in any order; the first whole one stands.

    Holds at most 4,096 octets, and takes new octets from at most 8 segments. ``message`` is the whole message, None
    before.
    """

    __slots__ = ("_held", "_known", "_segments", "kind", "message")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.message: bytes | None = None
        self._held = self._known = _NOTHING
        self._segments = 0

    def copy(self) -> Assembler:
        """An assembler that holds the same and goes its own way."""
        twin = Assembler(self.kind)
        twin.message, twin._held, twin._known = self.message, self._held, self._known
        twin._segments = self._segments
        return twin

    def take(self, *fragments: Fragment) -> Took:
        """Take the fragments that one segment has of this message; all of them or, where malformed, none."""
        if not fragments or not all(self._sound(fragment) for fragment in fragments):
            return Took.MALFORMED
        if self.message is not None:
            same = all(self._repeats(self.message, fragment) for fragment in fragments)
            return Took.REPEATED if same else Took.DIFFERS
        total = fragments[0].total
        held = bytearray(self._held or bytes(total))
        known = bytearray(self._known or bytes(total))
        for fragment in fragments:
            if fragment.total != len(held) or not _lay_in(held, known, fragment):
                return Took.MALFORMED
        # The buffers are replaced, never changed: a copy may share them.
        if known != self._known:
            if self._segments == MOST_SEGMENTS:
                return Took.MALFORMED
            self._segments += 1
        if 0 in known:
            self._held, self._known = held, known
            return Took.MORE
        self.message = bytes(held)
        self._held = self._known = _NOTHING
        return Took.COMPLETE

    def _sound(self, fragment: Fragment) -> bool:
        end = fragment.offset + len(fragment.octets)
        return fragment.message == self.kind and fragment.offset < end <= fragment.total <= MOST_IN_MESSAGE

    @staticmethod
    def _repeats(message: bytes, fragment: Fragment) -> bool:
        end = fragment.offset + len(fragment.octets)
        return fragment.total == len(message) and message[fragment.offset : end] == fragment.octets


def _lay_in(held: bytearray, known: bytearray, fragment: Fragment) -> bool:
    """Put the octets in their place; False where one that is held already is another."""
    octets, start = fragment.octets, fragment.offset
    end = start + len(octets)
    if known.find(1, start, end) >= 0:
        for at in range(start, end):
            if known[at] and held[at] != octets[at - start]:
                return False
    held[start:end] = octets
    known[start:end] = b"\x01" * len(octets)
    return True


class Inbox:
    """The messages of one connection, an ``Assembler`` for each kind, taken segment by segment.

    A segment with one malformed fragment, or one of a kind that its sender may not send, is taken nothing of.
    """

    __slots__ = ("_assemblers",)

    def __init__(self) -> None:
        self._assemblers: dict[int, Assembler] = {}

    def take(self, fragments: Sequence[Fragment], kinds: frozenset[int]) -> list[tuple[int, Took]] | None:
        """Take one segment's fragments; ``kinds`` are those its sender may send. None where malformed.

        Otherwise what became of each message kind, in the order in which the kinds stand. A message that must stand
        whole in one segment is COMPLETE each time, and ``message`` gives the last one.
        """
        by_kind: dict[int, list[Fragment]] = {}
        for fragment in fragments:
            by_kind.setdefault(fragment.message, []).append(fragment)
        if not by_kind.keys() <= kinds:
            return None
        trial = {
            kind: Assembler(kind) if kind in WHOLE else self._assemblers.get(kind, Assembler(kind)).copy()
            for kind in by_kind
        }
        took = [(kind, trial[kind].take(*pieces)) for kind, pieces in by_kind.items()]
        for kind, result in took:
            if result is Took.MALFORMED or (kind in WHOLE and result is not Took.COMPLETE):
                return None
        self._assemblers.update(trial)
        return took

    def message(self, kind: int) -> bytes | None:
        """The whole message of this kind, None where there is none yet."""
        assembler = self._assemblers.get(kind)
        return None if assembler is None else assembler.message

    def forget(self, kind: int) -> None:
        """Forget what is held of this kind, as rekeying does with each generation."""
        self._assemblers.pop(kind, None)
