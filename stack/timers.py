"""Timers: what happens when a deadline has come (RFC 9293 §3.10.8, RFC 6298 §5, RFC 9293 §3.8.6.1, §3.8.4)."""

from __future__ import annotations

import errno
from dataclasses import replace

from . import closing, ecn, pmtu
from .events import TcpError
from .run import ACK, ECE, SYN, Run
from .states import State
from .tcb import NEVER, Tcb
from .user_timeout import advertised as advertised_timeout


def next_deadline(tcb: Tcb) -> float:
    """The earliest deadline, seconds, infinite for none."""
    return min(tcb.rexmt_at, tcb.loss_at, tcb.delack_at, tcb.persist_at, tcb.linger_at, tcb.keep_at, tcb.pace_at)


def run_due(tcb: Tcb, now: float) -> None:
    """Run every timer whose time has come."""
    if tcb.delack_at <= now:
        tcb.delack_at = NEVER
        tcb.ack_now = True
        if tcb.quick is not None:
            tcb.quick.timed_out(tcb.rtt.rto)
    if tcb.loss_at <= now:
        tcb.loss.on_timer(tcb, now)
        # RFC 8985 §7.3, §8: the RTO begins only now.
        start_retransmission(tcb, now)
    if tcb.rexmt_at <= now:
        if tcb.state in (State.SYN_SENT, State.SYN_RECEIVED):
            _syn_timeout(tcb, now)
        else:
            retransmission_timeout(tcb, now)
    if tcb.persist_at <= now:
        persist_timeout(tcb, now)
    if tcb.linger_at <= now:
        closing.delete(tcb, None)
    if tcb.keep_at <= now:
        _keepalive_timeout(tcb, now)
    if tcb.pace_at <= now:
        # The output that follows sends.
        tcb.pace_at = NEVER


def start_retransmission(tcb: Tcb, now: float) -> None:
    """(Re)start the retransmission timer (RFC 6298 §5.1, §5.3), no later than the user timeout allows."""
    at = now + tcb.rtt.rto
    if tcb.user_timeout > 0.0:
        at = min(at, max(tcb.progress_at + tcb.user_timeout, now))
    tcb.rexmt_at = at


def start_syn(tcb: Tcb, now: float) -> None:
    """(Re)start the timer of our SYN, no later than an active open may take in all."""
    at = now + tcb.rtt.rto
    if tcb.config.open_timeout > 0.0 and not tcb.passive:
        at = min(at, max(tcb.progress_at + tcb.config.open_timeout, now))
    tcb.rexmt_at = at


def _given_up(tcb: Tcb, now: float, retries: int) -> bool:
    """Count one more unanswered transmission; True if R2 or the user timeout is reached (RFC 9293 §3.8.3)."""
    tcb.retries += 1
    late = tcb.user_timeout > 0.0 and now >= tcb.progress_at + tcb.user_timeout
    if tcb.retries <= retries and not late:
        if tcb.retries == tcb.config.report_retries:
            # R1 (RFC 9293 §3.8.3 e).
            tcb.soft_error(tcb.softly or TcpError(errno.ETIMEDOUT, "the peer does not answer"))
        return False
    # What the network said last tells more than that nobody answered.
    softly = tcb.softly or TcpError(errno.ETIMEDOUT, "connection timed out")
    code = softly.errno or errno.ETIMEDOUT
    closing.fail(tcb, code, "connection timed out" if code == errno.ETIMEDOUT else str(softly.strerror))
    return True


def _syn_timeout(tcb: Tcb, now: float) -> None:
    """A SYN or SYN-ACK was not answered in time: again, with the interval doubled (RFC 9293 §3.8.3)."""
    config = tcb.config
    late = config.open_timeout > 0.0 and not tcb.passive and now >= tcb.progress_at + config.open_timeout
    retries = config.syn_ack_retries if tcb.passive and config.syn_ack_retries >= 0 else config.syn_retries
    if _given_up(tcb, now, 0 if late else retries):
        return
    tcb.rtt.back_off()
    # What drops SYNs with the offer may let others pass (RFC 3168 §6.1.1.1).
    tcb.ecn_offered = tcb.ecn_offered and tcb.retries <= config.ecn_retries
    if 0 < config.plain_syn_after < tcb.retries and not tcb.passive:
        tcb.config = replace(config, window_scaling=False, timestamps=False, sack=False)
    repeat_syn(tcb, now)
    start_syn(tcb, now)


def repeat_syn(tcb: Tcb, now: float) -> None:
    """Send the SYN or SYN-ACK once more."""
    tcb.transmission += 1
    tcb.retransmissions += 1
    tcb.now = now
    send_syn(tcb)


def send_syn(tcb: Tcb) -> None:
    """Queue the SYN (SYN-SENT) or the SYN-ACK (SYN-RECEIVED), its options being offered or answered."""
    answer = tcb.state is State.SYN_RECEIVED
    if answer:
        flags = SYN | ACK | (tcb.ece if tcb.accurate else ECE if tcb.ecn else 0)
    else:
        flags = SYN | ecn.offer(tcb)
    ack = tcb.irs + 1 if tcb.config.hold_syn_text and tcb.opening is None else tcb.rcv_nxt
    # The window of a SYN is never scaled (RFC 7323 §2.2).
    run = Run(
        tcb.iss,
        ack if answer else 0,
        flags,
        tcb.first_window,
        tcb.syn_options(answer),
        transmission=tcb.transmission,
        ecn=ecn.of_syn(tcb, answer),
    )
    run.options.user_timeout = advertised_timeout(tcb)
    opening = tcb.opening
    if opening is not None and not tcb.transmission and answer == tcb.passive:
        # Only the first carries Fast Open: what it met may be what swallowed it (RFC 7413 §4.2.2).
        run.options.fast_open = opening.cookie
        run.options.fast_open_experimental = opening.experimental
        if opening.octets:
            run.length = opening.octets
            run.payload = tcb.sending.peek(tcb.iss + 1, tcb.iss + 1 + run.length)
            run.segment_size = tcb.config.mtu
    tcb.last_ack_sent = ack
    tcb.ack_now = False
    tcb.out.append(run)


def retransmission_timeout(tcb: Tcb, now: float) -> None:
    """RFC 6298 §5.4-5.6 with the window of RFC 5681 §3.1; the sender then repeats what is marked lost."""
    if _given_up(tcb, now, tcb.config.data_retries):
        return
    pmtu.timed_out(tcb, now)
    tcb.loss.on_timeout(tcb, now)
    tcb.rtt.back_off()
    start_retransmission(tcb, now)


def persist_timeout(tcb: Tcb, now: float) -> None:
    """Probe a window that is closed, or override a small one (RFC 9293 §3.8.6.1, §3.8.6.2.1 rule 4)."""
    if _given_up(tcb, now, tcb.config.data_retries):
        return
    tcb.persist_at = NEVER
    tcb.persisting += 1
    tcb.override = True


def persist_interval(tcb: Tcb) -> float:
    """The interval to the next probe: the RTO, doubled for each one before, seconds."""
    return min(tcb.rtt.rto * float(1 << min(tcb.persisting, 16)), tcb.config.rto_max)


def _keepalive_timeout(tcb: Tcb, now: float) -> None:
    """RFC 9293 §3.8.4: only when nothing was heard for the whole interval and nothing is outstanding."""
    config = tcb.config
    due = tcb.heard_at + config.keepalive_idle
    if tcb.keep_probes == 0 and due > now:
        tcb.keep_at = due
        return
    if tcb.snd_una != tcb.snd_nxt or tcb.persist_at != NEVER:
        tcb.keep_at = now + config.keepalive_idle
        return
    if tcb.keep_probes >= config.keepalive_probes:
        closing.fail(tcb, errno.ETIMEDOUT, "keepalive probes were not answered")
        return
    tcb.keep_probes += 1
    tcb.keep_at = now + config.keepalive_interval
    tcb.out.append(tcb.control_run(ACK, tcb.snd_nxt - 1, tcb.plain_options(now)))
