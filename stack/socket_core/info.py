"""What TCP_INFO tells: the fields of Linux's struct tcp_info, as names and as octets."""

from __future__ import annotations

import struct
from typing import Final

from ..chronograph import Chronograph, Limit
from ..connection import Connection
from ..states import State
from ..tcb import NEVER

# Linux's numbers of the states, which are not those of RFC 9293's order.
STATES: Final = {
    State.ESTABLISHED: 1,
    State.SYN_SENT: 2,
    State.SYN_RECEIVED: 3,
    State.FIN_WAIT_1: 4,
    State.FIN_WAIT_2: 5,
    State.TIME_WAIT: 6,
    State.CLOSED: 7,
    State.CLOSE_WAIT: 8,
    State.LAST_ACK: 9,
    State.LISTEN: 10,
    State.CLOSING: 11,
}
# tcpi_ca_state Disorder, and Recovery and Loss by the phase of loss recovery.
_DISORDER: Final = 1
_CA_STATES: Final = {1: 3, 2: 4}
_INFINITE_SSTHRESH: Final = 0x7FFFFFFF

# Every field in the order of the structure with its size in octets; the two bit fields are put together apart.
_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    *((name, 1) for name in ("state", "ca_state", "retransmits", "probes", "backoff", "options")),
    ("wscales", 1),
    ("flags", 1),
    *(
        (name, 4)
        for name in ("rto", "ato", "snd_mss", "rcv_mss", "unacked", "sacked", "lost", "retrans", "fackets")
    ),
    *((name, 4) for name in ("last_data_sent", "last_ack_sent", "last_data_recv", "last_ack_recv")),
    *((name, 4) for name in ("pmtu", "rcv_ssthresh", "rtt", "rttvar", "snd_ssthresh", "snd_cwnd", "advmss")),
    *((name, 4) for name in ("reordering", "rcv_rtt", "rcv_space", "total_retrans")),
    *((name, 8) for name in ("pacing_rate", "max_pacing_rate", "bytes_acked", "bytes_received")),
    *((name, 4) for name in ("segs_out", "segs_in", "notsent_bytes", "min_rtt", "data_segs_in", "data_segs_out")),
    *((name, 8) for name in ("delivery_rate", "busy_time", "rwnd_limited", "sndbuf_limited")),
    *((name, 4) for name in ("delivered", "delivered_ce")),
    *((name, 8) for name in ("bytes_sent", "bytes_retrans")),
    *((name, 4) for name in ("dsack_dups", "reord_seen", "rcv_ooopack", "snd_wnd")),
)
_STRUCT: Final = struct.Struct("=" + "".join({1: "B", 4: "I", 8: "Q"}[size] for _, size in _FIELDS))
_LIMITS: Final = {1: 0xFF, 4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}


def information(connection: Connection | None, state: State, now: float) -> dict[str, int | str]:
    """The fields by name (``tcpi_`` and the structure's), times in its units; ``state`` is RFC 9293's name.

    What is not known is 0. Without a connection there is nothing but the state.
    """
    info: dict[str, int | str] = {f"tcpi_{name}": 0 for name, _ in _FIELDS if name not in ("wscales", "flags")}
    info["tcpi_snd_wscale"] = info["tcpi_rcv_wscale"] = 0
    if connection is not None:
        info |= {f"tcpi_{name}": value for name, value in _measured(connection, now).items()}
    info["tcpi_state"] = STATES[state]
    info["state"] = state.name.replace("_", "-")
    return info


def _measured(tcb: Connection, now: float) -> dict[str, int]:
    smss = max(tcb.segment_size, 1)
    control = tcb.control
    recovery = _CA_STATES.get(tcb.recovery, _DISORDER if tcb.dupacks else 0)
    return {
        "ca_state": recovery,
        "retransmits": tcb.retries,
        "probes": tcb.persisting or tcb.keep_probes,
        "backoff": tcb.persisting,
        "options": _options(tcb),
        "snd_wscale": tcb.snd_wscale,
        "rcv_wscale": tcb.rcv_wscale,
        "rto": _micro(tcb.rtt.rto),
        "ato": _micro(tcb.config.delayed_ack),
        "snd_mss": tcb.segment_size,
        "rcv_mss": tcb.rcv_mss,
        **_segments(tcb, smss),
        "last_data_sent": _milli(now - tcb.sent_at) if tcb.sent_at else 0,
        "last_data_recv": _milli(now - (tcb.quick.came_at if tcb.quick is not None else tcb.heard_at)),
        "last_ack_recv": _milli(now - tcb.heard_at) if tcb.heard_at else 0,
        "pmtu": tcb.path_mtu_octets,
        "rcv_ssthresh": tcb.receive_buffer,
        "rtt": _micro(tcb.rtt.srtt),
        "rttvar": _micro(tcb.rtt.rttvar),
        "snd_ssthresh": min(int(control.ssthresh) // smss, _INFINITE_SSTHRESH),
        "snd_cwnd": int(control.cwnd) // smss,
        "advmss": tcb.announced_mss,
        "rcv_space": tcb.receive_target,
        "reordering": tcb.loss.reordering,
        "reord_seen": tcb.loss.reorderings,
        "min_rtt": _micro(tcb.rtt.least) if tcb.rtt.srtt else 0,
        "delivered": 1 - (-(tcb.snd_una - tcb.iss - 1 + tcb.scoreboard.sacked - tcb.early) // smss),
        "total_retrans": tcb.retransmissions,
        "bytes_acked": tcb.snd_una - tcb.iss,
        "bytes_received": tcb.octets_in,
        **_times(tcb.chronograph, now),
        "notsent_bytes": max(tcb.sending.end - tcb.snd_nxt, 0),
        "bytes_sent": tcb.octets_out,
        "rcv_ooopack": 0 if tcb.incoming.ranges is None else len(tcb.incoming.ranges),
        "snd_wnd": tcb.snd_wnd,
    }


def _segments(tcb: Connection, smss: int) -> dict[str, int]:
    """What was sent and is not acknowledged, counted in segments."""
    counts = dict.fromkeys(("unacked", "sacked", "lost", "retrans"), 0)
    for record in tcb.scoreboard.records:
        segments = -(-(record.end - record.start) // smss)
        counts["unacked"] += segments
        counts["sacked"] += segments * record.sacked
        counts["lost"] += segments * (record.lost and not record.sacked)
        counts["retrans"] += segments * (record.resent and not record.sacked and not record.waiting)
    return counts


def _times(chronograph: Chronograph | None, now: float) -> dict[str, int]:
    if chronograph is None:
        return {}
    return {
        "busy_time": _micro(chronograph.total(Limit.BUSY, now)),
        "rwnd_limited": _micro(chronograph.total(Limit.WINDOW, now)),
        "sndbuf_limited": _micro(chronograph.total(Limit.BUFFER, now)),
    }


def _options(tcb: Connection) -> int:
    """The bits TCPI_OPT_*: timestamps, SACK, window scale, ECN, and octets in the SYN."""
    return tcb.timestamps | tcb.sack_ok << 1 | tcb.scaling << 2 | tcb.ecn << 3 | tcb.fast_opened << 5


def packed(info: dict[str, int | str]) -> bytes:
    """The octets of struct tcp_info, in the machine's order."""
    values = {name: int(info.get(f"tcpi_{name}", 0)) for name, _ in _FIELDS}
    values["wscales"] = int(info["tcpi_snd_wscale"]) | int(info["tcpi_rcv_wscale"]) << 4
    return _STRUCT.pack(*(min(values[name], _LIMITS[size]) for name, size in _FIELDS))


def _micro(seconds: float) -> int:
    return 0 if seconds == NEVER else round(seconds * 1e6)


def _milli(seconds: float) -> int:
    return max(int(seconds * 1e3), 0)
