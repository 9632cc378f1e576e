"""The sending half: what acknowledgments free, and what may be sent now (RFC 9293 §3.8, RFC 5681, RFC 6675 §5)."""

from __future__ import annotations

from typing import Final

from edo.options import Options

from . import bursts, closing, delivery, ecn, nagle, pmtu, timers
from .receiver import ack_options, challenge
from .recovery import FAST, OPEN, in_flight
from .run import ACK, FIN, PSH, Run
from .states import State
from .tcb import HALF, MASK, NEVER, Tcb

# No run is longer than this many octets: twice what a device cuts at once. The sealer cuts runs into segments.
_RUN_LIMIT: Final = 1 << 17
# One tick of the timestamp clock, seconds.
_TICK: Final = 0.001
_ESTABLISHED: Final = State.ESTABLISHED
_CLOSED: Final = State.CLOSED


def take_ack(tcb: Tcb, run: Run, now: float) -> bool:
    """Fifth, check the ACK field, ESTABLISHED and later; False if the segment is to be dropped."""
    ack = run.ack
    una = tcb.snd_una
    if ack > tcb.snd_nxt + tcb.probing or ack < una - tcb.max_snd_wnd:
        # RFC 5961 §5.2: neither new nor as old as the largest window ever offered.
        tcb.drop("bad_ack")
        if ack < una or tcb.config.answer_early_acks:
            challenge(tcb, now)
        return False
    window = run.window << tcb.snd_wscale
    if tcb.snd_wnd == 0 or tcb.persisting:
        # A peer that answers with a closed window is alive (RFC 9293 §3.8.6.1): it is not given up.
        tcb.retries = 0
    if tcb.ect and ack >= una and ecn.tells(tcb, run.flags):
        ecn.echoed(tcb, run, now)
    if ack > una:
        _take_new_ack(tcb, run, ack - una, window, now)
        return tcb.state is not _CLOSED
    if ack < una:
        if run.options.sack and tcb.sack_ok:
            # An acknowledgment that was overtaken may still tell of octets beyond a hole.
            tcb.loss.on_same_ack(tcb, run, False, now)
        return True
    same_window = window == tcb.snd_wnd
    if not same_window:
        _take_window(tcb, run, window)
    tcb.loss.on_same_ack(tcb, run, same_window and not run.length and not run.flags & FIN, now)
    if tcb.rates is not None:
        delivery.acknowledged(tcb, tcb.rates, 0, now)
    return True


def _take_window(tcb: Tcb, run: Run, window: int) -> None:
    """Update the send window unless the segment is older than the one that did last (SND.WL1, SND.WL2)."""
    seq = run.seq
    if tcb.snd_wl1 < seq or (tcb.snd_wl1 == seq and tcb.snd_wl2 <= run.ack):
        if window > tcb.snd_wnd:
            # Wider: what was held back by SWS avoidance or a closed window may go.
            tcb.persist_at = NEVER
            tcb.persisting = 0
            tcb.max_snd_wnd = max(tcb.max_snd_wnd, window)
        tcb.snd_wnd = window
        tcb.snd_wl1 = seq
        tcb.snd_wl2 = run.ack


def _take_new_ack(tcb: Tcb, run: Run, acked: int, window: int, now: float) -> None:
    """SND.UNA < SEG.ACK: release, measure, recover, let the window grow."""
    ack = run.ack
    tcb.snd_una = ack
    if tcb.probing:
        if ack > tcb.snd_nxt:
            # The probe's octet was taken.
            tcb.snd_nxt = ack
            tcb.octets_out += 1
            tcb.probing = False
        tcb.persisting = 0
    _take_window(tcb, run, window)
    board = tcb.scoreboard
    board.acknowledge(ack)
    options = run.options
    if board.acked_sent_at >= 0.0:
        rtt = now - board.acked_sent_at
        tcb.rtt.sample(rtt, 1 + acked // (2 * tcb.segment_size))
        if tcb.control.wants_rtt:
            tcb.control.on_round_trip(rtt, ack, tcb.snd_nxt)
    elif tcb.timestamps and options.ts_ecr and options.ts_val is not None:
        echoed = ((int(now * 1000.0) + tcb.clock_offset) - options.ts_ecr) & MASK
        # RFC 7323 §4: the echo tells which transmission was acknowledged. One older than the retransmission says
        # that the first did arrive and its acknowledgment was lost: the time since then is no round trip.
        if echoed < HALF and echoed / 1000.0 <= now - board.acked_resent_at + _TICK:
            tcb.rtt.sample(echoed / 1000.0)
    tcb.retries = 0
    tcb.softly = None
    tcb.progress_at = now
    first_partial = not tcb.partial
    if ack >= tcb.probe_end:
        pmtu.acknowledged(tcb, now)
    tcb.loss.on_new_ack(tcb, run, acked, now)
    sending = tcb.sending
    base = sending.base
    sending.release(ack)
    if sending.base != base:
        tcb.wrote = True
    if tcb.snd_una == tcb.snd_nxt:
        tcb.rexmt_at = NEVER
    elif tcb.sack_ok or tcb.recovery != FAST or first_partial:
        # RFC 6298 §5.3; without SACK only the first partial ACK restarts it (RFC 6582 §3.2 step 3).
        timers.start_retransmission(tcb, now)
    tcb.loss.arm(tcb, now)
    if tcb.rates is not None:
        delivery.acknowledged(tcb, tcb.rates, acked, now)
    if tcb.fin_queued and ack > sending.end:
        closing.acknowledged_fin(tcb, now)


def output(tcb: Tcb, now: float) -> None:
    """Queue what may be sent now: first what was lost, then what is new, then the FIN."""
    if tcb.state < _ESTABLISHED:
        if tcb.fast_opened and tcb.passive:
            _send_early(tcb, now)
        return
    board = tcb.scoreboard
    if tcb.loss.tail_probe:
        _probe_tail(tcb, now)
    if board.waiting and not _retransmit(tcb, now):
        return
    nxt = tcb.snd_nxt
    end = tcb.sending.end
    if nxt >= end + tcb.fin_queued or tcb.hold_data:
        tcb.cwnd_limited = False
    else:
        _send_new(tcb, nxt, end, now)
        if tcb.usage is not None and (tcb.snd_nxt > nxt or tcb.cwnd_limited):
            full = tcb.cwnd_limited or in_flight(tcb) >= tcb.control.cwnd
            tcb.usage.note(tcb.snd_una, tcb.snd_nxt, limited=full)
    if tcb.recovery == FAST and tcb.loss.rescues:
        _last_resort(tcb, now)


def _send_early(tcb: Tcb, now: float) -> None:
    """New octets and FIN before our SYN is acknowledged (RFC 7413 §4.2.2); the timer is the SYN-ACK's alone."""
    end = tcb.sending.end
    if tcb.snd_nxt < end + tcb.fin_queued and tcb.state is State.SYN_RECEIVED:
        _send_new(tcb, tcb.snd_nxt, end, now)
        tcb.loss_at = NEVER
        tcb.persist_at = NEVER


def _retransmit(tcb: Tcb, now: float) -> bool:
    """Send what is marked lost, as far as the windows allow (RFC 6675 §5 step C, NextSeg() rule 1); all of it?"""
    board = tcb.scoreboard
    smss = tcb.segment_size
    edge = tcb.snd_una + tcb.snd_wnd
    pipe = in_flight(tcb)
    forced = tcb.fast_retransmit
    tcb.fast_retransmit = False
    while (index := board.next_waiting()) >= 0:
        room = tcb.control.cwnd - pipe
        if tcb.pacer is not None:
            room = min(room, tcb.pacer.credit)
        if forced:
            # The first one goes whatever the pipe says (RFC 6675 §5 step 4.3, RFC 6298 §5.4).
            room = max(room, smss)
            forced = False
        if room < smss:
            tcb.cwnd_limited = True
            return False
        record = board.records[index]
        most = min(room - room % smss, edge - record.start, _RUN_LIMIT)
        if record.start == tcb.snd_una:
            # The head goes into a closed window too (RFC 9293 §3.8.6.1).
            most = max(most, smss)
        elif most <= 0:
            return False
        _resend(tcb, index, most, now)
        pipe += record.end - record.start
    return True


def _resend(tcb: Tcb, index: int, most: int, now: float) -> None:
    """Send the record at ``index`` again, at most ``most`` octets of it."""
    board = tcb.scoreboard
    record = board.records[index]
    if record.end - record.start > most:
        board.cut(index, record.start + most)
    board.resend(index, now)
    tcb.retransmissions += -(-(record.end - record.start) // tcb.segment_size)
    cwr = tcb.cwr if tcb.config.cwr_on_resent else 0
    _emit(tcb, record.start, record.end, ack_options(tcb, now), tcb.segment_size, cwr=cwr)
    tcb.cwr &= ~cwr
    tcb.loss.on_resent(tcb, record, now)
    if record.start == tcb.snd_una:
        pmtu.sent_again(tcb, now)
    if tcb.rexmt_at == NEVER or (tcb.loss.restarts and record.start == tcb.snd_una):
        timers.start_retransmission(tcb, now)


def _probe_tail(tcb: Tcb, now: float) -> None:
    """TLP_send_probe() of RFC 8985 §7.3: a segment of new octets, else the last one again, whatever the window."""
    loss = tcb.loss
    loss.tail_probe = False
    board = tcb.scoreboard
    if not board.records or tcb.recovery != OPEN:
        return
    smss = tcb.segment_size
    nxt = tcb.snd_nxt
    edge = tcb.snd_una + tcb.snd_wnd
    available = tcb.sending.end - nxt
    size = min(available, edge - nxt, smss)
    if size > 0 and not tcb.hold_data:
        fin = tcb.fin_queued and size == available and edge > nxt + size
        _send_range(tcb, nxt, nxt + size + fin, now)
        loss.on_probed(tcb, again=False)
        return
    index = len(board.records) - 1
    record = board.records[index]
    # Where the last segment of the run began; a FIN goes with the octets before it.
    octets = min(record.end, tcb.sending.end) - record.start
    start = record.start + max(octets - 1, 0) // smss * smss
    if record.waiting or (start >= edge and start > tcb.snd_una):
        return
    if start > record.start:
        board.cut(index, start)
        index += 1
    _resend(tcb, index, nxt - start, now)
    loss.on_probed(tcb, again=True)


def _last_resort(tcb: Tcb, now: float) -> None:
    """NextSeg() rules 3 and 4 of RFC 6675 §4, when there is room but neither losses nor new octets to send.

    The rescue of rule 4 waits for a partial acknowledgment: before that, the tail may well be under way.
    """
    board = tcb.scoreboard
    smss = tcb.segment_size
    if tcb.cwnd_limited or board.waiting:
        return
    while tcb.control.cwnd - in_flight(tcb) >= smss:
        index = board.next_doubtful()
        if index < 0:
            break
        _resend(tcb, index, smss, now)
    if tcb.rescued or not tcb.partial or tcb.control.cwnd - in_flight(tcb) < smss:
        return
    index = board.last_unsacked()
    if index >= 0:
        record = board.records[index]
        if record.end - record.start > smss:
            board.cut(index, record.end - smss)
            index += 1
        tcb.rescued = True
        _resend(tcb, index, smss, now)


def _send_new(tcb: Tcb, nxt: int, end: int, now: float) -> None:
    """Send octets never sent before, by both windows, Nagle and SWS avoidance (RFC 9293 §3.8.6.2.1)."""
    smss = tcb.segment_size
    una = tcb.snd_una
    available = end - nxt
    usable = una + tcb.snd_wnd - nxt
    idle = nxt == una and now - tcb.sent_at > tcb.rtt.rto and tcb.sent_at
    if idle and usable > 0 and tcb.config.restart_after_idle:
        tcb.control.on_idle(tcb.initial_window)
    room = tcb.control.cwnd - in_flight(tcb) + (una == tcb.iss)  # Our SYN is no octet of the window.
    if tcb.probe_at <= now and (octets := pmtu.probe_octets(tcb, nxt, available, usable, room)):
        if octets < 0:
            tcb.cwnd_limited = True
            return
        _send_range(tcb, nxt, nxt + octets, now, octets)
        nxt += octets
        available -= octets
        usable -= octets
        room -= octets
    if tcb.pacer is not None:
        room = min(room, tcb.pacer.credit)
    size = min(available, usable)
    tcb.cwnd_limited = size > room
    if tcb.cwnd_limited:
        size = room if room >= smss else 0
        if not size and nxt == una:
            size = min(available, usable, smss)
    last = size == available
    if available and not (last and (size % smss == 0 or nagle.may_send_small(tcb))):
        # Not everything goes: whole segments only, or at least half of the largest window.
        whole = size - size % smss if size > 0 else 0
        if size > 0 and tcb.sending.records is not None:
            # What ends a record waits for nothing.
            whole = tcb.sending.records.last(nxt, nxt + size) - nxt
            whole += (size - whole) // smss * smss
        if not whole and size > 0 and size < available and 2 * size >= tcb.max_snd_wnd and not tcb.cwnd_limited:
            whole = size
        last = whole == available
        size = whole
    fin = tcb.fin_queued and last and usable > size
    if tcb.override:
        tcb.override = False
        if size <= 0 and nxt == una:
            _override(tcb, nxt, min(available, usable), now)
            return
    if size <= 0 and not fin:
        if nxt == una:
            _persist(tcb, now)
        return
    _send_range(tcb, nxt, nxt + max(size, 0) + fin, now)


def _send_range(tcb: Tcb, start: int, end: int, now: float, smss: int = 0) -> None:
    """Send [start, end) for the first time, in runs of whole segments of ``smss`` octets (0: the usual size)."""
    smss = smss or tcb.segment_size
    board = tcb.scoreboard
    pushes = tcb.sending.pushes
    limit = _RUN_LIMIT - _RUN_LIMIT % smss if pushes is None else max(bursts.size(tcb), smss)
    stream_end = tcb.sending.end
    sent = end - start
    tcb.octets_out += min(end, stream_end) - start
    if tcb.dupacks and tcb.recovery == OPEN:
        tcb.limited += end - start
    again_to = tcb.again_to
    if end > again_to and (end - max(start, again_to)) % smss:
        tcb.snd_sml = end
    options = ack_options(tcb, now)
    while start < end:
        upto = end
        if end - start > limit:
            upto = start + limit
            if upto == stream_end:
                # The FIN goes with the last octets.
                upto = end
        if tcb.sending.records is not None:
            upto = tcb.sending.records.first(start, upto)
        if start < again_to:
            upto = min(upto, again_to)
            tcb.retransmissions += 1
        board.sent(start, upto, now, again=start < again_to)
        _emit(tcb, start, upto, options, smss, tcb.ect, tcb.cwr)
        tcb.cwr = 0
        start = upto
    if tcb.snd_una == tcb.snd_nxt:
        tcb.progress_at = now
    tcb.snd_nxt = end
    tcb.sent_at = now
    tcb.probing = False
    tcb.persist_at = NEVER
    tcb.persisting = 0
    if tcb.rexmt_at == NEVER:
        timers.start_retransmission(tcb, now)
    tcb.loss.on_sent(tcb, sent, now)


def _emit(tcb: Tcb, start: int, end: int, options: Options, smss: int, ect: int = 0, cwr: int = 0) -> None:
    """Queue one run with the stream numbers [start, end), FIN included where it lies in them.

    ``smss`` is the most payload octets of its segments; ``ect`` and ``cwr`` are for octets sent for the first time
    alone (RFC 3168 §6.1.2, §6.1.5, §6.1.6), but for ``cwr`` where ``cwr_on_resent`` is set.
    """
    sending = tcb.sending
    data_end = end if end <= sending.end else sending.end
    flags = ACK | tcb.ece | cwr
    if end > sending.end:
        flags |= FIN
    if start < data_end:
        payload = sending.peek(start, data_end)
        pushes = sending.pushes
        if pushes is None:
            if data_end == sending.end:
                flags |= PSH
        elif data_end - start > smss or pushes.within(start, data_end):
            flags |= PSH
    else:
        payload = []
        ect = 0
    pacer = tcb.pacer
    if pacer is not None:
        pacer.spend(data_end - start, tcb.now)
        if tcb.rates is not None:
            tcb.rates.on_sent(tcb.now, tcb.snd_nxt - tcb.snd_una)
    rcv_nxt = tcb.rcv_nxt
    tcb.last_ack_sent = rcv_nxt
    tcb.ack_now = False
    tcb.delack_at = NEVER
    quick = tcb.quick
    if quick is not None:
        quick.data_sent(tcb.now)
        quick.acknowledged()
    tcb.out.append(
        Run(
            start,
            rcv_nxt,
            flags,
            tcb.window_field(),
            options,
            payload,
            data_end - start,
            urgent=max(tcb.snd_up - start, 0),
            segment_size=smss,
            ecn=ect or tcb.ect_all,
        )
    )


def _persist(tcb: Tcb, now: float) -> None:
    """Nothing is under way and the window does not allow to send: start the persist timer, if it does not run."""
    if tcb.persist_at == NEVER:
        if not tcb.persisting:
            tcb.progress_at = now
        tcb.persist_at = now + timers.persist_interval(tcb)


def _override(tcb: Tcb, nxt: int, size: int, now: float) -> None:
    """The persist timer expired: what the window allows, or the next octet as a probe of a closed one."""
    if size > 0:
        if tcb.sending.pushes is not None:
            tcb.sending.pushes.mark(nxt + size)
        _send_range(tcb, nxt, nxt + size, now)
        return
    # SND.NXT stays: acknowledgments keep a number that the peer's window test accepts (RFC 9293 appendix A.2).
    if tcb.config.empty_probes:
        tcb.out.append(tcb.control_run(ACK, tcb.snd_una - 1, ack_options(tcb, now)))
        tcb.sent_at = now
    elif nxt < tcb.sending.end or tcb.fin_queued:
        _emit(tcb, nxt, nxt + 1, ack_options(tcb, now), 1)
        tcb.probing = True
        tcb.sent_at = now
    _persist(tcb, now)
