"""Settings of a connection's TCP, with the defaults of the RFCs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from .habits import Habits
from .ip_options import check as check_ip_options

# What buffers that follow the connection's need begin with, octets.
_FIRST_BUFFER: Final = 1 << 18
# So many blocks make a SACK option of 250 octets; its Length has one octet (RFC 2018 §3).
MOST_SACK_BLOCKS: Final = 31


@dataclass(frozen=True, slots=True)
class FastOpen:
    """Fast Open (RFC 7413): who may use it. Both ends have to ask for it: a SYN's text can come twice (§6.1).

    ``client``: connections that ask for it may open fast. ``pending`` is how many of a listener's connections may
    have done so and not stand yet, at most its backlog (PendingFastOpenRequests, §4.2); 0, the default, is
    FastOpenEnabled's off. ``server`` False: no listener opens fast whatever it asks. Without ``client_cookies``
    SYNs carry text and no option, without ``server_cookies`` any text is taken (§7.3: nothing can be spoofed).
    ``pause`` is how long a path is left alone on which Fast Open did not get through, seconds (§4.1.3.1).
    ``unknown_mss`` is what is taken for the MSS of a peer that never named one, octets (0: RFC 9293 §3.7.1's).
    ``try_experimental``: a server that gave no cookie when asked is asked by the experimental option next time.
    """

    client: bool = True
    server: bool = True
    pending: int = 0
    client_cookies: bool = True
    server_cookies: bool = True
    pause: float = 3600.0
    unknown_mss: int = 0
    try_experimental: bool = False


@dataclass(frozen=True, slots=True)
class TimeoutOption:
    """The user timeout option (RFC 5482), seconds: off by default (ENABLED, §3).

    ``advertised`` is what the peer is asked to wait at least (ADV_UTO) where ``user_timeout`` is not set, ``least``
    and ``most`` bound what its own wish makes of our timeout (L_LIMIT and U_LIMIT, §3.1). Raises ValueError where
    these are not in order.
    """

    enabled: bool = False
    advertised: float = 300.0
    least: float = 100.0
    most: float = 3600.0

    def __post_init__(self) -> None:
        if not 0.0 < self.least <= self.most or self.advertised < 1.0:
            raise ValueError("the user timeouts must be at least a second, and the least no more than the most")


@dataclass(frozen=True, slots=True)
class TcpConfig(Habits):
    """What one connection's TCP may be told, other systems' ``Habits`` among it. Sizes in octets, times in seconds.

    ``mtu`` is the link's; ``ip_header`` 20 (IPv4) or 40 (IPv6); ``receive_buffer`` and ``send_buffer`` bound what
    is held (0: as much as the connection needs, at most ``receive_buffer_most`` and ``send_buffer_most``);
    ``recovery`` names how losses are found with SACK (rack: RFC 8985; rfc6675), without it NewReno does;
    ``timestamps``, ``window_scaling`` and ``sack`` are offered or answered; ``ecn``: ECN is accepted only, offered
    too, or neither (RFC 3168 §6.1.1); accurate: so is the counter of RFC 9768; ``pacing`` names what spreads what
    is sent over the round trip (off: only where the controller cannot do without); ``initial_window`` in segments
    (RFC 6928); ``rto_min`` and ``rto_max`` bound the timer (RFC 6298 §2.4, 2.5); ``delayed_ack`` 0-0.5 (RFC 9293
    §3.8.6.3); ``syn_retries`` and ``data_retries`` are numbers of retransmissions before giving up (R2, RFC 9293
    §3.8.3), ``report_retries`` how many before the application is told (R1), unless ``reports`` is off (RFC 9293
    §3.9.1.8); ``keepalive`` turns keepalives on, ``keepalive_idle`` is the silence before the first (RFC 9293
    §3.8.4); ``msl`` half of TIME-WAIT (RFC 9293 §3.4.2); ``local_ports`` the first and the last ephemeral port:
    one is chosen at random and searched from there (RFC 6335 §6, RFC 6056 §3.3.1); ``port_share`` (k, n): of these
    only those whose exclusive or with the peer's is k modulo n (``tun.steering``); ``sack_blocks`` (1-31) the most
    SACK blocks per segment, of which at most four have room without EDO; ``edo_retries`` how many repetitions of a
    SYN still offer EDO (-1: all), ``remember_edo``: where it was damaged it is left alone for a time; ``ttl``
    (1-255) and ``dscp`` (0-63) go into the IP header (RFC 9293 §3.9.2); ``soft_errors_end_opening``: an attempt to
    connect ends by ICMP's soft errors too (RFC 5461 §4.1); ``mss`` is the most that is announced and sent in a
    segment, options included (0: what the MTU allows; RFC 9293 §3.7.1); ``user_timeout`` is how long octets may
    stay unacknowledged (0: R2 alone decides; RFC 9293 §3.8.3, RFC 5482); ``fin_wait_2`` how long a closed
    connection waits for the peer's FIN (0: 2 MSL); ``window_scale`` the shift that is offered (0-14; -1: the least
    with which the whole receive buffer can be advertised, RFC 7323 §2.2); ``mtu_probing``: whether probes look for
    the path's MTU (RFC 8899, RFC 4821): never (off: ICMP alone lowers it); after packets vanished or a router said
    so (black-hole); from the start (on); auto is black-hole where ICMP is believed and on where TCP-AO ignores it;
    ``base_mtu`` is the IP packet that such a search starts from (BASE_PLPMTU; 0: 1200, with IPv6 1280);
    ``insecure_rst`` and ``insecure_syn`` turn the checks of RFC 5961 §3.2 and §4.2 off: any RST or SYN within the
    window ends the connection; ``rfc1337``: no RST ends TIME-WAIT (RFC 1337 §3); ``ip_options`` stand in each IPv4
    packet, a source route among them as its hops (RFC 9293 §3.9.2); ``source_routes``: who opens by one is
    answered by its reverse (RFC 9293 §3.9.2.1; RFC 7126 §4.3 advises against it); ``unproven_agreements``: how many
    key agreements a second a stack makes for addresses that have proven nothing, those of its own settings alone
    (profile.md §5); ``fast_open`` has the settings of RFC 7413, ``timeout_option`` those of RFC 5482.

    Habits of Linux, none of them the default: ``rto_granularity`` is the least that the RTO lies above SRTT (G of
    RFC 6298 §2); ``quick_acks`` how many segments in a row are acknowledged at once when a transfer begins (0:
    none, see ``quickack``); ``burst_segments`` the least segments of a burst that ends with PSH (0: bursts are as
    long as the window allows, see ``bursts``); ``grow_half_used``: in slow start the window grows while at least
    half of it was in use (RFC 7661 §4.1), not only while it was what limited sending; ``slow_start_limit`` by how
    many segments one acknowledgment may open it then (L of RFC 9406 §4.2); ``prr_from_window``: PRR reckons from
    the window instead of what was in flight (RecoverFS of RFC 9937 §6.1), and its timer lets a segment go;
    ``restart_after_idle``: after a pause of an RTO the window is no larger than the initial one (RFC 5681 §4.1);
    ``reduce_from_window``: a loss reduces the window from what it was, not from what was in flight (RFC 9438 §4.6);
    ``grow_by_delivery``: what SACK or duplicate ACKs told of before lets the window grow no more when it is
    acknowledged; ``tail_probes``: probe for losses at the tail (RFC 8985 §7); ``empty_probes``: a closed window is
    probed by a segment without text, of a number that was acknowledged; ``answer_early_acks``: what acknowledges
    more than was sent is answered (RFC 9293 §3.10.7.4), and its timestamp taken, not only dropped;
    ``whole_first_window``: the first window is rounded down to whole segments; ``chronograph``: TCP_INFO tells what
    held the sender back; ``reuse_time_wait``: an active open may take the pair of a connection in TIME-WAIT that
    has timestamps (RFC 9293 §3.6.1), ``time_wait_delay`` seconds after it last heard anything, at once where the
    port was asked for.
    Raises ValueError, one line, for a delay of acknowledgments or an interval outside what RFC 9293 allows.
    """

    mtu: int = 1500
    ip_header: int = 20
    receive_buffer: int = 0
    send_buffer: int = 0
    receive_buffer_most: int = 1 << 23
    send_buffer_most: int = 1 << 22
    timestamps: bool = True
    window_scaling: bool = True
    ecn: Literal["off", "accept", "offer", "accurate"] = "accept"
    sack: bool = True
    nagle: bool = True
    congestion: str = "cubic"
    pacing: str = "off"
    recovery: str = "rack"
    initial_window: int = 10
    rto_initial: float = 1.0
    rto_min: float = 0.2
    rto_max: float = 60.0
    delayed_ack: float = 0.04
    syn_retries: int = 7
    data_retries: int = 15
    report_retries: int = 3
    reports: bool = True
    keepalive: bool = False
    keepalive_idle: float = 7200.0
    keepalive_interval: float = 75.0
    keepalive_probes: int = 9
    msl: float = 30.0
    local_ports: tuple[int, int] = (49152, 65535)
    port_share: tuple[int, int] = (0, 1)
    sack_blocks: int = 16
    edo_retries: int = 2
    remember_edo: bool = True
    ttl: int = 64
    dscp: int = 0
    soft_errors_end_opening: bool = False
    mss: int = 0
    user_timeout: float = 0.0
    fin_wait_2: float = 0.0
    window_scale: int = -1
    mtu_probing: Literal["off", "black-hole", "on", "auto"] = "auto"
    base_mtu: int = 0
    rto_granularity: float = 0.001
    quick_acks: int = 0
    burst_segments: int = 0
    grow_half_used: bool = False
    slow_start_limit: int = 8
    prr_from_window: bool = False
    restart_after_idle: bool = True
    reduce_from_window: bool = False
    grow_by_delivery: bool = False
    tail_probes: bool = True
    empty_probes: bool = False
    answer_early_acks: bool = True
    whole_first_window: bool = False
    chronograph: bool = False
    reuse_time_wait: bool = False
    time_wait_delay: float = 1.0
    insecure_rst: bool = False
    insecure_syn: bool = False
    fast_open: FastOpen = field(default=FastOpen())
    timeout_option: TimeoutOption = field(default=TimeoutOption())
    rfc1337: bool = False
    ip_options: bytes = b""
    source_routes: bool = False
    unproven_agreements: float = 200.0

    @property
    def first_receive_buffer(self) -> int:
        """The receive buffer that a connection begins with, octets."""
        return self.receive_buffer or min(_FIRST_BUFFER, self.receive_buffer_most)

    @property
    def most_receive_buffer(self) -> int:
        """What the receive buffer may grow to, octets: the window's shift is chosen for it (RFC 7323 §2.2)."""
        return self.receive_buffer or self.receive_buffer_most

    @property
    def first_send_buffer(self) -> int:
        """The send buffer that a connection begins with, octets."""
        return self.send_buffer or min(_FIRST_BUFFER, self.send_buffer_most)

    @property
    def most_send_buffer(self) -> int:
        """What the send buffer may grow to, octets."""
        return self.send_buffer or self.send_buffer_most

    def __post_init__(self) -> None:
        if not 0.0 <= self.delayed_ack < 0.5:
            raise ValueError(f"delayed_ack must be 0 or more and less than half a second, not {self.delayed_ack}")
        if self.keepalive_idle <= 0.0 or self.keepalive_interval <= 0.0:
            raise ValueError("keepalive_idle and keepalive_interval must be more than 0 seconds")
        if not -1 <= self.window_scale <= 14:
            raise ValueError(f"window_scale must be 0 to 14, or -1, not {self.window_scale}")
        if not 1 <= self.sack_blocks <= MOST_SACK_BLOCKS:
            raise ValueError(f"sack_blocks must be 1 to {MOST_SACK_BLOCKS}, not {self.sack_blocks}")
        check_ip_options(self.ip_options)

    def rounded(self, segment: int) -> TcpConfig:
        """The same with both buffers rounded up to whole segments of ``segment`` octets (``round_buffers``)."""
        receive, send = (-(-size // segment) * segment for size in (self.receive_buffer, self.send_buffer))
        return replace(self, receive_buffer=receive, send_buffer=send)
