"""The scoreboard: what was sent and is not acknowledged, run by run (RFC 6675 §3, §4).

It knows stream numbers and times, never octets. A record is split where a SACK block or a retransmission ends
within it; neighbours that are SACKed become one again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from .flight import Flight, Sent

# Beyond so many records, and one more for each so many octets outstanding (as a power of two), a SACK block no
# longer splits one: every other segment of a large window may be lost, but no peer counts its octets one by one.
_RECORD_LIMIT: Final = 1024
_RECORD_OCTETS: Final = 9
_DUP_THRESH: Final = 3
# Where nothing is outstanding, as in nearly all connections of a host with many; never added to.
_NO_RECORDS: Final[list[Sent]] = []
_NO_STARTS: Final[list[int]] = []

Delivered = tuple[float, int, int, bool]


class Scoreboard:
    """Records in order without gaps, with running sums in octets.

    ``sacked``, ``waiting`` and ``extra`` sum up the records so marked, ``lost`` everything that was ever taken for
    lost; ``high_sack`` is the end of the highest
    SACKed range. ``acked_sent_at`` is, after ``acknowledge``, when the earliest sent octet of those newly
    acknowledged was sent, -1 where Karn's algorithm forbids to measure (RFC 6298 §3); ``acked_resent_at`` when
    they were last retransmitted, -1 if never. ``flight`` has what is in flight.

    ``delivered`` lists what the latest acknowledgment was the first to cover, as (sent_at, start, end, resent);
    where that is but a part of the first record, to which nothing had happened, ``simple`` says so instead.
    """

    __slots__ = (
        "_lost_to",
        "_next",
        "acked_resent_at",
        "acked_sent_at",
        "delivered",
        "extra",
        "flight",
        "high_sack",
        "lost",
        "records",
        "sacked",
        "simple",
        "starts",
        "waiting",
    )

    def __init__(self) -> None:
        self.records = _NO_RECORDS
        self.starts = _NO_STARTS
        self.sacked = 0
        self.waiting = 0
        self.extra = 0
        self.lost = 0
        self.high_sack = 0
        self.acked_sent_at = -1.0
        self.acked_resent_at = -1.0
        self.delivered: list[Delivered] = []
        self.simple = False
        self.flight = Flight()
        self._lost_to = 0
        self._next = 0

    def sent(self, start: int, end: int, now: float, *, again: bool = False) -> None:
        """Record that [start, end), behind all others, was sent for the first time or, after a SYN, ``again``."""
        record = Sent(start, end, now)
        record.resent = again
        if self.records is _NO_RECORDS:
            self.records = []
            self.starts = []
        self.records.append(record)
        self.starts.append(start)
        self.flight.launch(record)

    def acknowledge(self, ack: int) -> None:
        """Forget everything before ``ack``, the new SND.UNA."""
        records = self.records
        self.acked_resent_at = -1.0
        if self.delivered:
            self.delivered = []
        if not records:
            self.acked_sent_at = -1.0
            self.simple = False
            return
        record = records[0]
        if record.end >= ack and not (record.resent or record.sacked or record.waiting):
            # Most acknowledgments: within the first record, to which nothing has happened.
            self.acked_sent_at = record.sent_at
            self.simple = True
            if record.end > ack:
                record.start = ack
                self.starts[0] = ack
            else:
                self.flight.land(record)
                if len(records) == 1:
                    self.records = _NO_RECORDS
                    self.starts = _NO_STARTS
                else:
                    del records[0]
                    del self.starts[0]
            return
        self.simple = False
        sent_at = -1.0
        measurable = True
        count = 0
        for record in records:
            if record.start >= ack:
                break
            if record.resent:
                measurable = False
                self.acked_resent_at = max(self.acked_resent_at, record.sent_at)
            elif record.lost:
                # It arrived long before this acknowledgment: lost was only the word of it.
                measurable = False
            elif sent_at < 0.0 and not record.sacked:
                sent_at = record.sent_at
            end = record.end
            upto = end if end <= ack else ack
            octets = upto - record.start
            if record.sacked:
                self.sacked -= octets
            else:
                self.delivered.append((record.sent_at, record.start, upto, record.resent))
                if record.waiting:
                    self.waiting -= octets
                else:
                    if record.extra:
                        self.extra -= octets
                    if end <= ack:
                        self.flight.land(record)
            if end > ack:
                record.start = ack
                self.starts[count] = ack
                break
            count += 1
        if count == len(records):
            self.records = _NO_RECORDS
            self.starts = _NO_STARTS
        elif count:
            del records[:count]
            del self.starts[:count]
        self.acked_sent_at = sent_at if measurable else -1.0

    def mark_sacked(self, left: int, right: int) -> int:
        """Update() of RFC 6675 §4 for one block; return how many octets were not known to have arrived."""
        records = self.records
        index = max(bisect_right(self.starts, left) - 1, 0)
        fresh = 0
        while index < len(records):
            record = records[index]
            if record.start >= right:
                break
            if record.sacked or record.end <= left:
                index += 1
                continue
            if record.start < left:
                if not self._split(index, left):
                    break
                index += 1
                record = records[index]
            if record.end > right and not self._split(index, right):
                break
            octets = record.end - record.start
            fresh += octets
            self.sacked += octets
            self.delivered.append((record.sent_at, record.start, record.end, record.resent))
            record.sacked = True
            if record.waiting:
                self.waiting -= octets
                record.waiting = False
            else:
                self.flight.land(record)
                if record.extra:
                    self.extra -= octets
                    record.extra = False
            record.lost = False
            self.high_sack = max(self.high_sack, record.end)
            if index + 1 < len(records) and records[index + 1].sacked:
                self._join(index)
            if index and records[index - 1].sacked:
                index -= 1
                self._join(index)
            index += 1
        return fresh

    def _split(self, index: int, position: int) -> bool:
        """Cut the record at ``index`` in two at ``position``, within it; False where there are too many."""
        records = self.records
        if len(records) >= _RECORD_LIMIT + ((records[-1].end - records[0].start) >> _RECORD_OCTETS):
            return False
        self.cut(index, position)
        return True

    def cut(self, index: int, position: int) -> None:
        """Cut the record at ``index`` in two at ``position``, strictly within it."""
        record = self.records[index]
        other = Sent(position, record.end, record.sent_at)
        other.resent = record.resent
        other.sacked = record.sacked
        other.lost = record.lost
        other.waiting = record.waiting
        other.extra = record.extra
        if not (record.sacked or record.waiting):
            self.flight.split(record, other)
        record.end = position
        self.records.insert(index + 1, other)
        self.starts.insert(index + 1, position)

    def _join(self, index: int) -> None:
        """Make one of two SACKed neighbours."""
        records = self.records
        other = records.pop(index + 1)
        del self.starts[index + 1]
        records[index].end = other.end
        records[index].resent = records[index].resent or other.resent

    def lost_edge(self, smss: int) -> int:
        """The number below which IsLost() of RFC 6675 §4 holds for every octet that is not SACKed; 0 for none.

        It holds where three separate SACKed ranges, or more than two segments of SACKed octets, lie above.
        """
        if not self.sacked:
            return 0
        records = self.records
        index = bisect_left(self.starts, self.high_sack) - 1
        ranges = 0
        octets = 0
        while index >= 0:
            record = records[index]
            if record.sacked:
                ranges += 1
                octets += record.end - record.start
                if ranges >= _DUP_THRESH or octets > (_DUP_THRESH - 1) * smss:
                    return record.start
            index -= 1
        return 0

    def mark_lost(self, upto: int) -> None:
        """Take everything not SACKed below ``upto`` for lost that was not taken for lost before."""
        if upto <= self._lost_to:
            return
        index = max(bisect_right(self.starts, self._lost_to) - 1, 0)
        records = self.records
        while index < len(records) and records[index].start < upto:
            self._lose(records[index])
            index += 1
        self._lost_to = upto

    def whole(self, left: int, right: int, smss: int) -> tuple[int, int]:
        """The part of [left, right) that consists of whole segments of ``smss`` octets as they were sent."""
        records = self.records
        if records:
            first = records[max(bisect_right(self.starts, left) - 1, 0)]
            if left > first.start:
                left = min(first.start + -(-(left - first.start) // smss) * smss, first.end)
            last = records[max(bisect_left(self.starts, right) - 1, 0)]
            if right < last.end:
                right = last.start + (right - last.start) // smss * smss
        return left, right

    def mark_head_lost(self, octets: int) -> None:
        """Take the first ``octets`` for lost (RFC 6582 §3.2), even where they were sent again before."""
        if self.records:
            if self.records[0].end - self.records[0].start > octets:
                self.cut(0, self.records[0].start + octets)
            self.lose(self.records[0])

    def mark_all_lost(self, *, renege: bool = False) -> None:
        """A timeout: everything not SACKed is lost again; ``renege`` forgets what was SACKed (RFC 2018 §8)."""
        self.waiting = 0
        self.extra = 0
        for record in self.records:
            if renege:
                record.sacked = False
            record.extra = False
            record.waiting = record.lost = not record.sacked
            if record.waiting:
                self.waiting += record.end - record.start
        self.lost += self.waiting
        if renege:
            self.sacked = 0
            self.high_sack = 0
        self.flight.rebuild(self.records)
        self._next = 0
        self._lost_to = self.records[-1].end if self.records else 0

    def mark_below(self, upto: int, beyond: int = 0) -> None:
        """Take everything not SACKed from ``beyond`` to ``upto`` for lost, whatever happened to it before."""
        for record in self.records:
            if record.start >= upto:
                break
            if record.start >= beyond:
                self.lose(record)
        self._lost_to = max(self._lost_to, upto)

    def forget_sacked(self) -> None:
        """What the peer SACKed it may have thrown away since (RFC 2018 §8): it counts as in flight."""
        for record in self.records:
            record.sacked = False
        self.sacked = 0
        self.high_sack = 0
        self.flight.rebuild(self.records)

    def forget_lost(self) -> None:
        """What was taken for lost and not sent again is in flight after all."""
        for record in self.records:
            record.lost = record.waiting = False
        self.waiting = 0
        self._lost_to = 0
        self.flight.rebuild(self.records)

    def sacked_segments(self, smss: int, enough: int) -> int:
        """How many segments of ``smss`` octets were SACKed at least; no more than ``enough`` are looked for."""
        records = self.records
        index = bisect_left(self.starts, self.high_sack) - 1 if self.sacked else -1
        segments = 0
        while index >= 0 and segments < enough:
            record = records[index]
            if record.sacked:
                segments += -(-(record.end - record.start) // smss)
            index -= 1
        return segments

    def mark_larger(self, octets: int) -> bool:
        """Take for lost what may have travelled in segments of more than ``octets`` payload; was there any?"""
        for record in self.records:
            if record.end - record.start > octets:
                self.lose(record)
        return self.waiting > 0

    def lose(self, record: Sent) -> None:
        """Take the record for lost, even where it was sent again before."""
        if not record.sacked and not record.waiting:
            record.lost = False
            if record.extra:
                self.extra -= record.end - record.start
                record.extra = False
            self._lose(record)

    def _lose(self, record: Sent) -> None:
        if record.sacked or record.lost:
            return
        octets = record.end - record.start
        record.lost = True
        self.lost += octets
        if record.extra:
            # It was retransmitted already: the copy counts as the one that is under way.
            self.extra -= octets
            record.extra = False
            return
        self.flight.land(record)
        record.waiting = True
        self.waiting += octets
        self._next = min(self._next, record.start)

    def next_waiting(self) -> int:
        """Index of the first lost record that is not under way again (NextSeg() rule 1); -1 for none."""
        if not self.waiting:
            return -1
        records = self.records
        index = max(bisect_right(self.starts, self._next) - 1, 0)
        while index < len(records):
            if records[index].waiting:
                return index
            index += 1
        return -1

    def next_doubtful(self) -> int:
        """Index of the first record below a SACKed one that was neither SACKed nor sent again (rule 3); or -1."""
        for index, record in enumerate(self.records):
            if record.end > self.high_sack:
                break
            if not record.sacked and not record.lost and not record.extra:
                return index
        return -1

    def last_unsacked(self) -> int:
        """Index of the highest record that is neither SACKed nor under way again (rule 4); -1 for none."""
        index = len(self.records) - 1
        while index >= 0:
            record = self.records[index]
            if not record.sacked:
                return -1 if record.lost or record.extra else index
            index -= 1
        return -1

    def resend(self, index: int, now: float) -> None:
        """The record at ``index`` goes out again now."""
        record = self.records[index]
        octets = record.end - record.start
        if record.waiting:
            record.waiting = False
            self.waiting -= octets
            self._next = record.end
        else:
            self.flight.land(record)
            if not (record.lost or record.extra):
                record.extra = True
                self.extra += octets
        self.flight.launch(record)
        record.resent = True
        record.sent_at = now

    def clear(self) -> None:
        """Forget everything."""
        for record in self.records:
            record.before = record.after = None
        self.records.clear()
        self.flight = Flight()
        self.starts.clear()
        self.delivered = []
        self.sacked = self.waiting = self.extra = 0
