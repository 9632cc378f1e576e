"""The Transmission Control Block (RFC 9293 §3.3.1): a connection's state variables with their smallest operations.

The files ``arrival``, ``receiver``, ``sender``, ``recovery``, ``timers`` and ``closing`` hold the rules, as
functions of a TCB.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from edo.options import Options

from .config import TcpConfig
from .events import Event, Readable, SoftError, TcpError, Urgent, Writable
from .run import ACK, Run
from .states import State, Trigger, after
from .variables import NEVER, NO_DROPS, NO_OPTIONS, UNOPENED, Variables

__all__ = ["HALF", "MASK", "NEVER", "NO_DROPS", "NO_OPTIONS", "Tcb"]

MASK: Final = 0xFFFFFFFF
HALF: Final = 0x80000000
# What a peer's MSS is taken for if it is less, octets (RFC 9293 §3.7.1).
_LEAST_MSS: Final = 64
_LEAST_SEGMENT: Final = 16
_MAX_WSCALE: Final = 14
_IPV6: Final = 40
# Options of a data segment that has timestamps and nothing else, octets (RFC 7323 appendix A).
_TIMESTAMP_OVERHEAD: Final = 12


class Tcb(Variables):
    """One connection's TCB: events, sizes, and what every segment carries."""

    __slots__ = ()

    def __init__(self, config: TcpConfig, iss: int, *, clock_offset: int = 0) -> None:
        super().__init__(config, iss, clock_offset=clock_offset)
        self.announce_mss()

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

    def round_buffers(self) -> None:
        """The peer's MSS is known: buffers become whole segments where that is the habit."""
        if self.config.round_buffers:
            self.config = self.config.rounded(max(min(self.peer_mss, self.announced_mss), 1))
            self.receive_target = self.config.first_receive_buffer
            self.limit_receive_buffer(self.receive_target)

    # --- sizes -------------------------------------------------------------------------------------------

    def announce_mss(self) -> None:
        """The MSS option to send: what the link's MTU and the application allow (RFC 9293 §3.7.1, RFC 6691)."""
        config = self.config
        told = config.path_mss == "both" or (config.path_mss == "ipv6" and config.ip_header == _IPV6)
        room = (min(config.mtu, self.path_mtu_octets) if told else config.mtu) - config.ip_header - 20
        self.announced_mss = min(room, config.mss) if config.mss else room

    def resize(self) -> None:
        """Compute Eff.snd.MSS (RFC 9293 §3.7.1), octets."""
        self.segment_size = self.payload_room(self.path_mtu_octets)
        # 0: no steps, the whole room is told each time.
        self._size_step()
        if self.control is not UNOPENED and self.control.cwnd < self.segment_size:
            # A window of less than one segment would let nothing go.
            self.control.cwnd = self.segment_size

    def _size_step(self) -> None:
        """The least step by which the window grows, octets (RFC 9293 §3.8.6.2.2)."""
        self.sws_step = 0 if self.config.whole_window else min(self.receive_buffer // 2, self.segment_size)

    def limit_receive_buffer(self, octets: int) -> None:
        """Offer no more than ``octets`` from now on, but for what was promised."""
        self.receive_buffer = min(octets, self.receive_target)
        self._size_step()

    def drop_beyond_hole(self) -> None:
        """Forget what lies beyond a hole: the peer will send it again (RFC 2018 §8)."""
        held, self.recent = self.incoming.footprint, None
        self.incoming.drop_ranges()
        freed = min(held - self.incoming.footprint, self.charged - self.base_charge)
        self.charged -= freed
        self.memory.charge(-freed)
        self.drop("no_memory")

    def payload_room(self, mtu: int) -> int:
        """The most payload octets of a segment in an IP packet of ``mtu`` octets."""
        overhead = self._overhead
        if overhead < 0:
            overhead = _TIMESTAMP_OVERHEAD if self.timestamps else 0
        config = self.config
        room = min(self.peer_mss, mtu - config.ip_header - 20, config.mss or self.peer_mss) - overhead
        return max(room, _LEAST_SEGMENT)

    def lower_path_mtu(self, mtu: int, now: float) -> None:
        """The path takes packets of ``mtu`` octets, if that is less than known: what was larger is sent again.

        The congestion window becomes no larger in segments (RFC 4821 §4).
        """
        if mtu >= self.path_mtu_octets:
            return
        self.now = now
        before = self.segment_size
        self.path_mtu_octets = mtu
        if self.config.path_mss != "off" and self.state is State.SYN_SENT:
            self.announce_mss()
        self.resize()
        if self.segment_size < before and self.control is not UNOPENED:
            self.control.cwnd = max(self.control.cwnd * self.segment_size // before, self.segment_size)
        if self.segment_size < before and self.scoreboard.mark_larger(self.segment_size):
            self.fast_retransmit = True

    @property
    def initial_window(self) -> int:
        """RFC 6928 §2, octets; one segment if the SYN had to be repeated (RFC 5681 §3.1)."""
        size = self.segment_size
        if self.transmission > self.config.forgive_syn:
            return size
        segments = self.config.initial_window
        return min(segments * size, max(2 * size, segments * 1460))

    def take_syn_options(self, options: Options) -> None:
        """Put into use what the peer's SYN offers or confirms, if this side may (RFC 7323 §2, §3; RFC 2018 §2)."""
        config = self.config
        if config.no_options:
            options = NO_OPTIONS
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
        """The shift to offer: the least with which the largest receive buffer can be advertised (RFC 7323 §2.2)."""
        if self.config.window_scale >= 0:
            return self.config.window_scale
        return min(max(self.config.most_receive_buffer.bit_length() - 16, 0), _MAX_WSCALE)

    @property
    def first_window(self) -> int:
        """The window of a SYN, octets, never scaled (RFC 7323 §2.2)."""
        window = self.receive_buffer
        if self.config.whole_first_window and window > self.announced_mss:
            window -= window % self.announced_mss
        return min(window, 0xFFFF)

    def syn_options(self, answer: bool) -> Options:
        """Options of the SYN (all that this side may use) or of the SYN-ACK (what the SYN offered of it).

        A new object each time: whoever sends it may add to it.
        """
        config = self.config
        if config.no_options:
            return Options()
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
        if not self.sws_step:
            return self._whole_window()
        rcv_nxt = self.rcv_nxt
        shift = self.rcv_wscale
        edge = self.rcv_adv
        free = self.receive_buffer - self.incoming.octets
        if rcv_nxt + free - edge >= self.sws_step:
            # The edge is never taken back: what was promised once is accepted (RFC 9293 §3.8.6).
            self.rcv_adv = edge = max(edge, rcv_nxt + (min(free >> shift, 0xFFFF) << shift))
        return (edge - rcv_nxt) >> shift

    def _whole_window(self) -> int:
        """``window_field`` where ``whole_window`` is set: what is accepted may be more than the field can tell."""
        size = self.receive_buffer
        free = size - self.incoming.octets
        if free < size // 4 and free < self.segment_size:
            free = 0
        self.rcv_adv = max(self.rcv_adv, self.rcv_nxt + free)
        if self.config.raise_window:
            self.rcv_adv += -(self.rcv_adv - self.rcv_nxt) % (1 << self.rcv_wscale)
        return min(self.rcv_adv - self.rcv_nxt >> self.rcv_wscale, 0xFFFF)

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
        if self.quick is not None:
            self.quick.acknowledged()
        urgent = self.snd_up - seq if self.snd_up > self.snd_una else 0
        return Run(seq, self.rcv_nxt, flags | self.ece, window, options, urgent=max(urgent, 0), ecn=self.ect_all)

    def send_reset(self, seq: int, flags: int = ACK) -> None:
        """Queue a RST with ``seq``; ACK is set where RCV.NXT has a meaning."""
        ack = self.rcv_nxt if flags & ACK else 0
        self.out.append(Run(seq, ack, 0x04 | flags, 0, self.plain_options(self.now) if flags & ACK else NO_OPTIONS))

    @property
    def stream_end(self) -> int:
        """The stream number after the last octet written, where a FIN goes."""
        return self.sending.end
