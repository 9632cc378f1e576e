"""What a trace tells of a connection: parameters, metrics, the phase of congestion control, the loss timer.

Names are those of draft-ietf-quic-qlog-quic-events where it has any; times in milliseconds, sizes in octets.
"""

from __future__ import annotations

import math
from typing import Any, Final

from stack.congestion.bbr import Bbr
from stack.connection import Connection
from stack.recovery import FAST, LOSS, in_flight
from stack.recovery.rack import Rack
from stack.tcb import NEVER

# A threshold above this was never set, octets.
_UNSET: Final = 1 << 40


def parameters(connection: Connection) -> dict[str, Any]:
    """What both sides agreed on, and what this one chose (for ``tcp:parameters_set``)."""
    config = connection.config
    return {
        "mss": connection.announced_mss,
        "peer_mss": connection.peer_mss,
        "segment_size": connection.segment_size,
        "window_scale": connection.rcv_wscale,
        "peer_window_scale": connection.snd_wscale,
        "timestamps": connection.timestamps,
        "sack": connection.sack_ok,
        "ecn": bool(connection.ecn),
        "congestion_control": config.congestion,
        "loss_recovery": config.recovery if connection.sack_ok else "newreno",
        "pacing": config.pacing if connection.pacer is None else type(connection.pacer).__name__.lower(),
        "initial_congestion_window": connection.initial_window,
        "receive_buffer": config.receive_buffer,
    }


def metrics(connection: Connection) -> dict[str, Any]:
    """For ``recovery:metrics_updated``; what is not known yet is left out."""
    rtt = connection.rtt
    control = connection.control
    found: dict[str, Any] = {
        "smoothed_rtt": _ms(rtt.srtt),
        "rtt_variance": _ms(rtt.rttvar),
        "rto": _ms(rtt.rto),
        "congestion_window": int(control.cwnd),
        "bytes_in_flight": max(in_flight(connection), 0),
        "send_window": connection.snd_wnd,
        "retransmissions": connection.retransmissions,
    }
    loss = connection.loss
    if isinstance(loss, Rack) and loss.min_rtt < math.inf:
        found["min_rtt"] = _ms(loss.min_rtt)
        found["latest_rtt"] = _ms(loss.rtt)
    if control.ssthresh < _UNSET:
        found["ssthresh"] = int(control.ssthresh)
    if connection.pacer is not None and connection.pacer.rate > 0.0:
        # Bits a second, as the draft has it.
        found["pacing_rate"] = int(connection.pacer.rate * 8)
    return found


def phase(connection: Connection) -> str:
    """For ``recovery:congestion_state_updated``: QUIC's names, ``timeout`` after an RTO, BBR's own modes."""
    control = connection.control
    if connection.recovery == FAST:
        return "recovery"
    if connection.recovery == LOSS:
        return "timeout"
    if isinstance(control, Bbr):
        return control.mode
    if not connection.cwnd_limited and not connection.unsent:
        return "application_limited"
    return "slow_start" if control.cwnd < control.ssthresh else "congestion_avoidance"


def timer(connection: Connection) -> tuple[str, float]:
    """The type of the loss timer that is due first (RFC 6298, RFC 8985 §6.2, §7.2), and when, seconds."""
    at = connection.loss_at
    if at != NEVER and at <= connection.rexmt_at:
        loss = connection.loss
        reordering = isinstance(loss, Rack) and loss.reorder_at != NEVER
        return ("reordering" if reordering else "probe"), at
    if connection.rexmt_at != NEVER:
        return "rto", connection.rexmt_at
    return ("persist", connection.persist_at) if connection.persist_at != NEVER else ("", NEVER)


def _ms(seconds: float) -> float:
    return round(seconds * 1000.0, 3)
