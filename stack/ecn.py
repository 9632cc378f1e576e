"""ECN (RFC 3168 §6.1): agreed on by the SYNs, echoed by one end, heeded by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import accecn
from .pacing import DEFAULT, find
from .run import ACK, AE, CWR, ECE, Run

if TYPE_CHECKING:
    from .tcb import Tcb

# Codepoints of the IP header's two bits (§5). Of the two that say ECT a sender uses ECT(0) (§6.1.2).
ECT_0: Final = 2
CE: Final = 3
_SETUP: Final = ECE | CWR
# What of ACE in a SYN-ACK agrees on the counter: 1 and 5 are RFC 3168's, 0 and 7 say no (RFC 9768 §3.1.2).
_ACCURATE_ANSWERS: Final = (2, 3, 4, 6)


def take_syn(tcb: Tcb, run: Run) -> None:
    """Whether the peer's SYN or SYN-ACK makes both ends ECN-capable (§6.1.1), or accurately so (RFC 9768 §3.1).

    A SYN offers by both flags, a SYN-ACK accepts by ECE alone: one that reflects both says nothing (§6.1.1.2).
    A side that has sent a SYN without the offer does not use ECN, also where SYNs cross.
    """
    setup = run.flags & _SETUP
    accurate = tcb.config.ecn == "accurate"
    if run.flags & ACK:
        tcb.ecn = tcb.ecn_offered and setup == ECE
        if accurate and tcb.ecn_offered and accecn.field(run.flags) in _ACCURATE_ANSWERS:
            accecn.take_syn(tcb, run)
    else:
        willing = tcb.config.ecn != "off" if tcb.passive else tcb.ecn_offered
        tcb.ecn = willing and setup == _SETUP
        if accurate and tcb.passive and run.flags & AE:
            accecn.take_syn(tcb, run)


def syn_again(tcb: Tcb, flags: int) -> None:
    """The peer's SYN came again: if without the offer, the first SYN-ACK may be lost, and ECN is off (§6.1.1.1)."""
    if not flags & AE if tcb.accurate else flags & _SETUP != _SETUP:
        tcb.ecn = tcb.accurate = False
        tcb.ece = 0


def established(tcb: Tcb) -> None:
    """Data may be sent: as ECN-capable where agreed and where the controller answers marks (§6.1.2)."""
    tcb.ecn_recover = tcb.iss
    if tcb.ecn and tcb.control.heeds_marks:
        tcb.ect = ECT_0
        if tcb.config.ecn_plus == "all":
            tcb.ect_all = ECT_0


def offer(tcb: Tcb) -> int:
    """The flags with which our SYN offers ECN (RFC 3168 §6.1.1, RFC 9768 §3.1.1)."""
    if not tcb.ecn_offered:
        return 0
    return accecn.FLAGS if tcb.config.ecn == "accurate" else _SETUP


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
    if tcb.accurate:
        if run.ecn == CE:
            accecn.arrived(tcb, run)
        return
    if run.flags & CWR:
        tcb.ece = 0
    if run.ecn == CE and (run.length or tcb.config.marks_on_acks):
        tcb.ece = ECE


def tells(tcb: Tcb, flags: int) -> bool:
    """Whether an acknowledgment with ``flags`` tells of congestion."""
    return accecn.told(tcb, flags) if tcb.accurate else flags & ECE > 0


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
            tcb.pacer = find(DEFAULT)()
        tcb.pacer.hold(now + tcb.rtt.rto)
    tcb.control.on_ecn(tcb.snd_nxt - tcb.snd_una, tcb.segment_size, now)
    reduced(tcb)


def reduced(tcb: Tcb) -> None:
    """The window was reduced, for whatever reason: the next new octets tell the peer so by CWR (§6.1.2)."""
    if tcb.ect and not tcb.accurate:
        tcb.cwr = CWR
