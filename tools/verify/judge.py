"""What becomes of each segment: good, bad, no key, neither TCP-AO nor TCP-MD5; and what would have matched."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ao.ends import endpoint
from ao.md5 import Md5Key
from ao.mkt import Mkt, MktTable
from ao.traffic_keys import SocketPair
from stack.run import ACK, SYN

from .digests import Digests
from .mistakes import search
from .packets import Packet
from .sessions import End, Session, Sessions, ends_of
from .trial import Trial, trial_of

# So many segments of a connection are searched for two mistakes at once; after that for the known ones and one.
_DEEP = 8


class Verdict(StrEnum):
    """What became of a segment."""

    GOOD = "good"
    BAD = "bad"
    NO_KEY = "no_key"
    NO_AO = "no_ao"


@dataclass(frozen=True, slots=True)
class Judged:
    """One segment: its number in the capture, seconds since 1970, ends, key ids, verdict.

    ``option`` is ``ao``, ``md5`` (which has no key ids) or None. ``would_match`` says what is wrong with the keys
    where that was found, ``reason`` why it is not good; ``key`` is the name of the key.
    """

    n: int
    time: float
    src: str
    dst: str
    sport: int
    dport: int
    option: str | None
    key_id: int | None
    rnext: int | None
    verdict: Verdict
    key: str | None
    reason: str | None
    would_match: str | None


def _text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


class Judge:
    """Judges the segments of one capture in their order under the keys of either end."""

    def __init__(self, mkts: Iterable[Mkt], isns: Mapping[End, int], md5_keys: Iterable[Md5Key] = ()) -> None:
        self._table = MktTable(mkts)
        self._digests = Digests(md5_keys)
        self._sessions = Sessions(isns)
        self._searched: Counter[frozenset[End]] = Counter()
        self._found: list[tuple[str, ...]] = []
        # (direction and key) -> traffic key in octets, of all that was good.
        self.traffic_keys: dict[tuple[str, str, str], bytes] = {}

    def judge(self, packets: Iterable[Packet]) -> Iterator[Judged]:
        """Yield the verdict of each segment."""
        for packet in packets:
            yield self._judge(packet)

    def _judge(self, packet: Packet) -> Judged:
        if packet.fault is not None:
            return _judged(packet, Verdict.BAD, reason=packet.fault)
        if packet.md5 is not None:
            good, key, reason, would = self._digests.judge(packet)
            verdict = Verdict.GOOD if good else Verdict.NO_KEY if key is None else Verdict.BAD
            return _judged(packet, verdict, key=key, reason=reason, would_match=would)
        if packet.key_ids is None:
            self._begin(packet)
            return _judged(packet, Verdict.NO_AO)
        sessions = self._sessions.candidates(packet)
        keys = list(self._keys(packet))
        for session in sessions:
            for mkt, sent in keys:
                trial = self._trial(packet, session, mkt, sent)
                if trial is not None and trial.verifies(packet):
                    self._good(packet, session, mkt, trial)
                    return _judged(packet, Verdict.GOOD, key=mkt.name)
        session = sessions[-1]
        self._begin(packet)
        if not self._knows(packet, session):
            return _judged(
                packet, Verdict.BAD if keys else Verdict.NO_KEY, reason="the ISNs are not in the capture: --isn"
            )
        would = self._would_match(packet, session)
        if keys:
            return _judged(packet, Verdict.BAD, key=keys[0][0].name, reason="the MAC differs", would_match=would)
        return _judged(packet, Verdict.NO_KEY, reason="no key has this KeyID here", would_match=would)

    def _begin(self, packet: Packet) -> None:
        """Take ISNs of a segment that is not good where none are known: later ones may be."""
        sessions = self._sessions.candidates(packet)
        if len(sessions) == 1 and sessions[0].isns:
            self._sessions.keep(packet, sessions[0])

    def _good(self, packet: Packet, session: Session, mkt: Mkt, trial: Trial) -> None:
        source, _ = ends_of(packet)
        self._sessions.keep(packet, session)
        session.verified(source, packet.segment.seq)
        kind = "SYN" if packet.segment.flags & (SYN | ACK) == SYN else "other"
        direction = f"{endpoint(packet.segment.source, packet.segment.source_port)} > " + endpoint(
            packet.segment.destination, packet.segment.destination_port
        )
        if (direction, kind, mkt.name) not in self.traffic_keys:
            self.traffic_keys[direction, kind, mkt.name] = trial.traffic_key(packet)

    def _keys(self, packet: Packet) -> Iterator[tuple[Mkt, bool]]:
        """The keys that may have signed a segment: sent by the keys' own host, or received by it."""
        ids = packet.key_ids
        assert ids is not None
        for mkt, sent in self._near(packet):
            if (mkt.send_id if sent else mkt.recv_id) == ids[0]:
                yield mkt, sent

    def _near(self, packet: Packet) -> Iterator[tuple[Mkt, bool]]:
        """The keys whose connection identifier holds the segment's ends, whatever their ids."""
        segment = packet.segment
        pair = SocketPair(segment.source, segment.source_port, segment.destination, segment.destination_port)
        for mkt in self._table.matching(pair):
            yield mkt, True
        for mkt in self._table.matching(pair.reverse):
            yield mkt, False

    def _knows(self, packet: Packet, session: Session) -> bool:
        source, destination = ends_of(packet)
        syn = packet.segment.flags & (SYN | ACK) == SYN
        return source in session.isns and (syn or destination in session.isns)

    def _trial(self, packet: Packet, session: Session, mkt: Mkt, sent: bool) -> Trial | None:
        """The right way to compute the MAC; None where an ISN is not known or the number has no extension."""
        if not self._knows(packet, session):
            return None
        source, destination = ends_of(packet)
        sne = session.sne(source, packet.segment.seq)
        if sne is None:
            return None
        syn = packet.segment.flags & (SYN | ACK) == SYN
        return trial_of(mkt, sent, session.isns[source], 0 if syn else session.isns[destination], sne)

    def _would_match(self, packet: Packet, session: Session) -> str | None:
        """The usual mistakes, those of one point before those of two, of every key, its own ids first."""
        ids = packet.key_ids
        assert ids is not None
        ends = frozenset(ends_of(packet))
        self._searched[ends] += 1
        deep = self._searched[ends] <= _DEEP
        near = list(self._near(packet))
        nearby = bool(near)
        near = near or [(mkt, sent) for mkt in self._table for sent in (True, False)]
        near.sort(key=lambda pair: (pair[0].send_id if pair[1] else pair[0].recv_id) != ids[0])
        other_isn = session.isns.get(ends_of(packet)[1])
        handshake = bool(packet.segment.flags & SYN)
        for depth in (False, True) if deep else (False,):
            for mkt, sent in near:
                trial = self._trial(packet, session, mkt, sent)
                if trial is None:
                    continue
                found = search(trial, packet, other_isn, handshake=handshake, deep=depth, found=self._found)
                if found is not None:
                    if found and found not in self._found:
                        self._found.append(found)
                    words = [f"key {mkt.name}", *self._ids(mkt, sent, ids[0]), *found]
                    if not nearby:
                        words.append("for other addresses or ports")
                    return ", ".join(words)
        return None

    def _ids(self, mkt: Mkt, sent: bool, key_id: int) -> tuple[str, ...]:
        right, swapped = (mkt.send_id, mkt.recv_id) if sent else (mkt.recv_id, mkt.send_id)
        if right == key_id:
            return ()
        return ("key ids swapped",) if swapped == key_id else (f"KeyID {key_id} instead of {right}",)


def _judged(
    packet: Packet,
    verdict: Verdict,
    *,
    key: str | None = None,
    reason: str | None = None,
    would_match: str | None = None,
) -> Judged:
    segment = packet.segment
    ids = packet.key_ids or (None, None)
    return Judged(
        packet.number,
        packet.time,
        _text(segment.source),
        _text(segment.destination),
        segment.source_port,
        segment.destination_port,
        "md5" if packet.md5 is not None else None if packet.ao is None else "ao",
        ids[0],
        ids[1],
        verdict,
        key,
        reason,
        would_match,
    )
