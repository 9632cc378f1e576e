"""Linux: the defaults of a kernel, as far as the packet scripts for it set them (defaults.sh)."""

from __future__ import annotations

from edo.codepoints import Dialect, FormChoice, OptionOrder, Units
from stack.config import FastOpen, TcpConfig
from stack.socket_core.profile import LINUX

from ..fastopen import linux_keys, linux_tag
from .base import Profile

# Half of a buffer is for the protocol's own use (tcp_adv_win_scale 1), so a window is half of tcp_rmem's default.
_RECEIVE_WINDOW = 540_000 // 2
# What tcp_rmem's largest value, 15 MiB, takes to be advertised.
_SHIFT = 8

PROFILE = Profile(
    "linux",
    TcpConfig(
        mtu_probing="off",
        receive_buffer=_RECEIVE_WINDOW,
        send_buffer=256 * 1024,
        window_scale=_SHIFT,
        syn_retries=5,
        congestion="cubic-linux",
        rto_granularity=0.2,
        quick_acks=16,
        burst_segments=2,
        grow_half_used=True,
        slow_start_limit=1 << 16,
        prr_from_window=True,
        ecn="off",
        restart_after_idle=False,
        reduce_from_window=True,
        grow_by_delivery=True,
        empty_probes=True,
        answer_early_acks=False,
        whole_first_window=True,
        chronograph=True,
        ack_crossed=True,
        path_mss="both",
        remember_path_mtu=True,
        forgive_syn=True,
        tolerate_missing_timestamps=True,
        crossed_text=False,
        whole_sacks=True,
        # TCP_NUM_SACKS, which its prototype of EDO keeps; and it neither remembers nor gives up an offer.
        sack_blocks=4,
        edo_retries=-1,
        remember_edo=False,
        check_echo=True,
        soft_errors_end_opening=True,
        # net.ipv4.tcp_fastopen 0x403: both ends, and any listener.
        fast_open=FastOpen(pending=1 << 16, pause=0.0, unknown_mss=1460, try_experimental=True),
    ),
    LINUX,
    Dialect(units=Units.OCTETS, form=FormChoice.LONG, order=OptionOrder.LINUX),
    # Google's packetdrill looks at the value alone.
    echoes=False,
    # And at the connection of the latest socket.
    latest_socket=True,
    # Segments are as long as over IPv4: so are the links on which these scripts are run over IPv6.
    ipv6_mtu=1520,
    definitions={
        # The cookies of 192.0.2.1 at 192.168.0.1 under a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4 and a key of zeros.
        "TFO_COOKIE": "3021b9d889017eeb",
        "TFO_COOKIE_ZERO": "b7c12350a90dc8f5",
        "CMSG_LEVEL_IP": "SOL_IP",
        "CMSG_TYPE_RECVERR": "IP_RECVERR",
        "CODE": "host_unreachable",
    },
    defined=frozenset({"Linux", "linux"}),
    fast_open_tag=linux_tag,
    fast_open_key=linux_keys("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4")[0],
)
