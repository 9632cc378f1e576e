"""FreeBSD: the defaults of its kernel; EDO as its prototype has it, answered where it is offered."""

from __future__ import annotations

from edo.codepoints import Dialect, EdoKind, FormChoice, OptionOrder
from stack.config import TcpConfig
from stack.socket_core.profile import FREEBSD

from .base import Profile

PROFILE = Profile(
    "freebsd",
    TcpConfig(
        mtu_probing="off",
        receive_buffer=65536,
        send_buffer=32768,
        # What kern.ipc.maxsockbuf, 2 MiB, takes to be advertised.
        window_scale=6,
        # net.inet.tcp.rexmit_min and rexmit_slop.
        rto_min=0.23,
        syn_retries=3,
        keepalive=True,
        keepalive_probes=8,
        fin_wait_2=60.0,
    ),
    FREEBSD,
    Dialect(kind=EdoKind.NATIVE_79_80, form=FormChoice.SHORT, order=OptionOrder.FREEBSD, data_padding=80),
    listening_edo="lenient",
)
