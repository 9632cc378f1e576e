"""Connection: RFC 9293 sans-IO. Runs and the time go in, runs and events come out.

It knows neither the octets of options nor keys; what it knows is its TCB.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from edo.options import Options

from . import arrival, closing, ledger, paced, pmtu, receiver, sender, timers
from .chronograph import Chronograph, Limit
from .config import TcpConfig
from .congestion import find
from .events import Event, TcpError
from .fastopen import FastOpening
from .memory import Memory
from .pacing import OFF
from .pacing import find as find_pacer
from .recovery import find as find_recovery
from .run import ACK, SYN, Run
from .states import State, Trigger
from .tcb import NEVER, Tcb
from .user_timeout import attach as attach_timeout
from .user_timeout import configured as timeout_configured

_SYN_SENT = State.SYN_SENT
_SYN_RECEIVED = State.SYN_RECEIVED


class Connection(Tcb):
    """One TCP connection.

    Verbs: ``connect`` or ``accept``, then ``receive``, ``advance``, ``take_output``, ``next_deadline`` and
    ``next_event``. ``now`` is seconds, never less than before. Nothing that arrives raises. After any call the
    owner asks for output, events and the deadline again. ``hold_data`` keeps text and FIN back while it is True.
    Options of an outgoing run without SYN may be shared by several runs and must not be changed.
    """

    __slots__ = ()

    def __init__(self, config: TcpConfig, iss: int, *, clock_offset: int = 0) -> None:
        super().__init__(config, iss, clock_offset=clock_offset)
        find_recovery(config.recovery)
        if config.pacing != OFF:
            find_pacer(config.pacing)

    # --- verbs -------------------------------------------------------------------------------------------

    def connect(self, now: float, opening: FastOpening | None = None, text: bytes = b"") -> None:
        """OPEN call, active (RFC 9293 §3.10.1): send a SYN. Raises TcpError if it was opened before."""
        self._open(now)
        self.move(Trigger.ACTIVE_OPEN)
        self.resize()
        self.snd_nxt = self.iss + 1
        self.sending.append(text)
        self.sending.mark(push=bool(text), record=False)
        if opening is not None:
            opening.octets = min(opening.octets, len(text))
            self.snd_nxt += opening.octets
            self.opening = opening
        self.syn_sent_at = now
        self.ecn_offered = self.config.ecn in ("offer", "accurate")
        timers.send_syn(self)
        timers.start_syn(self, now)

    def accept(self, run: Run, now: float, opening: FastOpening | None = None) -> None:
        """A passive open has received ``run``, a SYN (RFC 9293 §3.10.7.2). Raises TcpError if opened before."""
        self._open(now)
        self.opening = opening
        arrival.listen_state(self, run, now)
        if opening is not None and opening.accepted:
            self.fast_opened = True
            arrival.begin_transfer(self, now)

    def _open(self, now: float) -> None:
        if self.state is not State.CLOSED or self.closed_told:
            raise TcpError(errno.EISCONN, "the connection was opened before")
        self.now = now
        self.progress_at = now

    def receive(self, runs: list[Run], now: float) -> None:
        """SEGMENT ARRIVES for each run in order, then one decision on what to acknowledge (MUST-58, MUST-59)."""
        self.now = now
        before = self.rcv_nxt
        if self.memory.held + self.rcv_adv - before > self.memory.high:
            self._receive_little(runs, now)
        else:
            for run in runs:
                arrival.segment_arrives(self, run, now)
                if self.quick is not None and run.length and self.rcv_nxt != before:
                    segments = (self.rcv_adv - self.rcv_nxt) // self.rcv_mss
                    self.quick.text_came(now, segments, self.rtt.rto)
        ledger.settle(self)
        if self.wrote:
            self.tell_writable()
        if self.rcv_nxt != before and self.state > _SYN_RECEIVED:
            if self.incoming.octets and not self.closed_told:
                self.tell_readable()
            if self.rcv_nxt != self.last_ack_sent and not self.ack_now:
                receiver.decide_ack(self, now)

    def _receive_little(self, runs: list[Run], now: float) -> None:
        """``receive`` where what was promised to the peer may be more than there is memory for."""
        for run in runs:
            room = ledger.room_for(self, run.length)
            if room < run.length:
                self.drop("no_memory")
                self.ack_now = True
                run = ledger.shortened(run, room)
            arrival.segment_arrives(self, run, now)
            ledger.settle(self)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        self.now = now
        timers.run_due(self, now)

    def take_output(self, now: float) -> list[Run]:
        """Return the runs to be sent now, in order."""
        self.now = now
        if self.pacer is None:
            sender.output(self, now)
        else:
            paced.output(self, now)
        if self.chronograph is not None:
            self._keep_time(self.chronograph, now)
        if self.ack_now and self.state > _SYN_SENT:
            self.out.append(receiver.acknowledgment(self, now))
        out = self.out
        if not out:
            return []
        if self.tells_timeout:
            attach_timeout(self, out)
        self.out = []
        return out

    def _keep_time(self, chronograph: Chronograph, now: float) -> None:
        waiting = self.sending.end - self.snd_nxt
        if self.sending.end == self.snd_una or self.state < State.ESTABLISHED:
            limit = Limit.IDLE
        elif waiting > 0 and not self.cwnd_limited and self._beyond_window(waiting):
            limit = Limit.WINDOW
        elif waiting <= 0 and self.starved and not self.cwnd_limited:
            limit = Limit.BUFFER
        else:
            limit = Limit.BUSY
        chronograph.turn(limit, now)

    def _beyond_window(self, waiting: int) -> bool:
        """Whether the peer's window has no room for the next segment."""
        return self.snd_una + self.snd_wnd - self.snd_nxt < min(waiting, self.segment_size)

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` has something to do, seconds; None for never."""
        at = timers.next_deadline(self)
        return None if at == NEVER else at

    def next_event(self) -> Event | None:
        """The next event that was not yet taken, None if there is none."""
        events = self._events
        if not events:
            return None
        event = events.pop(0)
        if not events:
            self._events = None
        return event

    # --- the application ---------------------------------------------------------------------------------

    def write(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """SEND call: queue all octets.

        Raises TcpError: EPIPE after write_eof, close or the end, ENOBUFS where the stack's memory is used up.
        ``urgent``: the urgent pointer moves behind these octets (RFC 9293 §3.8.5); RFC 6093 §5 advises against it.
        ``push`` off: more will follow, so that they need no PSH where writes have one (``burst_segments``).
        ``record``: what is written after them never shares a segment with them.
        """
        if self.fin_queued or self.read_closed or self.closed_told:
            raise TcpError(errno.EPIPE, "write after the sending side was closed")
        if ledger.room_for(self, len(data)) < len(data):
            raise TcpError(errno.ENOBUFS, f"the stack's memory is used up: no room for {len(data)} octets")
        self.queue(data, urgent=urgent, push=push, record=record)

    def queue(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """As ``write``, which was allowed."""
        self.sending.append(data if data.__class__ is bytes else bytes(data))
        if data and (record or (push and self.sending.pushes is not None)):
            self.sending.mark(push=push, record=record)
        if urgent and data:
            self.snd_up = self.sending.end
            # The pointer is told at once even where the window lets no octet go (RFC 9293 §3.10.2).
            self.ack_now = self.ack_now or self.snd_una + self.snd_wnd <= self.snd_nxt
        ledger.settle(self)

    def write_eof(self) -> None:
        """CLOSE call for one direction: a FIN follows what was written; reading goes on."""
        if not self.closed_told:
            closing.end_sending(self)

    def read(self, limit: int = -1, *, whole: bool = True) -> bytes:
        """RECEIVE call: up to ``limit`` octets (negative: all) that came in order; empty if there are none.

        Not ``whole``: it may be fewer than there are, where that saves a copy.
        """
        data = self.incoming.read(limit, whole)
        if data:
            if not self.config.receive_buffer:
                ledger.measure_reading(self, len(data))
            ledger.settle(self)
            window = self.rcv_adv - self.rcv_nxt
            # No more than the window field can tell (RFC 7323 §2.2).
            free = min(self.receive_buffer - self.incoming.octets, 0xFFFF << self.rcv_wscale)
            if self.rcv_adv == self.irs + 1 + self.first_window:
                # So far only a SYN told of the window, which it does without a scale: the peer lacks no room.
                free = min(free, self.first_window)
            if self.config.bsd_updates:
                self.ack_now = self.ack_now or receiver.bsd_update(self, free, window)
            elif free >= 2 * window and free - window >= self.sws_step and self.state < State.CLOSE_WAIT:
                # The peer may be waiting for room: tell it (RFC 9293 §3.8.6.2.2).
                self.ack_now = True
        return data

    def peek(self, limit: int) -> bytes:
        """The first octets of what ``read`` would return, at most ``limit``; they stay."""
        return self.incoming.peek(limit)

    @property
    def readable(self) -> int:
        """Octets that ``read`` would return now."""
        early = self.fast_opened or self.closed_told
        return self.incoming.octets if self.state > State.SYN_RECEIVED or early else 0

    @property
    def urgent(self) -> int:
        """Octets up to the urgent pointer that are not read yet, arrived or not (RFC 9293 §3.8.5, MUST-33)."""
        fin = 0 <= self.peer_fin < self.rcv_nxt
        end = self.peer_fin if fin else self.rcv_nxt
        return max((min(self.rcv_up, end) if fin else self.rcv_up) - (end - self.incoming.octets), 0)

    @property
    def eof(self) -> bool:
        """Whether the peer has closed and everything before was read."""
        return 0 <= self.peer_fin < self.rcv_nxt and not self.incoming.octets

    @property
    def unsent(self) -> int:
        """Octets written and not yet acknowledged, sent or not."""
        return self.sending.end - self.sending.base

    @property
    def unacked(self) -> int:
        """Octets sent and not yet acknowledged."""
        return max(min(self.snd_nxt, self.sending.end) - self.sending.base, 0)

    @property
    def send_room(self) -> int:
        """How many octets fit until the send buffer is full; ``write`` takes more while there is memory."""
        return ledger.send_room(self)

    @property
    def send_buffer(self) -> int:
        """Octets that may wait or be under way before writing has to wait."""
        return ledger.send_buffer(self)

    def open_account(self, memory: Memory) -> None:
        """The connection belongs to a stack with this account."""
        self.memory = memory
        ledger.open_account(self)

    def close_account(self) -> None:
        """The stack has forgotten the connection."""
        ledger.close_account(self)

    def __del__(self) -> None:
        # What was never read goes with the last one who could have.
        self.memory.charge(-self.charged)

    @property
    def rcv_wnd(self) -> int:
        """RCV.WND: octets beyond RCV.NXT that are accepted."""
        return self.rcv_adv - self.rcv_nxt

    def close(self, now: float | None = None) -> None:
        """CLOSE call for both directions (RFC 9293 §3.10.4); unread octets make it a reset (RFC 2525 §2.17).

        ``now`` None: the time of the latest call that named one.
        """
        self.now = self.now if now is None else now
        closing.close(self)

    def abort(self, now: float) -> None:
        """ABORT call (RFC 9293 §3.10.5): RST, and everything is over."""
        self.now = now
        closing.abort(self)

    # --- what the handshake above it decides -------------------------------------------------------------

    def set_overhead(self, octets: int) -> None:
        """Option octets that each data segment carries, timestamps included (RFC 9293 §3.7.1)."""
        self._overhead = octets
        self.resize()

    def configure(self, config: TcpConfig, now: float) -> None:
        """Take other settings from now on; what the SYNs have settled stays as it is (RFC 9293 §3.9.1).

        Room, intervals and the controller change at once; the window that was advertised is never taken back.
        """
        self.now = now
        before, self.config = self.config, config
        if self.state > (_SYN_RECEIVED if self.passive else _SYN_SENT):
            self.round_buffers()
            config = self.config
        if config.first_receive_buffer != before.first_receive_buffer:
            self.receive_target = config.first_receive_buffer
        self.limit_receive_buffer(self.receive_target)
        self.user_timeout = config.user_timeout
        if self.state is State.CLOSED:
            self.announce_mss()
        self.resize()
        if self.rexmt_at != NEVER and config.user_timeout > 0.0:
            self.rexmt_at = min(self.rexmt_at, max(self.progress_at + config.user_timeout, now))
        if config.delayed_ack <= 0.0 and self.delack_at != NEVER:
            self.delack_at = NEVER
            self.ack_now = True
        if self.state >= State.ESTABLISHED:
            if (config.timeout_option, config.user_timeout) != (before.timeout_option, before.user_timeout):
                timeout_configured(self)
            self._reconfigure_timers(before, now)
            if config.congestion != before.congestion:
                # The window is what the path has shown; how it grows from here is another's rule.
                ssthresh = self.control.ssthresh
                self.control = find(config.congestion)(self.control.cwnd)
                self.control.ssthresh = ssthresh

    def _reconfigure_timers(self, before: TcpConfig, now: float) -> None:
        config = self.config
        if not config.keepalive or self.state is State.TIME_WAIT:
            self.keep_at = NEVER
        elif (before.keepalive, before.keepalive_idle) != (True, config.keepalive_idle):
            self.keep_probes = 0
            self.keep_at = max(self.heard_at + config.keepalive_idle, now)

    def cork(self, held: bool) -> None:
        """Hold back a last segment that is not full, at most for the persist timer's interval; or no longer."""
        self.corked = held

    def hurry(self) -> None:
        """What was written so far waits for no more octets, corked or not."""
        self.rush = self.sending.end

    def renounce(self, sent: Options) -> None:
        """Our SYN or SYN-ACK had room for no other options than these: what it lacks is not in use."""
        timestamps, sack, scaling = sent.ts_val is not None, sent.sack_permitted, sent.wscale is not None
        if self.state is _SYN_SENT:
            # What was not offered is not taken from a SYN-ACK either, nor offered by the next SYN.
            config = self.config
            self.config = replace(
                config,
                timestamps=config.timestamps and timestamps,
                sack=config.sack and sack,
                window_scaling=config.window_scaling and scaling,
            )
            return
        self.timestamps = self.timestamps and timestamps
        self.sack_ok = self.sack_ok and sack
        if self.scaling and not scaling:
            self.scaling = False
            self.snd_wscale = self.rcv_wscale = 0

    def answer_anew(self, options: Options, now: float) -> None:
        """SYN-RECEIVED: the peer's SYN is found to have these options, and the SYN-ACK is sent again."""
        self.now = now
        self.take_syn_options(options)
        timers.repeat_syn(self, now)

    def rely_on_probes(self, now: float) -> None:
        """ICMP is not believed from now on (RFC 5925 §7.8): the path's MTU is found by probes (RFC 8899)."""
        pmtu.rely_on_probes(self, now)

    def path_mtu(self, mtu: int, now: float) -> None:
        """ICMP says that the path takes packets of ``mtu`` octets (0: it names none); RFC 1191 §6.4, RFC 8201."""
        pmtu.too_big(self, mtu, now)
        if self.state is _SYN_SENT and not self.transmission and self.opening is not None and self.opening.octets:
            # It was the text that made the SYN too big (RFC 7413 §4.1.3.1).
            timers.repeat_syn(self, now)

    def answered_before(self, retries: int, transmissions: int, at: float | None) -> None:
        """Our SYN-ACK was sent: repeated so often by its timer and in all, and is again ``at`` (None: never)."""
        self.retries = retries
        self.transmission = transmissions
        for _ in range(retries):
            self.rtt.back_off()
        self.rexmt_at = NEVER if at is None else at

    def probe(self, now: float) -> None:
        """Draw an acknowledgment from the peer, as a keepalive does (RFC 9293 §3.8.4), if the connection stands."""
        if self.state >= State.ESTABLISHED:
            self.out.append(self.control_run(ACK, self.snd_nxt - 1, self.plain_options(now)))

    def segment(self, flags: int = ACK, seq: int | None = None) -> Run:
        """A bare control segment with the current acknowledgment, window and timestamps."""
        options = self.plain_options(self.now) if not flags & SYN else self.syn_options(bool(flags & ACK))
        return self.control_run(flags, self.snd_nxt if seq is None else seq, options)
