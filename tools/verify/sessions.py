"""The connections of a capture: their ISNs, and the sequence number extension of each segment."""

from __future__ import annotations

from collections.abc import Mapping

from ao.sne import SneTracker
from stack.run import ACK, SYN

from .packets import Packet

End = tuple[bytes, int]


def ends_of(packet: Packet) -> tuple[End, End]:
    """(address, port) of who sent a segment and of whom it was sent to."""
    segment = packet.segment
    return (segment.source, segment.source_port), (segment.destination, segment.destination_port)


class Session:
    """One incarnation of a connection: the ISNs that are known, by the end that sends from there."""

    __slots__ = ("_trackers", "isns")

    def __init__(self, isns: Mapping[End, int]) -> None:
        self.isns = dict(isns)
        self._trackers: dict[End, SneTracker] = {}

    def sne(self, source: End, seq: int) -> int | None:
        """The extension of a sequence number of ``source`` (RFC 9187 by the nearest method); None for none."""
        tracker = self._trackers.get(source)
        if tracker is None:
            tracker = self._trackers[source] = SneTracker(self.isns[source])
        return tracker.sne(seq)

    def verified(self, source: End, seq: int) -> None:
        """A segment was good: later ones are near it."""
        if source in self._trackers:
            self._trackers[source].accept(seq)


class Sessions:
    """The connections of one capture; ``given`` are ISNs that its reader knows, by sender."""

    def __init__(self, given: Mapping[End, int]) -> None:
        self._given = given
        self._sessions: dict[frozenset[End], Session] = {}

    def candidates(self, packet: Packet) -> list[Session]:
        """The incarnations that a segment may belong to: one, or two where it may begin another.

        A SYN that differs from the one seen begins another incarnation, but only ``keep`` says so: one that does
        not verify may be forged.
        """
        source, destination = ends_of(packet)
        segment = packet.segment
        known = self._sessions.get(frozenset((source, destination)))
        learnt: dict[End, int] = {}
        if segment.flags & SYN:
            learnt[source] = segment.seq
            if segment.flags & ACK:
                learnt[destination] = (segment.ack - 1) & 0xFFFFFFFF
        if known is not None and all(known.isns.get(end, isn) == isn for end, isn in learnt.items()):
            known.isns.update(learnt)
            return [known]
        given = {end: isn for end, isn in self._given.items() if end in (source, destination)}
        fresh = Session(given | learnt)
        return [fresh] if known is None else [fresh, known]

    def keep(self, packet: Packet, session: Session) -> None:
        """The segment belongs to this incarnation, and so do those that follow."""
        self._sessions[frozenset(ends_of(packet))] = session
