"""Linux: the defaults of a kernel, as far as the packet scripts for it set them (defaults.sh)."""

from __future__ import annotations

from edo.codepoints import Dialect, FormChoice, OptionOrder, Units
from stack.config import TcpConfig
from stack.socket_core.profile import LINUX

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
        congestion="cubic",
    ),
    LINUX,
    Dialect(units=Units.OCTETS, form=FormChoice.LONG, order=OptionOrder.LINUX),
)
