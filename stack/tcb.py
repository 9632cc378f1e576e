"""The Transmission Control Block (RFC 9293 §3.3.1): everything a connection knows, and its smallest operations.

The files ``arrival``, ``receiver``, ``sender``, ``recovery``, ``timers`` and ``closing`` hold the rules, as
functions of a TCB.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from edo.options import Options

from .buffers import ReceiveBuffer, SendBuffer
from .config import TcpConfig
from .congestion import CongestionControl, find
from .events import Event, Readable, SoftError, TcpError, Urgent, Writable
from .rtt import RttEstimator
from .run import ACK, Run
from .scoreboard import Scoreboard
from .states import State, Trigger, after

NEVER: Final = math.inf
MASK: Final = 0xFFFFFFFF
HALF: Final = 0x80000000
NO_OPTIONS: Final = Options()
# What a peer's MSS is taken for if it is less, octets; the default where it names none (RFC 9293 §3.7.1).
_LEAST_MSS: Final = 64
_DEFAULT_MSS: Final = {20: 536, 40: 1220}
_LEAST_SEGMENT: Final = 16
_MAX_WSCALE: Final = 14
# Options of a data segment that has timestamps and nothing else, octets (RFC 7323 appendix A).
_TIMESTAMP_OVERHEAD: Final = 12

# States of loss recovery: nothing wrong; fast recovery (RFC 6675 §5, RFC 6582 §3); after a timeout.
OPEN: Final = 0
FAST: Final = 1
LOSS: Final = 2

# Shared by every connection that has dropped nothing yet; never written to.
NO_DROPS: Final[Counter[str]] = Counter()
# Stands where there is no controller before a connection is established.
_UNOPENED: Final = CongestionControl(0)


class Tcb:
    """State variables under the names of RFC 9293 §3.3.1; stream numbers have 64 bits, times are seconds.

    ``snd_up`` and ``rcv_up`` are the numbers of the first octets behind urgent data (RFC 9293 §3.8.5). ``rcv_adv``
    is the right edge of the window that was advertised, ``probing`` whether the octet at SND.NXT was
    sent as a zero-window probe, ``peer_fin`` the number of the peer's FIN (-1: none seen), ``recover`` the
    recovery point, ``announced_mss`` the MSS option that is sent: octets of a segment without options (RFC 6691).
    ``softly`` is the last soft error since octets were acknowledged. ``corked``: a last segment that is not full
    waits for more octets. ``*_at`` are deadlines, infinite when the timer is off.
    """

    __slots__ = (
        "_events",
        "_overhead",
        "ack_now",
        "announced_mss",
        "challenge_from",
        "challenges",
        "clock_offset",
        "closed_told",
        "config",
        "control",
        "corked",
        "cwnd_limited",
        "delack_at",
        "drops",
        "dup_octets",
        "dupacks",
        "error",
        "fast_retransmit",
        "fin_queued",
        "heard_at",
        "hold_data",
        "incoming",
        "irs",
        "iss",
        "keep_at",
        "keep_probes",
        "last_ack_sent",
        "limited",
        "linger_at",
        "max_snd_wnd",
        "now",
        "octets_in",
        "octets_out",
        "out",
        "override",
        "partial",
        "passive",
        "path_mtu_octets",
        "peer_fin",
        "peer_mss",
        "persist_at",
        "persisting",
        "probing",
        "progress_at",
        "rcv_adv",
        "rcv_mss",
        "rcv_nxt",
        "rcv_up",
        "rcv_wscale",
        "read_closed",
        "receive_buffer",
        "recent",
        "recover",
        "recovery",
        "rescued",
        "retransmissions",
        "retries",
        "rexmt_at",
        "rtt",
        "sack_ok",
        "sampled_options",
        "scaling",
        "scoreboard",
        "segment_size",
        "sending",
        "sent_at",
        "snd_nxt",
        "snd_sml",
        "snd_una",
        "snd_up",
        "snd_wl1",
        "snd_wl2",
        "snd_wnd",
        "snd_wscale",
        "softly",
        "state",
        "sws_step",
        "syn_sent_at",
        "timestamps",
        "transmission",
        "ts_recent",
        "ts_recent_at",
        "user_timeout",
        "wrote",
    )

    def __init__(self, config: TcpConfig, iss: int, *, clock_offset: int = 0) -> None:
        self.config = config
        self.receive_buffer = config.receive_buffer
        self.state = State.CLOSED
        self.passive = False
        self.now = 0.0
        self.error: TcpError | None = None
        self.softly: TcpError | None = None
        self._events: list[Event] | None = None
        self.closed_told = False
        self.out: list[Run] = []
        # Send sequence variables.
        self.iss = iss
        self.snd_una = iss
        self.snd_nxt = iss
        self.snd_up = iss
        self.snd_wnd = 0
        self.max_snd_wnd = 0
        self.snd_wl1 = 0
        self.snd_wl2 = 0
        self.snd_wscale = 0
        self.snd_sml = iss
        self.probing = False
        self.fin_queued = False
        self.hold_data = False
        self.corked = False
        self.sending = SendBuffer(iss + 1)
        self.sent_at = 0.0
        # Receive sequence variables.
        self.irs = 0
        self.rcv_nxt = 0
        self.rcv_up = 0
        self.rcv_adv = 0
        self.rcv_wscale = 0
        self.rcv_mss = 536
        self.peer_fin = -1
        self.read_closed = False
        self.incoming = ReceiveBuffer(max(64, config.receive_buffer >> 9))
        self.recent: list[int] | None = None
        self.ack_now = False
        self.last_ack_sent = 0
        # Options in use.
        self.timestamps = False
        self.scaling = False
        self.sack_ok = False
        self.clock_offset = clock_offset
        self.ts_recent = 0
        self.ts_recent_at = 0.0
        self.sampled_options = NO_OPTIONS
        # Segment size.
        self._overhead = -1
        self.path_mtu_octets = config.mtu
        self.announce_mss()
        self.peer_mss = _DEFAULT_MSS.get(config.ip_header, 536)
        self.segment_size = 0
        self.sws_step = 0
        # Loss and congestion.
        self.scoreboard = Scoreboard()
        self.rtt = RttEstimator(config.rto_initial, config.rto_min, config.rto_max)
        self.control = _UNOPENED
        self.recovery = OPEN
        self.recover = iss
        self.dupacks = 0
        self.dup_octets = 0
        self.limited = 0
        self.rescued = False
        self.partial = False
        self.wrote = False
        self.fast_retransmit = False
        self.cwnd_limited = False
        # Timers.
        self.rexmt_at = NEVER
        self.persist_at = NEVER
        self.persisting = 0
        self.override = False
        self.delack_at = NEVER
        self.keep_at = NEVER
        self.keep_probes = 0
        self.linger_at = NEVER
        self.heard_at = 0.0
        self.progress_at = 0.0
        self.user_timeout = config.user_timeout
        self.retries = 0
        self.transmission = 0
        self.syn_sent_at = 0.0
        self.challenges = 0
        self.challenge_from = 0.0
        # Counters.
        self.retransmissions = 0
        self.octets_in = 0
        self.octets_out = 0
        self.drops: Counter[str] = NO_DROPS
        find(config.congestion)

    # --- state and events --------------------------------------------------------------------------------

    def move(self, trigger: Trigger) -> None:
        """Change the state by the table of ``states``."""
        self.state = after(self.state, trigger)

    def tell(self, event: Event) -> None:
        """Queue an event for the application."""
        if self._events is None:
            self._events = [event]
        else:
            self._events.append(event)

    def tell_readable(self) -> None:
        """Queue Readable unless it is the last event that waits."""
        events = self._events
        if events and events[-1].__class__ is Readable:
            return
        self.tell(Readable())

    def soft_error(self, error: TcpError) -> None:
        """Remember an error that ends nothing, and report it unless reports are off (RFC 9293 §3.9.1.8)."""
        self.softly = error
        if self.config.reports:
            self.tell(SoftError(error))

    def tell_urgent(self) -> None:
        """Queue Urgent unless it is the last event that waits."""
        events = self._events
        if not events or events[-1].__class__ is not Urgent:
            self.tell(Urgent())

    def tell_writable(self) -> None:
        """Queue one Writable for all that a batch acknowledged."""
        self.wrote = False
        self.tell(Writable())

    def drop(self, reason: str) -> None:
        """Count a received segment that is dropped."""
        if self.drops is NO_DROPS:
            self.drops = Counter()
        self.drops[reason] += 1

    # --- sizes -------------------------------------------------------------------------------------------

    def announce_mss(self) -> None:
        """The MSS option to send: what the link's MTU and the application allow (RFC 9293 §3.7.1, RFC 6691)."""
        config = self.config
        room = config.mtu - config.ip_header - 20
        self.announced_mss = min(room, config.mss) if config.mss else room

    def resize(self) -> None:
        """Compute Eff.snd.MSS (RFC 9293 §3.7.1), octets."""
        overhead = self._overhead
        if overhead < 0:
            overhead = _TIMESTAMP_OVERHEAD if self.timestamps else 0
        config = self.config
        room = (
            min(self.peer_mss, self.path_mtu_octets - config.ip_header - 20, config.mss or self.peer_mss) - overhead
        )
        self.segment_size = max(room, _LEAST_SEGMENT)
        self.sws_step = min(self.receive_buffer // 2, self.segment_size)
        if self.control is not _UNOPENED and self.control.cwnd < self.segment_size:
            # A window of less than one segment would let nothing go.
            self.control.cwnd = self.segment_size

    def lower_path_mtu(self, mtu: int, now: float) -> None:
        """The path takes packets of ``mtu`` octets, if that is less than known: what was larger is sent again."""
        if mtu >= self.path_mtu_octets:
            return
        self.now = now
        before = self.segment_size
        self.path_mtu_octets = mtu
        self.resize()
        if self.segment_size < before and self.scoreboard.mark_larger(self.segment_size):
            self.fast_retransmit = True

    @property
    def initial_window(self) -> int:
        """RFC 6928 §2, octets; one segment if the SYN had to be repeated (RFC 5681 §3.1)."""
        size = self.segment_size
        if self.transmission:
            return size
        segments = self.config.initial_window
        return min(segments * size, max(2 * size, segments * 1460))

    def take_syn_options(self, options: Options) -> None:
        """Put into use what the peer's SYN offers or confirms, if this side may (RFC 7323 §2, §3; RFC 2018 §2)."""
        config = self.config
        if options.mss is not None:
            self.peer_mss = max(options.mss, _LEAST_MSS)
        self.sack_ok = config.sack and options.sack_permitted
        self.scaling = config.window_scaling and options.wscale is not None
        if self.scaling and options.wscale is not None:
            self.snd_wscale = min(options.wscale, _MAX_WSCALE)
            self.rcv_wscale = self.wanted_wscale
        else:
            self.snd_wscale = self.rcv_wscale = 0
        self.timestamps = config.timestamps and options.ts_val is not None
        if self.timestamps and options.ts_val is not None:
            self.ts_recent = options.ts_val
            self.ts_recent_at = self.now
        self.resize()

    @property
    def wanted_wscale(self) -> int:
        """The shift to offer: the least with which the whole receive buffer can be advertised (RFC 7323 §2.2)."""
        if self.config.window_scale >= 0:
            return self.config.window_scale
        shift = 0
        while shift < _MAX_WSCALE and self.config.receive_buffer >> shift > 0xFFFF:
            shift += 1
        return shift

    def syn_options(self, answer: bool) -> Options:
        """Options of the SYN (all that this side may use) or of the SYN-ACK (what the SYN offered of it).

        A new object each time: whoever sends it may add to it.
        """
        config = self.config
        timestamps = self.timestamps if answer else config.timestamps
        value = (int(self.now * 1000.0) + self.clock_offset) & MASK
        return Options(
            mss=self.announced_mss,
            wscale=self.wanted_wscale if (self.scaling if answer else config.window_scaling) else None,
            sack_permitted=self.sack_ok if answer else config.sack,
            ts_val=value if timestamps else None,
            ts_ecr=self.ts_recent if timestamps and answer else 0,
        )

    # --- what every segment carries ----------------------------------------------------------------------

    def window_field(self) -> int:
        """The window to advertise now, 16 bits, scaled; moves its right edge by the rule of RFC 9293 §3.8.6.2.2."""
        rcv_nxt = self.rcv_nxt
        shift = self.rcv_wscale
        edge = self.rcv_adv
        free = self.receive_buffer - self.incoming.octets
        if rcv_nxt + free - edge >= self.sws_step:
            # The edge is never taken back: what was promised once is accepted (RFC 9293 §3.8.6).
            self.rcv_adv = edge = max(edge, rcv_nxt + (min(free >> shift, 0xFFFF) << shift))
        return (edge - rcv_nxt) >> shift

    def plain_options(self, now: float) -> Options:
        """Options of a segment that carries no more than timestamps; one object may serve many segments."""
        if not self.timestamps:
            return NO_OPTIONS
        value = (int(now * 1000.0) + self.clock_offset) & MASK
        options = self.sampled_options
        if options.ts_val != value or options.ts_ecr != self.ts_recent:
            options = self.sampled_options = Options(ts_val=value, ts_ecr=self.ts_recent)
        return options

    def control_run(self, flags: int, seq: int, options: Options) -> Run:
        """A segment without payload that acknowledges RCV.NXT; it counts as the acknowledgment that was due."""
        window = self.window_field()
        self.last_ack_sent = self.rcv_nxt
        self.ack_now = False
        self.delack_at = NEVER
        urgent = self.snd_up - seq if self.snd_up > self.snd_una else 0
        return Run(seq, self.rcv_nxt, flags, window, options, urgent=max(urgent, 0))

    def send_reset(self, seq: int, flags: int = ACK) -> None:
        """Queue a RST with ``seq``; ACK is set where RCV.NXT has a meaning."""
        ack = self.rcv_nxt if flags & ACK else 0
        self.out.append(Run(seq, ack, 0x04 | flags, 0, self.plain_options(self.now) if flags & ACK else NO_OPTIONS))

    @property
    def stream_end(self) -> int:
        """The stream number after the last octet written, where a FIN goes."""
        return self.sending.end
