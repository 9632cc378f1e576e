"""The receiving half: text and FIN in, acknowledgments with SACK out (RFC 9293 §3.10.7.4, RFC 2018, RFC 2883)."""

from __future__ import annotations

from itertools import islice
from typing import Final

from edo.options import Options

from . import closing, ledger
from .run import ACK, FIN, Run
from .states import State, Trigger
from .tcb import MASK, NEVER, Tcb

Range = tuple[int, int]
# Our FIN may be sent and is not acknowledged.
_FIN_STATES: Final = (State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)


def take_text(tcb: Tcb, run: Run, now: float) -> bool:
    """Seventh and eighth: segment text and FIN. False if the connection is over because nobody reads."""
    start = run.seq
    end = start + run.length
    rcv_nxt = tcb.rcv_nxt
    fin = bool(run.flags & FIN)
    answers = len(tcb.out)
    upto = tcb.rcv_adv if tcb.peer_fin < 0 else min(tcb.rcv_adv, tcb.peer_fin)
    cut = end > upto
    if cut:
        end = upto
    if end <= rcv_nxt and run.length and start < rcv_nxt:
        # Nothing new but perhaps the FIN: all of it is a duplicate to report (RFC 2883 §4.1).
        if not (fin and tcb.quick is not None and start + run.length == rcv_nxt):
            acknowledge_now(tcb, now, (start, min(start + run.length, rcv_nxt)))
    elif end > rcv_nxt and start < end:
        if tcb.read_closed:
            # Octets for which there is no reader any more (RFC 9293 §3.6.1, RFC 2525 §2.17).
            closing.reset(tcb)
            return False
        _keep(tcb, run, start, end, now)
    elif run.length:
        # The window is closed: a probe, to be answered at once (RFC 9293 §3.8.6.1).
        tcb.ack_now = True
    if fin and tcb.peer_fin < 0 and not cut:
        tcb.peer_fin = run.seq + run.length
    if tcb.peer_fin == tcb.rcv_nxt:
        _take_fin(tcb, now)
    elif fin and len(tcb.out) == answers:
        tcb.ack_now = True
    return True


def take_urgent(tcb: Tcb, run: Run) -> None:
    """Sixth: RCV.UP is the greatest pointer seen; the application is told when it advances (RFC 9293 §3.8.5)."""
    if tcb.state not in (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2) or tcb.peer_fin >= 0:
        return
    up = run.seq + run.urgent
    if up > tcb.rcv_up:
        tcb.rcv_up = up
        if up > tcb.rcv_nxt - tcb.incoming.octets:
            tcb.tell_urgent()


def _keep(tcb: Tcb, run: Run, start: int, end: int, now: float) -> None:
    """Store the octets [start, end) of a run, of which some are new, and decide how they are acknowledged."""
    incoming = tcb.incoming
    rcv_nxt = tcb.rcv_nxt
    base = run.seq
    duplicate: Range | None = None
    if start < rcv_nxt:
        duplicate = (start, rcv_nxt)
        start = rcv_nxt
    size = run.length // run.segments
    tcb.rcv_mss = max(tcb.rcv_mss, min(size, tcb.announced_mss))
    ranges = incoming.ranges
    if ranges is None and start == rcv_nxt and start == base and end - base == run.length:
        incoming.append(run.payload, run.length, start, run.cipher)
        tcb.rcv_nxt = end
        tcb.octets_in += run.length
        return
    held = incoming.held
    if ranges is not None and start == rcv_nxt and end < ranges.starts[0]:
        # In order but short of what lies beyond the hole; it needs no range of its own.
        _append_part(tcb, run, start, end)
        tcb.rcv_nxt = end
    else:
        if start > rcv_nxt and not ledger.admits_beyond_hole(tcb, end - start):
            tcb.drop("no_memory")
            acknowledge_now(tcb, now, None)
            return
        again = incoming.insert(run.payload, base, start, end, run.cipher)
        if again is None:
            tcb.drop("out_of_window")
            acknowledge_now(tcb, now, None)
            return
        ledger.settle(tcb)
        if again[0] < again[1] and duplicate is None:
            duplicate = again
        tcb.octets_in += incoming.held - held
        tcb.rcv_nxt = incoming.advance(rcv_nxt)
    if tcb.rcv_nxt == rcv_nxt:
        _remember(tcb, start)
        # One acknowledgment for each segment beyond a hole (RFC 5681 §4.2): the sender counts them. Linux sends one
        # for all that its card has put together.
        for _ in range(run.segments if tcb.quick is None else 1):
            acknowledge_now(tcb, now, duplicate)
            duplicate = None
        return
    if incoming.ranges is None:
        tcb.recent = None
    if duplicate is not None:
        acknowledge_now(tcb, now, duplicate)
    else:
        # It fills all or part of a gap (RFC 5681 §4.2).
        tcb.ack_now = True


def _append_part(tcb: Tcb, run: Run, start: int, end: int) -> None:
    """Store the octets [start, end) of a run, next in order."""
    base = run.seq
    for view in run.payload:
        upto = base + len(view)
        if upto > start and base < end:
            piece = view[max(start - base, 0) : end - base]
            tcb.incoming.append([piece], len(piece), max(start, base), run.cipher)
        base = upto
    tcb.octets_in += end - start


def _take_fin(tcb: Tcb, now: float) -> None:
    """Eighth: the FIN is next in order."""
    state = tcb.state
    if state not in (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2):
        return
    tcb.rcv_nxt += 1
    # The window edge moves with the FIN, which takes no room in the buffer.
    tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt)
    if tcb.quick is None or state is not State.ESTABLISHED:
        tcb.ack_now = True
    else:
        tcb.quick.fin_came()
    tcb.incoming.drop_ranges()
    tcb.recent = None
    tcb.move(Trigger.FIN)
    tcb.tell_readable()
    if state is State.FIN_WAIT_2:
        closing.enter_time_wait(tcb, now)


def decide_ack(tcb: Tcb, now: float) -> None:
    """The one decision of a batch: acknowledge now, or within the delay (RFC 9293 §3.8.6.3)."""
    quick = tcb.quick
    if quick is not None:
        wait = quick.wait(tcb.rtt.srtt)
        late = tcb.rcv_nxt - tcb.last_ack_sent > tcb.rcv_mss and _window_moves(tcb)
        if quick.at_once or late or tcb.delack_at <= now + wait / 4:
            tcb.ack_now = True
        else:
            tcb.delack_at = min(tcb.delack_at, now + wait)
        return
    unacked = tcb.rcv_nxt - tcb.last_ack_sent
    if unacked >= 2 * tcb.rcv_mss or tcb.config.delayed_ack <= 0.0:
        tcb.ack_now = True
    elif tcb.delack_at == NEVER:
        tcb.delack_at = now + tcb.config.delayed_ack
    elif tcb.config.ack_second:
        tcb.ack_now = True


def bsd_update(tcb: Tcb, free: int, window: int) -> bool:
    """Whether ``bsd_updates`` has the peer told of ``free`` octets of room where ``window`` are advertised."""
    if (
        tcb.delack_at != NEVER
        or tcb.state >= State.CLOSE_WAIT
        or window >> tcb.rcv_wscale >= free >> tcb.rcv_wscale
    ):
        return False
    more, size, segment = free - window, tcb.receive_buffer, tcb.segment_size
    if more >= 2 * segment and (more >= size // 4 or free <= size // 8 or size <= 8 * segment):
        return True
    return 2 * more >= size


def _window_moves(tcb: Tcb) -> bool:
    """Whether an acknowledgment now would not narrow the window: who reads slowly lets the peer wait (Linux)."""
    free = tcb.receive_buffer - tcb.incoming.octets
    return free >= tcb.rcv_adv - tcb.last_ack_sent or not tcb.incoming.octets


def acknowledge_now(tcb: Tcb, now: float, duplicate: Range | None) -> None:
    """Queue an acknowledgment of its own; ``duplicate`` is reported as a D-SACK block (RFC 2883 §4)."""
    tcb.out.append(acknowledgment(tcb, now, duplicate))


def acknowledgment(tcb: Tcb, now: float, duplicate: Range | None = None) -> Run:
    """A segment that acknowledges, with SACK blocks where something lies beyond a hole."""
    options = ack_options(tcb, now, duplicate)
    if tcb.config.repeat_fin and tcb.state in _FIN_STATES and tcb.snd_nxt > tcb.sending.end:
        return tcb.control_run(ACK | FIN, tcb.snd_nxt - 1, options)
    return tcb.control_run(ACK, tcb.snd_nxt, options)


def challenge(tcb: Tcb, now: float) -> None:
    """A challenge ACK, no more than ten in five seconds (RFC 5961 §7)."""
    if now - tcb.challenge_from >= 5.0:
        tcb.challenge_from = now
        tcb.challenges = 0
    if tcb.challenges < 10:
        tcb.challenges += 1
        tcb.out.append(tcb.control_run(ACK, tcb.snd_nxt, ack_options(tcb, now)))


def ack_options(tcb: Tcb, now: float, duplicate: Range | None = None) -> Options:
    """Options of a segment with ACK: timestamps, and SACK blocks where something lies beyond a hole."""
    if not tcb.sack_ok or (duplicate is None and tcb.incoming.ranges is None):
        return tcb.plain_options(now)
    plain = tcb.plain_options(now)
    return Options(ts_val=plain.ts_val, ts_ecr=plain.ts_ecr, sack=_blocks(tcb, duplicate))


def _remember(tcb: Tcb, number: int) -> None:
    """Keep in mind where the latest octets beyond a hole arrived (RFC 2018 §4: the first block tells)."""
    recent = tcb.recent
    ranges = tcb.incoming.ranges
    if recent is None or ranges is None:
        tcb.recent = [number]
        return
    here = ranges.find(number)
    tcb.recent = [number] + [other for other in recent if ranges.find(other) not in (here, -1)]
    del tcb.recent[tcb.config.sack_blocks :]


def _blocks(tcb: Tcb, duplicate: Range | None) -> tuple[Range, ...]:
    """SACK blocks: the duplicate (RFC 2883), the latest arrival's range, ranges of earlier ones, then any."""
    limit = min(tcb.config.sack_blocks, tcb.sack_room)
    blocks: list[Range] = []
    if duplicate is not None:
        blocks.append((duplicate[0] & MASK, duplicate[1] & MASK))
    ranges = tcb.incoming.ranges
    if ranges is None:
        return tuple(blocks)
    # A duplicate beyond a hole is also the latest arrival, so its block follows it (RFC 2883 §4.2).
    chosen = dict.fromkeys(index for number in tcb.recent or () if (index := ranges.find(number)) >= 0)
    if len(chosen) < limit:
        chosen.update(dict.fromkeys(range(min(len(ranges), 2 * limit))))
    for index in islice(chosen, limit - len(blocks)):
        blocks.append((ranges.starts[index] & MASK, ranges.ends[index] & MASK))
    return tuple(blocks)
