"""ECN (RFC 3168 §6.1): agreed on by the SYNs, echoed by one end, heeded by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .pacer import Pacer
from .run import ACK, CWR, ECE, Run

if TYPE_CHECKING:
    from .tcb import Tcb

# Codepoints of the IP header's two bits (§5). Of the two that say ECT a sender uses ECT(0) (§6.1.2).
ECT_0: Final = 2
CE: Final = 3
_SETUP: Final = ECE | CWR


def take_syn(tcb: Tcb, flags: int) -> None:
    """Whether the peer's SYN or SYN-ACK, with its ``flags``, makes both ends ECN-capable (§6.1.1).

    A SYN offers by both flags, a SYN-ACK accepts by ECE alone: one that reflects both says nothing (§6.1.1.2).
    A side that has sent a SYN without the offer does not use ECN, also where SYNs cross.
    """
    setup = flags & _SETUP
    if flags & ACK:
        tcb.ecn = tcb.ecn_offered and setup == ECE
    else:
        willing = tcb.config.ecn != "off" if tcb.passive else tcb.ecn_offered
        tcb.ecn = willing and setup == _SETUP


def syn_again(tcb: Tcb, flags: int) -> None:
    """The peer's SYN came again: if without the offer, the first SYN-ACK may be lost, and ECN is off (§6.1.1.1)."""
    if flags & _SETUP != _SETUP:
        tcb.ecn = False


def established(tcb: Tcb) -> None:
    """Data may be sent: as ECN-capable where agreed and where the controller answers marks (§6.1.2)."""
    tcb.ecn_recover = tcb.iss
    if tcb.ecn and tcb.control.heeds_marks:
        tcb.ect = ECT_0
        if tcb.config.ecn_plus == "all":
            tcb.ect_all = ECT_0


def of_syn(tcb: Tcb, answer: bool) -> int:
    """The codepoint of our SYN, or of our SYN-ACK (``answer``): ECN-capable only where ``ecn_plus`` says so."""
    if answer:
        return ECT_0 if tcb.ecn and tcb.config.ecn_plus != "off" else 0
    return ECT_0 if tcb.ecn_offered and tcb.config.ecn_plus == "all" else 0


def arrived(tcb: Tcb, run: Run) -> None:
    """A segment within the window has CWR, or was marked: echo until the peer says CWR (§6.1.3).

    A pure acknowledgment is never ECN-capable, so a mark on it means nothing (§6.1.4); what lies outside of the
    window does not come here (§6.1.5).
    """
    if run.flags & CWR:
        tcb.ece = 0
    if run.ecn == CE and (run.length or tcb.config.marks_on_acks):
        tcb.ece = ECE


def echoed(tcb: Tcb, run: Run, now: float) -> None:
    """An acknowledgment carries ECE: a congestion event, one for each window of octets, losses counted (§6.1.2)."""
    # The window does not grow by this acknowledgment.
    tcb.cwnd_limited = False
    if run.ack <= max(tcb.ecn_recover, tcb.recover):
        return
    tcb.ecn_recover = tcb.snd_nxt
    if tcb.control.cwnd <= tcb.segment_size:
        # Less than a segment a round trip: the next goes when the retransmission timer would expire (§6.1.2).
        if tcb.pacer is None:
            tcb.pacer = Pacer()
        tcb.pacer.hold(now + tcb.rtt.rto)
    tcb.control.on_ecn(tcb.snd_nxt - tcb.snd_una, tcb.segment_size, now)
    reduced(tcb)


def reduced(tcb: Tcb) -> None:
    """The window was reduced, for whatever reason: the next new octets tell the peer so by CWR (§6.1.2)."""
    if tcb.ect:
        tcb.cwr = CWR
