"""The two buffers of a connection: what was written and is not acknowledged, what came and is not read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from .batch import Octets
from .ends import Ends
from .rangeset import RangeSet
from .run import Keystream

# Pieces shorter than this are gathered, so that a peer's small segments do not cost an object each.
_SMALL: Final = 512
_GATHERED: Final = 8192
# From this size on a piece of its own is better than a copy with others.
_LARGE: Final = 16_384
# What objects take beside their octets: a chunk with its places in lists, a range with its edges and its list.
_CHUNK: Final = 96
_RANGE: Final = 320

Chunk = bytes | bytearray
# Of buffers that hold nothing, which are nearly all of a host's; never added to.
_NO_CHUNKS: Final[list[bytes]] = []
_NO_STARTS: Final[list[int]] = []
_NO_PARTS: Final[list[list[Chunk]]] = []


class SendBuffer:
    """Octets written by the application, addressed by stream number, immutable once written.

    ``base`` is the number of the first octet held, ``end`` that of the next octet to be written. ``pushes`` has the
    ends of what was pushed, where that is kept, ``records`` those of records: no segment has octets of both sides.
    """

    __slots__ = ("_chunks", "_starts", "base", "end", "pushes", "records")

    def __init__(self, base: int, *, pushes: bool = False) -> None:
        self.pushes = Ends() if pushes else None
        self.records: Ends | None = None
        self._chunks = _NO_CHUNKS
        self._starts = _NO_STARTS
        self.base = base
        self.end = base

    @property
    def footprint(self) -> int:
        """Octets of memory that it takes."""
        starts = self._starts
        return self.end - starts[0] + _CHUNK * len(starts) if starts else 0

    def append(self, data: bytes) -> None:
        """Add ``data``, any number of octets, at the end."""
        length = len(data)
        if not length:
            return
        chunks = self._chunks
        if length < _SMALL and chunks and len(chunks[-1]) + length <= _GATHERED // 4:
            # A new object: views of the old one that are on their way stay what they were.
            chunks[-1] += data
        else:
            if chunks is _NO_CHUNKS:
                chunks = self._chunks = []
                self._starts = []
            chunks.append(data)
            self._starts.append(self.end)
        self.end += length

    def mark(self, *, push: bool, record: bool) -> None:
        """What was written so far is pushed, or ends a record."""
        if push and self.pushes is not None:
            self.pushes.mark(self.end)
        if record:
            if self.records is None:
                self.records = Ends()
            self.records.mark(self.end)

    def peek(self, start: int, end: int) -> list[memoryview]:
        """Return the octets [start, end) as views, not copied; the range must be within [base, end)."""
        starts = self._starts
        chunks = self._chunks
        index = bisect_right(starts, start) - 1
        offset = start - starts[index]
        chunk = chunks[index]
        last = end - starts[index]
        if last <= len(chunk):
            return [memoryview(chunk)[offset:last]]
        views = [memoryview(chunk)[offset:]]
        position = starts[index] + len(chunk)
        while position < end:
            index += 1
            chunk = chunks[index]
            views.append(memoryview(chunk)[: end - position])
            position += len(chunk)
        return views

    def release(self, position: int) -> None:
        """Forget all octets before ``position``; nothing happens if they are forgotten already."""
        if position <= self.base:
            return
        starts = self._starts
        if position >= self.end:
            position = self.end
            self._starts = _NO_STARTS
            self._chunks = _NO_CHUNKS
        elif len(starts) > 1 and starts[1] <= position:
            count = bisect_right(starts, position) - 1
            del starts[:count]
            del self._chunks[:count]
        self.base = position
        if self.pushes is not None:
            self.pushes.release(position)
        if self.records is not None:
            self.records.release(position)

    def clear(self) -> None:
        """Forget everything; what was not acknowledged can still be counted from ``base`` and ``end``."""
        self._starts = _NO_STARTS
        self._chunks = _NO_CHUNKS


def _push(parts: list[Chunk], data: Chunk) -> None:
    """Append one piece, gathering small ones."""
    if len(data) >= _SMALL:
        parts.append(data)
        return
    last = parts[-1] if parts else None
    if isinstance(last, bytearray) and len(last) < _GATHERED:
        last += data
    else:
        parts.append(bytearray(data))


def _extend(parts: list[Chunk], more: list[Chunk]) -> None:
    """Append ``more``, gathering where the two meet: however they came, no two small pieces stand side by side."""
    if more and len(more[0]) < _SMALL:
        _push(parts, more[0])
        parts += more[1:]
    else:
        parts += more


class ReceiveBuffer:
    """Octets that came: in order and unread, or beyond a hole; each octet once, the first that came wins.

    ``octets`` counts the unread ones in order, ``held`` those beyond a hole. What is stored was copied (or
    decrypted) out of the packet's memory.
    """

    __slots__ = ("_chunks", "_head", "_offset", "_parts", "held", "octets", "range_limit", "ranges")

    def __init__(self, range_limit: int) -> None:
        self._chunks: list[Chunk] | None = None
        self._head = 0
        self._offset = 0
        self.octets = 0
        self.held = 0
        self.ranges: RangeSet | None = None
        self._parts = _NO_PARTS
        self.range_limit = range_limit

    @property
    def footprint(self) -> int:
        """Octets of memory that it takes."""
        chunks = self._chunks
        octets = self.octets + self._offset + _CHUNK * (len(chunks) - self._head) if chunks else 0
        ranges = self.ranges
        if ranges is not None:
            octets += self.held + (self.held >> 3) + _RANGE * len(ranges)
        return octets

    def append(self, payload: Sequence[Octets], length: int, position: int, cipher: Keystream | None) -> None:
        """Take a whole payload that begins at ``position``, the next octet in order."""
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = []
        data = bytes(payload[0]) if len(payload) == 1 else b"".join(payload)
        if cipher is not None:
            data = cipher.apply(position, data)
        if length >= _SMALL:
            chunks.append(data)
        else:
            _push(chunks, data)
        self.octets += length

    def insert(
        self, payload: Sequence[Octets], base: int, start: int, end: int, cipher: Keystream | None
    ) -> tuple[int, int] | None:
        """Take the octets [start, end) of a payload that begins at ``base``, beyond a hole or touching what is.

        Returns the first range within [start, end) that was held already, (start, start) if there was none, or
        None if the octets were refused because there are too many ranges.
        """
        ranges = self.ranges
        if ranges is None:
            ranges = self.ranges = RangeSet()
            self._parts = []
        i, j = ranges.touching(start, end)
        if i == j and len(ranges) >= self.range_limit:
            return None
        duplicate = (start, start)
        merged: list[Chunk] = []
        position = start
        for k in range(i, j):
            left, right = ranges.starts[k], ranges.ends[k]
            if position < left:
                self._take(merged, payload, base, position, left, cipher)
            elif k == i:
                merged = self._parts[k]
            if duplicate[0] == duplicate[1] and max(left, start) < min(right, end):
                duplicate = (max(left, start), min(right, end))
            if merged is not self._parts[k]:
                _extend(merged, self._parts[k])
            position = max(position, right)
        if position < end:
            self._take(merged, payload, base, position, end, cipher)
        ranges.add(start, end)
        self._parts[i:j] = [merged]
        return duplicate

    def _take(
        self,
        parts: list[Chunk],
        payload: Sequence[Octets],
        base: int,
        start: int,
        end: int,
        cipher: Keystream | None,
    ) -> None:
        """Copy or decrypt the octets [start, end) of a payload that begins at ``base`` into ``parts``."""
        self.held += end - start
        for view in payload:
            upto = base + len(view)
            if upto > start:
                piece = view[max(start - base, 0) : end - base]
                _push(parts, bytes(piece) if cipher is None else cipher.apply(max(start, base), piece))
            base = upto
            if base >= end:
                break

    def advance(self, position: int) -> int:
        """Move what now follows ``position`` in order to the readable octets; return the next number missing."""
        ranges = self.ranges
        if ranges is None or not ranges.starts or ranges.starts[0] > position:
            return position
        start, end = ranges.pop_first()
        parts = self._parts.pop(0)
        if self._chunks is None:
            self._chunks = parts
        else:
            _extend(self._chunks, parts)
        self.held -= end - start
        self.octets += end - start
        if not ranges.starts:
            self.ranges = None
            self._parts = _NO_PARTS
        return end

    def drop_ranges(self) -> None:
        """Forget what lies beyond a hole."""
        self.ranges = None
        self._parts = _NO_PARTS
        self.held = 0

    def read(self, limit: int, whole: bool = True) -> bytes:
        """Remove and return up to ``limit`` octets (negative: all) from the readable ones.

        Not ``whole``: fewer than there are, where these need not be copied.
        """
        if not whole and self._chunks is not None and not self._offset:
            first = self._chunks[self._head]
            if _LARGE <= len(first) <= limit and first.__class__ is bytes:
                return self._take_first(first)
        if limit < 0 or limit >= self.octets:
            return self._read_all()
        parts: list[bytes | bytearray | memoryview] = []
        chunks = self._chunks
        missing = limit
        while missing and chunks is not None:
            view = memoryview(chunks[self._head])[self._offset : self._offset + missing]
            parts.append(view)
            missing -= len(view)
            self._offset += len(view)
            if self._offset == len(chunks[self._head]):
                self._offset = 0
                # Its place is cleared with others later, its octets at once.
                chunks[self._head] = b""
                self._head += 1
        data = b"".join(parts)
        for part in parts:
            part.release()  # type: ignore[union-attr]  # views, made above; else a gathered chunk could not grow
        if chunks is not None and self._head > 64 and self._head * 2 > len(chunks):
            del chunks[: self._head]
            self._head = 0
        self.octets -= len(data)
        return data

    def _take_first(self, first: bytes) -> bytes:
        chunks = self._chunks
        assert chunks is not None
        self.octets -= len(first)
        chunks[self._head] = b""
        self._head += 1
        if not self.octets:
            self._chunks = None
            self._head = 0
        elif self._head > 64 and self._head * 2 > len(chunks):
            del chunks[: self._head]
            self._head = 0
        return first

    def peek(self, limit: int) -> bytes:
        """Return, without removing them, up to ``limit`` (>= 0) of the readable octets."""
        parts: list[bytes] = []
        missing = limit
        offset = self._offset
        chunks = self._chunks or []
        for index in range(self._head, len(chunks)):
            if missing <= 0:
                break
            # Copied one by one: a view that outlives the call would keep a gathered chunk from growing.
            parts.append(bytes(chunks[index][offset : offset + missing]))
            missing -= len(parts[-1])
            offset = 0
        return b"".join(parts)

    def _read_all(self) -> bytes:
        chunks = self._chunks
        if chunks is None or not self.octets:
            return b""
        if self._head or self._offset:
            del chunks[: self._head]
            chunks[0] = chunks[0][self._offset :]
            self._head = self._offset = 0
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = None
        self.octets = 0
        return data if data.__class__ is bytes else bytes(data)
