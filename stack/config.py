"""Settings of a connection's TCP, with the defaults of the RFCs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class FastOpen:
    """Fast Open (RFC 7413): who may use it. Both ends have to ask for it: a SYN's text can come twice (§6.1).

    ``client``: connections that ask for it may open fast. ``pending`` is how many of a listener's connections may
    have done so and not stand yet, at most its backlog (PendingFastOpenRequests, §4.2); 0, the default, is
    FastOpenEnabled's off. ``server`` False: no listener opens fast whatever it asks. Without ``client_cookies``
    SYNs carry text and no option, without ``server_cookies`` any text is taken (§7.3: nothing can be spoofed).
    ``pause`` is how long a path is left alone on which Fast Open did not get through, seconds (§4.1.3.1).
    """

    client: bool = True
    server: bool = True
    pending: int = 0
    client_cookies: bool = True
    server_cookies: bool = True
    pause: float = 3600.0


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """What one connection's TCP may be told. Sizes in octets, times in seconds.

    ``mtu`` is the link's; ``ip_header`` 20 (IPv4) or 40 (IPv6); ``receive_buffer`` and ``send_buffer`` bound
    what is held; ``recovery`` names how losses are found with SACK (rack: RFC 8985; rfc6675), without it NewReno
    does; ``timestamps``, ``window_scaling`` and ``sack`` are offered or answered; ``ecn``: ECN is
    offered too, accepted only, or neither (RFC 3168 §6.1.1); ``pacing`` spreads what is sent over the
    round trip, which some controllers do always; ``initial_window`` in
    segments (RFC 6928); ``rto_min`` and ``rto_max`` bound the timer (RFC 6298 §2.4, 2.5); ``delayed_ack`` 0-0.5
    (RFC 9293 §3.8.6.3); ``syn_retries`` and ``data_retries`` are numbers of retransmissions before giving up
    (R2, RFC 9293 §3.8.3), ``report_retries`` how many before the application is told (R1), unless ``reports`` is
    off (RFC 9293 §3.9.1.8); ``keepalive`` turns keepalives on, ``keepalive_idle`` is the silence before the first
    (RFC 9293 §3.8.4); ``msl`` half of TIME-WAIT (RFC 9293 §3.4.2); ``sack_blocks`` the most SACK blocks per
    segment; ``ttl`` (1-255) and ``dscp`` (0-63) go into the IP header (RFC 9293 §3.9.2);
    ``soft_errors_end_opening``: an attempt to connect ends by ICMP's soft errors too (RFC 5461 §4.1); ``mss`` is
    the most that is announced and sent in a segment, options included (0: what the MTU allows; RFC 9293 §3.7.1);
    ``user_timeout`` is how long octets may stay unacknowledged (0: R2 alone decides; RFC 9293 §3.8.3, RFC 5482);
    ``fin_wait_2`` how long a closed connection waits for the peer's FIN (0: 2 MSL); ``window_scale`` the shift that
    is offered (0-14; -1: the least with which the whole receive buffer can be advertised, RFC 7323 §2.2);
    ``mtu_probing``: whether probes look for the path's MTU (RFC 8899, RFC 4821): never (off: ICMP alone lowers it);
    after packets vanished or a router said so (black-hole); from the start (on); auto is black-hole where ICMP is
    believed and on where TCP-AO ignores it; ``base_mtu`` is the IP packet that such a search starts from
    (BASE_PLPMTU; 0: 1200, with IPv6 1280);
    ``insecure_rst`` and ``insecure_syn`` turn the checks of RFC 5961 §3.2 and §4.2 off: any RST or SYN within the
    window ends the connection; ``rfc1337``: no RST ends TIME-WAIT (RFC 1337 §3); ``fast_open`` has the settings of
    RFC 7413.
    Raises ValueError, one line, for a delay of acknowledgments or an interval outside what RFC 9293 allows.
    """

    mtu: int = 1500
    ip_header: int = 20
    receive_buffer: int = 1 << 20
    send_buffer: int = 1 << 20
    timestamps: bool = True
    window_scaling: bool = True
    ecn: Literal["off", "accept", "offer"] = "accept"
    sack: bool = True
    nagle: bool = True
    congestion: str = "cubic"
    pacing: bool = False
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
    sack_blocks: int = 4
    ttl: int = 64
    dscp: int = 0
    soft_errors_end_opening: bool = False
    mss: int = 0
    user_timeout: float = 0.0
    fin_wait_2: float = 0.0
    window_scale: int = -1
    mtu_probing: Literal["off", "black-hole", "on", "auto"] = "auto"
    base_mtu: int = 0
    insecure_rst: bool = False
    insecure_syn: bool = False
    fast_open: FastOpen = field(default=FastOpen())
    rfc1337: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.delayed_ack < 0.5:
            raise ValueError(f"delayed_ack must be 0 or more and less than half a second, not {self.delayed_ack}")
        if self.keepalive_idle <= 0.0 or self.keepalive_interval <= 0.0:
            raise ValueError("keepalive_idle and keepalive_interval must be more than 0 seconds")
        if not -1 <= self.window_scale <= 14:
            raise ValueError(f"window_scale must be 0 to 14, or -1, not {self.window_scale}")
