"""The path's MTU as it is learned: from ICMP where that can be believed, else from what gets through.

A connection under TCP-AO ignores ICMP (RFC 5925 §7.8), and some paths send none: there a row of timeouts of large
segments is the only sign (RFC 4821 §7.7, RFC 8899 §4.3).
"""

from __future__ import annotations

from typing import Final

from .tcb import Tcb

# No router is believed to have less, octets: RFC 8200 §5; IPv4's 68 would let a forger cut everything to crumbs.
_LEAST: Final = {20: 552, 40: 1280}
# What an old router that names no MTU is taken to mean (RFC 1191 §5), octets.
_UNNAMED: Final = 576
# Size to fall back to, octets of IP packet, after so many timeouts in a row: three, as RFC 8899 §5.1.2 has it, so
# that mere loss is not taken for a black hole.
_FALLBACKS: Final = {3: 1280, 5: 576}


def too_big(tcb: Tcb, mtu: int, now: float) -> None:
    """ICMP says that the next hop takes ``mtu`` octets (0: it does not say); only less than before counts."""
    least = _LEAST[tcb.config.ip_header]
    tcb.lower_path_mtu(max(mtu or _UNNAMED, least), now)


def timed_out(tcb: Tcb, now: float) -> None:
    """One more timeout in a row: from the third on size is suspected (RFC 4821 §7.7)."""
    mtu = _FALLBACKS.get(tcb.retries)
    if mtu is not None and mtu >= _LEAST[tcb.config.ip_header]:
        tcb.lower_path_mtu(mtu, now)
