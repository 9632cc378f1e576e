"""The ends of a connection: CLOSE and ABORT calls, TIME-WAIT, deletion (RFC 9293 §3.6, §3.10.4, §3.10.5)."""

from __future__ import annotations

import errno

from .events import Closed, TcpError
from .run import ACK, FIN, RST, SYN, Run
from .states import State, Trigger
from .tcb import NEVER, Tcb

# In these states RFC 9293 §3.10.5 has ABORT send a reset.
_RESET_STATES = (
    State.SYN_RECEIVED,
    State.ESTABLISHED,
    State.FIN_WAIT_1,
    State.FIN_WAIT_2,
    State.CLOSE_WAIT,
)


def end_sending(tcb: Tcb) -> None:
    """No more SENDs: a FIN follows what was written (RFC 9293 §3.10.4); nothing happens the second time."""
    if tcb.fin_queued:
        return
    tcb.fin_queued = True
    if tcb.state in (State.ESTABLISHED, State.CLOSE_WAIT):
        tcb.move(Trigger.CLOSE)


def close(tcb: Tcb) -> None:
    """CLOSE of both directions: nothing will be read or written any more."""
    state = tcb.state
    if tcb.read_closed or state is State.CLOSED:
        tcb.read_closed = True
        return
    tcb.read_closed = True
    if state in (State.LISTEN, State.SYN_SENT):
        delete(tcb, None)
        return
    if tcb.config.close_forgets:
        tcb.incoming.read(-1)
    if tcb.incoming.octets and state not in (State.CLOSING, State.LAST_ACK, State.TIME_WAIT):
        # The peer would believe that what was never read had arrived (RFC 2525 §2.17, RFC 9293 §3.6.1).
        reset(tcb)
        return
    end_sending(tcb)
    if tcb.state is State.FIN_WAIT_2:
        tcb.linger_at = tcb.now + (tcb.config.fin_wait_2 or 2 * tcb.config.msl)


def abort(tcb: Tcb) -> None:
    """ABORT call (RFC 9293 §3.10.5)."""
    if tcb.state is State.CLOSED:
        return
    if tcb.state in _RESET_STATES:
        tcb.send_reset(tcb.snd_nxt)
    delete(tcb, TcpError(errno.ECONNABORTED, "connection aborted"))


def reset(tcb: Tcb) -> None:
    """Octets came, or were left, for which there is no reader: tell the peer that they are lost."""
    tcb.send_reset(tcb.snd_nxt, ACK)
    delete(tcb, TcpError(errno.ECONNABORTED, "closed before all that came was read"))


def fail(tcb: Tcb, code: int, reason: str) -> None:
    """The connection is over because of ``code`` (an errno)."""
    delete(tcb, TcpError(code, reason))


def delete(tcb: Tcb, error: TcpError | None) -> None:
    """Delete the TCB: CLOSED, no timers, no octets but those that can still be read."""
    if tcb.state is State.CLOSED:
        return
    tcb.move(Trigger.DELETE)
    tell_closed(tcb, error)
    _quiesce(tcb)
    tcb.linger_at = NEVER
    tcb.keep_at = NEVER
    tcb.delack_at = NEVER
    tcb.ack_now = False


def tell_closed(tcb: Tcb, error: TcpError | None) -> None:
    """Tell the application, once, that the connection is over for it."""
    if tcb.closed_told:
        return
    tcb.closed_told = True
    tcb.error = error
    # Events stay in order: what this batch brought comes before the end.
    if tcb.wrote:
        tcb.tell_writable()
    if tcb.incoming.octets:
        tcb.tell_readable()
    tcb.tell(Closed(error, tcb.sending.end - tcb.sending.base))


def enter_time_wait(tcb: Tcb, now: float) -> None:
    """TIME-WAIT has begun: 2 MSL, all other timers off (RFC 9293 §3.10.7.4)."""
    _quiesce(tcb)
    tcb.keep_at = NEVER
    tcb.linger_at = now + 2 * tcb.config.msl
    if tcb.config.bsd_time_wait:
        tcb.ece = 0
    tell_closed(tcb, None)


def bsd_time_wait(tcb: Tcb, run: Run, now: float) -> None:
    """A segment for TIME-WAIT where ``bsd_time_wait`` is set; one that begins a new connection is not seen here."""
    if run.flags & RST or not run.flags & ACK:
        tcb.drop("out_of_window")
        return
    end = run.seq + run.length + (run.flags & SYN > 0)
    if run.flags & FIN and end + 1 == tcb.rcv_nxt:
        # The peer did not hear our last ACK: 2 MSL from now.
        tcb.linger_at = now + 2 * tcb.config.msl
    if run.flags & 0x3F != ACK or run.length or (run.seq, run.ack) != (tcb.rcv_nxt, tcb.snd_nxt):
        tcb.ack_now = True


def acknowledged_fin(tcb: Tcb, now: float) -> None:
    """The peer acknowledged our FIN (fifth, FIN-WAIT-1, CLOSING and LAST-ACK)."""
    state = tcb.state
    if state is State.FIN_WAIT_1:
        tcb.move(Trigger.ACK_OF_FIN)
        # A lingering close waits for this.
        tcb.wrote = True
        if tcb.read_closed:
            # Nobody waits for the peer's octets any more; a peer that never closes shall not be waited for.
            tcb.linger_at = now + (tcb.config.fin_wait_2 or 2 * tcb.config.msl)
    elif state is State.CLOSING:
        tcb.move(Trigger.ACK_OF_FIN)
        enter_time_wait(tcb, now)
    elif state is State.LAST_ACK:
        delete(tcb, None)


def _quiesce(tcb: Tcb) -> None:
    """Nothing is sent or put together any more."""
    tcb.rexmt_at = NEVER
    tcb.loss_at = NEVER
    tcb.persist_at = NEVER
    tcb.probing = False
    tcb.scoreboard.clear()
    tcb.sending.clear()
    tcb.incoming.drop_ranges()
    tcb.recent = None
