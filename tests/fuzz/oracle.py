"""What RFC 9293 §3.10.7 lets a segment change, written once more from the text: a model beside the stack.

It says what *may* change and how far. A segment that the stack drops for a further reason (PAWS, memory, EDO) has
changed less than that, which is always in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from edo.reasons import EdoDrop
from stack.ports import Carrier
from stack.states import State
from stack.syn_cache import HalfOpen
from tests.edo.authority import Authority
from tests.edo.support import options_of

FIN, SYN, RST, ACK = 1, 2, 4, 16
_LIFE_OF_TS_RECENT: Final = 24 * 86400.0

# §3.3.2, figure 5: what the acknowledgment of our FIN, and the peer's FIN, lead to.
_ACKED_FIN: Final = {
    State.FIN_WAIT_1: State.FIN_WAIT_2,
    State.CLOSING: State.TIME_WAIT,
    State.LAST_ACK: State.CLOSED,
}
_GOT_FIN: Final = {
    State.ESTABLISHED: State.CLOSE_WAIT,
    State.FIN_WAIT_1: State.CLOSING,
    State.FIN_WAIT_2: State.TIME_WAIT,
}


@dataclass(frozen=True, slots=True)
class View:
    """A connection's state variables (§3.3.1) at one moment; all 64 bit, times in seconds."""

    state: State
    passive: bool
    iss: int
    irs: int
    snd_una: int
    snd_nxt: int
    snd_wnd: int
    max_snd_wnd: int
    snd_wl1: int
    snd_wl2: int
    rcv_nxt: int
    rcv_adv: int
    rcv_up: int
    fin_number: int
    """Where our FIN stands, -1 where none is queued."""
    probing: bool
    peer_fin: int
    held: tuple[tuple[int, int], ...]
    timestamps: bool
    ts_recent: int
    ts_recent_at: float
    read_closed: bool
    octets_in: int

    def sequence(self) -> tuple[object, ...]:
        """What no unacceptable segment may change."""
        return (
            *(self.state, self.iss, self.irs, self.snd_una, self.snd_nxt, self.snd_wnd, self.snd_wl1, self.snd_wl2),
            *(self.rcv_nxt, self.rcv_up, self.peer_fin, self.held, self.octets_in),
        )


def view(thing: Carrier | HalfOpen | None) -> View | None:
    """Look at a connection, or at what the SYN cache keeps of one."""
    if thing is None:
        return None
    connection = (thing.thaw() if isinstance(thing, HalfOpen) else thing).connection
    ranges = connection.incoming.ranges
    return View(
        state=connection.state,
        passive=connection.passive,
        iss=connection.iss,
        irs=connection.irs,
        snd_una=connection.snd_una,
        snd_nxt=connection.snd_nxt,
        snd_wnd=connection.snd_wnd,
        max_snd_wnd=connection.max_snd_wnd,
        snd_wl1=connection.snd_wl1,
        snd_wl2=connection.snd_wl2,
        rcv_nxt=connection.rcv_nxt,
        rcv_adv=connection.rcv_adv,
        rcv_up=connection.rcv_up,
        fin_number=connection.sending.end if connection.fin_queued else -1,
        probing=connection.probing,
        peer_fin=connection.peer_fin,
        held=() if ranges is None else tuple(ranges),
        timestamps=connection.timestamps,
        ts_recent=connection.ts_recent,
        ts_recent_at=connection.ts_recent_at,
        read_closed=connection.read_closed,
        octets_in=connection.octets_in,
    )


class Seen:
    """A segment as the model reads it: fields, options by their declarations, text behind the true header."""

    __slots__ = ("ack", "flags", "length", "malformed", "seq", "ts_val", "window")

    def __init__(self, tcp: bytes, authority: Authority, *, extended: bool) -> None:
        self.seq = int.from_bytes(tcp[4:8])
        self.ack = int.from_bytes(tcp[8:12])
        self.flags = tcp[13]
        self.window = int.from_bytes(tcp[14:16])
        offset = tcp[12] >> 4 << 2
        self.ts_val: int | None = None
        self.length = 0
        spans = authority.spans(tcp, 20, offset) if 20 <= offset <= len(tcp) else None
        self.malformed = spans is None
        if spans is None:
            return
        end: int | EdoDrop | None = offset
        if extended and not self.flags & SYN:
            end = authority.end(tcp, offset, spans)
            end = offset if end is None else end
            behind = None if isinstance(end, EdoDrop) else authority.spans(tcp, offset, end)
            if behind is None:
                self.malformed = True
                return
            spans = spans + behind
        assert isinstance(end, int)
        self.length = len(tcp) - end
        self.ts_val = options_of(tcp, spans, authority.parse, authority.dialect.points).ts_val


def nearest(wire: int, to: int) -> int:
    """The 64-bit number with these low 32 bits that is nearest (§3.4)."""
    return to + (wire - to + (1 << 31)) % (1 << 32) - (1 << 31)


def acceptable(before: View, seq: int, length: int) -> bool:
    """The four cases of §3.10.7.4, first.

    Beyond them: a segment that begins before the window is trimmed; with a closed window one at RCV.NXT counts for
    its ACK; and one without text at the window's right edge, which is where a peer stands that has used it up
    (appendix A.2 has the like), may bring its ACK.
    """
    nxt, window = before.rcv_nxt, before.rcv_adv - before.rcv_nxt
    if not length:
        return nxt <= seq <= nxt + window
    if not window:
        return seq <= nxt < seq + length or seq == nxt
    return nxt <= seq < nxt + window or nxt <= seq + length - 1 < nxt + window or seq <= nxt < seq + length


class NotAllowed(AssertionError):
    """The stack did what RFC 9293 does not say."""


def judge(
    before: View | None,
    segment: Seen,
    after: View | None,
    now: float,
    *,
    listening: bool,
    ending: bool = False,
    cookie: bool = False,
    beside: bool = False,
) -> None:
    """Compare a connection before and after a segment; raises NotAllowed.

    ``ending``: the application has closed, and its call waits until the connection stands (§3.10.4). ``cookie``:
    the segment acknowledges a SYN-ACK that was sent, so it may be a SYN cookie that comes back (RFC 4987 §3.6).
    ``beside``: a SYN may wait for this one (draft-touch-tcpm-tcp-syn-ext-opt §5), which is an OOB then.
    """
    if beside and before is None and after is not None and not segment.flags & (SYN | ACK | RST):
        if not listening or after.state is not State.SYN_RECEIVED or after.irs != segment.seq:
            raise NotAllowed(f"an OOB led to {after}")
        return
    if before is None:
        _opened(segment, after, listening, cookie=cookie)
        return
    if before.state is State.TIME_WAIT and segment.flags & (SYN | ACK | RST) == SYN:
        _reborn(before, segment, after, listening)
        return
    if after is not None and after.sequence() == before.sequence():
        # Dropped, for whatever reason.
        return
    if ending and before.fin_number < 0 and before.state < State.ESTABLISHED:
        # Its place is not known before what is written stands in the queue.
        before = replace(before, fin_number=1 << 62)
    found = State.CLOSED if after is None else after.state
    states = _allowed(before, segment, now)
    if states is None:
        raise NotAllowed(f"nothing may change in {before.state.name}: {_changes(before, after)}")
    if found not in states:
        raise NotAllowed(f"{before.state.name} to {found.name}, allowed is {[state.name for state in states]}")
    if after is not None and found is not State.CLOSED:
        _moved(before, segment, after)


def _changes(before: View, after: View | None) -> str:
    if after is None:
        return "it is gone"
    return ", ".join(
        f"{name} {getattr(before, name)} -> {getattr(after, name)}"
        for name in View.__slots__
        if getattr(before, name) != getattr(after, name)
    )


def _opened(segment: Seen, after: View | None, listening: bool, *, cookie: bool = False) -> None:
    """CLOSED and LISTEN (§3.10.7.1, §3.10.7.2): a SYN without RST and ACK alone makes something, at a listener."""
    if after is None:
        return
    if cookie and listening and segment.flags & (SYN | ACK | RST) == ACK and not segment.malformed:
        numbers = after.irs + 1 == segment.seq and after.iss + 1 == segment.ack == after.snd_una & 0xFFFFFFFF
        if not numbers or not segment.seq <= after.rcv_nxt <= segment.seq + segment.length + (segment.flags & FIN):
            raise NotAllowed(f"a cookie led to {after}")
        return
    syn = segment.flags & (SYN | ACK | RST) == SYN and not segment.malformed
    if not listening or not syn:
        raise NotAllowed(f"a connection out of nothing: {after}")
    if after.state is not State.SYN_RECEIVED or after.irs != segment.seq:
        raise NotAllowed(f"a SYN led to {after}")
    if not after.irs + 1 <= after.rcv_nxt <= after.irs + 1 + segment.length:
        raise NotAllowed(f"a SYN moved RCV.NXT to {after.rcv_nxt}")


def _reborn(before: View, segment: Seen, after: View | None, listening: bool) -> None:
    """A SYN may end TIME-WAIT (§3.6.1): with a later number, or a later timestamp (RFC 6191 §2).

    What it begins may be kept nowhere, where a cookie answers it.
    """
    if after is not None and after.sequence() == before.sequence():
        return
    later = nearest(segment.seq, before.rcv_nxt) > before.rcv_nxt
    if before.timestamps and segment.ts_val is not None:
        later = later or 0 < (segment.ts_val - before.ts_recent) % (1 << 32) < 1 << 31
    if not later or not listening:
        raise NotAllowed("an old SYN ended TIME-WAIT")
    _opened(segment, after, listening)


def _allowed(before: View, segment: Seen, now: float) -> set[State] | None:
    """The states that may follow; None where nothing may change."""
    flags = segment.flags
    if segment.malformed:
        return None
    if before.state is State.SYN_SENT:
        return _of_syn_sent(before, segment)
    seq = nearest(segment.seq, before.rcv_nxt)
    if before.state is State.SYN_RECEIVED and flags & SYN and seq == before.irs and not flags & RST:
        if not flags & ACK:
            return None
        # Its SYN was taken before: what is left begins behind it (§3.5, figure 8).
        flags &= ~SYN
        seq += 1
        seq = max(seq, before.rcv_nxt) if not segment.length else seq
    if not flags & RST and before.timestamps and _old(before, segment, now):
        return None
    length = segment.length + (flags & FIN) + (flags >> 1 & 1)
    if not acceptable(before, seq, length):
        return None
    if flags & RST:
        # RFC 5961 §3.2: the exact number.
        return {State.CLOSED} if seq == before.rcv_nxt else None
    if flags & SYN:
        # RFC 5961 §4.2, and back to LISTEN where the open was passive (§3.10.7.4, fourth).
        return {State.CLOSED} if before.state is State.SYN_RECEIVED and before.passive else None
    if not flags & ACK:
        return None
    return _of_ack(before, segment, seq, flags)


def _old(before: View, segment: Seen, now: float) -> bool:
    """RFC 7323 §5.3 R1: without the option, or with a value from before while TS.Recent has a meaning."""
    if segment.ts_val is None:
        return True
    behind = (segment.ts_val - before.ts_recent) % (1 << 32) >= 1 << 31
    return behind and now - before.ts_recent_at < _LIFE_OF_TS_RECENT


def _of_syn_sent(before: View, segment: Seen) -> set[State] | None:
    """§3.10.7.3."""
    flags = segment.flags
    ack = nearest(segment.ack, before.snd_nxt)
    good = before.iss < ack <= before.snd_nxt
    if flags & ACK and not good:
        return None
    if flags & RST:
        return {State.CLOSED, State.SYN_SENT} if flags & ACK else None
    if not flags & SYN:
        return None
    if not flags & ACK:
        return {State.SYN_RECEIVED}
    opened = State.ESTABLISHED if before.fin_number < 0 else State.FIN_WAIT_1
    return {opened, _GOT_FIN[opened]} if flags & FIN else {opened}


def _of_ack(before: View, segment: Seen, seq: int, flags: int) -> set[State] | None:
    """§3.10.7.4, fifth to eighth."""
    ack = nearest(segment.ack, before.snd_nxt)
    state = before.state
    if state is State.SYN_RECEIVED:
        if not before.snd_una < ack <= before.snd_nxt:
            return None
        state = State.ESTABLISHED if before.fin_number < 0 else State.FIN_WAIT_1
    elif ack > before.snd_nxt + before.probing or ack < before.snd_una - before.max_snd_wnd:
        # RFC 5961 §5.2.
        return None
    states = {state}
    if 0 <= before.fin_number < ack and state in _ACKED_FIN:
        states = {_ACKED_FIN[state]}
    if state is State.TIME_WAIT or State.CLOSED in states:
        return states
    _, fin = _reach(before, segment, seq, flags)
    if fin:
        states |= {_GOT_FIN[each] for each in tuple(states) if each in _GOT_FIN}
    if before.read_closed and segment.length and seq + segment.length > before.rcv_nxt:
        # Text for which there is no reader (§3.6.1).
        states.add(State.CLOSED)
    return states


def _reach(before: View, segment: Seen, seq: int, flags: int) -> tuple[int, bool]:
    """How far RCV.NXT may come with this segment, and whether it passes the peer's FIN then."""
    end = seq + segment.length
    fin = before.peer_fin if before.peer_fin >= 0 else (end if flags & FIN and end <= before.rcv_adv else -1)
    edge = before.rcv_adv if fin < 0 else min(before.rcv_adv, max(fin, before.rcv_nxt))
    reach = before.rcv_nxt
    if seq <= reach:
        reach = max(reach, min(end, edge))
    for start, upto in before.held:
        if start <= reach:
            reach = max(reach, upto)
    if reach == fin and before.state < State.CLOSE_WAIT:
        return reach + 1, True
    return reach, False


def _moved(before: View, segment: Seen, after: View) -> None:
    """How far the variables of a connection that goes on may have moved."""
    ack = nearest(segment.ack, before.snd_nxt)
    new_ack = segment.flags & ACK and before.snd_una < ack <= before.snd_nxt + before.probing
    if after.snd_una != before.snd_una and not (new_ack and after.snd_una == ack):
        raise NotAllowed(f"SND.UNA {before.snd_una} -> {after.snd_una} by ACK {ack}")
    if after.iss != before.iss or after.snd_una > after.snd_nxt:
        raise NotAllowed("SND.UNA beyond SND.NXT, or another ISS")
    if before.state is State.SYN_SENT:
        if after.irs != segment.seq:
            raise NotAllowed("IRS is not the SYN's")
        most = after.irs + 1 + segment.length + (segment.flags & FIN)
        if not after.irs + 1 <= after.rcv_nxt <= most:
            raise NotAllowed(f"a SYN moved RCV.NXT to {after.rcv_nxt}")
        return
    if after.irs != before.irs:
        raise NotAllowed("another IRS")
    seq = nearest(segment.seq, before.rcv_nxt)
    flags = segment.flags
    if flags & SYN:
        seq, flags = seq + 1, flags & ~SYN
    end, _ = _reach(before, segment, seq, flags)
    if not before.rcv_nxt <= after.rcv_nxt <= end:
        raise NotAllowed(f"RCV.NXT {before.rcv_nxt} -> {after.rcv_nxt}, at most {end}")
    if after.rcv_adv < before.rcv_adv:
        raise NotAllowed("the window was shrunk (§3.8.6)")
    inside = [(start, upto) for start, upto in after.held if upto > before.rcv_adv or start < after.rcv_nxt]
    if inside:
        raise NotAllowed(f"kept beyond the window or before RCV.NXT: {inside}")
