"""Nagle's algorithm: which small segments wait for an acknowledgment (RFC 9293 §3.7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tcb import Tcb


def may_send_small(tcb: Tcb) -> bool:
    """Nagle as in RFC 9293 appendix A.3: no small segment while an earlier small one is unacknowledged.

    Urgent octets and what precedes them do not wait.
    """
    return (
        tcb.fin_queued
        or (not tcb.corked and (not tcb.config.nagle or tcb.snd_sml <= tcb.snd_una))
        or tcb.snd_up > tcb.snd_nxt
        or tcb.rush > tcb.snd_nxt
    )
