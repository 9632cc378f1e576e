"""Settings of systems (sysctl) as settings of the stack.

Each is mapped, or is one of the values that say what the stack does anyway, or has no meaning where nothing
outlives a script; everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final

from stack.config import TcpConfig

from .fastopen import linux_keys
from .faults import Refused
from .shell import Sysctl

Changes = dict[str, Any]
# What Linux adds to tcp_base_mss for the headers of IPv4 and TCP, octets.
_LINUX_HEADERS: Final = 40
_Rule = Callable[[str], Changes | None]


def _flag(field: str) -> _Rule:
    return lambda value: {field: bool(int(value))} if value in {"0", "1"} else None


def _number(field: str, scale: float = 1.0) -> _Rule:
    """A whole number, times ``scale``."""

    def rule(value: str) -> Changes:
        number = int(value, 0)
        return {field: number if scale == 1.0 else number * scale}

    return rule


def _only(*values: str) -> _Rule:
    """What the stack does anyway."""
    return lambda value: {} if value in values else None


def _choice(field: str, names: dict[str, Any]) -> _Rule:
    return lambda value: {field: names[value]} if value in names else None


def _any(_value: str) -> Changes:
    """Without a meaning here."""
    return {}


def _rfc1323(value: str) -> Changes | None:
    both = {"0": (False, False), "1": (True, True), "2": (True, False), "3": (False, True)}.get(value)
    return None if both is None else {"window_scaling": both[0], "timestamps": both[1]}


def _delayed_ack(value: str) -> Changes | None:
    return {"0": {"delayed_ack": 0.0}, "1": {}}.get(value)


def _shift(octets: int) -> int:
    """The least shift with which a window of ``octets`` can be advertised."""
    shift = 0
    while shift < 14 and (0xFFFF << shift) < octets:
        shift += 1
    return shift


def _congestion(value: str) -> Changes | None:
    name = {"newreno": "reno", "reno": "reno", "cubic": "cubic"}.get(value)
    return None if name is None else {"congestion": name}


def _three(value: str) -> tuple[int, int, int]:
    least, default, most = map(int, value.split())
    return least, default, most


def _mtu_probing(value: str) -> Changes | None:
    """Off, after a black hole, always."""
    mode = {"0": "off", "1": "black-hole", "2": "on"}.get(value)
    return None if mode is None else {"mtu_probing": mode}


def _rmem(value: str) -> Changes:
    _, default, most = _three(value)
    return {"receive_buffer": default // 2, "window_scale": _linux_shift(most)}


def _linux_shift(most: int) -> int:
    shift = 0
    while most > 0xFFFF and shift < 14:
        most >>= 1
        shift += 1
    return shift


def _wmem(value: str) -> Changes:
    return {"send_buffer": _three(value)[1]}


def _fast_open(value: str) -> Changes:
    """The bits of tcp_fastopen: client, server, either without cookies, listeners that did not ask."""
    bits = int(value, 0)
    return {
        "fast_open.client": bool(bits & 1),
        "fast_open.server": bool(bits & 2),
        "fast_open.client_cookies": not bits & 4,
        "fast_open.server_cookies": not bits & 0x200,
        "fast_open.pending": 1 << 16 if bits & 0x400 else 0,
    }


def _fast_open_key(value: str) -> Changes:
    linux_keys(value)
    return {}


_INET: Final[dict[str, _Rule]] = {
    "kern.ipc.maxsockbuf": lambda value: {"window_scale": _shift(int(value))},
    "kern.timecounter.alloweddeviation": _any,
    "net.inet.tcp.rfc1323": _rfc1323,
    "net.inet.tcp.sack.enable": _flag("sack"),
    "net.inet.tcp.ecn.enable": _choice("ecn", {"0": "off", "1": "offer", "2": "accept", "3": "accurate"}),
    "net.inet.tcp.ecn.plusplus": _choice("ecn_plus", {"0": "off", "1": "syn-ack", "2": "all"}),
    "net.inet.tcp.ecn.maxretries": _number("ecn_retries"),
    "net.inet.tcp.delayed_ack": _delayed_ack,
    "net.inet.tcp.delacktime": _number("delayed_ack", 0.001),
    "net.inet.tcp.initcwnd_segments": _number("initial_window"),
    "net.inet.tcp.cc.algorithm": _congestion,
    "net.inet.tcp.insecure_rst": _flag("insecure_rst"),
    "net.inet.tcp.insecure_syn": _flag("insecure_syn"),
    "net.inet.tcp.insecure_ack": _only("0"),
    "net.inet.tcp.drop_synfin": _flag("drop_syn_fin"),
    "net.inet.tcp.blackhole": _choice("blackhole", {"0": "off", "1": "syn", "2": "all"}),
    "net.inet.tcp.syncookies": _flag("syn_cookies"),
    "net.inet.tcp.syncookies_only": _only("0"),
    "net.inet.tcp.syncache.rexmtlimit": _number("syn_ack_retries"),
    "net.inet.tcp.hostcache.purgenow": _any,
    "net.inet.tcp.hostcache.purge": _any,
    "net.inet.tcp.hostcache.enable": _any,
    "net.inet.tcp.hostcache.cachelimit": _any,
    "net.inet.tcp.recvspace": _number("receive_buffer"),
    "net.inet.tcp.sendspace": _number("send_buffer"),
    "net.inet.tcp.recvbuf_auto": _only("0", "1"),
    "net.inet.tcp.sendbuf_auto": _only("0", "1"),
    "net.inet.tcp.rexmit_min": _number("rto_min", 0.001),
    "net.inet.tcp.rexmit_slop": _number("rto_slop", 0.001),
    "net.inet.tcp.rexmit_initial": _number("rto_initial", 0.001),
    "net.inet.tcp.rexmit_drop_options": _choice("plain_syn_after", {"0": 0, "1": 2}),
    "net.inet.tcp.keepidle": _number("keepalive_idle", 0.001),
    "net.inet.tcp.keepintvl": _number("keepalive_interval", 0.001),
    "net.inet.tcp.keepcnt": _number("keepalive_probes"),
    "net.inet.tcp.keepinit": _number("open_timeout", 0.001),
    "net.inet.tcp.always_keepalive": _flag("keepalive"),
    "net.inet.tcp.finwait2_timeout": _number("fin_wait_2", 0.001),
    "net.inet.tcp.fast_finwait2_recycle": _only("0"),
    "net.inet.tcp.msl": _number("msl", 0.001),
    "net.inet.tcp.nolocaltimewait": _only("0"),
    "net.inet.tcp.path_mtu_discovery": _only("1"),
    "net.inet.tcp.pmtud_blackhole_detection": lambda value: (
        {"mtu_probing": "off" if value == "0" else "black-hole"} if value in {"0", "1", "2", "3"} else None
    ),
    "net.inet.tcp.rfc3042": _only("1"),
    "net.inet.tcp.rfc3390": _only("1"),
    "net.inet.tcp.rfc3465": _only("1"),
    "net.inet.tcp.rfc6675_pipe": _only("0", "1"),
    "net.inet.tcp.newreno": _only("1"),
    "net.inet.tcp.ts_offset_per_conn": _only("1"),
    "net.inet.tcp.tolerate_missing_ts": _flag("tolerate_missing_timestamps"),
    "net.inet.tcp.functions_default": _only("freebsd"),
    "net.inet.tcp.icmp_may_rst": _flag("icmp_resets"),
    "net.inet.tcp.fastopen.client_enable": _flag("fast_open.client"),
    "net.inet.tcp.fastopen.server_enable": _flag("fast_open.server"),
    "net.inet.tcp.fastopen.acceptany": _choice("fast_open.server_cookies", {"0": True, "1": False}),
    "net.inet.tcp.fastopen.path_disable_time": _number("fast_open.pause", 1.0),
    "net.inet.tcp.fastopen.psk_enable": _only("0"),
    "net.inet.tcp.fastopen.autokey": _any,
    "net.inet.tcp.fastopen.maxkeys": _any,
    "net.inet.tcp.fastopen.maxpsks": _any,
    "net.inet.tcp.fastopen.setkey": _any,
    "net.inet.tcp.fastopen.keylen": _only("16"),
    "net.inet.tcp.fastopen.ccache_bucket_limit": _any,
    "net.inet.tcp.fastopen.ccache_buckets": _any,
    "net.inet.tcp.udp_tunneling_port": _only("0"),
    "net.inet.ip.ttl": _number("ttl"),
}
_IPV4: Final[dict[str, _Rule]] = {
    "net.ipv4.tcp_rmem": _rmem,
    "net.ipv4.tcp_wmem": _wmem,
    "net.core.rmem_max": _any,
    "net.core.wmem_max": _any,
    "net.ipv4.tcp_timestamps": lambda value: {"timestamps": value != "0"} if value in {"0", "1", "2"} else None,
    "net.ipv4.tcp_window_scaling": _flag("window_scaling"),
    "net.ipv4.tcp_sack": _flag("sack"),
    "net.ipv4.tcp_dsack": _only("1"),
    "net.ipv4.tcp_fack": _only("0"),
    "net.ipv4.tcp_frto": _only("0", "2"),
    "net.ipv4.tcp_reordering": _only("3"),
    "net.ipv4.tcp_congestion_control": _choice(
        "congestion", {"cubic": "cubic-linux", "reno": "reno", "newreno": "reno"}
    ),
    "net.ipv4.tcp_slow_start_after_idle": _flag("restart_after_idle"),
    "net.ipv4.tcp_early_retrans": _choice("tail_probes", {"0": False, "3": True, "4": True}),
    "net.ipv4.tcp_recovery": _choice("recovery", {"0": "rfc6675", "1": "rack"}),
    "net.ipv4.tcp_tso_win_divisor": _any,
    "net.ipv4.tcp_ecn": _choice("ecn", {"0": "off", "1": "offer", "2": "accept"}),
    "net.ipv4.tcp_pacing_ss_ratio": _only("200"),
    "net.ipv4.tcp_pacing_ca_ratio": _only("120"),
    "net.ipv4.tcp_notsent_lowat": _only("4294967295", "-1"),
    "net.ipv4.tcp_fastopen": _fast_open,
    "net.ipv4.tcp_fastopen_key": _fast_open_key,
    "net.ipv4.tcp_fastopen_blackhole_timeout_sec": _number("fast_open.pause", 1.0),
    "net.ipv4.tcp_syncookies": _flag("syn_cookies"),
    "net.ipv4.tcp_syn_retries": _number("syn_retries"),
    "net.ipv4.tcp_synack_retries": _number("syn_retries"),
    "net.ipv4.tcp_syn_linear_timeouts": _only("0"),
    "net.ipv4.tcp_retries1": _number("report_retries"),
    "net.ipv4.tcp_retries2": _number("data_retries"),
    "net.ipv4.tcp_fin_timeout": _number("fin_wait_2", 1),
    "net.ipv4.tcp_keepalive_time": _number("keepalive_idle", 1),
    "net.ipv4.tcp_keepalive_intvl": _number("keepalive_interval", 1),
    "net.ipv4.tcp_keepalive_probes": _number("keepalive_probes"),
    "net.ipv4.tcp_no_metrics_save": _any,
    "net.ipv4.tcp_mtu_probing": _mtu_probing,
    "net.ipv4.tcp_base_mss": lambda value: {"base_mtu": int(value) + _LINUX_HEADERS},
    "net.ipv4.tcp_moderate_rcvbuf": _only("0", "1"),
    "net.ipv4.tcp_autocorking": _any,
    "net.ipv4.tcp_abort_on_overflow": _only("0"),
    "net.ipv4.tcp_adv_win_scale": _only("1"),
    "net.ipv4.tcp_tw_reuse": _choice("reuse_time_wait", {"0": False, "1": True}),
    "net.ipv4.tcp_tw_reuse_delay": _number("time_wait_delay", 0.001),
    "net.ipv4.tcp_rfc1337": _flag("rfc1337"),
    "net.ipv4.tcp_stdurg": _only("0"),
    "net.ipv4.tcp_shrink_window": _only("0"),
    "net.ipv4.tcp_min_tso_segs": _number("burst_segments"),
    "net.ipv4.tcp_limit_output_bytes": _any,
    "net.ipv4.tcp_rto_max_ms": _number("rto_max", 0.001),
    "net.ipv4.tcp_tso_rtt_log": _only("9"),
    "net.ipv4.tcp_comp_sack_nr": _only("0", "44"),
    "net.ipv4.tcp_comp_sack_delay_ns": _any,
    "net.ipv4.ip_default_ttl": _number("ttl"),
    "net.mptcp.enabled": _any,
    # HyStart by trains of acknowledgments and by delay.
    "module.tcp_cubic.hystart_detect": _only("3"),
}
# What asks for a protocol that is not there: a setting with a value (None: any), and its name.
_APART: Final[dict[tuple[str, str | None], str]] = {
    **{("net.ipv4.tcp_ecn", value): "AccECN" for value in "345"},
    ("net.ipv4.tcp_ecn_option", None): "AccECN",
    ("net.ipv4.tcp_ecn_option_beacon", None): "AccECN",
}
_RULES: Final = _INET | _IPV4
# This stack's own settings by the names of TcpConfig, those of a part of it as PART.NAME.
_OWN: Final = "edotun."


def _own(name: str, value: str, config: TcpConfig) -> Changes | None:
    """One setting of ``TcpConfig`` from its text; None where there is none of that name, or no such value."""
    part, _, inner = name.removeprefix(_OWN).rpartition(".")
    holder = getattr(config, part, None) if part else config
    if holder is None or inner not in {field.name for field in fields(holder)}:
        return None
    kind = type(getattr(holder, inner))
    if kind not in (bool, int, float, str) or (kind is bool and value not in {"0", "1"}):
        return None
    changed: object = value == "1" if kind is bool else kind(value)
    return {part: replace(holder, **{inner: changed})} if part else {inner: changed}


def _changed(config: TcpConfig, changes: Changes) -> TcpConfig:
    """The configuration with changes; a name with a dot is of a part of it."""
    whole: Changes = {}
    parts: dict[str, Changes] = {}
    for name, value in changes.items():
        part, dot, field = name.partition(".")
        if dot:
            parts.setdefault(part, {})[field] = value
        else:
            whole[name] = value
    for part, inner in parts.items():
        whole[part] = replace(getattr(config, part), **inner)
    return replace(config, **whole)


def apply(setting: Sysctl, config: TcpConfig) -> TcpConfig:
    """The settings of TCP that follow from one of a system; raises Refused by name."""
    apart = _APART.get((setting.name, setting.value)) or _APART.get((setting.name, None))
    if apart is not None:
        raise Refused(setting.place, f"not supported: {apart}")
    rule = _RULES.get(setting.name)
    own = setting.name.startswith(_OWN)
    if rule is None and not own:
        raise Refused(setting.place, f"setting {setting.name}: not known")
    try:
        changes = rule(setting.value) if rule is not None else _own(setting.name, setting.value, config)
        if changes is not None:
            return _changed(config, changes)
    except ValueError as error:
        raise Refused(setting.place, f"setting {setting.name}={setting.value}: {error}") from None
    raise Refused(setting.place, f"setting {setting.name}={setting.value}: the stack has no such behaviour")
