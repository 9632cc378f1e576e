"""SEGMENT ARRIVES (RFC 9293 §3.10.7), step by step under the document's names."""

from __future__ import annotations

import errno

from . import accecn, closing, delivery, ecn, paced, pmtu, receiver, recovery, sender, timers
from .congestion import find
from .events import Established
from .quickack import QuickAcks
from .run import ACK, CWR, FIN, PSH, RST, SYN, URG, Run
from .states import State, Trigger
from .tcb import HALF, MASK, NEVER, Tcb
from .user_timeout import established as timeout_established
from .user_timeout import take as take_timeout
from .variables import UNOPENED

_ESTABLISHED = State.ESTABLISHED
_NOT_PSH = ~PSH
_SYN_SENT = State.SYN_SENT
_SYN_RECEIVED = State.SYN_RECEIVED
# 24 days: after so long a silence TS.Recent says nothing any more (RFC 7323 §5.5).
_TS_RECENT_LIFE = 24 * 86400.0


def segment_arrives(tcb: Tcb, run: Run, now: float) -> None:
    """Process one run; nothing in it raises."""
    state = tcb.state
    if (
        state is _ESTABLISHED
        and run.seq == tcb.rcv_nxt
        and run.length
        and run.flags & _NOT_PSH == ACK
        and run.ack == tcb.snd_una
        and run.window << tcb.snd_wscale == tcb.snd_wnd
        and tcb.incoming.ranges is None
        and run.length <= tcb.rcv_adv - tcb.rcv_nxt
        and not run.options.sack
        and run.options.user_timeout is None
        and run.ecn != ecn.CE
        and tcb.peer_fin < 0
        and not tcb.read_closed
        and _predicted(tcb, run, now)
    ):
        return
    if state > _SYN_SENT:
        other_states(tcb, run, now)
    elif state is _SYN_SENT:
        syn_sent_state(tcb, run, now)


def _predicted(tcb: Tcb, run: Run, now: float) -> bool:
    """Header prediction (RFC 7323 §5.6): the next octets in order, nothing else to do; False: not so."""
    if tcb.timestamps:
        value = run.options.ts_val
        if value is None or (value - tcb.ts_recent) & MASK >= HALF:
            return False
        if run.seq <= tcb.last_ack_sent:
            tcb.ts_recent = value
            tcb.ts_recent_at = now
    length = run.length
    tcb.incoming.append(run.payload, length, run.seq, run.cipher)
    tcb.snd_wl1 = run.seq
    tcb.heard_at = now
    tcb.keep_probes = 0
    tcb.rcv_nxt += length
    tcb.octets_in += length
    if length > tcb.rcv_mss:
        tcb.rcv_mss = max(tcb.rcv_mss, min(length // run.segments, tcb.announced_mss))
    return True


def listen_state(tcb: Tcb, run: Run, now: float) -> None:
    """§3.10.7.2, third: a SYN for a passive open."""
    tcb.passive = True
    tcb.move(Trigger.PASSIVE_OPEN)
    _take_syn(tcb, run)
    tcb.move(Trigger.SYN)
    _send_syn_ack(tcb, run, now)


def _take_syn(tcb: Tcb, run: Run) -> None:
    """The peer's SYN: IRS, RCV.NXT, its window (never scaled) and its options."""
    tcb.irs = run.seq
    tcb.rcv_nxt = run.seq + 1
    tcb.last_ack_sent = tcb.rcv_up = tcb.rcv_nxt
    tcb.snd_wnd = tcb.max_snd_wnd = run.window
    tcb.snd_wl1 = run.seq
    tcb.snd_wl2 = run.ack if run.flags & ACK else tcb.iss
    tcb.take_syn_options(run.options)
    if run.options.user_timeout is not None:
        take_timeout(tcb, run.options.user_timeout)
    ecn.take_syn(tcb, run)
    if not tcb.passive:
        tcb.round_buffers()
    # What is accepted may be more than an unscaled field can tell only where that is asked for.
    beyond = tcb.config.whole_window and not tcb.passive
    tcb.rcv_adv = tcb.rcv_nxt + (tcb.receive_buffer if beyond else tcb.first_window)


def _send_syn_ack(tcb: Tcb, run: Run, now: float) -> None:
    """SYN-RECEIVED is entered: text of the SYN is kept for later (§3.10.7.2, §3.10.7.3), a FIN is not."""
    tcb.transmission = 0
    tcb.retries = 0
    tcb.snd_nxt = max(tcb.snd_nxt, tcb.iss + 1)
    tcb.syn_sent_at = now
    if run.length and _keeps_syn_text(tcb):
        receiver.take_text(tcb, _without_syn(run), now)
        tcb.out.clear()
    timers.send_syn(tcb)
    timers.start_syn(tcb, now)


def _keeps_syn_text(tcb: Tcb) -> bool:
    """Whether text of the peer's SYN is kept until the connection stands."""
    if tcb.passive:
        return tcb.opening is not None or not tcb.config.hold_syn_text
    return tcb.config.crossed_text


def _without_syn(run: Run, flags: int = ACK) -> Run:
    """What follows the SYN in a segment, with ``flags``."""
    return Run(
        run.seq + 1,
        run.ack,
        flags,
        run.window,
        run.options,
        run.payload,
        run.length,
        urgent=max(run.urgent - 1, 0),
        segments=run.segments,
        ecn=run.ecn,
        cipher=run.cipher,
    )


def syn_sent_state(tcb: Tcb, run: Run, now: float) -> None:
    """§3.10.7.3."""
    flags = run.flags
    acceptable = False
    if flags & ACK:
        if not tcb.snd_una < run.ack <= tcb.snd_nxt:
            if not flags & RST:
                tcb.send_reset(run.ack, 0)
            tcb.drop("bad_ack")
            return
        acceptable = True
    if flags & RST:
        if acceptable and tcb.ecn_offered:
            # It may be the offer that was refused: once more without (RFC 3168 §6.1.1.1).
            tcb.ecn_offered = False
            tcb.syn_sent_at = now
            timers.send_syn(tcb)
            timers.start_syn(tcb, now)
        elif acceptable:
            closing.fail(tcb, errno.ECONNREFUSED, "connection refused")
        else:
            tcb.drop("bad_ack")
        return
    if not flags & SYN:
        return
    if acceptable and tcb.config.check_echo and not _echoes_ours(tcb, run, now):
        tcb.send_reset(run.ack, 0)
        tcb.drop("bad_echo")
        return
    _take_syn(tcb, run)
    if not acceptable:
        # Simultaneous open.
        tcb.move(Trigger.SYN)
        _send_syn_ack(tcb, run, now)
        return
    _answered(tcb, run.ack)
    establish(tcb, now)
    if tcb.accurate:
        # This acknowledgment alone tells how the SYN-ACK arrived.
        receiver.acknowledge_now(tcb, now, None)
        accecn.begin(tcb)
    else:
        tcb.ack_now = True
    rest = _without_syn(run, flags & ~SYN)
    if flags & URG and rest.urgent:
        receiver.take_urgent(tcb, rest)
    if run.length or flags & FIN:
        receiver.take_text(tcb, rest, now)


def _echoes_ours(tcb: Tcb, run: Run, now: float) -> bool:
    """Whether the timestamp that a SYN-ACK echoes, if any, is of one of our SYNs."""
    echo = run.options.ts_ecr
    if run.options.ts_val is None or not echo:
        return True
    age = ((int(now * 1000.0) + tcb.clock_offset) - echo) & MASK
    return age / 1000.0 <= now - tcb.progress_at + 0.001


def _answered(tcb: Tcb, ack: int) -> None:
    """Our SYN is acknowledged, and by ``ack`` as much of its text (RFC 7413 §4.2.2).

    What is not acknowledged was not taken: SND.NXT goes back, and it is sent like octets that never were.
    """
    first = tcb.iss + 1
    if tcb.passive:
        tcb.snd_una = first
        return
    tcb.snd_una = ack
    opening = tcb.opening
    if opening is not None and opening.octets:
        tcb.fast_opened = ack == first + opening.octets
        tcb.octets_out += ack - first
        tcb.early = ack - first
        tcb.again_to = first + opening.octets
        tcb.snd_nxt = ack
        tcb.wrote = ack > first
        tcb.sending.release(ack)


def establish(tcb: Tcb, now: float) -> None:
    """Our SYN is acknowledged: ESTABLISHED, with the windows and timers of a connection that transfers."""
    if tcb.transmission == 0:
        tcb.rtt.sample(now - tcb.syn_sent_at)
    else:
        tcb.rtt.syn_was_lost()
    if tcb.passive:
        tcb.round_buffers()
    if tcb.config.whole_window:
        tcb.window_field()
    if tcb.control is UNOPENED:
        begin_transfer(tcb, now)
    tcb.retries = 0
    tcb.rexmt_at = NEVER
    if tcb.snd_nxt > tcb.iss + 1:
        # Octets that went before the SYN was acknowledged: until now it was its timer alone (RFC 6298 §5.1).
        timers.start_retransmission(tcb, now)
    tcb.sent_at = tcb.heard_at = tcb.progress_at = now
    if tcb.config.keepalive:
        tcb.keep_at = now + tcb.config.keepalive_idle
    timeout_established(tcb)
    tcb.move(Trigger.ACK_OF_SYN)
    tcb.tell(Established())
    if tcb.incoming.octets:
        tcb.tell_readable()
    if tcb.fin_queued:
        tcb.move(Trigger.CLOSE)


def begin_transfer(tcb: Tcb, now: float) -> None:
    """What sending needs: once our SYN is acknowledged, or before it by Fast Open (RFC 7413 §4.2.2 step 6)."""
    pmtu.established(tcb, now)
    tcb.control = find(tcb.config.congestion)(tcb.initial_window)
    tcb.control.limit = tcb.config.slow_start_limit
    ecn.established(tcb)
    delivery.established(tcb, now)
    paced.established(tcb)
    if tcb.config.quick_acks:
        tcb.quick = QuickAcks(tcb.config.quick_acks, tcb.config.delayed_ack, now)
        if tcb.starved:
            # The application waits to write on: a dialogue is about to begin.
            tcb.quick.expect_dialogue()
    tcb.loss = recovery.make(tcb)
    tcb.recover = tcb.iss


def other_states(tcb: Tcb, run: Run, now: float) -> None:
    """§3.10.7.4."""
    flags = run.flags
    if run.options.syn_eos and not flags & (SYN | RST):
        # An OOB of SYN-EOS that nobody waits for: its payload is no text, and it is never answered (profile.md §1).
        tcb.drop("stray_oob")
        return
    if tcb.state is State.TIME_WAIT and tcb.config.bsd_time_wait:
        closing.bsd_time_wait(tcb, run, now)
        return
    if tcb.state is _SYN_RECEIVED and flags & SYN and run.seq == tcb.irs and not flags & RST:
        if not flags & ACK:
            # The same SYN again: our answer did not arrive.
            ecn.syn_again(tcb, flags)
            timers.repeat_syn(tcb, now)
            return
        # Crossed SYNs: this is the peer's SYN-ACK, whose SYN is known already.
        run = _without_syn(run, flags & ~SYN)
        flags = run.flags
        if not run.length:
            # Text of its first SYN may have been taken since.
            run.seq = tcb.rcv_nxt
        tcb.ack_now |= tcb.config.ack_crossed and tcb.opening is None
    seq = run.seq
    rcv_nxt = tcb.rcv_nxt
    if not flags & RST and tcb.timestamps and not _paws(tcb, run, now):
        return
    # First, check sequence number.
    length = run.length + (flags & FIN) + ((flags & SYN) >> 1)
    end = seq + length
    if seq > tcb.rcv_adv or end < rcv_nxt or (length and (end == rcv_nxt or (seq == tcb.rcv_adv != rcv_nxt))):
        _unacceptable(tcb, run, now)
        return
    # Second, check the RST bit (RFC 5961 §3.2).
    if flags & RST:
        _reset_arrives(tcb, run, now)
        return
    # Fourth, check the SYN bit (RFC 5961 §4.2).
    if flags & SYN:
        if tcb.state is _SYN_RECEIVED and tcb.passive:
            # Back to LISTEN, which takes the SYN when it is sent again.
            closing.fail(tcb, errno.ECONNRESET, "another SYN came before the connection was established")
        elif tcb.config.insecure_syn and seq >= rcv_nxt:
            tcb.send_reset(tcb.snd_nxt, ACK)
            closing.fail(tcb, errno.ECONNRESET, "connection reset by a SYN")
        else:
            receiver.challenge(tcb, now)
        return
    # Fifth, check the ACK field.
    if not flags & ACK:
        return
    tcb.heard_at = now
    tcb.keep_probes = 0
    stamped = tcb.timestamps and run.options.ts_val is not None and seq <= tcb.last_ack_sent
    if stamped and (tcb.config.answer_early_acks or run.ack <= tcb.snd_nxt):
        assert run.options.ts_val is not None
        tcb.ts_recent = run.options.ts_val
        tcb.ts_recent_at = now
    if tcb.state is _SYN_RECEIVED:
        if not tcb.snd_una < run.ack <= tcb.snd_nxt:
            tcb.drop("bad_ack")
            tcb.send_reset(run.ack, 0)
            return
        _answered(tcb, run.ack)
        tcb.snd_wnd = run.window << tcb.snd_wscale
        tcb.max_snd_wnd = max(tcb.max_snd_wnd, tcb.snd_wnd)
        tcb.snd_wl1 = seq
        tcb.snd_wl2 = run.ack
        if tcb.accurate:
            accecn.acknowledged(tcb, flags)
        establish(tcb, now)
        if run.ack > tcb.snd_una and not sender.take_ack(tcb, run, now):
            return
    elif not sender.take_ack(tcb, run, now):
        return
    if run.options.user_timeout is not None:
        take_timeout(tcb, run.options.user_timeout)
    if tcb.ecn and (run.ecn == ecn.CE or flags & CWR):
        ecn.arrived(tcb, run)
    # Sixth, check the URG bit. Seventh and eighth: text and FIN.
    if flags & URG and run.urgent:
        receiver.take_urgent(tcb, run)
    if run.length or flags & FIN:
        receiver.take_text(tcb, run, now)


def _paws(tcb: Tcb, run: Run, now: float) -> bool:
    """RFC 7323 §3.2 and §5.3 step R1; False if the segment is dropped."""
    value = run.options.ts_val
    if value is None:
        if tcb.config.tolerate_missing_timestamps:
            return True
        tcb.drop("paws")
        return False
    if (value - tcb.ts_recent) & MASK >= HALF:
        if now - tcb.ts_recent_at < _TS_RECENT_LIFE:
            tcb.drop("paws")
            _answer(tcb, run, now)
            return False
        tcb.ts_recent = value
    return True


def _answer(tcb: Tcb, run: Run, now: float) -> None:
    """Acknowledge a segment that is dropped; without text at the rate of challenge ACKs, lest ACKs answer ACKs."""
    if run.length or run.flags & FIN:
        duplicate = None
        end = min(run.seq + run.length, tcb.rcv_nxt)
        if tcb.irs < run.seq < end:
            duplicate = (run.seq, end)
        receiver.acknowledge_now(tcb, now, duplicate)
    else:
        receiver.challenge(tcb, now)


def _unacceptable(tcb: Tcb, run: Run, now: float) -> None:
    """First step, an unacceptable segment: an ACK in reply unless it is a RST, then drop it."""
    if run.flags & RST:
        tcb.drop("out_of_window")
        return
    if run.seq > tcb.rcv_nxt:
        tcb.drop("out_of_window")
    if tcb.state is State.TIME_WAIT and run.flags & FIN:
        # The peer did not hear our last ACK: again, and 2 MSL from now.
        tcb.linger_at = now + 2 * tcb.config.msl
    _answer(tcb, run, now)


def _reset_arrives(tcb: Tcb, run: Run, now: float) -> None:
    """Second step: only the exact number resets, another one within the window is challenged."""
    insecure = tcb.config.insecure_rst and tcb.rcv_nxt <= run.seq < tcb.rcv_adv
    if run.seq != tcb.rcv_nxt and not insecure:
        tcb.drop("out_of_window")
        if tcb.rcv_nxt < run.seq < tcb.rcv_adv:
            receiver.challenge(tcb, now)
        return
    state = tcb.state
    if state is State.SYN_RECEIVED:
        if tcb.passive:
            closing.fail(tcb, errno.ECONNRESET, "connection reset before it was established")
        else:
            closing.fail(tcb, errno.ECONNREFUSED, "connection refused")
    elif state is State.TIME_WAIT and tcb.config.rfc1337:
        # Else an old duplicate's answer would end it before its time (RFC 1337 §2).
        tcb.drop("out_of_window")
    elif state is State.TIME_WAIT or (state in (State.CLOSING, State.LAST_ACK) and not tcb.config.late_resets):
        closing.delete(tcb, None)
    else:
        closing.fail(tcb, errno.ECONNRESET, "connection reset by peer")
