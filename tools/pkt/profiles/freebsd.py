"""FreeBSD: the defaults of its kernel; EDO as its prototype has it, answered where it is offered."""

from __future__ import annotations

from edo.codepoints import Dialect, EdoKind, FormChoice, OptionOrder
from stack.config import FastOpen, TcpConfig
from stack.socket_core.profile import FREEBSD

from ..fastopen import freebsd_tag
from .base import Profile

PROFILE = Profile(
    "freebsd",
    TcpConfig(
        mtu_probing="off",
        receive_buffer=65536,
        send_buffer=32768,
        # What kern.ipc.maxsockbuf, 2 MiB, takes to be advertised.
        window_scale=6,
        # net.inet.tcp.rexmit_min and rexmit_slop; TCPTV_REXMTMAX.
        rto_min=0.03,
        rto_slop=0.2,
        rto_max=64.0,
        # TCP_MAXRXTSHIFT, within net.inet.tcp.keepinit.
        syn_retries=12,
        syn_ack_retries=3,
        data_retries=12,
        hold_syn_text=True,
        open_timeout=75.0,
        ecn_retries=1,
        bsd_icmp=True,
        path_mss="ipv6",
        cwr_on_resent=True,
        marks_on_acks=True,
        bsd_updates=True,
        ack_second=True,
        close_forgets=True,
        recovery="rfc6675",
        keepalive=True,
        keepalive_probes=8,
        fin_wait_2=60.0,
        round_buffers=True,
        whole_window=True,
        late_resets=True,
        bsd_time_wait=True,
        repeat_fin=True,
        # TCP_MAX_SACK; the prototype of EDO neither remembers nor gives up an offer.
        sack_blocks=4,
        edo_retries=-1,
        remember_edo=False,
        # Listeners only where net.inet.tcp.fastopen.server_enable says so; path_disable_time.
        fast_open=FastOpen(server=False, pause=900.0),
    ),
    FREEBSD,
    Dialect(kind=EdoKind.NATIVE_79_80, form=FormChoice.SHORT, order=OptionOrder.FREEBSD, data_padding=80),
    listening_edo="lenient",
    defined=frozenset({"FreeBSD"}),
    # Since version 13 a window is rounded up; before, acknowledgments were delayed longer.
    versions=({"raise_window": True}, {"delayed_ack": 0.1}),
    fast_open_tag=freebsd_tag,
    fast_open_key=bytes(16),
)
