"""The state variables of a connection (RFC 9293 §3.3.1) and what they begin with."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Final

from edo.options import Options

from .buffers import ReceiveBuffer, SendBuffer
from .chronograph import Chronograph
from .config import TcpConfig
from .congestion import CongestionControl, find
from .congestion.delivery_rate import DeliveryRate
from .events import Event, TcpError
from .fastopen import FastOpening
from .losses import OPEN, Recovery
from .memory import UNBOUNDED
from .pacing import Pacer
from .plpmtud import PathSearch
from .quickack import QuickAcks
from .rtt import RttEstimator
from .run import Run
from .scoreboard import Scoreboard
from .states import State
from .usage import Usage

NEVER: Final = math.inf
NO_OPTIONS: Final = Options()
# What is assumed where the peer names no MSS (RFC 9293 §3.7.1), octets.
DEFAULT_MSS: Final = {20: 536, 40: 1220}
# SACK blocks for which the 40 octets of option space have room (RFC 2018 §3).
LEGACY_SACK_ROOM: Final = 4
# Shared by every connection that has dropped nothing yet; never written to.
NO_DROPS: Final[Counter[str]] = Counter()
# Stand where there are no controller and no recovery before a connection is established.
# Holes in what comes at the same time: a bound for the memory and the work that a peer can cause.
_MOST_RANGES: Final = 1 << 14
UNOPENED: Final = CongestionControl(0)
_UNRECOVERED: Final[Recovery[Any]] = Recovery()


class Variables:
    """State variables under the names of RFC 9293 §3.3.1; stream numbers have 64 bits, times are seconds.

    ``snd_up`` and ``rcv_up`` are the numbers of the first octets behind urgent data (RFC 9293 §3.8.5).
    ``rcv_adv`` is the right edge of the window that was advertised, ``probing`` whether the octet at SND.NXT
    was sent as a zero-window probe, ``peer_fin`` the number of the peer's FIN (-1: none seen), ``recovery`` the
    phase of loss recovery, ``recover`` its recovery point, ``announced_mss`` the MSS option that is sent:
    octets of a segment without options (RFC 6691). ``softly`` is the last soft error since octets were
    acknowledged. ``corked``: a last segment that is not full waits for more octets, unless they
    lie before ``rush``. ``early`` is how many octets of our SYN the SYN-ACK acknowledged,
    up to ``again_to`` the others go again.
    ``starved``: the application has more than the send buffer takes. ``ecn``: both ends are
    ECN-capable; ``ect`` is the IP header's codepoint for new octets, ``ect_all`` that for other segments, ``ece``
    and ``cwr`` the flags that segments and the next new octets carry. ``accurate``: these flags count marks (RFC
    9768), ``marks_seen`` that came here and ``marks_told`` that the peer has told of. ``opening`` is Fast Open
    until the connection stands, ``fast_opened`` whether a SYN's text was taken whole (RFC 7413).
    ``remote_timeout`` is the peer's user timeout (0: not told), ``tells_timeout`` whether the next segment tells
    ours (RFC 5482). ``path`` searches for the path's MTU (None: DISABLED), ``raised`` is what of its latest raise
    is to be verified; ``head`` and ``head_sendings`` tell how often the first segment was sent again.
    ``sack_room`` is how many SACK blocks a segment may have, as far as options have room.
    ``receive_target`` is the receive buffer that the connection needs, ``receive_buffer`` what it has where memory
    is short; ``charged`` is what ``memory`` was told of, ``base_charge`` of it for being there. ``*_at`` are
    deadlines, infinite when the timer is off.
    """

    __slots__ = (
        "_events",
        "_overhead",
        "accurate",
        "ack_now",
        "again_to",
        "announced_mss",
        "base_charge",
        "challenge_from",
        "challenges",
        "charged",
        "chronograph",
        "clock_offset",
        "closed_told",
        "config",
        "control",
        "corked",
        "cwnd_limited",
        "cwr",
        "delack_at",
        "drops",
        "dup_octets",
        "dupacks",
        "early",
        "ece",
        "ecn",
        "ecn_offered",
        "ecn_recover",
        "ect",
        "ect_all",
        "error",
        "fast_opened",
        "fast_retransmit",
        "fin_queued",
        "head",
        "head_sendings",
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
        "loss",
        "loss_at",
        "marks_seen",
        "marks_told",
        "max_snd_wnd",
        "memory",
        "now",
        "octets_in",
        "octets_out",
        "opening",
        "out",
        "override",
        "pace_at",
        "pacer",
        "partial",
        "passive",
        "path",
        "path_mtu_octets",
        "peer_fin",
        "peer_mss",
        "persist_at",
        "persisting",
        "probe_at",
        "probe_end",
        "probing",
        "progress_at",
        "quick",
        "raised",
        "rates",
        "rcv_adv",
        "rcv_mss",
        "rcv_nxt",
        "rcv_up",
        "rcv_wscale",
        "read_closed",
        "read_octets",
        "read_since",
        "receive_buffer",
        "receive_target",
        "recent",
        "recover",
        "recovery",
        "remote_timeout",
        "rescued",
        "retransmissions",
        "retries",
        "rexmt_at",
        "rtt",
        "rush",
        "sack_ok",
        "sack_room",
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
        "starved",
        "state",
        "sws_step",
        "syn_sent_at",
        "tells_timeout",
        "timestamps",
        "transmission",
        "ts_recent",
        "ts_recent_at",
        "usage",
        "user_timeout",
        "wrote",
    )

    def __init__(self, config: TcpConfig, iss: int, *, clock_offset: int = 0) -> None:
        self.config = config
        self.receive_buffer = self.receive_target = config.first_receive_buffer
        self.read_octets = 0
        self.read_since = 0.0
        # Account.
        self.memory = UNBOUNDED
        self.base_charge = 0
        self.charged = 0
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
        self.sending = SendBuffer(iss + 1, pushes=config.burst_segments > 0)
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
        self.incoming = ReceiveBuffer(min(_MOST_RANGES, max(64, config.most_receive_buffer >> 9)))
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
        self.ecn = False
        self.ecn_offered = False
        self.ecn_recover = iss
        self.ect = 0
        self.ect_all = 0
        self.accurate = False
        self.marks_seen = 0
        self.marks_told = 0
        self.ece = 0
        self.cwr = 0
        self.sampled_options = NO_OPTIONS
        self.opening: FastOpening | None = None
        self.fast_opened = False
        # Segment size.
        self._overhead = -1
        self.path_mtu_octets = config.mtu
        self.path: PathSearch | None = None
        self.probe_at = NEVER
        self.probe_end: float = NEVER
        self.raised: tuple[int, int, int, float] | None = None
        self.head = iss
        self.head_sendings = 0
        self.announced_mss = 0
        self.peer_mss = DEFAULT_MSS.get(config.ip_header, 536)
        self.segment_size = 0
        self.sws_step = 0
        self.sack_room = LEGACY_SACK_ROOM
        # Loss and congestion.
        self.scoreboard = Scoreboard()
        self.rtt = RttEstimator(
            config.rto_initial, config.rto_min, config.rto_max, config.rto_granularity, config.rto_slop
        )
        self.control = UNOPENED
        self.quick: QuickAcks | None = None
        self.rush = iss
        self.starved = False
        self.early = 0
        self.again_to = iss
        self.chronograph = Chronograph() if config.chronograph else None
        self.usage: Usage | None = Usage(iss) if config.grow_half_used else None
        self.pacer: Pacer | None = None
        self.pace_at = NEVER
        self.rates: DeliveryRate | None = None
        self.loss: Recovery[Any] = _UNRECOVERED
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
        self.loss_at = NEVER
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
        self.remote_timeout = 0.0
        self.tells_timeout = False
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
