"""What goes on beside the stream of a connection with agreed keys: messages under the MAC (profile.md §7, §8).

Once the connection is confirmed nothing of this is on the way of a segment that carries no message: the flow shows
segments again only while ``Afterwards`` has something under way.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

from ao.keys import Key
from ao.messages import MessageKind
from ao.reasons import AoDrop
from edo.fast import read_options
from edo.messages import Took, cut, spread
from edo.options import Fragment
from edo.walk import walk_steps

from ..flow import Flow
from ..run import ACK, RST, SYN, Run, head_of
from ..segment import Segment
from .probe import Prober
from .rekeying import Renewer
from .report import Reporter

# What the peer may say under the MAC.
_REKEYING: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER, MessageKind.REFUSE})
_NEVER: Final = math.inf


class Shown(Protocol):
    """A handshake: it decides whether it is shown segments, and hears of what a report says."""

    settled: bool
    next_deadline: float | None

    def reported(self, now: float) -> None:
        """The peer's report came, or did not come in time."""


class Afterwards:
    """One connection's messages after its handshake."""

    __slots__ = (
        "_flow",
        "_handshake",
        "_restart_timeout",
        "_waiting",
        "prober",
        "renewer",
        "reporter",
    )

    def __init__(self, flow: Flow, handshake: Shown, restart_timeout: float) -> None:
        self._flow = flow
        self._restart_timeout = restart_timeout
        self._handshake = handshake
        self._waiting: dict[MessageKind, tuple[int, bytes]] = {}
        self.prober: Prober | None = None
        self.reporter: Reporter | None = None
        self.renewer: Renewer | None = None

    def begin(self, renewer: Renewer) -> None:
        """The connection is confirmed."""
        self.renewer = renewer
        self.rearm()

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Take a segment while something is under way."""
        if key is None:
            self.clear(segment, number, now)
        elif self._flow.read_behind(segment):
            if segment.options.ke:
                self.exchange(segment, key, now)
            self._flow.collect(segment, number, key)
            if self.prober is not None and self.prober.busy:
                self.prober.good(segment)
            if self.renewer is not None:
                self.renewer.good_segment(now)
            self.rearm()

    def clear(self, segment: Segment, number: int, now: float) -> None:
        """Drop a segment without a MAC; one may say that the peer was restarted, which is looked into."""
        flow = self._flow
        flow.drop(AoDrop.clear_segment)
        connection = flow.connection
        syn = segment.flags & (SYN | ACK | RST) == SYN and segment.seq != connection.irs & 0xFFFFFFFF
        if syn or (segment.flags & RST and number == connection.rcv_nxt):
            if self.prober is None:
                self.prober = Prober(connection, self._restart_timeout)
            (self.prober.suspect if syn else self.prober.reset)(now)
            self.rearm()

    def exchange(self, segment: Segment, key: Key, now: float) -> None:
        """Take the messages of a segment whose MAC was good under ``key``."""
        renewer = self.renewer
        if renewer is None:
            return
        kinds = self._kinds(renewer)
        under = renewer.generation_of(key)
        inbox = renewer.inbox(under)
        fragments = segment.options.ke if key.cover_options else self._covered(segment)
        took = inbox.take(fragments, kinds)
        if took is None:
            self._flow.drop(AoDrop.ke_malformed)
            return
        for kind, result in took:
            message = inbox.message(kind)
            if message is None or result is Took.MORE:
                continue
            if kind != MessageKind.REPORT:
                if not renewer.take(MessageKind(kind), message, result, under, now):
                    # It is as if it had not come (profile.md §4).
                    inbox.forget(kind)
            elif self.reporter is None or not self.reporter.take(message, now):
                self._flow.drop(AoDrop.ke_malformed)
            else:
                self._handshake.reported(now)
        self.rearm()

    def _covered(self, segment: Segment) -> tuple[Fragment, ...]:
        """The fragments behind Data Offset, where the MAC leaves out options inside it (flag 0x02)."""
        behind = walk_steps(segment.tcp, segment.data_offset, segment.header_end) or []
        return read_options(segment.tcp, behind, self._flow.edo.dialect.points).ke

    def _kinds(self, renewer: Renewer) -> frozenset[MessageKind]:
        """What the peer may say: flags are permissions (profile.md §4)."""
        kinds = _REKEYING if renewer.permitted else frozenset[MessageKind]()
        return kinds if self.reporter is None else kinds | {MessageKind.REPORT}

    # --- out ---------------------------------------------------------------------------------------------

    def carry(self, kind: MessageKind, message: bytes) -> None:
        """Send a whole message under the present key with what leaves next, or in an ACK of its own."""
        assert self.renewer is not None
        self._waiting[kind] = (self.renewer.sending, message)
        self._flow.connection.ack_now = True
        self._flow.stack.touch(self._flow)
        self.rearm()

    def forget(self, kind: MessageKind) -> None:
        """Do not send what waits of this kind."""
        self._waiting.pop(kind, None)

    def dress(self, run: Run, out: list[bytes]) -> None:
        """Send a run of the connection, and what waits with it."""
        flow = self._flow
        parts = [] if run.flags & (SYN | RST) else self._parts(run)
        if parts and self._rides(run, parts[0]):
            riders = parts.pop(0)
            first, rest = head_of(run, max(self._room(run, riders), 1))
            flow.send(first, out, riders)
            if rest is not None:
                flow.send(rest, out)
        else:
            flow.send(run, out)
        for riders in parts:
            flow.send(flow.connection.segment(ACK), out, riders)
        self.rearm()

    def _parts(self, run: Run) -> list[tuple[bytes, ...]]:
        """What waits as whole options, by segment; a message is not sent under another key than it was made for."""
        reporter = self.reporter
        reports = reporter is not None and reporter.busy
        if not (self._waiting or reports):
            return []
        connection = self._flow.connection
        points = self._flow.edo.dialect.points
        header = self._flow.plan(run.options, ACK).header_octets
        # The peer's MSS knows of no options (RFC 6691 §2), and what lies behind Data Offset is padded to words.
        area = min(connection.path_mtu_octets - connection.config.ip_header, connection.peer_mss + 20) - header & ~3
        sending = 0 if self.renewer is None else self.renewer.sending
        messages = [(kind, message) for kind, (of, message) in self._waiting.items() if of == sending]
        self._waiting.clear()
        if reporter is not None and reports:
            messages.append((MessageKind.REPORT, reporter.message()))
        parts: list[tuple[bytes, ...]] = []
        room = 0
        for kind, message in messages:
            whole = cut(kind, message, points=points)
            size = sum(map(len, whole))
            if size <= room:
                parts[-1] += whole
                room -= size
            elif size <= area:
                parts.append(whole)
                room = area - size
            else:
                try:
                    parts.extend(spread(kind, message, area, points=points))
                except ValueError:
                    # The path has become so narrow that 8 segments have no room for it: it is as if it were lost.
                    self._flow.stack.counters["messages_without_room"] += 1
                    continue
                room = 0
        return parts

    def _room(self, run: Run, riders: tuple[bytes, ...]) -> int:
        """Octets of the stream that a segment of ``run`` has room for beside ``riders``."""
        options = self._flow.plan(run.options, run.flags, riders).header_octets - 20
        return run.segment_size + self._flow.overhead - options

    def _rides(self, run: Run, riders: tuple[bytes, ...]) -> bool:
        """Whether a message goes with a run: it leaves half of a segment, which is no probe for the path's MTU."""
        if not run.length:
            return True
        size = self._flow.connection.segment_size
        return run.segment_size <= size and 2 * self._room(run, riders) >= size

    # --- time --------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Run what is due."""
        if self.renewer is not None:
            self.renewer.advance(now)
        if self.reporter is not None:
            self.reporter.advance(now)
            if self.reporter.fault is not None:
                self._handshake.reported(now)
        if self.prober is not None:
            self.prober.advance(now)
        self.rearm()

    def rearm(self) -> None:
        """Set when this has to be called again, and whether segments are to be shown."""
        renewer, reporter, prober = self.renewer, self.reporter, self.prober
        if renewer is None:
            return
        at = renewer.next_deadline
        busy = bool(self._waiting) or renewer.asks
        for part in (reporter, prober):
            if part is not None:
                at = min(at, part.next_deadline)
                busy = busy or part.busy
        self._handshake.next_deadline = None if at == _NEVER else at
        self._handshake.settled = not busy
