"""Settings of a connection's TCP, with the defaults of the RFCs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """What one connection's TCP may be told. Sizes in octets, times in seconds.

    ``mtu`` is the link's; ``ip_header`` 20 (IPv4) or 40 (IPv6); ``receive_buffer`` and ``send_buffer`` bound
    what is held; ``timestamps``, ``window_scaling`` and ``sack`` are offered or answered; ``initial_window`` in
    segments (RFC 6928); ``rto_min`` and ``rto_max`` bound the timer (RFC 6298 §2.4, 2.5); ``delayed_ack`` 0-0.5
    (RFC 9293 §3.8.6.3); ``syn_retries`` and ``data_retries`` are numbers of retransmissions before giving up
    (R2, RFC 9293 §3.8.3); ``keepalive_idle`` 0 turns keepalives off (RFC 9293 §3.8.4); ``msl`` half of
    TIME-WAIT (RFC 9293 §3.4.2); ``sack_blocks`` the most SACK blocks per segment.
    """

    mtu: int = 1500
    ip_header: int = 20
    receive_buffer: int = 1 << 20
    send_buffer: int = 1 << 20
    timestamps: bool = True
    window_scaling: bool = True
    sack: bool = True
    nagle: bool = True
    congestion: str = "cubic"
    initial_window: int = 10
    rto_initial: float = 1.0
    rto_min: float = 0.2
    rto_max: float = 60.0
    delayed_ack: float = 0.04
    syn_retries: int = 7
    data_retries: int = 15
    keepalive_idle: float = 0.0
    keepalive_interval: float = 75.0
    keepalive_probes: int = 9
    msl: float = 30.0
    sack_blocks: int = 4
