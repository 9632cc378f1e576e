"""What was sent, range by range, and the chain of the ranges that are in flight, by their time of sending."""

from __future__ import annotations

from collections.abc import Iterable


class Sent:
    """One range [start, end) of sent stream numbers (SYN and FIN count) with one history.

    ``sent_at`` is when it was sent last, seconds (Segment.xmit_ts of RFC 8985 §5.2; the segments of a run share
    it, §4). ``resent`` says that it was retransmitted at all (Karn; Segment.retransmitted), ``lost`` that it is
    taken for lost, ``waiting`` that a lost one is not yet on its way again, ``extra`` that it was retransmitted
    without being taken for lost, so that two copies may be in the network. ``before`` and ``after`` are its
    neighbours in the chain.
    """

    __slots__ = ("after", "before", "end", "extra", "lost", "resent", "sacked", "sent_at", "start", "waiting")

    def __init__(self, start: int, end: int, sent_at: float) -> None:
        self.start = start
        self.end = end
        self.sent_at = sent_at
        self.resent = False
        self.sacked = False
        self.lost = False
        self.waiting = False
        self.extra = False
        self.before: Sent | None = None
        self.after: Sent | None = None


class Flight:
    """The records that are neither SACKed nor waiting, the one sent longest ago first (RFC 8985 §6.2, end)."""

    __slots__ = ("newest", "oldest")

    def __init__(self) -> None:
        self.oldest: Sent | None = None
        self.newest: Sent | None = None

    def launch(self, record: Sent) -> None:
        """The record was sent just now."""
        last = self.newest
        record.before = last
        if last is None:
            self.oldest = record
        else:
            last.after = record
        self.newest = record

    def land(self, record: Sent) -> None:
        """The record, one of the chain, is in flight no more."""
        before = record.before
        after = record.after
        if before is None:
            self.oldest = after
        else:
            before.after = after
            record.before = None
        if after is None:
            self.newest = before
        else:
            after.before = before
            record.after = None

    def split(self, record: Sent, other: Sent) -> None:
        """``other`` was cut off the end of ``record``, one of the chain."""
        after = record.after
        other.before = record
        other.after = after
        record.after = other
        if after is None:
            self.newest = other
        else:
            after.before = other

    def rebuild(self, records: Iterable[Sent]) -> None:
        """Make the chain anew from what all ``records`` say."""
        self.oldest = self.newest = None
        flying = []
        for record in records:
            record.before = record.after = None
            if not (record.sacked or record.waiting):
                flying.append(record)
        flying.sort(key=_age)
        for record in flying:
            self.launch(record)


def _age(record: Sent) -> tuple[float, int]:
    return record.sent_at, record.end
