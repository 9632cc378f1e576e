"""Flow: one connection's way through the stack, from segments to runs and from runs to packets.

It joins the Connection (RFC 9293 and nothing else) with the three seams: option space, protection and handshake.
In: protection's verdict, option space's boundary, option values, runs of neighbours merged. Out: option space's
plan, then protection seals. While the handshake is not settled it sees every segment first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ao.keys import Key
from edo.fast import read_options
from edo.layout import NoRoom
from edo.negotiation import Edo, EdoState
from edo.options import Options
from edo.plan import Plan
from edo.reasons import EdoDrop
from edo.walk import walk

from . import ao_counters, edo_damage, merging, space
from .connection import Connection
from .events import Closed, Established, Event, Readable, SoftError, TcpError
from .ip_options import way_back
from .offload import counted
from .ports import Application, Door, FlowKey, Home, Shaking
from .protection import CLEAR, Protection
from .run import FIN, RST, SYN, URG, Run
from .sealer import Sealer
from .segment import Segment
from .seqnum import extend
from .states import State
from .upgraded import lay as lay_upgraded
from .variables import LEGACY_SACK_ROOM, NO_DROPS


class Flow:
    """A connection with its protection, option space and handshake.

    ``drops`` counts segments by the reason for which they were dropped, ``damaged`` those that show that EDO is not
    safe here; ``over``: the stack has forgotten the flow; ``overhead``: option octets of each data segment (-1: not
    known); ``upgraded``: segments leave as SEG-U, None where none is taken; ``merged``: the run of this batch that
    the next segment may join. Times are seconds of the stack's clock.
    """

    __slots__ = (
        "_answers_extended",
        "_closing",
        "_extended",
        "_laid",
        "_points",
        "_runs",
        "accept_icmps",
        "announced",
        "attempt",
        "connection",
        "damaged",
        "drops",
        "edo",
        "handshake",
        "ip_options",
        "key",
        "listener",
        "merged",
        "over",
        "overhead",
        "protection",
        "scheduled",
        "sealer",
        "stack",
        "started",
        "upgraded",
    )

    handshake: Shaking

    def __init__(
        self, stack: Home, key: FlowKey, connection: Connection, edo: Edo, started: float, accept_icmps: bool
    ) -> None:
        self.stack = stack
        self.key = key
        self.connection = connection
        self.edo = edo
        self._points = edo.dialect.points
        self.protection: Protection = CLEAR
        self.ip_options = connection.config.ip_options if len(key[0]) == 4 else b""
        self.mark(connection.config.ttl, connection.config.dscp)
        self.attempt: Application | None = None
        self.listener: Door | None = None
        self.drops: Counter[str] = NO_DROPS
        self.started = started
        self.accept_icmps = accept_icmps
        self.announced = False
        self.over = False
        self.damaged = 0
        self.scheduled: float | None = None
        self.upgraded: bool | None = None
        self._runs: list[Run] = []
        self.merged: Run | None = None
        self.overhead = -1
        # What the overhead follows from, as it was when it was told.
        self._laid: tuple[object, ...] = ()
        self._closing = False
        # Whether all segments of the batch have an Extension, and whether the RST that leaves answers such.
        self._extended = True
        self._answers_extended = False

    # --- segments in -------------------------------------------------------------------------------------

    def receive(self, segment: Segment, now: float) -> None:
        """Take one segment whose checksum and option structure are good; dropped ones are counted, silently."""
        connection = self.connection
        if self.stack.trace is not None:
            self.stack.trace.segment_received(self.key, segment, now)
        if connection.state is State.SYN_SENT:
            number = segment.seq
        else:
            number = extend(segment.seq, connection.rcv_nxt)
        verdict = self.protection.open(segment, number)
        if verdict is not None and verdict.__class__ is not Key:
            self.drop(str(verdict))
            return
        key: Key | None = verdict
        if not self.handshake.settled:
            self.finish(now)
            self.handshake.take(segment, number, key, now)
            return
        if key is None and self.protection.authenticates:
            self.handshake.clear(segment, number, now)
            return
        if self.read_behind(segment):
            if segment.options.ke and key is not None:
                self.handshake.exchange(segment, key, now)
            self.collect(segment, number, key)

    def read_behind(self, segment: Segment) -> bool:
        """Find the header's true end, walk what lies behind Data Offset and read the options; False: dropped."""
        spans = segment.spans
        edo = self.edo
        if edo.state is not EdoState.OFF:
            boundary = edo.boundary(segment.tcp, segment.data_offset, spans, segment.flags)
            if boundary.__class__ is not int:
                return edo_damage.drop(self.stack, self, segment, str(boundary))
            segment.header_end = boundary
            if segment.header_end > segment.data_offset:
                behind = walk(segment.tcp, segment.data_offset, segment.header_end)
                if behind is None:
                    return edo_damage.drop(self.stack, self, segment, EdoDrop.MALFORMED_OPTION)
                spans = spans + behind
            if not edo.extended:
                self._extended = False
        segment.options = read_options(segment.tcp, spans, self._points)
        return True

    def read_inside(self, segment: Segment) -> None:
        """Read the options inside Data Offset only: of a SYN, whose Extension has no meaning (EDO rule N2)."""
        segment.options = read_options(segment.tcp, segment.spans, self._points)

    def deliver(self, segment: Segment, number: int, key: Key | None, now: float, *, payload: bool = True) -> None:
        """Hand one segment, options read, to the connection at once (not ``payload``: its header, without FIN)."""
        self._receive([self._run_of(segment, number, key, payload)], now)

    def _receive(self, runs: list[Run], now: float) -> None:
        connection = self.connection
        connection.receive(runs, now)
        out = connection.out
        if out and out[-1].flags & RST:
            self._answers_extended = self._extended
        self._extended = True
        self.settle(now)

    def _run_of(self, segment: Segment, number: int, key: Key | None, payload: bool) -> Run:
        octets = segment.tcp[segment.header_end :] if payload else memoryview(b"")
        length = len(octets)
        return Run(
            number,
            extend(segment.ack, self.connection.snd_nxt),
            segment.flags if payload else segment.flags & ~(FIN | URG),
            segment.window,
            segment.options,
            [octets] if length else (),
            length,
            urgent=segment.urgent,
            segments=segment.segments,
            ecn=segment.ecn,
            cipher=key.decrypt if key is not None else None,
        )

    def collect(self, segment: Segment, number: int, key: Key | None) -> None:
        """Keep a segment for the end of the batch, joined to its neighbour where nothing tells them apart."""
        self.add(self._run_of(segment, number, key, True))
        lanes = self.stack.lanes
        if lanes is not None and segment.segments == 1:
            lanes.learn(self, segment, key)

    def add(self, run: Run) -> None:
        """As ``collect``, of a segment's run."""
        self.merged = merging.add(self._runs, self.merged, run)

    def finish(self, now: float) -> None:
        """The batch is done: the connection takes what was collected, with one acknowledgment decision."""
        if self._runs:
            runs = self._runs
            self._runs = []
            self.merged = None
            self._receive(runs, now)

    def drop(self, reason: str) -> None:
        """Count one dropped segment."""
        if self.drops is NO_DROPS:
            self.drops = Counter()
        self.drops[str(reason)] += 1
        self.stack.note(str(reason))
        if reason == EdoDrop.MALFORMED_OPTION and self.edo.on:
            self.stack.counters["edo_malformed"] += 1
        if self.stack.trace is not None:
            self.stack.trace.segment_dropped(self.key, str(reason), self.stack.now)

    # --- time and events ---------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` has something to do, seconds; None for never."""
        own = self.connection.next_deadline
        other = self.handshake.next_deadline
        if own is None or other is None:
            return own if other is None else other
        return min(own, other)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        due = self.handshake.next_deadline
        if due is not None and due <= now:
            self.handshake.advance(now)
        self.connection.advance(now)
        self.settle(now)

    def settle(self, now: float) -> None:
        """Pass on what the connection has to tell, and announce it once the handshake says that it is ready."""
        connection = self.connection
        while (event := connection.next_event()) is not None:
            if event.__class__ is Established:
                self.handshake.established(now)
                self.protection.limit(space.mac_room(self.edo, timestamps=connection.timestamps))
                if self.listener is not None:
                    self.listener.stood(self)
            elif event.__class__ is Closed:
                self._closed(event)
            elif self.announced or event.__class__ is SoftError:
                self.tell(event)
        if not self.announced and not self.over and self.handshake.ready:
            self._announce()
        if connection.state is State.CLOSED and not self.over and not connection.out:
            # Not before its last words, a reset it may be, have been taken.
            self.leave()
        elif connection.state is State.TIME_WAIT and not self.over:
            self.stack.memory.lingers(self)
        self.stack.touch(self)
        if self.stack.trace is not None:
            self.stack.trace.updated(self.key, connection, now)

    def _announce(self) -> None:
        self.announced = True
        if self.protection.authenticates and not self.accept_icmps:
            self.connection.rely_on_probes(self.stack.now)
        if self.listener is not None:
            self.listener.offer(self)
        self.tell(Established())
        if self.attempt is not None:
            self.attempt.settled()
        if self.connection.readable or self.connection.eof:
            self.tell(Readable())

    def _closed(self, event: Closed) -> None:
        error = event.error or TcpError(0, "closed before it was established")
        attempt = self.attempt
        if attempt is not None and event.error is not None and self.announced and self._untouched():
            # A fallback that is reset before anything crossed it may have its place taken (profile.md §2).
            if not attempt.replaced(self, error):
                self.tell(event)
        elif self.announced:
            self.tell(event)
        elif attempt is not None:
            attempt.lost(self, error)

    def tell(self, event: Event) -> None:
        """Queue ``event`` for the application, if there is one."""
        if self.attempt is not None:
            self.attempt.push(event)

    def _untouched(self) -> bool:
        """Whether the connection went on plain and no octet was written, acknowledged or read."""
        connection = self.connection
        return self.handshake.fell_back and not (connection.octets_in or connection.octets_out or connection.unsent)

    def fail(self, error: TcpError, now: float) -> None:
        """End the flow with ``error``, without another segment; the handshake has sent what is to be sent."""
        if self.over:
            return
        self.leave()
        unsent = self.connection.unsent
        if self.announced:
            self.tell(Closed(error, unsent))
        elif self.attempt is not None:
            self.attempt.lost(self, error)

    def leave(self) -> None:
        """The stack forgets the flow; keys are wiped (profile.md §7)."""
        self.over = True
        if self.listener is not None:
            self.listener.gone(self)
        self.stack.forget(self)
        self.stack.memory.left(self)
        ao_counters.keep(self, self.stack.counters)
        self.protection.wipe()

    # --- packets out -------------------------------------------------------------------------------------

    def mark(self, ttl: int, dscp: int) -> None:
        """Packets have this TTL (1-255) and DSCP (0-63) from now on, else ValueError (RFC 9293 §3.9.1.9)."""
        home = self.stack
        alike, offload = home.lanes is not None, home.offload
        self.sealer = Sealer(
            *self.key, ttl=ttl, dscp=dscp, ip_options=self.ip_options, alike=alike, offload=offload
        )
        config = self.connection.config
        if (config.ttl, config.dscp) != (ttl, dscp):
            self.connection.config = replace(config, ttl=ttl, dscp=dscp)

    def route_back(self, options: bytes, now: float) -> None:
        """The peer's packet of just now had these IP options: answer by its source route (RFC 9293 §3.9.2.1).

        Where that is allowed, in a connection that was opened passively, and not where the application named one of
        its own (MUST-52). That of a packet which is not acceptable is not followed, the latest is (SHLD-24).
        """
        connection = self.connection
        config = connection.config
        if not config.source_routes or config.ip_options or not connection.passive:
            return
        self.finish(now)
        route = way_back(options)
        if route is None or (connection.state is not State.SYN_RECEIVED and connection.heard_at != now):
            return
        self.ip_options = route
        self.overhead = -1
        self.mark(config.ttl, config.dscp)

    def abort(self) -> None:
        """End the connection at the next output, with RST (RFC 9293 §3.10.5)."""
        self._closing = True
        self.stack.touch(self)

    def take_output(self, now: float, out: list[bytes]) -> None:
        """Append the packets that are to be sent now."""
        if self.over:
            return
        if self._closing:
            self._closing = False
            self.handshake.abort(now)
            if self.over:
                return
        self.update_overhead()
        runs = self.connection.take_output(now)
        if self.handshake.settled:
            for run in runs:
                self.send(run, out)
        else:
            for run in runs:
                self.handshake.dress(run, now, out)
        self._answers_extended = False
        if self.connection.state is State.CLOSED or runs:
            self.settle(now)

    def send(
        self, run: Run, out: list[bytes], riders: tuple[bytes, ...] = (), protection: Protection | None = None
    ) -> None:
        """Lay out and seal one run (riders: whole options that go with it)."""
        protection = protection or self.protection
        try:
            plan = self.plan(run.options, run.flags, riders, protection, run.length)
        except NoRoom:
            # A key that was added since: who adds it is told when he connects or listens with it the next time.
            self.drop("no_room")
            return
        room = max(run.segment_size + self.overhead - (plan.header_octets - 20), 1)
        if run.flags & SYN and not plan.whole and (carried := space.not_carried(run.options, plan, self._points)):
            # Options for which its SYN had no room are not in use (RFC 7323 §2.2, §3.2).
            self.connection.renounce(carried)
        before = len(out)
        protection.seal(self.sealer, run, plan, room, out)
        if self.stack.trace is not None:
            self.stack.trace.segments_sent(self.key, run, *counted(out[before:]), self.stack.now)

    def plan(
        self,
        options: Options,
        flags: int,
        riders: tuple[bytes, ...] = (),
        protection: Protection | None = None,
        length: int = 0,
    ) -> Plan:
        """Lay out the header with which a run of ``length`` octets with ``options`` and ``flags`` goes."""
        if self.upgraded:
            return lay_upgraded(options, riders)
        answers = self._answers_extended
        protection = protection or self.protection
        return space.lay(self.edo, protection, options, flags, riders, answers_extended=answers, length=length)

    def update_overhead(self) -> None:
        """Tell the connection how many option octets each data segment carries (RFC 9293 §3.7.1, eff. send MSS)."""
        connection, edo, protection = self.connection, self.edo, self.protection
        laid = (connection.timestamps, edo.state, protection, protection.ao_octets, connection.segment_size)
        if laid == self._laid and self.overhead >= 0:
            return
        overhead = space.overhead(edo, protection, timestamps=connection.timestamps)
        if overhead != self.overhead:
            self.overhead = overhead
            # Options of IP take of a segment's room as well (RFC 9293 §3.7.1).
            connection.set_overhead(overhead + self.sealer.ip_octets - connection.config.ip_header)
        if edo.state is not EdoState.OFF or connection.sack_room != LEGACY_SACK_ROOM:
            connection.sack_room = space.sack_room(edo, protection, connection.segment_size)
        self._laid = laid
